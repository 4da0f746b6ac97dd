//! Every architecture: what lld links position-independent, relocated, is what it links at that base.
//!
//! No compiler at hand has them all, so the objects that lld is given are written, word by word.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;
#[path = "../../../tests/cases/support/written.rs"]
mod written;

use std::path::Path;
use std::process::Command;

use object::Endianness;
use pie_blob_image::{Architecture, Image, Limits};
use support::linkers;
use written::{ROWS, object, twice, written};

/// How many words the constants and the data have: more than a RELR bitmap holds.
const WORDS: usize = 200;

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
        std::fs::write(folder.join("source.o"), object(row, WORDS)).unwrap();
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
        std::fs::write(folder.join("source.o"), object(row, WORDS)).unwrap();
        let wide = row.architecture.pointer_width() == 8;
        let bases = [0x1000_0000, 0x8654_0000, if wide { 0x1234_5678_0000 } else { 0xc000_0000 }];
        let page = 0x4000;
        let oracles = bases.map(|to| link(&lld(), folder, to, page, &["-static", "--oformat=binary"]));
        for from in bases {
            let file = link(&lld(), folder, from, page, &["-static", "--emit-relocs"]);
            let image = parse(&file, name);
            assert_eq!((image.architecture(), image.align()), (row.architecture, page));
            assert!(image.relocations().len() >= 300 + row.got.len().min(1), "{name}");
            assert_eq!(image.export("twice").unwrap().offset(), twice(row));
            for (to, oracle) in bases.into_iter().zip(&oracles) {
                let relocated = image.relocated(to).unwrap();
                assert_eq!(differences(&relocated, oracle), [], "{name}, from {from:#x} to {to:#x}");
            }
        }
        let stripped = link(&lld(), folder, bases[0], page, &["-static"]);
        let faults = Image::parse(&stripped, &Limits::default()).unwrap_err().to_string();
        assert!(faults.contains("(ET_EXEC)") && faults.contains("`--emit-relocs`"), "{name}: {faults}");
    }
}

#[test]
fn imports_of_every_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for row in &ROWS {
        let name = row.architecture.name();
        std::fs::write(folder.join("source.o"), written(row, WORDS, true)).unwrap();
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

//# fault: Fault::Identification
#[test]
fn mips_with_short_pointers_in_long_registers() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let row = ROWS.iter().find(|row| row.architecture == Architecture::Mips).unwrap();
    std::fs::write(folder.join("source.o"), object(row, WORDS)).unwrap();
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
        let read = Image::parse(&object(row, WORDS), &Limits::default());
        if matches!(row.architecture, Architecture::X86_64 | Architecture::X86) {
            assert_eq!(read.unwrap().architecture(), row.architecture);
            continue;
        }
        let faults = read.unwrap_err().to_string();
        assert!(faults.contains(row.architecture.name()) && faults.contains("`ld -pie"), "{faults}");
    }
}
