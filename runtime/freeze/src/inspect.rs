//! Looks at a process from outside and says what an image cannot hold, every reason at once.
//!
//! Done twice: while it runs, so that what is refused is not even stopped, and again when it is stopped, because only
//! then it holds still.

mod areas;
mod descriptors;
mod process;

pub(crate) use areas::Fingerprints;
pub(crate) use descriptors::is_known_device;

use crate::error::{Error, Refusal};
use crate::state::{Area, Descriptor, MappedFile, OpenFile};

/// What a process has, as far as `/proc` shows it.
#[derive(Debug)]
pub(crate) struct Inspection {
    pub(crate) areas: Vec<Area>,
    pub(crate) mapped: Vec<MappedFile>,
    /// The file of the program: an index into `mapped`.
    pub(crate) executable: usize,
    pub(crate) files: Vec<OpenFile>,
    pub(crate) descriptors: Vec<Descriptor>,
}

/// Looks at everything.
///
/// # Errors
///
/// [`Error::Unsupported`] with every reason, [`Error::Io`] where `/proc` cannot be read.
pub(crate) fn inspect(pid: i32, fingerprints: &mut Fingerprints) -> Result<Inspection, Error> {
    let mut refusals = Vec::new();
    process::inspect(pid, &mut refusals)?;
    let (areas, mapped, executable) = areas::inspect(pid, fingerprints, &mut refusals)?;
    let (files, descriptors) = descriptors::inspect(pid, &mut refusals)?;
    if refusals.is_empty() {
        Ok(Inspection { areas, mapped, executable, files, descriptors })
    } else {
        Err(Error::Unsupported { pid, refusals })
    }
}

/// A process-wide reason.
fn refuse(refusals: &mut Vec<Refusal>, reason: impl Into<String>) {
    refusals.push(Refusal::Process { reason: reason.into() });
}
