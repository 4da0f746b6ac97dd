//! Source lines: where in the source an offset of the image is, if the object has debugging information.
//!
//! What runs is the image, and that has none: whoever wants lines keeps the object. An offset in an error of a host's or in a
//! log is enough, then, wherever the object is.

use std::fmt;

use addr2line::Context;

use crate::dwarf::{Bytes, Debugging, Unread};

/// The source lines of an object.
///
/// Offsets are those of the image: from its entry, whatever the base.
///
/// ```no_run
/// use pie_blob_image::Lines;
///
/// let object = std::fs::read("parasite.po")?;
/// for line in Lines::of(&object)?.at(0x288) {
///     println!("{line}"); // read_nothing at ./src/lib.rs:55:14
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Unlike the rest of this crate this is for objects of one's own: damaged debugging information is an error or no line, but
/// what reading it costs is not bounded by the file's size.
pub struct Lines<'object> {
    context: Context<Bytes<'object>>,
    start: u64,
}

/// A place in the source.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The function, as its language writes it; `None` where the information does not say.
    pub function: Option<String>,
    /// The source file as the compiler was told it: paths that a build has remapped stay so.
    pub file: Option<String>,
    /// The line, from 1; `None` for code that belongs to no line.
    pub line: Option<u32>,
    /// The column, from 1; `None` where the information does not say.
    pub column: Option<u32>,
}

/// Why an object has no lines.
#[non_exhaustive]
#[derive(Debug)]
pub enum LinesError {
    /// The file is no ELF object that this crate reads.
    NoObject,
    /// The object is relocatable: its debugging information is still to be relocated.
    Relocatable,
    /// The debugging sections are compressed.
    Compressed,
    /// There is no debugging information.
    None,
    /// The debugging information contradicts itself.
    Damaged {
        /// How.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl fmt::Display for LinesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoObject => "not an ELF object that can be read",
            Self::Relocatable => {
                "a relocatable object: its debugging information is still to be relocated; link it first"
            }
            Self::Compressed => {
                "its debugging information is compressed: link with --compress-debug-sections=none"
            }
            Self::None => {
                "no debugging information: compile with -g (Rust: -Cdebuginfo=1) and do not strip it"
            }
            Self::Damaged { .. } => "its debugging information is damaged",
        })
    }
}

impl std::error::Error for LinesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Damaged { source } => Some(&**source),
            _ => None,
        }
    }
}

fn damaged(source: gimli::Error) -> LinesError {
    LinesError::Damaged { source: Box::new(source) }
}

impl<'object> Lines<'object> {
    /// Finds the debugging information of an object.
    ///
    /// # Errors
    ///
    /// Typed by what is missing.
    pub fn of(object: &'object [u8]) -> Result<Self, LinesError> {
        let Debugging { dwarf, start } = Debugging::read(object).map_err(|why| match why {
            Unread::NoObject => LinesError::NoObject,
            Unread::Relocatable => LinesError::Relocatable,
            Unread::Compressed => LinesError::Compressed,
        })?;
        if dwarf.units().next().map_err(damaged)?.is_none() {
            return Err(LinesError::None);
        }
        Ok(Self { context: Context::from_dwarf(dwarf).map_err(damaged)?, start })
    }

    /// Where in the source an offset of the image is: innermost first, behind it the functions that this one was inlined
    /// into. Empty where the information says nothing.
    ///
    /// The offset is that of an instruction. For a return address ask for the byte before it.
    #[must_use]
    pub fn at(&self, offset: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        let Some(address) = self.start.checked_add(offset) else { return lines };
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else { return lines };
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref();
            let location = frame.location.as_ref();
            let counted = |number: Option<u32>| number.filter(|number| *number > 0);
            let line = Line {
                function: name.and_then(|name| Some(name.demangle().ok()?.into_owned())),
                file: location.and_then(|location| location.file).map(str::to_owned),
                line: counted(location.and_then(|location| location.line)),
                column: counted(location.and_then(|location| location.column)),
            };
            lines.push(line);
        }
        lines
    }
}

impl fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("start", &self.start).finish_non_exhaustive()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.function.as_deref().unwrap_or("?"))?;
        let Some(file) = &self.file else { return Ok(()) };
        write!(f, " at {file}")?;
        for number in [self.line, self.column].into_iter().map_while(|number| number) {
            write!(f, ":{number}")?;
        }
        Ok(())
    }
}
