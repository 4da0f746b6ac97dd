//! Freezes a Linux process to a folder and thaws it from there.
//!
//! ```no_run
//! use std::path::Path;
//! use pie_blob_freeze::{Options, freeze, thaw};
//!
//! let image = Path::new("/var/tmp/image");
//! freeze(4711, image, Options::new())?; // asked through the parasite, copied, ended when the image is safe
//! let thawed = thaw(image)?; // a new process has become it, through the restorer
//! let status = thawed.wait()?;
//! # Ok::<(), pie_blob_freeze::Error>(())
//! ```
//!
//! Two moments, two blobs. When it is frozen, [the parasite](pie_blob_parasite) is put into the process and answers what only
//! it itself can know. When it is thawed, a new process stages everything and enters [the restorer](pie_blob_restorer),
//! which replaces it.
//!
//! What an image can hold is in [`state`]; everything else that can be seen is refused. What `/proc` shows is refused before
//! anything is touched, with every such reason; what only shows of a stopped process, or from inside, when it has been asked,
//! and the process goes on. What cannot be seen at all is in the README's limits.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod collect;
mod error;
mod files;
mod folder;
mod freeze;
pub mod hex;
mod inspect;
mod late;
mod machine;
mod numbers;
mod pages;
mod proc;
pub mod show;
pub mod state;
mod sys;
mod thaw;

pub use error::{Error, Refusal};
pub use freeze::{Frozen, Options, freeze};
pub use thaw::{Thawed, thaw, thaw_telling};

/// Reads what an image says, without its pages.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Damaged`].
pub fn read(folder: &std::path::Path) -> Result<state::State, Error> {
    folder::read(folder)
}
