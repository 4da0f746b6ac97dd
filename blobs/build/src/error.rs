//! What can go wrong between sources and object, each with what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why there is no object.
#[doc = concat!("\n", include_str!("../docs/errors.md"))]
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Something that a build script is told by cargo is not known here.
    Unknown {
        /// What is not known: `target`, `out_dir`.
        what: &'static str,
        /// The variable that says it in a build script.
        variable: &'static str,
    },
    /// The blob's name cannot be part of a variable's name.
    Name {
        /// The name as given.
        name: String,
    },
    /// Nothing was given to compile.
    NoSource {
        /// The blob.
        name: String,
    },
    /// A source in a language that is not known.
    Language {
        /// The source.
        path: PathBuf,
    },
    /// Two settings exclude each other, or one has a value that cannot be.
    Setting {
        /// Which, and why.
        what: &'static str,
    },
    /// A file or a directory could not be read or written.
    Io {
        /// What was being done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A tool could not be started.
    Start {
        /// The tool as it was called.
        tool: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No C compiler was found for a source that needs one.
    NoCompiler {
        /// What needs it.
        path: PathBuf,
        /// What was said about the search.
        message: String,
    },
    /// A compiler, or the nested cargo, refused its input.
    Compile {
        /// The tool as it was called.
        tool: PathBuf,
        /// What it was to compile.
        input: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// All that it said.
        output: String,
    },
    /// The nested cargo ended well, but left not exactly one static library.
    NoLibrary {
        /// The package.
        package: PathBuf,
        /// Where the library was expected.
        directory: PathBuf,
    },
    /// A compiled file is not the ELF or the archive that it should be.
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Exports were asked for that no input defines.
    MissingExports {
        /// The blob.
        name: String,
        /// Every one of them.
        missing: Vec<MissingExport>,
    },
    /// No linker was found.
    NoLinker {
        /// Every place that was looked at.
        tried: Vec<PathBuf>,
    },
    /// The linker refused its input.
    Link {
        /// The linker as it was called.
        linker: PathBuf,
        /// The symbols that no input defines, as far as the linker named them.
        undefined: Vec<String>,
        /// All that it said.
        output: String,
    },
    /// A source was compiled, or an object was linked or given, that cannot become a correct blob.
    Refused {
        /// The source or the object.
        path: PathBuf,
        /// Every reason.
        reasons: Vec<String>,
    },
    /// More than one of the above.
    Several(Vec<Error>),
}

/// An export that was asked for and is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingExport {
    /// The name that was asked for.
    pub symbol: String,
    /// The input that has a local symbol of this name.
    pub local_in: Option<PathBuf>,
    /// The names that could be exported and were perhaps meant.
    pub nearest: Vec<String>,
}

impl Error {
    /// One error from many; `Ok` from none.
    pub(crate) fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Several(errors)),
        }
    }

    /// What to call when a file operation fails: `.map_err(Error::io("read", path))`.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { what, variable } => {
                write!(f, "{variable} is not set: this is no build script; say `.{what}(..)`")
            }
            Self::Name { name } => {
                write!(
                    f,
                    "`{name}` is no name for a blob: use letters, digits, `_` and `-`, and no digit first"
                )
            }
            Self::NoSource { name } => {
                write!(f, "blob `{name}` has nothing to compile: add `.cargo_package(..)` or `.source(..)`")
            }
            Self::Language { path } => {
                write!(f, "{}: not a source of a blob: `.rs`, `.c`, `.s` and `.S` are", path.display())
            }
            Self::Setting { what } => f.write_str(what),
            Self::Io { action, path, source } => write!(f, "{}: cannot {action}: {source}", path.display()),
            Self::Start { tool, source } => write!(f, "cannot start `{}`: {source}", tool.display()),
            Self::NoCompiler { path, message } => {
                write!(f, "{}: no C compiler for it (set CC): {message}", path.display())
            }
            Self::Compile { tool, input, status, output } => {
                write!(f, "{}: `{}` refused it ({status})", input.display(), tool.display())?;
                indented(f, output)
            }
            Self::NoLibrary { package, directory } => write!(
                f,
                "{}: cargo left not exactly one static library in {}: does the package have a library?",
                package.display(),
                directory.display()
            ),
            Self::Malformed { path, message } => write!(f, "{}: {message}", path.display()),
            Self::MissingExports { name, missing } => {
                write!(f, "blob `{name}` does not define what it is to export:")?;
                missing.iter().try_for_each(|export| write!(f, "\n  {export}"))
            }
            Self::NoLinker { tried } => {
                f.write_str("no linker: set PIE_BLOB_LINKER to an LLVM or GNU linker for ELF; tried")?;
                tried.iter().try_for_each(|path| write!(f, "\n  {}", path.display()))
            }
            Self::Link { linker, undefined, output } => {
                write!(f, "`{}` refused the blob", linker.display())?;
                if !undefined.is_empty() {
                    let what = if undefined.iter().any(|symbol| symbol.starts_with("__pie_blob_stack")) {
                        "give the blob a stack with `.stack(bytes)`"
                    } else {
                        "a blob has no libraries: add the source that defines it, or do without"
                    };
                    write!(f, ": nothing defines `{}`; {what}", undefined.join("`, `"))?;
                }
                indented(f, output)
            }
            Self::Refused { path, reasons } => {
                write!(f, "{}: cannot become a blob:", path.display())?;
                reasons.iter().try_for_each(|reason| write!(f, "\n  {reason}"))
            }
            Self::Several(errors) => {
                for (i, error) in errors.iter().enumerate() {
                    let line = if i == 0 { "" } else { "\n" };
                    write!(f, "{line}{error}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for MissingExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.symbol)?;
        if let Some(input) = &self.local_in {
            write!(f, " is local in {}: give it external linkage", input.display())?;
        } else if !self.nearest.is_empty() {
            write!(f, " (did you mean `{}`?)", self.nearest.join("` or `"))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Start { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A tool's own words, below ours.
fn indented(f: &mut fmt::Formatter<'_>, output: &str) -> fmt::Result {
    output.trim_end().lines().try_for_each(|line| write!(f, "\n  {line}"))
}
