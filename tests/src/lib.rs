//! What crosses the crates of pie_blob; the tests are in `cases/`, the benches in `benches/`.
//!
//! The library is what cases share: victims that notice damage, started and asked from a test.

pub mod raw;
#[path = "../../runtime/inject/examples/spy/registers.rs"]
pub mod registers;
pub mod sequence;
pub mod subject;
pub mod victim;
