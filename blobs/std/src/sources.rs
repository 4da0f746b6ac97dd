//! Sources that the build crate compiles for a blob's target.

/// `memcpy`, `memmove`, `memset`, `memcmp`, `bcmp` and `strlen`, which compilers call and no target without a C library
/// has.
///
/// A crate root of its own that needs nothing but `core`; linked only where a blob has none of its own.
pub const MEM: &str = include_str!("mem.rs");
