//! What ends the command with status 1: each says what it is about and, if it can be mended, how.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use pie_blob_image::{BaseError, Faults, LinesError};

use crate::plain::plain;

#[derive(Debug)]
pub(crate) enum Error {
    /// The object cannot be read as a file.
    Read { path: PathBuf, source: io::Error },
    /// The object cannot become an image.
    Object { path: PathBuf, faults: Faults },
    /// The image cannot stand where it was asked to.
    Base { path: PathBuf, source: BaseError },
    /// The image has what the header cannot say, each by name.
    Header { path: PathBuf, reasons: Vec<String> },
    /// The object has no source lines.
    Lines { path: PathBuf, source: LinesError },
    /// An offset lies outside of the image.
    Outside { path: PathBuf, offset: u64, size: u64 },
    /// There is no manual page of it.
    NoSubcommand { name: String },
    /// The output could not be written.
    Write { to: String, source: io::Error },
}

impl Error {
    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { to: path.display().to_string(), source }
    }

    pub(crate) fn stdout(source: io::Error) -> Self {
        Self::Write { to: "standard output".to_owned(), source }
    }
}

/// One line for each reason. Names come from the object: what a terminal would obey is spelt out.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, about: &str, what: &dyn fmt::Display| {
            write!(f, "pie-blob: {}: {}", plain(about), plain(&what.to_string()))
        };
        match self {
            Self::Read { path, source } => line(f, &path.display().to_string(), source),
            Self::Object { path, faults } => {
                let about = path.display().to_string();
                for (number, fault) in faults.iter().enumerate() {
                    f.write_str(if number == 0 { "" } else { "\n" })?;
                    line(f, &about, fault)?;
                }
                if faults.more() > 0 {
                    f.write_str("\n")?;
                    line(f, &about, &format_args!("and {} more", faults.more()))?;
                }
                Ok(())
            }
            Self::Base { path, source } => line(f, &path.display().to_string(), source),
            Self::Lines { path, source } => line(f, &path.display().to_string(), source),
            Self::Outside { path, offset, size } => {
                let what = format!("offset {offset:#x} lies outside of the image, which has {size:#x} bytes");
                line(f, &path.display().to_string(), &what)
            }
            Self::Header { path, reasons } => {
                for (number, reason) in reasons.iter().enumerate() {
                    f.write_str(if number == 0 { "" } else { "\n" })?;
                    line(f, &path.display().to_string(), reason)?;
                }
                Ok(())
            }
            Self::NoSubcommand { name } => line(f, name, &"no such subcommand; `pie-blob help` lists them"),
            Self::Write { to, source } => line(f, to, &format_args!("cannot be written: {source}")),
        }
    }
}
