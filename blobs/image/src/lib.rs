//! Object to image: reads a prelinked ELF object and flattens it, or says everything that is wrong with it.
//!
//! An *object* is fully linked and position-independent (`ET_DYN`), or linked for a fixed address with its relocations kept
//! (`ET_EXEC`), or for x86-64 and i386 relocatable (`ET_REL`: what `ld -r` writes, and compel's `.po`), and then it is linked
//! here. Its *image* is what lies in memory when it runs: initialised bytes, a zero tail, segments with permissions, and the *relocations*: the words to
//! which the base is added, or the address of an *import*, which is a symbol that the object does not define. Nothing else of ELF is left, so that what embeds or loads an image needs no ELF.
//!
//! ```no_run
//! use pie_blob_image::{Image, Limits};
//!
//! let object = std::fs::read("parasite.po")?;
//! let image = Image::parse(&object, &Limits::default())?;
//! for export in image.exports() {
//!     println!("{:#x} {}", export.offset(), export.name());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What bad input gets
//!
//! The object is untrusted. An object that cannot become a correct image is refused with [`Faults`]: every
//! reason at once, each naming section, symbol and relocation, and what to do about it. No input makes this
//! crate panic, and none makes it allocate more at once than 32 times the file's size and 16 times
//! [`Limits::image_size`]: a small file can ask for a large image, and for a relocation of every word in it.
//!
//! # The way of the data
//!
//! | module | does |
//! |---|---|
//! | `read` | decodes headers and tables of either class and byte order into plain numbers |
//! | `dynamic` | finds what the dynamic section points to: relocation tables, constructors, libraries |
//! | `layout` | `PT_LOAD`s to segments and bytes |
//! | `relocate` | relocation tables to addends in the words, a sorted list, and imports |
//! | `symbols` | symbol tables to exports |
//! | `relocatable` | relocatable objects: sections to segments, relocations to bytes and to what is left for the loader; and executables, the other way |
//! | `narrow` | words that are narrower than an address: at which bases they hold their values |
//! | `describe`, `types` | debugging information to signatures: what an object says of its own functions |
//! | `lines` (feature) | debugging information to source lines: where in the source an offset of the image is |
//! | `architecture` | the table of what differs between instruction sets |
#![forbid(unsafe_code)]

mod architecture;
mod describe;
mod description;
mod dump;
mod dwarf;
mod dynamic;
mod fault;
mod faults;
mod id;
mod image;
mod layout;
#[cfg(feature = "lines")]
mod lines;
mod narrow;
mod nearest;
mod parse;
mod read;
mod relocatable;
mod relocate;
mod relocation;
mod symbols;
mod types;
mod word;

pub use architecture::Architecture;
pub use describe::describe;
pub use description::{Class, Described, Description, Member, Parameter, Structure, Value};
pub use fault::{Fault, RelocationFault, SectionFault, SegmentFault, SymbolFault};
pub use faults::Faults;
pub use image::{
    BaseError, Binding, Dropped, DroppedReason, Image, Import, Permissions, Segment, Symbol, SymbolKind,
};
#[cfg(feature = "lines")]
pub use lines::{Line, Lines, LinesError};
pub use narrow::{Abs32, Narrow};
pub use nearest::nearest;
pub use parse::Limits;
pub use relocation::{Relocation, RelocationKind};
