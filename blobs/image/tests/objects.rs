//! Objects that linkers write, read back: the image must be what the linker itself would have made of them.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use pie_blob_image::{Binding, Image, Limits, SymbolKind};
use support::{Bench, GOOD, Target, linkers, lld};

fn parse(object: &[u8]) -> Image {
    Image::parse(object, &Limits::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The initialised bytes in front of the metadata of a file linked for a base.
fn loaded(file: &[u8], base: u64, length: usize) -> Vec<u8> {
    let header = elf::FileHeader64::<Endianness>::parse(file).unwrap();
    let endian = header.endian().unwrap();
    let mut bytes = vec![0; length];
    for segment in header.program_headers(endian, file).unwrap() {
        let data = segment.data(endian, file).unwrap();
        let Some(start) = segment.p_vaddr(endian).checked_sub(base) else { continue };
        let start = usize::try_from(start).unwrap();
        if segment.p_type(endian) == elf::PT_LOAD && start < length {
            bytes[start..start + data.len()].copy_from_slice(data);
        }
    }
    bytes
}

/// Where two images differ: offset and both bytes.
fn differences(left: &[u8], right: &[u8]) -> Vec<(usize, u8, u8)> {
    assert_eq!(left.len(), right.len());
    let pairs = left.iter().zip(right).enumerate();
    pairs.filter(|(_, (a, b))| a != b).map(|(offset, (a, b))| (offset, *a, *b)).collect()
}

#[test]
fn relocating_gives_what_linking_at_that_base_gives() {
    for linker in linkers() {
        for base in [0x40_0000, 0x7fff_1234_5000] {
            let bench = Bench::new(&linker);
            let image = parse(&bench.link(GOOD, Target::Pie, &["-z", "text"]));
            let oracle = bench.link(GOOD, Target::At(base), &[]);
            let relocated = image.relocated(base).unwrap();
            let oracle = loaded(&oracle, base, relocated.len());
            assert_eq!(differences(&relocated, &oracle), [], "{}", linker.display());
        }
    }
}

#[test]
fn relr_is_read_like_rela() {
    let Some(lld) = lld() else { return };
    let bench = Bench::new(&lld);
    let plain = parse(&bench.link(GOOD, Target::Pie, &[]));
    // The packed table keeps only even offsets; the rest stays in the other table.
    let packed = parse(&bench.link(GOOD, Target::Pie, &["-z", "pack-relative-relocs"]));
    assert_eq!(plain.relocations(), packed.relocations());
    assert_eq!(differences(plain.bytes(), packed.bytes()), []);
    assert_eq!(plain.id(), packed.id());
}

#[test]
fn a_long_relr_bitmap_reaches_every_word() {
    let Some(lld) = lld() else { return };
    let source = format!(
        "{GOOD}\n.section .data.rel.ro.many, \"aw\"\n.balign 8\n{}.quad 1, 2, 3\n{}",
        ".quad table\n".repeat(200),
        ".quad calls\n.quad 0\n".repeat(40)
    );
    let bench = Bench::new(&lld);
    let plain = parse(&bench.link(&source, Target::Pie, &[]));
    let packed = parse(&bench.link(&source, Target::Pie, &["-z", "pack-relative-relocs"]));
    assert_eq!(plain.relocations().len(), 5 + 2 + 240);
    assert_eq!(plain.relocations(), packed.relocations());
    assert_eq!(differences(plain.bytes(), packed.bytes()), []);
}

#[test]
fn the_dump_is_stable() {
    for linker in linkers() {
        let image = parse(&Bench::new(&linker).link(GOOD, Target::Pie, &[]));
        let expected = "\
image x86_64 size 0x6000 align 0x1000 initialised 0x2019
segment 0x0..0x12 R-X initialised 0x12
segment 0x1000..0x1028 R-- initialised 0x28
segment 0x2000..0x2030 RW- initialised 0x19
segment 0x3000..0x4000 --- initialised 0x0
segment 0x4000..0x6000 RW- initialised 0x0
stack 0x4000..0x6000
relocation 0x1000 Relative64
relocation 0x1008 Relative64
relocation 0x1010 Relative64
relocation 0x1018 Relative64
relocation 0x1020 Relative64
relocation 0x2009 Relative64
relocation 0x2011 Relative64
export 0x0 code size 0xe start
export 0xe code size 0x3 dump_misc
export 0x2000 data size 0x8 calls
export 0x2020 data size 0x10 zeroed
";
        assert_eq!(image.to_string(), expected, "{}", linker.display());
    }
}

#[test]
fn hidden_and_local_symbols_are_found_but_not_exported() {
    for linker in linkers() {
        let image = parse(&Bench::new(&linker).link(GOOD, Target::Pie, &[]));
        assert_eq!(image.export("helper"), None);
        let helper = image.symbol("helper").unwrap();
        assert_eq!((helper.kind(), helper.size(), helper.binding()), (SymbolKind::Code, 1, Binding::Local));
        assert_eq!(image.symbol("unaligned").unwrap().kind(), SymbolKind::Data);
        assert_eq!(image.symbol("__pie_blob_stack_top").unwrap().offset(), 0x6000);
        assert_eq!(image.symbol("nothing"), None);
    }
}

#[test]
fn a_stripped_object_has_its_dynamic_symbols() {
    for linker in linkers() {
        let bench = Bench::new(&linker);
        let flags = ["-s", "--export-dynamic"];
        let image = parse(&bench.link(GOOD, Target::Pie, &flags));
        assert!(image.export("dump_misc").is_some(), "{}", linker.display());
    }
}

#[test]
fn words_against_own_symbols_are_resolved() {
    for linker in linkers() {
        let bench = Bench::new(&linker);
        let pie = parse(&bench.link(GOOD, Target::Pie, &[]));
        // Without -Bsymbolic a shared object keeps R_X86_64_64 and GLOB_DAT against its own names.
        let shared = parse(&bench.link(GOOD, Target::Shared, &[]));
        assert_eq!(pie.relocations(), shared.relocations(), "{}", linker.display());
        assert_eq!(differences(pie.bytes(), shared.bytes()), [], "{}", linker.display());
    }
}

#[test]
fn weak_undefined_words_hold_zero() {
    for linker in linkers() {
        let source = format!("{GOOD}\n.weak nowhere\n.data\n.balign 8\n.globl word\nword: .quad nowhere\n");
        let image = parse(&Bench::new(&linker).link(&source, Target::Pie, &["-z", "dynamic-undefined-weak"]));
        let word = usize::try_from(image.symbol("word").unwrap().offset()).unwrap();
        assert_eq!(image.relocated(0x10_0000).unwrap()[word..word + 8], [0; 8], "{}", linker.display());
    }
}

#[test]
fn a_packed_object_may_have_all_permissions() {
    for linker in linkers() {
        let script = "
            PHDRS { all PT_LOAD FLAGS(7); meta PT_LOAD FLAGS(4); dynamic PT_DYNAMIC FLAGS(4); }
            SECTIONS {
                . = 0;
                .text : { *(.text.start) *(.text) } :all
                .rodata : { *(.data.rel.ro) } .got : { *(.got .got.plt) } .data : { *(.data) } .bss : { *(.bss) }
                __pie_blob_packed = .;
                . = ALIGN(4096);
                __pie_blob_end = .;
                .dynamic : { *(.dynamic) } :meta :dynamic
                .dynsym : { *(.dynsym) } :meta .dynstr : { *(.dynstr) } .hash : { *(.hash) } .rela.dyn : { *(.rela.*) }
                /DISCARD/ : { *(.comment) *(.note.*) *(.eh_frame) }
            }";
        let object = Bench::new(&linker).link_with(GOOD, Target::Pie, script, &["-e", "start"]);
        let image = parse(&object);
        assert!(image.packed(), "{}", linker.display());
        assert_eq!(image.segments().len(), 1);
        assert_eq!(image.relocations().len(), 7);
    }
}

/// Everything that GOOD has, and what code for a fixed address has beside it: absolute words in 32 bits, instructions that
/// linkers change, calls of what is not there.
fn fixed() -> String {
    format!(
        "{GOOD}
        .text
        .globl more
        .type more, @function
    more:
        call helper
        jmp 1f
    1:  mov calls@GOTPCREL(%rip), %rax
        call *dump_misc@GOTPCREL(%rip)
        lea table+8(%rip), %rdx
        ret
        .size more, . - more
        .section .rodata
        .long more - .
        .quad 0x1234, more + 5
        "
    )
}

#[test]
fn executables_that_have_kept_their_relocations() {
    for linker in linkers() {
        // Below 4 GiB linkers make absolute words of 32 bits of some that are not.
        let (low, high) =
            ([0x40_0000, 0x5000_0000, 0x6fff_f000], [0x5_0000_0000, 0x7fff_1234_5000, 0x6_0000_0000]);
        for (source, flags, bases) in
            [(fixed(), &["--no-relax"][..], low), (GOOD.to_owned(), &[], low), (fixed(), &[], high)]
        {
            if flags.is_empty() && bases == high && !linker.ends_with("ld.lld") {
                // GNU's linker always makes the absolute words, and fails where they are too narrow.
                continue;
            }
            let bench = Bench::new(&linker);
            let flags = |more: &[&'static str]| [flags, more].concat();
            let image = parse(&bench.link(&source, Target::At(bases[0]), &flags(&["--emit-relocs"])));
            assert!(image.relocations().len() >= 7, "{}", linker.display());
            assert_eq!(image.export("dump_misc").unwrap().kind(), SymbolKind::Code);
            for base in bases {
                let oracle = bench.link(&source, Target::At(base), &flags(&[]));
                let relocated = image.relocated(base).unwrap();
                let oracle = loaded(&oracle, base, relocated.len());
                assert_eq!(differences(&relocated, &oracle), [], "{}", linker.display());
            }
        }
    }
}

/// For i386 the addends are gone: what the same source becomes for two bases must differ in nothing.
#[test]
fn executables_for_i386() {
    const SOURCE: &str = "
        .section .text.start, \"ax\"
        .globl start
        .type start, @function
    start:
        mov $table + 4, %eax
        call helper
        jmp *table
        .text
    helper:
        ret
        .section .data.rel.ro, \"aw\"
    table:
        .long helper, start, zeros + 0x10, table
        .data
        .byte 1
        .long table + 8, 0x1234, helper - .
        .bss
    zeros:
        .zero 64
    ";
    for linker in linkers() {
        let bench = Bench::new(&linker).for_i386();
        let images = [0x1000_0000, 0x8800_0000].map(|base| {
            let file = bench.link(SOURCE, Target::At(base), &["--emit-relocs"]);
            (parse(&file), file, base)
        });
        let [(one, ..), (other, ..)] = &images;
        assert_eq!(one.relocations(), other.relocations(), "{}", linker.display());
        assert_eq!(differences(one.bytes(), other.bytes()), [], "{}", linker.display());
        assert_eq!(one.relocations().len(), 2 + 4 + 1);
        assert!(
            one.relocations().iter().all(|reloc| reloc.kind() == pie_blob_image::RelocationKind::Relative32)
        );
        for (image, file, base) in &images {
            // The text is the first thing that the file holds of the image.
            let text = usize::try_from(one.segments()[0].initialised).unwrap();
            let relocated = image.relocated(*base).unwrap();
            assert!(file.windows(text).any(|window| window == &relocated[..text]), "{}", linker.display());
        }
    }
}

#[test]
fn executables_with_narrow_words() {
    let source = format!(
        "{GOOD}\n.text\nmov calls@GOTPCREL(%rip), %rcx\nmov $calls, %eax\nmov $table, %rax\n.data\n.long more\nmore: .quad -1"
    );
    for linker in linkers() {
        let bench = Bench::new(&linker);
        let object = bench.link(&source, Target::At(0x1000_0000), &["--emit-relocs"]);
        let refused = Image::parse(&object, &Limits::default()).unwrap_err().to_string();
        assert!(refused.contains("R_X86_64_32 at ") && refused.contains("abs32"), "{refused}");
        let limits = Limits::default().with_abs32(pie_blob_image::Abs32::Checked);
        let image = Image::parse(&object, &limits).unwrap_or_else(|faults| panic!("{faults}"));
        let base = 0x7000_0000;
        let oracle = bench.link(&source, Target::At(base), &[]);
        let relocated = image.relocated(base).unwrap();
        let oracle = loaded(&oracle, base, relocated.len());
        assert_eq!(differences(&relocated, &oracle), [], "{}", linker.display());
        assert!(image.relocated(0x8000_0000).is_err(), "the last base of a signed word is lower");
    }
}
