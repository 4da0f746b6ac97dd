//! Relocatable objects that cannot become an image.

use pie_blob_image::{Image, Limits};

use crate::expect;
use crate::support::{RELOCATABLE, assembled, section};

fn refuse(source: &str, expected: &[&str]) {
    expect(&assembled(source), expected, source);
}

fn refuse_object(object: &[u8], expected: &[&str]) {
    expect(object, expected, "a damaged object");
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
        &[
            "R_X86_64_RELATIVE at 0x1 in .text: this type is read neither in relocatable objects nor in executables: link with",
        ],
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
    crate::gallery::heard("RelocationFault::Misaligned", &format!("… at 0x1: {problem}"));
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
    let image = Image::parse(&assembled(packed), &Limits::default()).unwrap();
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
