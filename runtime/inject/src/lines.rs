//! Source lines for what went wrong in a blob.
//!
//! The blob in the host is an image without debugging information, and it stays so: a path to the object would be one of
//! the machine that compiled, and the object's bytes would be in every program. So whoever wants lines brings the object.
//! It is held against the blob first: lines of another build would name the wrong place with the same confidence.

use std::fmt;

use pie_blob::Blob;
pub use pie_blob_image::Line;
use pie_blob_image::{Abs32, Image, Limits};

use crate::Error;

/// The source lines of a blob, from the object that it was made of.
///
/// A program that is built for its developers has the object in it; `PIE_BLOB_<name>` is what the build crate calls it:
///
/// ```ignore
/// let mut infected = Victim::seize(pid)?.infect(&probe::BLOB)?;
/// if let Err(error) = infected.call(probe::ANSWER, (21,)) {
///     #[cfg(debug_assertions)]
///     let error = Lines::of(&probe::BLOB, include_bytes!(env!("PIE_BLOB_probe")))?.explain(&error);
///     eprintln!("{error}");
///     // blob probe: SIGSEGV at offset 0x288 (answer+0x0), address 0x10
///     //   in answer at ./blobs/probe/src/lib.rs:7:14
/// }
/// ```
///
/// For any other program the object can be read from a file, or `pie-blob lines probe.po 0x288` be asked about an offset
/// from its log.
#[derive(Debug)]
pub struct Lines<'object> {
    lines: pie_blob_image::Lines<'object>,
}

/// Why an object has no lines for a blob.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// The blob was made of another object, or of another build of it.
    #[error("blob {blob}: was not made of this object: give the one that this program was built with")]
    OtherObject {
        /// The blob's name.
        blob: &'static str,
    },
    /// The object has no lines.
    #[error("blob {blob}: its object has no source lines")]
    NoLines {
        /// The blob's name.
        blob: &'static str,
        /// Why.
        #[source]
        source: pie_blob_image::LinesError,
    },
}

/// An error and where in the source it happened: [`Lines::explain`].
#[derive(Debug)]
pub struct Explained<'error> {
    error: &'error Error,
    lines: Vec<Line>,
}

impl<'object> Lines<'object> {
    /// Finds the lines of a blob in the bytes of its object.
    ///
    /// # Errors
    ///
    /// [`LinesError::OtherObject`] where the blob was not made of it, [`LinesError::NoLines`] where it has no debugging
    /// information that can be read.
    pub fn of(blob: &Blob, object: &'object [u8]) -> Result<Self, LinesError> {
        let limits = Limits::default().with_image_size(blob.size());
        // How the blob was told to take narrow words is not written down in it.
        let ways = [limits, limits.with_abs32(Abs32::Checked), limits.with_abs32(Abs32::Truncate)];
        let same = |limits| Image::parse(object, limits).is_ok_and(|image| image.id() == blob.id());
        if !ways.iter().any(same) {
            return Err(LinesError::OtherObject { blob: blob.name() });
        }
        let lines = pie_blob_image::Lines::of(object);
        Ok(Self { lines: lines.map_err(|source| LinesError::NoLines { blob: blob.name(), source })? })
    }

    /// Where in the source an offset of the image is: innermost first, behind it the functions that this one was inlined
    /// into; empty where the object does not say.
    #[must_use]
    pub fn at(&self, offset: u64) -> Vec<Line> {
        self.lines.at(offset)
    }

    /// An error of the blob's, to be printed with the source lines of the place that it names.
    #[must_use]
    pub fn explain<'error>(&self, error: &'error Error) -> Explained<'error> {
        Explained { error, lines: error.offset().map(|offset| self.at(offset)).unwrap_or_default() }
    }
}

impl Explained<'_> {
    /// The source lines, as [`Lines::at`] has them; empty for an error that names no place in the blob.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        for line in &self.lines {
            write!(f, "\n  in {line}")?;
        }
        Ok(())
    }
}
