//! Every architecture: what lld links position-independent, relocated, is what it links at that base.
//!
//! No compiler at hand has them all, so the objects that lld is given are written here, word by word.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Command;

use object::Architecture as Written;
use object::elf;
use object::write::{Object, Relocation, Symbol, SymbolSection};
use object::{
    BinaryFormat, Endianness, FileFlags, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};
use pie_blob_image::{Architecture, Image, Limits};
use support::linkers;

/// What an object of an architecture is written with.
struct Row {
    architecture: Architecture,
    written: Written,
    order: Endianness,
    flags: elf::FileFlags,
    /// An absolute word of pointer width.
    word: elf::RelocationType,
    /// What makes a linker put addresses into the GOT, in one instruction after the other, and these instructions.
    got: &'static [(elf::RelocationType, u32)],
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

const ROWS: [Row; 10] = [
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

/// How many words the constants and the data have.
const WORDS: usize = 200;

/// Two functions, words that point to code, constants, data and zeros, more of them than a RELR bitmap holds, and one
/// that the GOT is asked for.
fn object(row: &Row) -> Vec<u8> {
    written(row, false)
}

/// The same, and `wanting`: a symbol that nobody defines, wanted by a word of the data and by the GOT.
fn written(row: &Row, wanting: bool) -> Vec<u8> {
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
            &vec![0; WORDS * usize::from(row.architecture.pointer_width())],
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
    let words = || targets.into_iter().cycle().take(WORDS);
    for (offset, (symbol, addend)) in (0..).step_by(usize::try_from(width).unwrap()).zip(words()) {
        relocate(constants, offset, symbol, addend, row.word);
        // One word in two is a number.
        if offset % (2 * width) == 0 {
            relocate(data, offset, symbol, addend, row.word);
        }
    }
    object.write().unwrap()
}

const SCRIPT: &str = "
ENTRY(start)
PHDRS {
    text PT_LOAD FLAGS(5); rodata PT_LOAD FLAGS(4); data PT_LOAD FLAGS(6); reader PT_LOAD FLAGS(6);
    dynamic PT_DYNAMIC FLAGS(6);
}
SECTIONS {
    . = BASE;
    .text : { *(.text) } :text
    . = ALIGN(PAGE);
    .data.rel.ro : { *(.data.rel.ro) } :rodata
    .got : { *(.got .got.plt .toc) } :rodata
    . = ALIGN(PAGE);
    .data : { *(.data) } :data
    .bss (NOLOAD) : { *(.bss) } :data
    . = ALIGN(PAGE);
    __pie_blob_end = .;
    .dynamic : { *(.dynamic) } :reader :dynamic
    .dynsym : { *(.dynsym) } :reader
    .dynstr : { *(.dynstr) } :reader
    .hash : { *(.hash) } :reader
    .rel.dyn : { *(.rel.dyn .rela.dyn) } :reader
    .relr.dyn : { *(.relr.dyn) } :reader
    .rld_map : { *(.rld_map) } :reader
    /DISCARD/ : { *(.comment .note .note.* .eh_frame .interp .gnu.hash .ARM.attributes .MIPS.abiflags .reginfo .MIPS.options) }
}
";

/// Links the object at a base, position-independent where that is 0.
fn link(linker: &Path, folder: &Path, base: u64, page: u64, flags: &[&str]) -> Vec<u8> {
    let script = SCRIPT.replace("BASE", &format!("{base:#x}")).replace("PAGE", &page.to_string());
    std::fs::write(folder.join("blob.ld"), script).unwrap();
    let mut command = Command::new(linker);
    command.current_dir(folder).args(["-z", "text", "-z", "norelro", "-z", "noexecstack", "-Bsymbolic"]);
    command.args(["--build-id=none", "--hash-style=sysv", "-T", "blob.ld", "-o", "linked", "source.o"]);
    command.arg("-z").arg(format!("max-page-size={page}")).args(flags);
    let result = command.output().unwrap();
    assert!(result.status.success(), "{command:?}: {}", String::from_utf8_lossy(&result.stderr));
    std::fs::read(folder.join("linked")).unwrap()
}

fn parse(object: &[u8], name: &str) -> Image {
    Image::parse(object, &Limits::default()).unwrap_or_else(|faults| panic!("{name}: {faults}"))
}

/// Clears the word of the GOT in which some psABIs leave the address of the dynamic section as it was linked, for
/// the loader's own use: without a dynamic section it is 0.
fn clear_dynamic(relocated: &mut [u8], image: &Image, page: u64) {
    let dynamic = image.size().next_multiple_of(page);
    let width = usize::from(image.architecture().pointer_width());
    let is_got = [Architecture::Riscv64, Architecture::LoongArch64, Architecture::S390x];
    if is_got.contains(&image.architecture()) {
        let words = relocated.chunks_exact_mut(width);
        let bytes = |value: u64| {
            if image.architecture().little_endian() { value.to_le_bytes() } else { value.to_be_bytes() }
        };
        words.filter(|word| **word == bytes(dynamic)).for_each(|word| word.fill(0));
    }
}

/// Where two images differ: offset and both bytes.
fn differences(left: &[u8], right: &[u8]) -> Vec<(usize, u8, u8)> {
    assert_eq!(left.len(), right.len());
    let pairs = left.iter().zip(right).enumerate();
    pairs.filter(|(_, (a, b))| a != b).map(|(offset, (a, b))| (offset, *a, *b)).collect()
}

/// The linker of the Rust toolchain, or LLVM's: it links for all of them.
fn lld() -> std::path::PathBuf {
    linkers().into_iter().find(|linker| linker.ends_with("ld.lld")).expect("the Rust toolchain has an lld")
}

/// The formats that relocations can be kept in; a linker may have only one for an architecture.
const FORMATS: [&[&str]; 4] = [&[], &["-z", "rel"], &["-z", "rela"], &["-z", "pack-relative-relocs"]];

#[test]
fn every_architecture_and_page_size_and_format_of_relocations() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for row in &ROWS {
        let name = row.architecture.name();
        std::fs::write(folder.join("source.o"), object(row)).unwrap();
        for page in [0x1000, 0x4000, 0x1_0000] {
            let images = FORMATS.map(|format| {
                let flags = [&["-pie", "--no-dynamic-linker"], format].concat();
                let image = parse(&link(&lld(), folder, 0, page, &flags), name);
                assert_eq!((image.architecture(), image.align()), (row.architecture, page));
                assert!(image.relocations().len() >= 300 + row.got.len().min(1), "{name}");
                assert_eq!(image.export("twice").unwrap().offset(), twice(row));
                image
            });
            let narrow = row.architecture.pointer_width() == 4;
            let bases: &[u64] = if narrow { &[0x8654_0000] } else { &[0x8654_0000, 0x1234_5678_0000] };
            for &base in bases {
                let oracle = link(&lld(), folder, base, page, &["-static", "--oformat=binary"]);
                for (image, format) in images.iter().zip(FORMATS) {
                    let mut relocated = image.relocated(base).unwrap();
                    clear_dynamic(&mut relocated, image, page);
                    let place = format!("{name}, pages of {page:#x}, {format:?}, at {base:#x}");
                    assert_eq!(differences(&relocated, &oracle), [], "{place}");
                }
            }
        }
    }
}

/// An executable for one base, with its relocations kept, becomes what is linked for another.
#[test]
fn executables_of_every_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for row in &ROWS {
        let name = row.architecture.name();
        std::fs::write(folder.join("source.o"), object(row)).unwrap();
        let wide = row.architecture.pointer_width() == 8;
        let bases = [0x1000_0000, 0x8654_0000, if wide { 0x1234_5678_0000 } else { 0xc000_0000 }];
        for (from, page) in bases.into_iter().zip([0x1000, 0x4000, 0x1_0000]) {
            let file = link(&lld(), folder, from, page, &["-static", "--emit-relocs"]);
            let image = parse(&file, name);
            assert_eq!((image.architecture(), image.align()), (row.architecture, page));
            assert!(image.relocations().len() >= 300 + row.got.len().min(1), "{name}");
            assert_eq!(image.export("twice").unwrap().offset(), twice(row));
            for to in bases {
                let oracle = link(&lld(), folder, to, page, &["-static", "--oformat=binary"]);
                let relocated = image.relocated(to).unwrap();
                assert_eq!(differences(&relocated, &oracle), [], "{name}, from {from:#x} to {to:#x}");
            }
            let stripped = link(&lld(), folder, from, page, &["-static"]);
            let faults = Image::parse(&stripped, &Limits::default()).unwrap_err().to_string();
            assert!(faults.contains("(ET_EXEC)") && faults.contains("`--emit-relocs`"), "{name}: {faults}");
        }
    }
}

#[test]
fn imports_of_every_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for row in &ROWS {
        let name = row.architecture.name();
        std::fs::write(folder.join("source.o"), written(row, true)).unwrap();
        let image = parse(&link(&lld(), folder, 0, 0x1000, &["-shared", "-znow"]), name);
        let names: Vec<&str> = image.imports().iter().map(pie_blob_image::Import::name).collect();
        assert_eq!(names, ["wanted"], "{name}");
        let imported = || image.relocations().iter().filter(|reloc| reloc.kind().import() == Some(0));
        let slots = usize::from(!row.got.is_empty());
        assert_eq!(imported().count(), 1 + slots, "{name}: a word, and one of the GOT if there is one");
        let width = row.architecture.pointer_width();
        let addend = |reloc: &pie_blob_image::Relocation| {
            let word = &image.bytes()[usize::try_from(reloc.offset()).unwrap()..][..usize::from(width)];
            let [low, high] = if row.order == Endianness::Little { [0, 1] } else { [7, 6] };
            u32::from(word[low]) | u32::from(word[high]) << 8
        };
        let addends: Vec<u32> = imported().map(addend).collect();
        assert!(addends.contains(&0x123), "{name}: {addends:x?}");
        assert_eq!(addends.iter().sum::<u32>(), 0x123, "{name}: a slot adds nothing");
        for reloc in imported() {
            assert_eq!(
                (reloc.kind().width(), reloc.kind().little_endian()),
                (width, row.architecture.little_endian())
            );
        }
    }
}

/// Where the second function is: on ARM it is one in Thumb.
fn twice(row: &Row) -> u32 {
    if row.architecture == Architecture::Arm { 17 } else { 16 }
}

//# fault: Fault::Identification
#[test]
fn mips_with_short_pointers_in_long_registers() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let row = ROWS.iter().find(|row| row.architecture == Architecture::Mips).unwrap();
    std::fs::write(folder.join("source.o"), object(row)).unwrap();
    let mut linked = link(&lld(), folder, 0, 0x1000, &["-pie", "--no-dynamic-linker"]);
    let flags = &mut linked[36..40];
    flags[0] |= 0x20;
    let faults = Image::parse(&linked, &Limits::default()).unwrap_err().to_string();
    assert!(faults.contains("an object for mips cannot be of the N32 ABI"), "{faults}");
}

//# fault: Fault::Relocatable
#[test]
fn relocatable_objects_are_read_of_x86_alone() {
    for row in &ROWS {
        let read = Image::parse(&object(row), &Limits::default());
        if matches!(row.architecture, Architecture::X86_64 | Architecture::X86) {
            assert_eq!(read.unwrap().architecture(), row.architecture);
            continue;
        }
        let faults = read.unwrap_err().to_string();
        assert!(faults.contains(row.architecture.name()) && faults.contains("`ld -pie"), "{faults}");
    }
}
