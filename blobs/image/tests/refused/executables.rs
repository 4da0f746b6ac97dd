//! Executables for a fixed address: refused where what their relocations say cannot be moved or is not so.

use super::*;

//# fault: RelocationFault::Changed
#[test]
fn executables_whose_bytes_are_not_what_their_relocations_say() {
    for linker in linkers() {
        let mut file = Bench::new(&linker).link(GOOD, Target::At(0x5000_0000), &["--emit-relocs"]);
        // The word that points to itself: the last of the table.
        let image = Image::parse(&file, &Limits::default()).unwrap();
        let table = u64::from(image.symbol("table").unwrap().offset());
        let word = (0x5000_0000 + table).to_le_bytes();
        // Behind the headers, which know the address too.
        let at = file[4096..].windows(8).position(|window| window == word).unwrap();
        file[4096 + at] ^= 0x10;
        expect(&file, &["R_X86_64_64 at ", "the bytes are not what it says"], "a changed executable");
    }
}

//# fault: RelocationFault::Instruction
#[test]
fn executables_with_addresses_in_instructions() {
    const R_AARCH64_MOVW_UABS_G1: [u8; 4] = [9, 1, 0, 0];
    let mut file = Bench::new(&linkers()[0]).link(GOOD, Target::At(0x5000_0000), &["--emit-relocs"]);
    file[18..20].copy_from_slice(&[183, 0]);
    let (_, table, _) = support::section(&file, b".rela.text");
    file[table + 8..table + 12].copy_from_slice(&R_AARCH64_MOVW_UABS_G1);
    expect(
        &file,
        &["R_AARCH64_MOVW_UABS_G1 at ", "an address in an instruction", "compile with `-fPIE`"],
        "aarch64",
    );
}

/// Code that reads its addresses out of the global offset table.
const THROUGH_THE_TABLE: &str = "
    .section .text.start, \"ax\"
    .globl start
start:
    call 1f
1:  pop %ebx
    add $_GLOBAL_OFFSET_TABLE_ + (. - 1b), %ebx
    push word@GOT(%ebx)
    ret
    .data
    .byte 1
word: .byte 2
";

//# fault: RelocationFault::Slot
#[test]
fn executables_whose_table_cannot_be_found() {
    for linker in linkers() {
        let bench = Bench::new(&linker).for_i386();
        let script = script(Target::At(0x5000_0000))
            .replace(".got : { *(.got) } :rodata", "")
            .replace("*(.rodata .rodata.*)", "*(.rodata .rodata.*) *(.got) *(.got.plt)");
        let file = bench.link_with(THROUGH_THE_TABLE, Target::At(0), &script, &["--emit-relocs"]);
        let expected = ["R_386_GOT32", "no word of the section .got holds the symbol's address"];
        expect(&file, &expected, &linker.display().to_string());
    }
}

//# fault: Fault::Unexplained
#[test]
fn executables_with_words_that_nothing_explains() {
    for linker in linkers() {
        let bench = Bench::new(&linker).for_i386();
        let mut file = bench.link(THROUGH_THE_TABLE, Target::At(0x5000_0000), &["--emit-relocs"]);
        let image = Image::parse(&file, &Limits::default()).unwrap_or_else(|faults| panic!("{faults}"));
        let word = 0x5000_0000 + image.symbol("word").unwrap().offset();
        let at = file[4096..].windows(4).position(|window| window == word.to_le_bytes()).unwrap();
        file[4096 + at] ^= 0x10;
        let expected = ["what the linker has made in .got at ", "has no relocations"];
        expect(&file, &expected, &linker.display().to_string());
    }
}

//# fault: SegmentFault::Base
#[test]
fn executables_for_a_base_that_code_cannot_have() {
    let Some(lld) = lld() else { return };
    let script =
        script(Target::At(0x5000_0010)).replace("ALIGN(4096)", "ALIGN(16)") + "__pie_blob_packed = 0;";
    let flags = ["--emit-relocs", "-z", "max-page-size=16"];
    let bench = Bench::new(&lld);
    let mut file = bench.link_with(GOOD, Target::At(0x5000_0010), &script, &flags);
    // Code for AArch64 is written in pages of 4 KiB.
    file[18..20].copy_from_slice(&[183, 0]);
    expect(&file, &["was linked for 0x50000010, which is no multiple of 0x1000"], "aarch64");
}
