//! The order of the work, and the checks that belong to no step of it.

use object::elf;

use crate::fault::Fault;
use crate::faults::Faults;
use crate::image::{Dropped, DroppedReason, Image};
use crate::layout::{Layout, Marks, layout};
use crate::narrow::{Abs32, Narrow};
use crate::read::{Object, Section, text};
use crate::relocatable;
use crate::relocate::relocate;
use crate::symbols;

/// How much an object may ask for.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The most bytes that the image may take in memory. Beyond 4 GiB it has no effect: offsets have 32 bits.
    pub image_size: u64,
    /// Whether a relocatable object may have absolute words that are narrower than an address, and what becomes of them.
    pub abs32: Option<Abs32>,
}

impl Default for Limits {
    /// 256 MiB, and no narrow words.
    fn default() -> Self {
        Self { image_size: 256 << 20, abs32: None }
    }
}

impl Limits {
    /// Images of at most so many bytes.
    #[must_use]
    pub fn with_image_size(self, image_size: u64) -> Self {
        Self { image_size, ..self }
    }

    /// Absolute words that are narrower than an address are accepted.
    #[must_use]
    pub fn with_abs32(self, abs32: Abs32) -> Self {
        Self { abs32: Some(abs32), ..self }
    }
}

impl Image {
    /// Reads an object and flattens it.
    ///
    /// # Errors
    ///
    /// [`Faults`]: everything that keeps the object from becoming an image.
    pub fn parse(data: &[u8], limits: &Limits) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let image = read(data, limits, &mut faults);
        match image {
            Some(image) if faults.is_empty() => Ok(image),
            None if faults.is_empty() => Err(Fault::NoSegments.into()),
            _ => Err(faults),
        }
    }
}

fn read(data: &[u8], limits: &Limits, faults: &mut Faults) -> Option<Image> {
    let mut object = Object::read(data, faults)?;
    let executable = object.executable.take();
    let base = if executable.is_some() { relocatable::rebase(&mut object) } else { 0 };
    if object.architecture.code_address(object.entry) != 0 {
        faults.add(|| Fault::Entry { address: object.entry });
    }
    if let Some(relocatable) = object.relocatable.take() {
        return relocatable::link(object, relocatable, limits, faults);
    }
    let marks = symbols::marks(&object);
    headers(&object, faults);
    let mut layout = layout(&object, &marks, limits.image_size.min(u64::from(u32::MAX)), faults)?;
    sections(&object, &layout, &marks, faults);
    let (relocations, narrow, imports) = match &executable {
        Some(executable) => {
            let (relocations, narrow) =
                relocatable::unlink(&object, executable, base, &mut layout, limits, faults);
            (relocations, narrow, Vec::new())
        }
        None => {
            let (relocations, imports) = relocate(&object, &mut layout, &marks, faults);
            (relocations, Narrow::default(), imports)
        }
    };
    let stack = symbols::stack(&object, &layout, faults);
    let (exports, symbols) = symbols::collect(&object, &layout, &marks, &imports, faults);
    let Layout { segments, bytes, size, align } = layout;
    let Marks { packed, .. } = marks;
    Some(Image {
        architecture: object.architecture,
        bytes,
        size,
        align,
        segments,
        stack,
        relocations,
        narrow,
        imports,
        exports,
        symbols,
        packed,
        dropped: dropped(
            &object,
            marks.end,
            executable.as_ref().map(|executable| &*executable.relocates).unwrap_or_default(),
        ),
    })
}

/// What of the object is not in its image. `relocates` says which section a relocation section is for.
pub(crate) fn dropped(object: &Object<'_>, end: Option<u64>, relocates: &[Option<usize>]) -> Vec<Dropped> {
    let allocated = |section: &Section<'_>| section.flags.0 & elf::SHF_ALLOC.0 != 0;
    let sections = object.sections.iter().enumerate().filter(|(_, section)| section.size > 0);
    let dropped = sections.filter_map(|(number, section)| {
        let relocated =
            relocates.get(number).copied().flatten().and_then(|target| object.sections.get(target));
        let reason = match (section.kind, relocated) {
            _ if allocated(section) => {
                end.filter(|&end| section.address >= end).map(|_| DroppedReason::BehindEnd)?
            }
            (_, Some(relocated)) if allocated(relocated) => return None,
            (_, Some(_)) => DroppedReason::RelocatesDropped,
            (
                elf::SHT_NULL | elf::SHT_SYMTAB | elf::SHT_STRTAB | elf::SHT_SYMTAB_SHNDX | elf::SHT_GROUP,
                _,
            ) => {
                return None;
            }
            _ => DroppedReason::NotAllocated,
        };
        Some(Dropped { name: text(section.name), size: section.size, reason })
    });
    dropped.collect()
}

/// What the file header and the program headers must not say.
fn headers(object: &Object<'_>, faults: &mut Faults) {
    if object.names().is_empty() {
        faults.add(|| Fault::NoSymbols);
    }
    for segment in &object.segments {
        match segment.kind {
            elf::PT_INTERP => faults.add(|| Fault::Interpreter),
            elf::PT_TLS => faults.add(|| Fault::ThreadLocal { address: segment.address, size: segment.size }),
            _ => {}
        }
    }
}

/// What the section headers know and the program headers do not: code that wants to run by itself, relocations
/// that a linker script has cut off from the dynamic section, and sections that it has put into no segment.
fn sections(object: &Object<'_>, layout: &Layout, marks: &Marks, faults: &mut Faults) {
    for section in object.sections.iter().filter(|s| s.flags.0 & elf::SHF_ALLOC.0 != 0 && s.size > 0) {
        let name = || text(section.name);
        match section.kind {
            elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY | elf::SHT_PREINIT_ARRAY
                if section.address < layout.size =>
            {
                faults.add(|| Fault::Constructors { place: name() });
            }
            elf::SHT_RELA | elf::SHT_REL | elf::SHT_RELR => {
                let end = section.address.saturating_add(section.size);
                let reached = object
                    .dynamic
                    .tables
                    .iter()
                    .any(|table| table.start <= section.address && end <= table.end);
                if !reached {
                    faults.add(|| Fault::UnreachedRelocations { section: name() });
                }
            }
            elf::SHT_DYNSYM if object.dynamic.symbols.is_some_and(|address| address != section.address) => {
                faults.add(|| Fault::Malformed { what: name(), problem: "DT_SYMTAB has another address" });
            }
            _ => {}
        }
        let loaded = layout.segment_at(section.address, section.size).is_some();
        let ahead = marks.end.is_none_or(|end| section.address < end);
        // What is thread-local has no place among the segments, and a fault of its own.
        if ahead && !loaded && section.flags.0 & elf::SHF_TLS.0 == 0 {
            faults.add(|| Fault::NotLoaded { section: name(), address: section.address });
        }
        if matches!(section.name, b".ctors" | b".dtors") && section.address < layout.size {
            faults.add(|| Fault::Constructors { place: name() });
        }
    }
}
