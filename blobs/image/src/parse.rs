//! The order of the work, and the checks that belong to no step of it.

use object::elf;

use crate::fault::Fault;
use crate::faults::Faults;
use crate::image::Image;
use crate::layout::{Layout, Marks, layout};
use crate::read::{Object, text};
use crate::relocate::relocate;
use crate::symbols;

/// How much an object may ask for.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The most bytes that the image may take in memory. Beyond 4 GiB it has no effect: offsets have 32 bits.
    pub image_size: u64,
}

impl Default for Limits {
    /// 256 MiB.
    fn default() -> Self {
        Self { image_size: 256 << 20 }
    }
}

impl Limits {
    /// Images of at most so many bytes.
    #[must_use]
    pub fn with_image_size(self, image_size: u64) -> Self {
        Self { image_size, ..self }
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
    let object = Object::read(data, faults)?;
    let marks = symbols::marks(&object);
    headers(&object, faults);
    let mut layout = layout(&object, &marks, limits.image_size.min(u64::from(u32::MAX)), faults)?;
    sections(&object, &layout, &marks, faults);
    let (relocations, imports) = relocate(&object, &mut layout, &marks, faults);
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
        imports,
        exports,
        symbols,
        packed,
    })
}

/// What the file header and the program headers must not say.
fn headers(object: &Object<'_>, faults: &mut Faults) {
    if object.architecture.code_address(object.entry) != 0 {
        faults.add(|| Fault::Entry { address: object.entry });
    }
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
