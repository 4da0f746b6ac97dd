//! Every field of the tables of an ELF file: of the file header, and of each program header, section header, symbol,
//! relocation and entry of the dynamic section.

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader};

/// A field in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    at: usize,
    pub(crate) width: usize,
    little_endian: bool,
}

impl Field {
    pub(crate) fn get(&self, file: &[u8]) -> u64 {
        let append = |value, byte: &u8| value << 8 | u64::from(*byte);
        let bytes = file[self.at..self.at + self.width].iter();
        if self.little_endian { bytes.rev().fold(0, append) } else { bytes.fold(0, append) }
    }

    pub(crate) fn set(&self, file: &mut [u8], value: u64) {
        let field = &mut file[self.at..self.at + self.width];
        field.copy_from_slice(&value.to_le_bytes()[..self.width]);
        if !self.little_endian {
            field.reverse();
        }
    }
}

/// Widths of the fields, in their order.
struct Layout {
    file_header: &'static [usize],
    program_header: &'static [usize],
    section_header: &'static [usize],
    symbol: &'static [usize],
    rel: &'static [usize],
    rela: &'static [usize],
    dynamic: &'static [usize],
    relr: &'static [usize],
}

/// The type and the symbol of a relocation are fields of their own.
const WIDE: Layout = Layout {
    file_header: &[1, 1, 1, 1, 1, 1, 1, 1, 8, 2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2],
    program_header: &[4, 4, 8, 8, 8, 8, 8, 8],
    section_header: &[4, 4, 8, 8, 8, 8, 4, 4, 8, 8],
    symbol: &[4, 1, 1, 2, 8, 8],
    rel: &[8, 4, 4],
    rela: &[8, 4, 4, 8],
    dynamic: &[8, 8],
    relr: &[8],
};

const NARROW: Layout = Layout {
    file_header: &[1, 1, 1, 1, 1, 1, 1, 1, 8, 2, 2, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2],
    program_header: &[4; 8],
    section_header: &[4; 10],
    symbol: &[4, 4, 4, 1, 1, 2],
    rel: &[4, 1, 3],
    rela: &[4, 1, 3, 4],
    dynamic: &[4, 4],
    relr: &[4],
};

pub(crate) fn fields(file: &[u8]) -> Vec<Field> {
    if file[4] == 2 {
        of::<elf::FileHeader64<Endianness>>(file, &WIDE)
    } else {
        of::<elf::FileHeader32<Endianness>>(file, &NARROW)
    }
}

fn of<Elf: FileHeader<Endian = Endianness>>(file: &[u8], layout: &Layout) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut table = |start: u64, count: usize, widths: &[usize]| {
        let mut at = usize::try_from(start).unwrap();
        for width in (0..count).flat_map(|_| widths) {
            fields.push(Field { at, width: *width, little_endian: file[5] == 1 });
            at += width;
        }
    };
    let header = Elf::parse(file).unwrap();
    let endian = header.endian().unwrap();
    table(0, 1, layout.file_header);
    table(header.e_phoff(endian).into(), header.e_phnum(endian).into(), layout.program_header);
    table(header.e_shoff(endian).into(), header.e_shnum(endian).into(), layout.section_header);
    for section in header.sections(endian, file).unwrap().iter() {
        let widths = match section.sh_type(endian) {
            elf::SHT_SYMTAB | elf::SHT_DYNSYM => layout.symbol,
            elf::SHT_REL => layout.rel,
            elf::SHT_RELA => layout.rela,
            elf::SHT_DYNAMIC => layout.dynamic,
            elf::SHT_RELR => layout.relr,
            _ => continue,
        };
        let size: u64 = section.sh_size(endian).into();
        let count = usize::try_from(size).unwrap() / widths.iter().sum::<usize>();
        table(section.sh_offset(endian).into(), count, widths);
    }
    fields
}
