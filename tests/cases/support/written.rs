//! Relocatable objects of every architecture, written word by word: no compiler at hand has them all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "every test that includes this uses a part of it")]

use object::Architecture as Written;
use object::elf;
use object::write::{Object, Relocation, Symbol, SymbolSection};
use object::{
    BinaryFormat, Endianness, FileFlags, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};
use pie_blob_image::Architecture;

/// What an object of an architecture is written with.
pub(crate) struct Row {
    pub(crate) architecture: Architecture,
    written: Written,
    pub(crate) order: Endianness,
    flags: elf::FileFlags,
    /// An absolute word of pointer width.
    word: elf::RelocationType,
    /// What makes a linker put addresses into the GOT, in one instruction after the other, and these instructions.
    pub(crate) got: &'static [(elf::RelocationType, u32)],
}

const NO_FLAGS: elf::FileFlags = elf::FileFlags(0);

const fn row(
    architecture: Architecture,
    written: Written,
    flags: elf::FileFlags,
    word: elf::RelocationType,
    got: &'static [(elf::RelocationType, u32)],
) -> Row {
    Row { architecture, written, order: Endianness::Little, flags, word, got }
}

pub(crate) const ROWS: [Row; 10] = [
    row(Architecture::X86_64, Written::X86_64, NO_FLAGS, elf::R_X86_64_64, &[(elf::R_X86_64_GOTPCREL, 0)]),
    row(Architecture::X86, Written::I386, NO_FLAGS, elf::R_386_32, &[]),
    row(
        Architecture::Aarch64,
        Written::Aarch64,
        NO_FLAGS,
        elf::R_AARCH64_ABS64,
        &[(elf::R_AARCH64_ADR_GOT_PAGE, 0x9000_0000), (elf::R_AARCH64_LD64_GOT_LO12_NC, 0xf940_0000)],
    ),
    row(
        Architecture::Arm,
        Written::Arm,
        elf::EF_ARM_EABI_VER5,
        elf::R_ARM_ABS32,
        &[(elf::R_ARM_GOT_PREL, 0)],
    ),
    row(Architecture::Riscv64, Written::Riscv64, NO_FLAGS, elf::R_RISCV_64, &[(elf::R_RISCV_GOT_HI20, 0x17)]),
    Row {
        order: Endianness::Big,
        ..row(Architecture::S390x, Written::S390x, NO_FLAGS, elf::R_390_64, &[(elf::R_390_GOTENT, 0)])
    },
    row(Architecture::PowerPc64, Written::PowerPc64, elf::FileFlags(2), elf::R_PPC64_ADDR64, &[]),
    row(
        Architecture::Mips64,
        Written::Mips64,
        elf::EF_MIPS_ARCH_64R2,
        elf::R_MIPS_64,
        &[(elf::R_MIPS_GOT_DISP, 0), (elf::R_MIPS_GOT_PAGE, 0)],
    ),
    row(
        Architecture::Mips,
        Written::Mips,
        elf::FileFlags(elf::EF_MIPS_ABI_O32.0 | elf::EF_MIPS_ARCH_32R2.0),
        elf::R_MIPS_32,
        &[(elf::R_MIPS_GOT16, 0), (elf::R_MIPS_LO16, 0)],
    ),
    row(
        Architecture::LoongArch64,
        Written::LoongArch64,
        elf::FileFlags(0x43),
        elf::R_LARCH_64,
        &[(elf::R_LARCH_GOT_PC_HI20, 0x1a00_0000), (elf::R_LARCH_GOT_PC_LO12, 0x28c0_0000)],
    ),
];

/// Two functions, words that point to code, constants, data and zeros, and one
/// that the GOT is asked for.
pub(crate) fn object(row: &Row, words: usize) -> Vec<u8> {
    written(row, words, false)
}

/// The same, and `wanting`: a symbol that nobody defines, wanted by a word of the data and by the GOT.
pub(crate) fn written(row: &Row, words: usize, wanting: bool) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, row.written, row.order);
    object.flags = FileFlags::Elf { os_abi: elf::ELFOSABI_NONE, abi_version: 0, e_flags: row.flags };
    let width = u64::from(row.architecture.pointer_width());
    let text = object.section_id(object::write::StandardSection::Text);
    let data = object.section_id(object::write::StandardSection::Data);
    let constants =
        object.add_section(Vec::new(), b".data.rel.ro".to_vec(), SectionKind::ReadOnlyDataWithRel);
    let zeros = object.section_id(object::write::StandardSection::UninitializedData);
    let mut code = [0; 64];
    for (place, (_, instruction)) in code[32..].chunks_mut(4).zip(row.got) {
        // None of a big-endian machine has anything but a displacement.
        place.copy_from_slice(&instruction.to_le_bytes());
    }
    object.append_section_data(text, &code, 16);
    object.append_section_bss(zeros, 0x1234, 16);
    for section in [constants, data] {
        object.append_section_data(
            section,
            &vec![0; words * usize::from(row.architecture.pointer_width())],
            width,
        );
    }
    let mut symbol = |name: &[u8], section, value, kind| {
        object.add_symbol(Symbol {
            name: name.to_vec(),
            value,
            size: 16,
            kind,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        })
    };
    let start = symbol(b"start", text, 0, SymbolKind::Text);
    let second = symbol(b"twice", text, twice(row).into(), SymbolKind::Text);
    let table = symbol(b"table", constants, 0, SymbolKind::Data);
    let numbers = symbol(b"numbers", data, 0, SymbolKind::Data);
    let buffer = symbol(b"buffer", zeros, 0, SymbolKind::Data);
    let wanted = wanting.then(|| {
        object.add_symbol(Symbol {
            name: b"wanted".to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Unknown,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Undefined,
            flags: SymbolFlags::None,
        })
    });
    let mut relocate = |section, offset, symbol, addend, r_type| {
        let flags = RelocationFlags::Elf { r_type };
        object.add_relocation(section, Relocation { offset, symbol, addend, flags }).unwrap();
    };
    // The second one may be half of an address that only a local symbol has.
    let got = if wanting { row.got.get(..1).unwrap_or_default() } else { row.got };
    for (offset, &(kind, _)) in (32..).step_by(4).zip(got) {
        relocate(text, offset, wanted.unwrap_or(second), 0, kind);
    }
    if let Some(wanted) = wanted {
        relocate(data, width, wanted, 0x123, row.word);
    }
    let targets = [(start, 0), (second, 0), (table, 24), (numbers, 8), (buffer, 0x1000)];
    let all = || targets.into_iter().cycle().take(words);
    for (offset, (symbol, addend)) in (0..).step_by(usize::try_from(width).unwrap()).zip(all()) {
        relocate(constants, offset, symbol, addend, row.word);
        // One word in two is a number.
        if offset % (2 * width) == 0 {
            relocate(data, offset, symbol, addend, row.word);
        }
    }
    object.write().unwrap()
}

/// Where the second function is: on ARM it is one in Thumb.
pub(crate) fn twice(row: &Row) -> u32 {
    if row.architecture == Architecture::Arm { 17 } else { 16 }
}
