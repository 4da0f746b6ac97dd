//! Relocatable objects (`ET_REL`): what `ld -r` writes, and compel's `.po`. They are laid out and linked here, so that the image
//! needs no more of the loader than one of a linked object does.
//!
//! | module | does |
//! |---|---|
//! | `read` | contents of sections, relocation tables |
//! | `layout` | sections to offsets and segments |
//! | `table` | relocation types, one row each |
//! | `got` | the global offset table, and instructions that can do without it |
//! | `apply` | relocations to bytes and to what is left for the loader |
//! | `executable` | the same backwards, for executables that have kept their relocations |
//! | `kept` | that of other architectures |

mod apply;
mod executable;
mod got;
mod kept;
mod layout;
mod read;
mod table;

use object::elf;

use crate::Architecture;
use crate::fault::{Fault, SectionFault, SegmentFault};
use crate::faults::Faults;
use crate::image::{Image, Permissions};
use crate::layout::{Layout, Marks};
use crate::narrow::Narrow;
use crate::parse::{Limits, dropped};
use crate::read::{Object, Place, Section, text};
use crate::relocation::Relocation;
use crate::symbols;
use apply::Linker;
use got::Got;
use layout::{Piece, Placement};

pub(crate) use executable::rebase;
pub(crate) use read::{Relocatable, is_allocated, read};
pub(crate) use table::is_read;

/// What the sections that are added here are called.
const COMMON: &[u8] = b"COMMON";
const GOT: &[u8] = b".got";

/// Links a relocatable object.
pub(crate) fn link(
    mut object: Object<'_>,
    relocatable: Relocatable<'_>,
    limits: &Limits,
    faults: &mut Faults,
) -> Option<Image> {
    let Relocatable { contents, tables, relocates } = relocatable;
    // There is no end mark: everything behind the image is not allocated.
    let marks = Marks { end: None, ..symbols::marks(&object) };
    if object.symbols.is_empty() {
        faults.add(|| Fault::NoSymbols);
    }
    refuse(&object, &contents, marks.packed, faults);
    let dropped = dropped(&object, None, &relocates);

    let page = if marks.packed { 1 } else { object.architecture.page_size() };
    let mut placement = Placement::new(page, limits.image_size.min(u64::from(u32::MAX)));
    place(&mut object, &contents, marks.packed, &mut placement, faults)?;
    let sections_end = placement.end();
    let mut got = apply::wanted(&object, &contents, &tables, sections_end);
    let width = u64::from(object.architecture.pointer_width());
    if got.size(width) > 0 {
        let piece = Piece { size: got.size(width), align: width, ..piece(elf::SHF_ALLOC, marks.packed) };
        got.offset = placement.place(piece, faults)?;
        object.sections.push(Section {
            name: GOT,
            kind: elf::SHT_PROGBITS,
            flags: elf::SHF_ALLOC,
            address: got.offset,
            size: piece.size,
        });
    }
    commons(&mut object, marks.packed, &mut placement, faults)?;
    let size = placement.end();
    if size == 0 {
        faults.add(|| Fault::Empty);
        return None;
    }

    let (segments, initialised, align) = placement.finish();
    let mut bytes = flatten(&object, &contents, initialised)?;
    let mut linker = Linker {
        object: &object,
        abs32: limits.abs32,
        faults,
        got,
        sections_end,
        size,
        narrow: Narrow::default(),
        fields: Vec::new(),
    };
    linker.apply(&tables, &mut bytes);
    let (relocations, narrow) = linker.finish();
    // What nothing refers to may be undefined; what something does has been reported.
    object.symbols.retain(|symbol| symbol.place != Place::Undefined);
    let layout = Layout { segments, bytes, size, align };
    let stack = symbols::stack(&object, &layout, faults);
    let (exports, symbols) = symbols::collect(&object, &layout, &marks, &[], faults);
    let Layout { segments, bytes, size, align } = layout;
    Some(Image {
        architecture: object.architecture,
        bytes,
        size,
        align,
        segments,
        stack,
        relocations,
        narrow,
        imports: Vec::new(),
        exports,
        symbols,
        packed: marks.packed,
        dropped,
    })
}

/// Finds out what the base is to be added to in an executable that was linked for `base` and laid out for 0.
pub(crate) fn unlink(
    object: &Object<'_>,
    executable: &Relocatable<'_>,
    base: u64,
    layout: &mut Layout,
    limits: &Limits,
    faults: &mut Faults,
) -> (Vec<Relocation>, Narrow) {
    if base % layout.align != 0 {
        let problem = SegmentFault::Base { base, align: layout.align };
        faults.add(|| Fault::Segment { address: 0, size: layout.size, problem });
    }
    let mut linker = Linker {
        object,
        abs32: limits.abs32,
        faults,
        got: Got::default(),
        sections_end: 0,
        size: layout.size,
        narrow: Narrow::default(),
        fields: Vec::new(),
    };
    linker.refuse_stubs();
    if object.architecture == Architecture::X86_64 {
        linker.unapply(&executable.tables, base, &mut layout.bytes);
    } else {
        linker.keep(&executable.tables, base, layout);
    }
    linker.finish()
}

/// Whatever a section must not be.
fn refuse(object: &Object<'_>, contents: &[read::Contents<'_>], packed: bool, faults: &mut Faults) {
    for (section, contents) in
        object.sections.iter().zip(contents).filter(|(section, _)| is_allocated(section))
    {
        let has = |flag: elf::SectionFlags| section.flags.0 & flag.0 != 0;
        let mut report = |problem| faults.add(|| Fault::Section { name: text(section.name), problem });
        if has(elf::SHF_TLS) {
            report(SectionFault::ThreadLocal);
        }
        if has(elf::SHF_COMPRESSED) {
            report(SectionFault::Compressed);
        }
        if has(elf::SHF_WRITE) && has(elf::SHF_EXECINSTR) && !packed && section.size > 0 {
            report(SectionFault::WritableCode);
        }
        if !contents.align.is_power_of_two() {
            report(SectionFault::Alignment { align: contents.align });
        }
        let array =
            matches!(section.kind, elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY | elf::SHT_PREINIT_ARRAY);
        let named = matches!(section.name, b".init" | b".fini" | b".ctors" | b".dtors");
        if (array || named) && section.size > 0 {
            faults.add(|| Fault::Constructors { place: text(section.name) });
        }
    }
}

/// What a section allows: in a packed image, as the one segment does, everything.
fn piece(flags: elf::SectionFlags, packed: bool) -> Piece {
    let has = |flag: elf::SectionFlags| packed || flags.0 & flag.0 != 0;
    let permissions =
        Permissions { read: true, write: has(elf::SHF_WRITE), execute: has(elf::SHF_EXECINSTR) };
    Piece { size: 0, align: 1, permissions, initialised: true }
}

/// Gives every allocated section its offset, and every symbol its own with it.
fn place(
    object: &mut Object<'_>,
    contents: &[read::Contents<'_>],
    packed: bool,
    placement: &mut Placement,
    faults: &mut Faults,
) -> Option<()> {
    for (section, contents) in object.sections.iter_mut().zip(contents) {
        if !is_allocated(section) {
            continue;
        }
        if !contents.align.is_power_of_two() {
            return None;
        }
        let initialised = section.kind != elf::SHT_NOBITS;
        if initialised && u64::try_from(contents.data.len()) != Ok(section.size) {
            return None;
        }
        let piece =
            Piece { size: section.size, align: contents.align, initialised, ..piece(section.flags, packed) };
        section.address = placement.place(piece, faults)?;
    }
    for symbol in &mut object.symbols {
        if let Place::Section(index) = symbol.place {
            let address = object.sections.get(index).map(|section| section.address);
            match address.and_then(|address| address.checked_add(symbol.value)) {
                Some(value) => symbol.value = value,
                None => faults.add(|| Fault::Malformed {
                    what: format!("symbol `{}`", text(symbol.name)),
                    problem: "it lies in no section",
                }),
            }
        }
    }
    Some(())
}

/// Makes room for symbols that have none, in the order of the symbol table. Their value is their alignment.
fn commons(
    object: &mut Object<'_>,
    packed: bool,
    placement: &mut Placement,
    faults: &mut Faults,
) -> Option<()> {
    let number = object.sections.len();
    let mut start = None;
    for symbol in object.symbols.iter_mut().filter(|symbol| symbol.place == Place::Common) {
        let align = symbol.value.max(1);
        if !align.is_power_of_two() {
            let name = format!("{} of `{}`", text(COMMON), text(symbol.name));
            faults.add(|| Fault::Section { name, problem: SectionFault::Alignment { align } });
            continue;
        }
        let piece = Piece { size: symbol.size, align, initialised: false, ..piece(elf::SHF_WRITE, packed) };
        symbol.value = placement.place(piece, faults)?;
        symbol.place = Place::Section(number);
        start.get_or_insert(symbol.value);
    }
    if let Some(start) = start {
        object.sections.push(Section {
            name: COMMON,
            kind: elf::SHT_NOBITS,
            flags: elf::SectionFlags(elf::SHF_ALLOC.0 | elf::SHF_WRITE.0),
            address: start,
            size: placement.end().saturating_sub(start),
        });
    }
    Some(())
}

/// The initialised bytes, before anything is relocated.
fn flatten(object: &Object<'_>, contents: &[read::Contents<'_>], initialised: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(initialised).ok()?];
    for (section, contents) in
        object.sections.iter().zip(contents).filter(|(section, _)| is_allocated(section))
    {
        if contents.data.is_empty() {
            continue;
        }
        let start = usize::try_from(section.address).ok()?;
        bytes.get_mut(start..start.checked_add(contents.data.len())?)?.copy_from_slice(contents.data);
    }
    Some(bytes)
}
