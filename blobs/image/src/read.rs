//! Decodes headers and tables into plain numbers, so that nothing behind it knows of class or byte order.

use object::Endianness;
use object::elf;
use object::read::StringTable;
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _, SectionTable, Sym as _};

use crate::Architecture;
use crate::dynamic::{self, Dynamic};
use crate::fault::Fault;
use crate::faults::Faults;
use crate::relocatable::{self, Relocatable};

/// An ELF object, decoded. Whatever could not be read is missing and has left a fault.
pub(crate) struct Object<'data> {
    pub(crate) architecture: Architecture,
    pub(crate) entry: u64,
    pub(crate) segments: Vec<ProgramHeader<'data>>,
    pub(crate) sections: Vec<Section<'data>>,
    /// `.symtab`; empty if the object was stripped.
    pub(crate) symbols: Vec<ElfSymbol<'data>>,
    /// `.dynsym`, the table that relocations refer to.
    pub(crate) dynamic_symbols: Vec<ElfSymbol<'data>>,
    pub(crate) dynamic: Dynamic,
    /// Whether it was linked for a fixed address.
    pub(crate) fixed: bool,
    /// What only a relocatable object has.
    pub(crate) relocatable: Option<Relocatable<'data>>,
    /// The relocations that an executable for a fixed address has kept.
    pub(crate) executable: Option<Relocatable<'data>>,
}

/// What is common and large, in the medium code model.
const SHN_X86_64_LCOMMON: elf::SymbolSection = elf::SymbolSection(0xff02);

/// An entry of the program header table.
pub(crate) struct ProgramHeader<'data> {
    pub(crate) kind: elf::ProgramType,
    pub(crate) flags: elf::ProgramFlags,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) align: u64,
    pub(crate) file_offset: u64,
    pub(crate) file_size: u64,
    /// The bytes in the file; `None` if they lie outside of it.
    pub(crate) data: Option<&'data [u8]>,
}

/// An entry of the section header table.
pub(crate) struct Section<'data> {
    pub(crate) name: &'data [u8],
    pub(crate) kind: elf::SectionType,
    pub(crate) flags: elf::SectionFlags,
    pub(crate) address: u64,
    pub(crate) size: u64,
}

/// An entry of a symbol table.
pub(crate) struct ElfSymbol<'data> {
    pub(crate) name: &'data [u8],
    pub(crate) binding: elf::SymbolBind,
    pub(crate) kind: elf::SymbolType,
    pub(crate) visibility: elf::SymbolVisibility,
    /// What the architecture has put beside the visibility.
    pub(crate) other: u8,
    pub(crate) place: Place,
    pub(crate) value: u64,
    pub(crate) size: u64,
}

/// What `st_shndx` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Undefined,
    Absolute,
    Common,
    /// An index into the section header table.
    Section(usize),
}

impl<'data> Object<'data> {
    /// Decodes `data`. Faults that leave the rest without meaning end it at once.
    pub(crate) fn read(data: &'data [u8], faults: &mut Faults) -> Option<Self> {
        match identify(data) {
            Ok(architecture) if architecture.pointer_width() == 8 => {
                read::<elf::FileHeader64<Endianness>>(data, architecture, faults)
            }
            Ok(architecture) => read::<elf::FileHeader32<Endianness>>(data, architecture, faults),
            Err(fault) => {
                faults.add(|| fault);
                None
            }
        }
    }

    /// The name of the allocated section that an address lies in.
    pub(crate) fn section_at(&self, address: u64) -> Option<String> {
        let covers = |s: &&Section<'_>| {
            let within = address.checked_sub(s.address).is_some_and(|within| within < s.size);
            s.flags.0 & elf::SHF_ALLOC.0 != 0 && s.flags.0 & elf::SHF_TLS.0 == 0 && within
        };
        self.sections.iter().find(covers).map(|section| text(section.name))
    }

    /// The section that a symbol is defined in.
    pub(crate) fn section_of(&self, symbol: &ElfSymbol<'_>) -> Option<&Section<'data>> {
        match symbol.place {
            Place::Section(index) => self.sections.get(index),
            Place::Undefined | Place::Absolute | Place::Common => None,
        }
    }

    /// The table to find names in: `.symtab`, or `.dynsym` if that was stripped.
    pub(crate) fn names(&self) -> &[ElfSymbol<'data>] {
        if self.symbols.is_empty() { &self.dynamic_symbols } else { &self.symbols }
    }
}

/// A name of the file, for a message.
pub(crate) fn text(name: &[u8]) -> String {
    /// Longer names are cut: a message is read by people.
    const LONGEST: usize = 256;
    String::from_utf8_lossy(name.get(..LONGEST).unwrap_or(name)).into_owned()
}

/// Checks that the file is one that this crate reads, by its first 20 bytes.
pub(crate) fn identify(data: &[u8]) -> Result<Architecture, Fault> {
    let Some(&[0x7f, b'E', b'L', b'F', class, order, _, ..]) = data.first_chunk::<20>() else {
        return Err(if data.starts_with(&elf::ELFMAG) { truncated() } else { Fault::NotElf });
    };
    let Some(&[low, high]) = data.get(18..20).and_then(<[u8]>::first_chunk::<2>) else {
        return Err(truncated());
    };
    let little_endian = match order {
        1 => true,
        2 => false,
        _ => return Err(Fault::Malformed { what: "e_ident".to_owned(), problem: "neither byte order" }),
    };
    let machine = elf::Machine(if little_endian {
        u16::from_le_bytes([low, high])
    } else {
        u16::from_be_bytes([low, high])
    });
    let width = match class {
        1 => 4,
        2 => 8,
        _ => return Err(Fault::Malformed { what: "e_ident".to_owned(), problem: "neither class" }),
    };
    let Some(architecture) = Architecture::of(machine, width) else {
        let machine = machine.name().map_or_else(|| format!("machine {}", machine.0), str::to_owned);
        return Err(Fault::Machine { machine });
    };
    let name = architecture.name();
    if width != architecture.pointer_width() {
        let found = if width == 4 { "of 32 bits (ELFCLASS32)" } else { "of 64 bits (ELFCLASS64)" };
        return Err(Fault::Identification { architecture: name, found });
    }
    if little_endian != architecture.little_endian() {
        let found = if little_endian { "little-endian (ELFDATA2LSB)" } else { "big-endian (ELFDATA2MSB)" };
        return Err(Fault::Identification { architecture: name, found });
    }
    Ok(architecture)
}

fn truncated() -> Fault {
    Fault::Malformed { what: "ELF header".to_owned(), problem: "it is cut off" }
}

/// Turns an error of the reader into a fault and goes on without what could not be read.
pub(crate) fn or_fault<T: Default>(result: object::read::Result<T>, what: &str, faults: &mut Faults) -> T {
    result.unwrap_or_else(|_| {
        faults.add(|| Fault::Malformed {
            what: what.to_owned(),
            problem: "it lies outside of the file or contradicts itself",
        });
        T::default()
    })
}

fn read<'data, Elf: FileHeader<Endian = Endianness>>(
    data: &'data [u8],
    architecture: Architecture,
    faults: &mut Faults,
) -> Option<Object<'data>> {
    let (Ok(header), endian) = (Elf::parse(data), endianness(architecture)) else {
        faults.add(truncated);
        return None;
    };
    let file_type = header.e_type(endian);
    let relocatable = file_type == elf::ET_REL;
    if relocatable && !relocatable::is_read(architecture) {
        faults.add(|| Fault::Relocatable { architecture: architecture.name() });
        return None;
    }
    let executable = file_type == elf::ET_EXEC;
    if !relocatable && !executable && file_type != elf::ET_DYN {
        let found = file_type.name().map_or_else(|| format!("{:#x}", file_type.0), str::to_owned);
        faults.add(|| Fault::FileType { found });
        return None;
    }
    if architecture == Architecture::Mips && header.e_flags(endian).0 & elf::EF_MIPS_ABI2.0 != 0 {
        let found = "of the N32 ABI (EF_MIPS_ABI2)";
        faults.add(|| Fault::Identification { architecture: architecture.name(), found });
        return None;
    }
    if header.e_version(endian) != u32::from(elf::EV_CURRENT.0) {
        faults.add(|| Fault::Malformed {
            what: "ELF header".to_owned(),
            problem: "e_version is not EV_CURRENT",
        });
    }
    let sections = or_fault(header.sections(endian, data), "section header table", faults);
    let symbols =
        |kind, what, faults: &mut Faults| symbols(&sections, architecture, endian, data, kind, what, faults);
    let mut object = Object {
        architecture,
        entry: header.e_entry(endian).into(),
        symbols: symbols(elf::SHT_SYMTAB, ".symtab", faults),
        dynamic_symbols: Vec::new(),
        sections: section_headers(&sections, endian, faults),
        segments: Vec::new(),
        dynamic: Dynamic::default(),
        fixed: executable,
        relocatable: None,
        executable: None,
    };
    // A relocatable object has no program headers, and what may be called so means nothing.
    if relocatable {
        let read = relocatable::read(&sections, &object.sections, architecture, endian, data, faults);
        object.relocatable = Some(read);
        return Some(object);
    }
    if executable {
        let read = relocatable::read(&sections, &object.sections, architecture, endian, data, faults);
        if read.tables.iter().all(|table| table.entries.is_empty()) {
            faults.add(|| Fault::FileType { found: "ET_EXEC".to_owned() });
            return None;
        }
        object.executable = Some(read);
    }
    let headers = or_fault(header.program_headers(endian, data).map(Some), "program header table", faults);
    let headers = headers.unwrap_or_default().iter();
    object.segments = headers.map(|header| program_header::<Elf>(header, endian, data)).collect();
    object.dynamic = dynamic::read::<Elf>(architecture, endian, &object.segments, faults);
    object.dynamic_symbols = symbols(elf::SHT_DYNSYM, ".dynsym", faults);
    Some(object)
}

fn endianness(architecture: Architecture) -> Endianness {
    if architecture.little_endian() { Endianness::Little } else { Endianness::Big }
}

fn program_header<'data, Elf: FileHeader<Endian = Endianness>>(
    header: &Elf::ProgramHeader,
    endian: Endianness,
    data: &'data [u8],
) -> ProgramHeader<'data> {
    ProgramHeader {
        kind: header.p_type(endian),
        flags: header.p_flags(endian),
        address: header.p_vaddr(endian).into(),
        size: header.p_memsz(endian).into(),
        align: header.p_align(endian).into(),
        file_offset: header.p_offset(endian).into(),
        file_size: header.p_filesz(endian).into(),
        data: header.data(endian, data).ok(),
    }
}

fn section_headers<'data, Elf: FileHeader<Endian = Endianness>>(
    sections: &SectionTable<'data, Elf>,
    endian: Endianness,
    faults: &mut Faults,
) -> Vec<Section<'data>> {
    let section = |header: &Elf::SectionHeader| Section {
        name: or_fault(sections.section_name(endian, header), "section name", faults),
        kind: header.sh_type(endian),
        flags: header.sh_flags(endian),
        address: header.sh_addr(endian).into(),
        size: header.sh_size(endian).into(),
    };
    sections.iter().map(section).collect()
}

fn symbols<'data, Elf: FileHeader<Endian = Endianness>>(
    sections: &SectionTable<'data, Elf>,
    architecture: Architecture,
    endian: Endianness,
    data: &'data [u8],
    kind: elf::SectionType,
    what: &str,
    faults: &mut Faults,
) -> Vec<ElfSymbol<'data>> {
    let table = or_fault(sections.symbols(endian, data, kind), what, faults);
    // Names may overlap, so that a small file can ask for very long ones many times over.
    let mut budget = data.len().saturating_mul(2);
    let mut decoded = Vec::with_capacity(table.len());
    for (index, symbol) in table.enumerate() {
        let Ok(place) = place(&table, architecture, endian, symbol, index) else {
            faults.add(|| Fault::Malformed {
                what: what.to_owned(),
                problem: "a symbol's section index is wrong",
            });
            continue;
        };
        let name = name::<Elf>(symbol, endian, table.strings());
        let Some((name, left)) = name.and_then(|name| Some((name, budget.checked_sub(name.len())?))) else {
            faults.add(|| Fault::Malformed { what: what.to_owned(), problem: "a symbol's name is wrong" });
            continue;
        };
        budget = left;
        decoded.push(ElfSymbol {
            name,
            binding: symbol.st_bind(),
            kind: symbol.st_type(),
            visibility: symbol.st_visibility(),
            other: symbol.st_other().0,
            place,
            value: symbol.st_value(endian).into(),
            size: symbol.st_size(endian).into(),
        });
    }
    decoded
}

fn name<'data, Elf: FileHeader<Endian = Endianness>>(
    symbol: &Elf::Sym,
    endian: Endianness,
    strings: StringTable<'data>,
) -> Option<&'data [u8]> {
    if symbol.st_name(endian) == 0 { Some(&[]) } else { symbol.name(endian, strings).ok() }
}

fn place<'data, Elf: FileHeader<Endian = Endianness>>(
    table: &object::read::elf::SymbolTable<'data, Elf>,
    architecture: Architecture,
    endian: Endianness,
    symbol: &Elf::Sym,
    index: object::SymbolIndex,
) -> object::read::Result<Place> {
    Ok(match symbol.st_shndx(endian) {
        elf::SHN_UNDEF => Place::Undefined,
        elf::SHN_ABS => Place::Absolute,
        elf::SHN_COMMON => Place::Common,
        SHN_X86_64_LCOMMON if architecture == Architecture::X86_64 => Place::Common,
        _ => match table.symbol_section(endian, symbol, index)? {
            Some(section) => Place::Section(section.0),
            None => Place::Undefined,
        },
    })
}
