//! What can be wrong with an object: one fault each, with the data to name it and the remedy to show.

use std::fmt;

/// One reason why an object cannot become an image.
///
/// Its `Display` is one line that names the place and says what to do.
#[doc = concat!("\n", include_str!("../docs/faults.md"))]
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The file does not begin with the magic number of ELF.
    NotElf,
    /// A header or table lies outside of the file or contradicts itself.
    Malformed {
        /// The header, table or section.
        what: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// `e_machine` is none that images are made of.
    Machine {
        /// Its name or number.
        machine: String,
    },
    /// Class or byte order is not what the machine's psABI asks for.
    Identification {
        /// The architecture that `e_machine` names.
        architecture: &'static str,
        /// What the file says of itself.
        found: &'static str,
    },
    /// `e_type` is none that is read, or that of an executable without relocations.
    FileType {
        /// Its name or number.
        found: String,
    },
    /// A relocatable object of an architecture of which linked objects alone are read.
    Relocatable {
        /// The architecture.
        architecture: &'static str,
    },
    /// No section of a relocatable object takes any memory.
    Empty,
    /// Something is wrong with an allocated section of a relocatable object.
    Section {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: SectionFault,
    },
    /// `e_entry` is not 0.
    Entry {
        /// The entry's address.
        address: u64,
    },
    /// There is neither `.symtab` nor `.dynsym`.
    NoSymbols,
    /// There is no `PT_LOAD` that belongs to the image.
    NoSegments,
    /// Something is wrong with a `PT_LOAD`.
    Segment {
        /// Its address in the object.
        address: u64,
        /// Its size in memory.
        size: u64,
        /// What is wrong.
        problem: SegmentFault,
    },
    /// The image would be larger than allowed.
    TooLarge {
        /// The size the object asks for.
        size: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// The object names a program interpreter (`PT_INTERP`).
    Interpreter,
    /// The object needs a shared library (`DT_NEEDED`).
    Needed {
        /// The library's name.
        library: String,
    },
    /// The object has thread-local storage (`PT_TLS`).
    ThreadLocal {
        /// Where it lies.
        address: u64,
        /// How much it is.
        size: u64,
    },
    /// Code would have to run before the entry or after the end.
    Constructors {
        /// The dynamic tag or the section that asks for it.
        place: String,
    },
    /// The object says that its code has relocations (`DT_TEXTREL`).
    TextRelocations,
    /// A relocation table of a format that is not read.
    RelocationTable {
        /// The dynamic tag or the section.
        place: String,
    },
    /// An allocated relocation section is not within a table of the dynamic section: its relocations would be lost.
    UnreachedRelocations {
        /// The section's name.
        section: String,
    },
    /// What an executable's linker has made by itself, and no relocation tells what of it is an address.
    Unexplained {
        /// The section's name.
        section: String,
        /// Where it is, in the image.
        address: u64,
    },
    /// An allocated section lies in no segment: its bytes would be lost.
    NotLoaded {
        /// The section's name.
        section: String,
        /// Its address in the object.
        address: u64,
    },
    /// Something is wrong with a relocation.
    Relocation {
        /// The psABI's name of its type.
        name: String,
        /// The word to relocate.
        offset: u64,
        /// The section that the word lies in.
        section: Option<String>,
        /// The symbol that it refers to.
        symbol: Option<String>,
        /// What is wrong.
        problem: RelocationFault,
    },
    /// There are more relocations than words: some table lies.
    TooManyRelocations,
    /// There are more imports than a relocation can number.
    TooManyImports {
        /// How many there are.
        count: usize,
        /// The most that can be numbered.
        limit: usize,
    },
    /// Something is wrong with a symbol.
    Symbol {
        /// Its name.
        name: String,
        /// Its value.
        value: u64,
        /// The section that it is defined in.
        section: Option<String>,
        /// What is wrong.
        problem: SymbolFault,
    },
}

/// What is wrong with an allocated section of a relocatable object.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SectionFault {
    /// It is writable and executable.
    WritableCode,
    /// It is thread-local.
    ThreadLocal,
    /// Its bytes are compressed.
    Compressed,
    /// Its alignment is no power of two.
    Alignment {
        /// `sh_addralign`.
        align: u64,
    },
}

/// What is wrong with a `PT_LOAD`.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SegmentFault {
    /// The lowest one does not begin at 0.
    NotAtZero,
    /// Its bytes lie outside of the file.
    OutsideFile,
    /// It has more bytes in the file than in memory.
    FileLargerThanMemory,
    /// It reaches past the last address.
    AddressSpace,
    /// Its alignment is no power of two, or larger than any image.
    Alignment {
        /// `p_align`.
        align: u64,
    },
    /// Address and file offset differ modulo the alignment.
    Incongruent,
    /// It was linked for a base that the image could not have.
    Base {
        /// That base.
        base: u64,
        /// What a base is a multiple of.
        align: u64,
    },
    /// It is writable and executable.
    WritableCode,
    /// It overlaps another one.
    Overlap {
        /// The other one's address.
        other: u64,
    },
    /// It shares a page with one of other permissions.
    SharedPage {
        /// The other one's address.
        other: u64,
    },
    /// `__pie_blob_end` lies in the middle of it.
    CutByEnd {
        /// The symbol's value.
        end: u64,
    },
}

/// What is wrong with a relocation.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelocationFault {
    /// Its symbol is not defined.
    Undefined,
    /// Its symbol does not exist in the symbol table.
    NoSymbol,
    /// Its type is none that is read in relocatable objects and executables.
    Unknown,
    /// Its word is too narrow for an address, and nobody has said that such words are wanted.
    Abs32,
    /// What it calculates does not fit its field.
    OutOfRange {
        /// The value.
        value: i64,
    },
    /// It is an address, or a part of one, in an instruction.
    Instruction,
    /// No word of the global offset table holds its symbol's address.
    Slot,
    /// The bytes are not what it says: the linker has changed the instruction.
    Changed,
    /// It is a distance to what does not move with the image, so that it differs with the base.
    Distance,
    /// Its symbol lies in a section that is no part of the image.
    Unallocated {
        /// The section's name.
        section: String,
    },
    /// Its field does not lie in the section that it relocates.
    OutsideSection,
    /// Its field's place is not a multiple of what its type asks for.
    Misaligned {
        /// What its type asks for.
        align: u8,
    },
    /// It asks for a resolver to run.
    Ifunc,
    /// It belongs to thread-local storage.
    ThreadLocal,
    /// It copies another object's data.
    Copy,
    /// Its word is too narrow for an address.
    Narrow,
    /// Only a linker can resolve it.
    LinkTime,
    /// Its word does not lie in the image.
    OutsideImage,
    /// Its word does not lie in initialised bytes.
    Uninitialised,
    /// Its word lies in code.
    InCode,
    /// Its word overlaps that of another relocation.
    Overlap {
        /// Where the other one's word begins.
        other: u64,
    },
    /// It refers to an address outside of the image.
    Target {
        /// The address, at base 0.
        value: u64,
    },
}

/// What is wrong with a symbol.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SymbolFault {
    /// It is not defined.
    Undefined,
    /// It is thread-local.
    ThreadLocal,
    /// Its address is the result of a resolver.
    Ifunc,
    /// It is weak and absent, and its word in the GOT cannot be told from one that a loader adds the base to: MIPS.
    AbsentInGot,
    /// It has no place yet (`SHN_COMMON`).
    Common,
    /// It is exported and reaches out of the image.
    OutsideImage {
        /// `st_size`.
        size: u64,
    },
    /// The reserved stack is not a range of writable memory of the image.
    Stack,
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf => {
                f.write_str("this is not an ELF file: build the object with pie_blob_build, or link it with `-pie`")
            }
            Self::Malformed { what, problem } => {
                write!(f, "{what}: {problem}: the file is truncated or damaged, build it again")
            }
            Self::Machine { machine } => {
                write!(f, "the object is for {machine}; this version reads objects for")?;
                for architecture in crate::Architecture::all() {
                    write!(f, " {}", architecture.name())?;
                }
                Ok(())
            }
            Self::Identification { architecture, found } => {
                write!(f, "an object for {architecture} cannot be {found}: compile and link it for {architecture}")
            }
            Self::FileType { found } => match found.as_str() {
                "ET_EXEC" => f.write_str(
                    "this is an executable for a fixed address (ET_EXEC), its relocations are gone: compile with \
                     `-fPIE` and link with `-pie --no-dynamic-linker`, or keep them with `--emit-relocs`",
                ),
                found => write!(f, "the file type is {found} and not ET_DYN: link with `-pie --no-dynamic-linker`"),
            },
            Self::Relocatable { architecture } => write!(
                f,
                "this is a relocatable object (ET_REL) for {architecture}, of which linked objects alone are read: link it \
                 with `ld -pie --no-dynamic-linker -z norelro -z text -T blob.ld`"
            ),
            Self::Empty => f.write_str("no section takes any memory (SHF_ALLOC): the object holds no code and no data"),
            Self::Section { name, problem } => write!(f, "the section {name} {problem}"),
            Self::Entry { address } => write!(
                f,
                "the entry lies at {address:#x} and not at 0: place its section first in the linker script, at address 0"
            ),
            Self::NoSymbols => f.write_str(
                "there is neither .symtab nor .dynsym, so that no export can be found: link without `-s`, do not strip",
            ),
            Self::NoSegments => f.write_str("no PT_LOAD belongs to the image: the object holds no code and no data"),
            Self::Segment { address, size, problem } => {
                write!(f, "the segment of {size:#x} bytes at {address:#x} {problem}")
            }
            Self::TooLarge { size, limit } => write!(
                f,
                "the image would take {size} bytes in memory and {limit} are allowed: make it smaller or raise the limit \
                 (never beyond 4 GiB: offsets have 32 bits)"
            ),
            Self::Interpreter => {
                f.write_str("the object names a program interpreter (PT_INTERP): link with `--no-dynamic-linker`")
            }
            Self::Needed { library } => write!(
                f,
                "the object needs the shared library `{library}` (DT_NEEDED), and no loader will be there: link statically"
            ),
            Self::ThreadLocal { address, size } => write!(
                f,
                "{size} bytes of thread-local storage at {address:#x} (PT_TLS), and the blob has no thread pointer: use \
                 ordinary statics"
            ),
            Self::Constructors { place } => write!(
                f,
                "{place} asks for code to run before the entry or after the end, and nothing will run it: call it from \
                 the entry"
            ),
            Self::TextRelocations => f.write_str(
                "the code has relocations (DT_TEXTREL): compile everything with `-fPIE` and link with `-z text`",
            ),
            Self::RelocationTable { place } => write!(
                f,
                "{place} holds relocations in a format that is not read: link without packed relocations (REL, RELA and RELR \
                 are read)"
            ),
            Self::UnreachedRelocations { section } => write!(
                f,
                "the dynamic section does not lead to the relocations in {section}, they would be lost: keep .dynamic \
                 in the linker script"
            ),
            Self::Unexplained { section, address } => write!(
                f,
                "what the linker has made in {section} at {address:#x} has no relocations, and nothing tells whether it is an \
                 address: link with `-pie --no-dynamic-linker`"
            ),
            Self::NotLoaded { section, address } => write!(
                f,
                "the section {section} at {address:#x} lies in no segment and would be lost: name a PT_LOAD for it in \
                 the linker script"
            ),
            Self::Relocation { name, offset, section, symbol, problem } => {
                write!(f, "{name} at {offset:#x}")?;
                if let Some(section) = section {
                    write!(f, " in {section}")?;
                }
                if let Some(symbol) = symbol {
                    write!(f, " against `{symbol}`")?;
                }
                write!(f, ": {problem}")
            }
            Self::TooManyRelocations => f.write_str(
                "there are more relocations than words to relocate: the relocation tables are damaged, link again",
            ),
            Self::TooManyImports { count, limit } => write!(
                f,
                "the object wants {count} symbols from its host and {limit} are allowed: define them in the blob's sources"
            ),
            Self::Symbol { name, value, section, problem } => {
                write!(f, "symbol `{name}`")?;
                if let Some(section) = section {
                    write!(f, " at {value:#x} in {section}")?;
                }
                write!(f, ": {problem}")
            }
        }
    }
}

impl fmt::Display for SectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WritableCode => f.write_str(
                "is writable and executable: separate code from data, or define `__pie_blob_packed` where there is no MMU",
            ),
            Self::ThreadLocal => {
                f.write_str("is thread-local, and the blob has no thread pointer: use ordinary statics")
            }
            Self::Compressed => f.write_str("is compressed (SHF_COMPRESSED) and part of the image: build it again without"),
            Self::Alignment { align } => {
                write!(f, "has the alignment {align:#x}, which is no power of two: the file is damaged, build it again")
            }
        }
    }
}

impl fmt::Display for SegmentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAtZero => f.write_str("is the lowest and does not begin at 0: begin the linker script with `. = 0;`"),
            Self::OutsideFile => f.write_str("has bytes outside of the file, which is truncated or damaged: build it again"),
            Self::FileLargerThanMemory => {
                f.write_str("has more bytes in the file than in memory, its header is damaged: build it again")
            }
            Self::AddressSpace => f.write_str("reaches past the last address, its header is damaged: build it again"),
            Self::Alignment { align } => {
                write!(f, "has the alignment {align:#x}, which is no power of two or too large: lower the alignment")
            }
            Self::Incongruent => f.write_str(
                "lies in the file at an offset that differs from its address modulo the alignment: build it again",
            ),
            Self::Base { base, align } => {
                write!(f, "was linked for {base:#x}, which is no multiple of {align:#x}: link it for one that is")
            }
            Self::WritableCode => f.write_str(
                "is writable and executable: separate code from data in the linker script, or define \
                 `__pie_blob_packed` where there is no MMU",
            ),
            Self::Overlap { other } => write!(f, "overlaps the one at {other:#x}: separate them in the linker script"),
            Self::SharedPage { other } => write!(
                f,
                "shares a page with the one at {other:#x}, which has other permissions: begin it on a page of its own"
            ),
            Self::CutByEnd { end } => {
                write!(f, "is cut by `__pie_blob_end` at {end:#x}: place the symbol between two segments")
            }
        }
    }
}

impl fmt::Display for RelocationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined => f.write_str(
                "undefined symbol: define it in the blob's sources, link what defines it, or declare it weak and test it",
            ),
            Self::NoSymbol => f.write_str("the symbol table has no such symbol, the object is damaged: link again"),
            Self::Unknown => f.write_str(
                "this type is read neither in relocatable objects nor in executables: link with `ld -pie --no-dynamic-linker -z text`",
            ),
            Self::Abs32 => f.write_str(
                "the word is too narrow for every base: compile with `-fPIE`, or allow it with the option `abs32`, as \
                 `checked` (bases where it does not fit are refused) or `truncate` (for code that never runs there)",
            ),
            Self::OutOfRange { value } => write!(
                f,
                "the value {value} does not fit the field: bring the symbol nearer, or use a wider type (another code model)"
            ),
            Self::Distance => f.write_str(
                "the distance to what does not move with the blob differs with its base: take the address from the GOT \
                 (compile with `-fPIC`), or define the symbol in the blob",
            ),
            Self::Unallocated { section } => write!(
                f,
                "its symbol lies in {section}, which takes no memory (no SHF_ALLOC) and is no part of the blob: place it \
                 in an allocated section"
            ),
            Self::OutsideSection => f.write_str("the field lies outside of its section, the object is damaged: build it again"),
            Self::Misaligned { align } => {
                write!(f, "the field's place is no multiple of {align}, the object is damaged: build it again")
            }
            Self::Ifunc => f.write_str(
                "an IFUNC, whose resolver nobody would run: use the plain function (build without `ifunc`/`target_clones`)",
            ),
            Self::ThreadLocal => {
                f.write_str("thread-local storage, and the blob has no thread pointer: use ordinary statics")
            }
            Self::Instruction => f.write_str(
                "an address in an instruction, which cannot be moved: compile with `-fPIE`, and link with `-pie \
                 --no-dynamic-linker` if the linker has written it",
            ),
            Self::Slot => f.write_str(
                "no word of the section .got holds the symbol's address: let the linker script keep .got by itself, or link \
                 with `-pie --no-dynamic-linker`",
            ),
            Self::Changed => f.write_str(
                "the bytes are not what it says, because the linker has changed the instruction: link with `-pie \
                 --no-dynamic-linker`, or with `--no-relax` too",
            ),
            Self::Copy => f.write_str("a copy of a shared library's data: compile with `-fPIE` and link statically"),
            Self::Narrow => {
                f.write_str("the word is too narrow for an address: compile with `-fPIE` and the default code model")
            }
            Self::LinkTime => f.write_str(
                "only a linker can resolve this type: compile with `-fPIE`, link with `-pie -Bsymbolic -z text`",
            ),
            Self::OutsideImage => {
                f.write_str("the word does not lie in the image: place its section in front of `__pie_blob_end`")
            }
            Self::Uninitialised => {
                f.write_str("the word lies in zero-filled memory, the table or the segment is damaged: link again")
            }
            Self::InCode => f.write_str("the word lies in code: compile with `-fPIE` and link with `-z text`"),
            Self::Overlap { other } => {
                write!(f, "the word overlaps the one of the relocation at {other:#x}, the table is damaged: link again")
            }
            Self::Target { value } => write!(
                f,
                "refers to {value:#x}, outside of the image: what it points to must lie in front of `__pie_blob_end`"
            ),
        }
    }
}

impl fmt::Display for SymbolFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined => f.write_str(
                "undefined: define it in the blob's sources, link what defines it, or declare it weak and test it",
            ),
            Self::ThreadLocal => f.write_str("thread-local, and the blob has no thread pointer: use an ordinary static"),
            Self::Ifunc => f.write_str(
                "an IFUNC, whose resolver nobody would run: use the plain function (build without `ifunc`/`target_clones`)",
            ),
            Self::AbsentInGot => f.write_str(
                "weak and absent, and the linker has put it among the words of the GOT that a loader adds the base to: define \
                 it, or link with GNU `ld`",
            ),
            Self::Common => f.write_str("has no room yet (COMMON): compile with `-fno-common` or link with `-d`"),
            Self::OutsideImage { size } => write!(
                f,
                "its {size:#x} bytes reach out of the image: place its section in front of `__pie_blob_end`, correct `.size`"
            ),
            Self::Stack => f.write_str(
                "`__pie_blob_stack` up to `__pie_blob_stack_top` must be a range of writable memory of the image: \
                 correct the linker script",
            ),
        }
    }
}
