//! What only the expansion of [`pie_blob!`](crate::pie_blob) may use: no promise is made for it.

pub use crate::blob::{Parts, blob};
pub use crate::imports::Supply;

/// Carries a type from where it is written into the generated module.
pub trait Typed {
    /// The type of the export.
    type T;
}
