//! The debugging sections of an object, as they lie in the file.

use gimli::{EndianSlice, RunTimeEndian};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, elf};

use crate::read::identify;

pub(crate) type Bytes<'data> = EndianSlice<'data, RunTimeEndian>;

/// The debugging information of one object, not yet looked into.
pub(crate) struct Debugging<'data> {
    pub(crate) dwarf: gimli::Dwarf<Bytes<'data>>,
    /// The address that offset 0 of the image has in it: 0, but for executables for a fixed address.
    #[cfg_attr(not(feature = "lines"), allow(dead_code, reason = "only lines are asked for by offset"))]
    pub(crate) start: u64,
}

/// Why an object's debugging information cannot be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unread {
    /// The file is no ELF object that this crate reads.
    NoObject,
    /// Every address and every name in it is still to be relocated.
    Relocatable,
    /// The sections are compressed.
    Compressed,
}

impl<'data> Debugging<'data> {
    /// Finds the sections; those that are not there are empty.
    pub(crate) fn read(object: &'data [u8]) -> Result<Self, Unread> {
        let architecture = identify(object).map_err(|_| Unread::NoObject)?;
        let orders = if architecture.little_endian() {
            (Endianness::Little, RunTimeEndian::Little)
        } else {
            (Endianness::Big, RunTimeEndian::Big)
        };
        match architecture.pointer_width() {
            8 => Self::read_class::<elf::FileHeader64<Endianness>>(object, orders),
            _ => Self::read_class::<elf::FileHeader32<Endianness>>(object, orders),
        }
    }

    fn read_class<Elf: FileHeader<Endian = Endianness>>(
        object: &'data [u8],
        (order, endian): (Endianness, RunTimeEndian),
    ) -> Result<Self, Unread> {
        let header = Elf::parse(object).map_err(|_| Unread::NoObject)?;
        if header.e_type(order) == elf::ET_REL {
            return Err(Unread::Relocatable);
        }
        let sections = header.sections(order, object).map_err(|_| Unread::NoObject)?;
        let section = |id: gimli::SectionId| {
            let Some((_, section)) = sections.section_by_name(order, id.name().as_bytes()) else {
                return Ok(EndianSlice::new(&[], endian));
            };
            if section.sh_flags(order).0 & elf::SHF_COMPRESSED.0 != 0 {
                return Err(Unread::Compressed);
            }
            section
                .data(order, object)
                .map(|data| EndianSlice::new(data, endian))
                .map_err(|_| Unread::NoObject)
        };
        let dwarf = gimli::Dwarf::load(section)?;
        let mut start = 0;
        if header.e_type(order) == elf::ET_EXEC {
            let segments = header.program_headers(order, object).map_err(|_| Unread::NoObject)?;
            let loads = segments.iter().filter(|segment| segment.p_type(order) == elf::PT_LOAD);
            let loads = loads.filter(|load| load.p_memsz(order).into() > 0);
            start = loads.map(|load| load.p_vaddr(order).into()).min().unwrap_or(0);
        }
        Ok(Self { dwarf, start })
    }
}
