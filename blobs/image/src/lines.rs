//! Source lines: where in the source an offset of the image is, if the object has debugging information.
//!
//! What runs is the image, and that has none: whoever wants lines keeps the object. An offset in an error of a host's or in a
//! log is enough, then, wherever the object is.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use addr2line::Context;
use object::elf;

use crate::dwarf::{Bytes, Debugging, Unread};
use crate::faults::Faults;
use crate::read::{Object, Place};

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
    functions: Vec<Function<'object>>,
}

/// What the symbol table says of a function.
struct Function<'object> {
    addresses: Range<u64>,
    name: &'object [u8],
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

/// The functions of the symbol table, at the addresses that the object was linked for.
fn functions(object: &[u8]) -> Vec<Function<'_>> {
    // What is wrong with the object is not the question here.
    let Some(object) = Object::read(object, &mut Faults::default()) else { return Vec::new() };
    let code = object.names().iter().filter(|symbol| symbol.kind == elf::STT_FUNC && symbol.size > 0);
    let code = code.filter(|symbol| matches!(symbol.place, Place::Section(_)));
    code.map(|symbol| {
        let start = object.architecture.code_address(symbol.value);
        Function { addresses: start..start.saturating_add(symbol.size), name: symbol.name }
    })
    .collect()
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
        let context = Context::from_dwarf(dwarf).map_err(damaged)?;
        Ok(Self { context, start, functions: functions(object) })
    }

    /// Where in the source an offset of the image is: innermost first, behind it the functions that this one was inlined
    /// into. Empty where the information says nothing.
    ///
    /// The offset is that of an instruction. For a return address ask for the byte before it.
    #[must_use]
    pub fn at(&self, offset: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        // Images are smaller than 4 GiB.
        let offset = u32::try_from(offset).ok();
        let address = offset.and_then(|offset| self.start.checked_add(u64::from(offset)));
        let Some(address) = address.filter(|address| *address < u64::MAX) else { return lines };
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else { return lines };
        let mut outermost = None;
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
            outermost = name.and_then(|name| name.raw_name().ok().map(Cow::into_owned));
        }
        if outermost.is_some_and(|name| self.is_another(address, &name)) {
            lines.clear();
        }
        lines
    }

    /// Whether the symbol table has another function there. What a linker has left out may still have debugging information,
    /// and GNU ld says of it that it is at address 0, where offsets are small numbers too.
    fn is_another(&self, address: u64, name: &str) -> bool {
        let mut there =
            self.functions.iter().filter(|function| function.addresses.contains(&address)).peekable();
        // Compilers name parts of a function `name.cold`, `name.llvm.123`.
        let same = |function: &Function<'_>| {
            let rest = function.name.strip_prefix(name.as_bytes());
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'.')))
        };
        there.peek().is_some() && !there.any(same)
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
