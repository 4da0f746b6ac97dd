//! Relocatable objects: what becomes of their sections, what narrow words cost, and what is refused. Their bytes are held
//! against other linkers' by the tests that cross crates.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use pie_blob_image::{Abs32, BaseError, DroppedReason, Image, Limits, RelocationKind};
use support::{Bench, RELOCATABLE, assembled, linkers};

fn parse(source: &str) -> Image {
    Image::parse(&assembled(source), &Limits::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn with_abs32(source: &str, abs32: Abs32) -> Image {
    let limits = Limits::default().with_abs32(abs32);
    Image::parse(&assembled(source), &limits).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_dump_is_stable() {
    let expected = "\
image x86_64 size 0x1078 align 0x1000 initialised 0x1050
segment 0x0..0x1000 R-X initialised 0x1000
segment 0x1000..0x1078 RW- initialised 0x50
relocation 0x1000 Relative64
relocation 0x1008 Relative64
relocation 0x1010 Relative64
relocation 0x1018 Relative64
relocation 0x1048 Relative64
export 0x0 code size 0x1a start
export 0x1a code size 0x1 dump_misc
export 0x1000 data size 0x20 table
export 0x1028 data size 0x10 zeroed
export 0x1050 data size 0x28 shared
";
    assert_eq!(parse(RELOCATABLE).to_string(), expected);
}

#[test]
fn what_is_not_part_of_the_image_is_listed() {
    let image = parse(RELOCATABLE);
    let dropped: Vec<_> = image.dropped().iter().map(|d| (d.name(), d.size(), d.reason())).collect();
    let expected = [
        (".debug_mine", 12, DroppedReason::NotAllocated),
        (".rela.debug_mine", 24, DroppedReason::RelocatesDropped),
    ];
    assert_eq!(dropped, expected);
}

#[test]
fn a_stack_is_where_symbols_say() {
    let source = format!(
        "{RELOCATABLE}\n.bss\n.balign 16\n.globl __pie_blob_stack, __pie_blob_stack_top\n\
         __pie_blob_stack: .zero 0x1000\n__pie_blob_stack_top:\n"
    );
    assert_eq!(parse(RELOCATABLE).stack(), None);
    let stack = parse(&source).stack().unwrap();
    assert_eq!((stack.start % 16, stack.end - stack.start), (0, 0x1000));
}

#[test]
fn narrow_words_decide_the_base() {
    let source = ".globl word\nstart: nop\nword: .long start + 1, word";
    let image = with_abs32(source, Abs32::Checked);
    assert_eq!(image.relocations()[0].kind(), RelocationKind::Relative32);
    let last = 0xffff_ffff - 1;
    assert_eq!(image.narrow().last, last);
    let fits = image.relocated(last & !0xfff).unwrap();
    assert_eq!(fits[1..9], [1, 0xf0, 0xff, 0xff, 1, 0xf0, 0xff, 0xff]);
    let base = 0x1_0000_0000;
    assert_eq!(image.relocated(base), Err(BaseError::Narrow { base, last }));
    let cut = with_abs32(source, Abs32::Truncate);
    assert_eq!(cut.relocated(base).unwrap()[1..9], [1, 0, 0, 0, 1, 0, 0, 0]);
    assert_ne!(image.id(), cut.id());
}

#[test]
fn signed_words_allow_both_ends() {
    let image = with_abs32("start: mov $start, %rax\n mov $end, %rcx\nend:", Abs32::Checked);
    let narrow = image.narrow();
    assert_eq!((narrow.last, narrow.first_high), (0x7fff_ffff - 14, 0xffff_ffff_8000_0000));
    for base in [0, 0x7fff_f000, 0xffff_ffff_8000_0000, 0xffff_ffff_ffff_f000] {
        assert!(image.relocated(base).is_ok(), "{base:#x}");
    }
    for base in [0x8000_0000, 0x7fff_1234_5000, 0xffff_ffff_7fff_f000] {
        assert!(matches!(image.relocated(base), Err(BaseError::Narrow { .. })), "{base:#x}");
    }
}

#[test]
fn narrow_words_that_fit_nowhere() {
    let source = "start: .word end\n.zero 0x10000\nend:";
    let limits = Limits::default().with_abs32(Abs32::Checked);
    let faults = Image::parse(&assembled(source), &limits).unwrap_err().to_string();
    assert!(faults.contains("R_X86_64_16 at 0x0 in .text against `.text`: the value 65538"), "{faults}");
    assert_eq!(with_abs32(source, Abs32::Truncate).bytes()[..2], [2, 0]);
}

#[test]
fn more_sections_than_a_symbol_can_number() {
    let many: String = (0..66_000).map(|n| format!(".section s{n}, \"a\"\n.byte 1\n")).collect();
    let source = format!(
        "start: lea last(%rip), %rax\n{many}.section s.last, \"a\"\n.balign 8\n.globl last\nlast: .quad last\n"
    );
    let image = parse(&source);
    let last = image.symbol("last").unwrap().offset();
    assert_eq!(u64::from(last), (7 + 66_000_u64).next_multiple_of(8));
    assert_eq!(image.relocated(0x1000).unwrap()[3..7], (last - 7).to_le_bytes());
    assert_eq!(image.relocations()[0].offset(), last);
}

#[test]
fn groups_that_a_relocatable_link_leaves() {
    let group = ".section .text.once, \"axG\", @progbits, once, comdat\n.globl once\nonce: ret\n";
    let bench = Bench::new(&linkers()[0]);
    let one = bench.assemble(&format!("{group}.text\nstart: call once\n"));
    let first = one.with_file_name("first.o");
    std::fs::rename(&one, &first).unwrap();
    let two = bench.assemble(&format!("{group}.text\nother: call once\n"));
    for linker in linkers() {
        let together = two.with_file_name("together.o");
        let status = std::process::Command::new(&linker)
            .args(["-r", "-o"])
            .arg(&together)
            .args([&first, &two])
            .status();
        assert!(status.unwrap().success());
        let object = std::fs::read(&together).unwrap();
        let image = Image::parse(&object, &Limits::default()).unwrap_or_else(|faults| panic!("{faults}"));
        let once = usize::try_from(image.symbol("once").unwrap().offset()).unwrap();
        assert_eq!(image.bytes()[once], 0xc3, "{}", linker.display());
        assert_eq!(image.symbols_named("once").len(), 1, "{}", linker.display());
    }
}

#[test]
fn absolute_symbols_do_not_move() {
    let bench = Bench::new(&linkers()[0]);
    let plain = bench.assemble("start: push fixed@GOTPCREL(%rip)\n .quad fixed + 1\n");
    for linker in linkers() {
        let defined = plain.with_file_name("defined.o");
        let mut link = std::process::Command::new(&linker);
        link.args(["-r", "--defsym=fixed=0x1234", "-o"]).arg(&defined).arg(&plain);
        assert!(link.status().unwrap().success());
        let object = std::fs::read(&defined).unwrap();
        let image = Image::parse(&object, &Limits::default()).unwrap_or_else(|faults| panic!("{faults}"));
        let bytes = image.relocated(0x7000_0000).unwrap();
        assert!(image.relocations().is_empty(), "{}: {image}", linker.display());
        assert_eq!(bytes[6..14], 0x1235_u64.to_le_bytes(), "{}", linker.display());
        assert_eq!(bytes[16..24], 0x1234_u64.to_le_bytes(), "{}", linker.display());
    }
}

#[test]
fn a_weak_call_leads_nowhere_and_a_weak_address_is_zero() {
    let image = parse(
        ".weak absent\nstart: cmpq $0, absent@GOTPCREL(%rip)\n call absent@PLT\n.reloc . + 1, R_X86_64_PC32, absent - 4\n.byte 0xe8\n.long 0\n",
    );
    assert!(image.relocations().is_empty(), "{image}");
    let slot = image.bytes().len() - 8;
    assert_eq!(image.bytes()[slot..], [0; 8]);
}

#[test]
fn debugging_information_that_is_still_to_be_relocated_is_not_believed() {
    let bench = Bench::new(&linkers()[0]);
    let folder = bench.assemble("start: ret\n").with_file_name("c");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.c"), "int answer(int question) { return 2 * question; }\n").unwrap();
    let cc = |flags: &[&str]| {
        let mut cc = std::process::Command::new("cc");
        cc.current_dir(&folder).args(["-g", "-O1", "-fPIE", "-fno-asynchronous-unwind-tables", "-nostdlib"]);
        assert!(cc.args(flags).args(["a.c", "-o", "a.o"]).status().unwrap().success());
        std::fs::read(folder.join("a.o")).unwrap()
    };
    let object = cc(&["-c"]);
    let image = Image::parse(&object, &Limits::default()).unwrap_or_else(|faults| panic!("{faults}"));
    let answer = image.symbol("answer").unwrap();
    assert_eq!(pie_blob_image::describe(&object, &[answer]), [None]);
    // The same, once everything has its place.
    let linked = cc(&["-static-pie", "-Wl,--no-dynamic-linker,-Ttext=0,-e,0,--build-id=none"]);
    assert!(pie_blob_image::describe(&linked, &[answer])[0].is_some());
}

/// More sections than a symbol's own field can number: the numbers stand in a table of their own.
#[test]
fn sections_beyond_the_last_number() {
    let many: String = (0..0xff10).map(|number| format!(".section .s{number}, \"a\"\n.byte 1\n")).collect();
    let source = format!(
        "start: ret\n{many}
        .section .last, \"aw\"
        .globl last
        .type last, @object
        .balign 8
    last: .quad last, start, first
        .size last, 24
        .section .s0
    first: .byte 2"
    );
    let object = assembled(&source);
    let count = u16::from_le_bytes([object[60], object[61]]);
    assert_eq!(count, 0, "e_shnum has no room");
    let image = Image::parse(&object, &Limits::default()).unwrap_or_else(|faults| panic!("{faults}"));
    let last = u64::from(image.export("last").unwrap().offset());
    let at = usize::try_from(last).unwrap();
    assert_eq!(
        image.relocations().iter().map(|reloc| u64::from(reloc.offset())).collect::<Vec<_>>(),
        [last, last + 8, last + 16]
    );
    let words: Vec<u64> = image.bytes()[at..at + 24]
        .chunks(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect();
    let first = u64::from(image.symbol("first").unwrap().offset());
    assert_eq!(words, [last, 0, first]);
    assert_eq!(image.bytes()[usize::try_from(first).unwrap()], 2);
}
