//! What only a relocatable object has: the contents of its sections, and relocation tables that belong to them.

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader as _, SectionTable};

use crate::Architecture;
use crate::dynamic::{self, Entry};
use crate::fault::Fault;
use crate::faults::Faults;
use crate::read::{Section, text};

/// The part of a relocatable object that a linked one does not have.
pub(crate) struct Relocatable<'data> {
    /// By the number of the section.
    pub(crate) contents: Vec<Contents<'data>>,
    /// Those of allocated sections, in the order of their headers.
    pub(crate) tables: Vec<Table>,
    /// By the number of a section that relocates another: that one's number.
    pub(crate) relocates: Vec<Option<usize>>,
}

/// What a section holds.
pub(crate) struct Contents<'data> {
    pub(crate) align: u64,
    /// Empty where the section is zero-filled.
    pub(crate) data: &'data [u8],
}

/// The relocations of one section.
pub(crate) struct Table {
    /// The section's number.
    pub(crate) section: usize,
    pub(crate) entries: Vec<Entry>,
}

/// Reads contents and tables. `decoded` are the same sections, as far as every object has them.
pub(crate) fn read<'data, Elf: FileHeader<Endian = Endianness>>(
    sections: &SectionTable<'data, Elf>,
    decoded: &[Section<'data>],
    architecture: Architecture,
    endian: Endianness,
    data: &'data [u8],
    faults: &mut Faults,
) -> Relocatable<'data> {
    let mut reader = Reader { decoded, architecture, endian, data, budget: data.len(), faults };
    let contents =
        sections.iter().zip(decoded).map(|(header, section)| reader.contents::<Elf>(header, section));
    let contents = contents.collect();
    let (mut tables, mut relocates) = (Vec::new(), Vec::new());
    for (header, section) in sections.iter().zip(decoded) {
        let target = reader.target::<Elf>(header, section, sections);
        relocates.push(target);
        if let Some(target) = target.filter(|&target| decoded.get(target).is_some_and(is_allocated)) {
            let entries = reader.entries::<Elf>(header, section);
            tables.push(Table { section: target, entries });
        }
    }
    Relocatable { contents, tables, relocates }
}

pub(crate) fn is_allocated(section: &Section<'_>) -> bool {
    section.flags.0 & elf::SHF_ALLOC.0 != 0
}

struct Reader<'a, 'data> {
    decoded: &'a [Section<'data>],
    architecture: Architecture,
    endian: Endianness,
    data: &'data [u8],
    /// How many bytes of tables may still be read: tables that lie over one another must not fill the memory.
    budget: usize,
    faults: &'a mut Faults,
}

impl<'data> Reader<'_, 'data> {
    fn malformed(&mut self, section: &Section<'_>, problem: &'static str) {
        self.faults.add(|| Fault::Malformed { what: format!("section {}", text(section.name)), problem });
    }

    fn contents<Elf: FileHeader<Endian = Endianness>>(
        &mut self,
        header: &Elf::SectionHeader,
        section: &Section<'_>,
    ) -> Contents<'data> {
        let align = header.sh_addralign(self.endian).into().max(1);
        let data = match header.data(self.endian, self.data) {
            Ok(data) => data,
            Err(_) => {
                self.malformed(section, "it lies outside of the file");
                &[]
            }
        };
        Contents { align, data }
    }

    /// The section that a relocation section is for.
    fn target<Elf: FileHeader<Endian = Endianness>>(
        &mut self,
        header: &Elf::SectionHeader,
        section: &Section<'_>,
        sections: &SectionTable<'data, Elf>,
    ) -> Option<usize> {
        let read = match section.kind {
            elf::SHT_RELA | elf::SHT_REL => true,
            elf::SHT_CREL | elf::SHT_RELR => false,
            _ => return None,
        };
        let target = usize::try_from(header.sh_info(self.endian)).ok().filter(|&target| target != 0);
        let Some((target, relocated)) = target.and_then(|target| Some((target, self.decoded.get(target)?)))
        else {
            self.malformed(section, "it relocates a section that does not exist");
            return None;
        };
        if !read && is_allocated(relocated) && section.size > 0 {
            self.faults.add(|| Fault::RelocationTable { place: text(section.name) });
            return None;
        }
        let symbols = sections.section(header.link(self.endian));
        if !symbols.is_ok_and(|symbols| symbols.sh_type(self.endian) == elf::SHT_SYMTAB) {
            self.malformed(section, "its symbol table is none");
        }
        Some(target)
    }

    fn entries<Elf: FileHeader<Endian = Endianness>>(
        &mut self,
        header: &Elf::SectionHeader,
        section: &Section<'_>,
    ) -> Vec<Entry> {
        let bytes = header.data(self.endian, self.data).unwrap_or_default();
        let (endian, architecture) = (self.endian, self.architecture);
        let Some(left) = self.budget.checked_sub(bytes.len()) else {
            self.malformed(section, "it lies over another relocation table");
            return Vec::new();
        };
        self.budget = left;
        let entries = if section.kind == elf::SHT_RELA {
            object::pod::slice_from_all_bytes::<Elf::Rela>(bytes).map(|entries| {
                entries.iter().map(|entry| dynamic::rela_entry::<Elf>(architecture, entry, endian)).collect()
            })
        } else {
            object::pod::slice_from_all_bytes::<Elf::Rel>(bytes).map(|entries| {
                entries.iter().map(|entry| dynamic::rel_entry::<Elf>(architecture, entry, endian)).collect()
            })
        };
        entries.unwrap_or_else(|()| {
            self.malformed(section, "its size is no multiple of an entry's");
            Vec::new()
        })
    }
}
