//! Relocatable objects: what becomes of their sections, what narrow words cost, and what is refused. Their bytes are held
//! against other linkers' by the tests that cross crates.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader};
use pie_blob_image::{Abs32, BaseError, DroppedReason, Image, Limits, RelocationKind};
use support::{Bench, RELOCATABLE, linkers};

fn assembled(source: &str) -> Vec<u8> {
    std::fs::read(Bench::new(&linkers()[0]).assemble(source)).unwrap()
}

fn parse(source: &str) -> Image {
    Image::parse(&assembled(source), &Limits::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn with_abs32(source: &str, abs32: Abs32) -> Image {
    let limits = Limits::default().with_abs32(abs32);
    Image::parse(&assembled(source), &limits).unwrap_or_else(|faults| panic!("{faults}"))
}

fn refuse(source: &str, expected: &[&str]) {
    refuse_object(&assembled(source), expected);
}

fn refuse_object(object: &[u8], expected: &[&str]) {
    let message = match Image::parse(object, &Limits::default()) {
        Ok(image) => panic!("accepted:\n{image}"),
        Err(faults) => faults.to_string(),
    };
    for part in expected {
        assert!(message.contains(part), "no `{part}` in:\n{message}");
    }
}

/// Where a section header lies in the file, and the section's offset and size.
fn section(object: &[u8], name: &[u8]) -> (usize, usize, usize) {
    let header = elf::FileHeader64::<Endianness>::parse(object).unwrap();
    let endian = Endianness::Little;
    let sections = header.sections(endian, object).unwrap();
    let (index, section) = sections.section_by_name(endian, name).unwrap();
    let number = |value: u64| usize::try_from(value).unwrap();
    let place = number(header.e_shoff(endian)) + index.0 * 64;
    (place, number(section.sh_offset(endian)), number(section.sh_size(endian)))
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

//# fault: RelocationFault::Abs32, RelocationFault::OutOfRange
#[test]
fn words_that_are_too_narrow() {
    refuse(
        "start: mov $start, %eax\n .word start\n .byte start",
        &[
            "R_X86_64_32 at 0x1 in .text against `.text`: the word is too narrow for every base",
            "the option `abs32`, as `checked`",
            "R_X86_64_16 at 0x5",
            "R_X86_64_8 at 0x7",
        ],
    );
    refuse(
        "start: .reloc ., R_X86_64_PC8, end\n.byte 0\n.zero 200\nend: .set big, 0x1ffffffff\n",
        &[
            "R_X86_64_PC8 at 0x0 in .text against `end`: the value 201 does not fit the field: bring the symbol nearer",
        ],
    );
    refuse(
        ".globl big\n.set big, 0x100000000\nstart: .reloc ., R_X86_64_32, big\n.long 0",
        &["R_X86_64_32 at 0x0 in .text: the value 4294967296 does not fit"],
    );
}

//# fault: RelocationFault::Distance, RelocationFault::Unallocated, RelocationFault::Unknown
#[test]
fn what_cannot_be_reached() {
    refuse(
        ".globl fixed\n.set fixed, 0x1000\nstart: .reloc ., R_X86_64_PC32, fixed - 4\n.long 0\n .weak absent\n lea absent(%rip), %rax",
        &[
            "R_X86_64_PC32 at 0x0 in .text: the distance to what does not move",
            "against `absent`: the distance to what does not move with the blob differs with its base: take the address",
        ],
    );
    refuse(
        "start: lea away(%rip), %rax\n.section .elsewhere, \"\"\naway: .quad 1",
        &["against `.elsewhere`: its symbol lies in .elsewhere, which takes no memory"],
    );
    refuse(
        "start: call nowhere\n .quad nowhere + 8",
        &[
            "R_X86_64_PLT32 at 0x1 in .text against `nowhere`: undefined symbol: define it",
            "R_X86_64_64 at 0x5",
        ],
    );
    refuse(
        "start: ret\n.reloc ., R_X86_64_RELATIVE, 0\n.quad 0\n",
        &["R_X86_64_RELATIVE at 0x1 in .text: this type is not read in relocatable objects: link the object"],
    );
}

//# fault: RelocationFault::OutsideSection
#[test]
fn places_that_are_wrong() {
    refuse(
        "start: ret\n.quad 0\n.bss\nzeros: .zero 8\n.reloc zeros, R_X86_64_64, start",
        &["R_X86_64_64 at 0x1000 in .bss against `start`: the word lies in zero-filled memory"],
    );
    refuse(
        "start: .quad start\n.reloc start + 4, R_X86_64_64, start\n.long 0\n",
        &["R_X86_64_64 at 0x4 in .text against `start`: the word overlaps the one of the relocation at 0x0"],
    );
    refuse("start: .quad start - 1", &["refers to 0xffffffffffffffff, outside of the image"]);
    let mut object = assembled("start: .quad start");
    let table = section(&object, b".rela.text").1;
    object[table] = 1;
    refuse_object(
        &object,
        &["R_X86_64_64 at 0x1 in .text against `.text`: the field lies outside of its section"],
    );
    object[table + 12] = 99;
    object[table] = 0;
    refuse_object(&object, &["R_X86_64_64 at 0x0 in .text: the symbol table has no such symbol"]);
}

//# fault: RelocationFault::Misaligned
#[test]
fn alignments_of_fields() {
    // Neither x86 psABI has a type with one.
    let problem = pie_blob_image::RelocationFault::Misaligned { align: 4 };
    assert_eq!(
        problem.to_string(),
        "the field's place is no multiple of 4, the object is damaged: build it again"
    );
}

//# fault: SectionFault::WritableCode, SectionFault::ThreadLocal, SectionFault::Compressed, SectionFault::Alignment
#[test]
fn sections_that_cannot_be() {
    refuse(
        ".section .both, \"awx\"\n.byte 1",
        &["the section .both is writable and executable", "__pie_blob_packed"],
    );
    let packed = ".globl __pie_blob_packed\n.set __pie_blob_packed, 0\n.section .both, \"awx\"\n.byte 1";
    let image = parse(packed);
    assert!(image.packed() && image.segments().len() == 1 && image.align() == 1, "{image}");
    refuse(
        "start: ret\n.section .tdata, \"awT\"\n.globl own\nown: .quad 1\n.text\nmov %fs:own@tpoff, %eax",
        &["the section .tdata is thread-local", "R_X86_64_TPOFF32", "symbol `own`", "thread-local"],
    );
    refuse(
        "start: ret\n.section .init_array, \"aw\", @init_array\n.quad start",
        &[".init_array asks for code to run"],
    );
    refuse("start: ret\n.section .ctors, \"aw\"\n.quad start", &[".ctors asks for code to run"]);
    let (header, ..) = section(&assembled(RELOCATABLE), b".data");
    for (field, value, expected) in [
        (8, 0x803, "the section .data is compressed (SHF_COMPRESSED)"),
        (48, 24, "the section .data has the alignment 0x18, which is no power of two"),
        (24, 0x10_0000, "section .data: it lies outside of the file"),
    ] {
        let mut object = assembled(RELOCATABLE);
        object[header + field..header + field + 8].copy_from_slice(&u64::to_le_bytes(value));
        refuse_object(&object, &[expected]);
    }
}

#[test]
fn tables_that_lie() {
    let (header, ..) = section(&assembled(RELOCATABLE), b".rela.data");
    for (field, value, expected) in [
        (4, 0x4000_0014, ".rela.data holds relocations in a format that is not read"),
        (32, 23, "section .rela.data: its size is no multiple of an entry's"),
        (40, 0x7777, "section .rela.data: its symbol table is none"),
        (44, 0x7777, "section .rela.data: it relocates a section that does not exist"),
        (44, 0, "section .rela.data: it relocates a section that does not exist"),
    ] {
        let mut object = assembled(RELOCATABLE);
        object[header + field..header + field + 4].copy_from_slice(&u32::to_le_bytes(value));
        refuse_object(&object, &[expected]);
    }
}

//# fault: Fault::Empty
#[test]
fn nothing_at_all() {
    refuse("", &["no section takes any memory (SHF_ALLOC): the object holds no code and no data"]);
    let mut object = assembled(RELOCATABLE);
    object[24] = 8;
    refuse_object(&object, &["the entry lies at 0x8 and not at 0"]);
    let mut object = assembled(RELOCATABLE);
    let kind = section(&object, b".symtab").0 + 4;
    object[kind] = 1;
    refuse_object(&object, &["there is neither .symtab nor .dynsym"]);
}

#[test]
fn images_over_the_limit() {
    refuse("start: ret\n.bss\n.zero 0x40000000", &["268435456 are allowed"]);
    refuse("start: ret\n.comm much, 0x40000000, 16", &["268435456 are allowed"]);
}

//# fault: Fault::Relocatable
#[test]
fn architectures_of_which_linked_objects_alone_are_read() {
    let mut object = assembled(RELOCATABLE);
    for (machine, name) in [(183, "aarch64"), (243, "riscv64"), (258, "loongarch64")] {
        object[18..20].copy_from_slice(&u16::to_le_bytes(machine));
        refuse_object(
            &object,
            &[
                &format!(
                    "this is a relocatable object (ET_REL) for {name}, of which linked objects alone are read"
                ),
                "link it with `ld -pie --no-dynamic-linker",
            ],
        );
    }
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
