//! Objects packed for compel: the same offsets and the same bytes as compel makes of them, but where compel is wrong.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/compel.rs"]
mod compel;
#[path = "support/flat.rs"]
#[allow(dead_code, reason = "here nobody asks linkers")]
mod flat;

use std::path::{Path, PathBuf};

use compel::{Header, Reloc, compile, pack};
use flat::{Bench, run};
use pie_blob_image::{Abs32, BaseError, Image, Limits};
use proptest::prelude::*;

fn parse(object: &Path, abs32: Option<Abs32>) -> Image {
    let limits = Limits::default();
    let limits = abs32.map_or(limits, |abs32| limits.with_abs32(abs32));
    Image::parse(&std::fs::read(object).unwrap(), &limits).unwrap_or_else(|faults| panic!("{faults}"))
}

fn assemble(bench: &Bench, source: &str) -> PathBuf {
    let (text, object) = (bench.path("source.s"), bench.path("source.o"));
    std::fs::write(&text, source).unwrap();
    run(std::process::Command::new("gcc").arg("-c").arg(text).arg("-o").arg(&object));
    object
}

/// Any base at which no image of these tests meets the end of user space.
fn bases() -> impl Strategy<Value = u64> {
    (1..0x7_ffff_0000_u64).prop_map(|page| page << 12)
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() }
}

fn word(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

/// What an instruction reaches whose displacement lies at `offset`: through its slot where it has kept one.
fn reached(image: &[u8], offset: usize, base: u64) -> u64 {
    let displacement = i32::from_le_bytes(image[offset..offset + 4].try_into().unwrap());
    let next = offset + 4;
    let target = base.wrapping_add(next as u64).wrapping_add_signed(displacement.into());
    let (opcode, modrm) = (image[offset - 2], image[offset - 1]);
    match (opcode, modrm) {
        (0x8d, modrm) if modrm & 0xc7 == 5 => target,
        (0x67, 0xe8) => target,
        _ => word(image, usize::try_from(target - base).unwrap()),
    }
}

/// The bytes at a base are compel's, but for instructions that reach through slots: those must reach the same.
fn agrees(image: &Image, header: &Header, base: u64) {
    let mut ours = image.relocated(base).unwrap();
    let mut theirs = header.at(base);
    for reloc in header.relocs.iter().filter(|reloc| reloc.got) {
        let expected = base.wrapping_add(reloc.value);
        assert_eq!(reached(&ours, reloc.offset, base), expected, "{reloc:?}");
        assert_eq!(reached(&theirs, reloc.offset, base), expected, "{reloc:?}");
        for bytes in [&mut ours, &mut theirs] {
            bytes[reloc.offset - 2..reloc.offset + 4].fill(0);
        }
    }
    let both = header.size.min(ours.len());
    let different = |offset: &usize| ours[*offset] != theirs[*offset];
    let differences: Vec<usize> = (0..both).filter(different).collect();
    assert!(differences.is_empty(), "at {base:#x}: {differences:x?}");
}

fn offsets_agree(image: &Image, header: &Header) {
    assert!(!header.exports.is_empty());
    for (name, offset) in &header.exports {
        let ours = image.symbol(&format!("__export_{name}")).map(|symbol| u64::from(symbol.offset()));
        assert_eq!(ours, Some(*offset), "{name}");
    }
}

/// The parasite that everybody builds: the plugins that compel comes with, and three words of its entry for 32 bits.
#[test]
fn its_plugins() {
    let bench = Bench::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/parasite.c");
    let packed = pack(&bench, &[compile(&bench, &source)], &["std", "fds"]);
    let (header, image) = (Header::of(&bench, &packed), parse(&packed, Some(Abs32::Truncate)));
    offsets_agree(&image, &header);
    proptest!(config(), |(base in bases())| agrees(&image, &header, base));

    // What compel cuts off without a word is said, and is never cut off where that was not asked for.
    let narrow: Vec<&Reloc> = header.relocs.iter().filter(|reloc| reloc.width == 4).collect();
    assert_eq!(narrow.len(), 3);
    let object = std::fs::read(&packed).unwrap();
    let refused = Image::parse(&object, &Limits::default()).unwrap_err();
    assert_eq!(refused.iter().count(), 3, "{refused}");
    let checked = parse(&packed, Some(Abs32::Checked));
    let base = 0x7f00_0000_0000;
    assert!(matches!(checked.relocated(base), Err(BaseError::Narrow { .. })));
    let theirs = header.at(base);
    for reloc in narrow {
        let cut = u32::from_le_bytes(theirs[reloc.offset..reloc.offset + 4].try_into().unwrap());
        assert_ne!(u64::from(cut), base + reloc.value, "{reloc:?}");
    }
    agrees(&checked, &header, 0x1000_0000);
}

/// Everything that compel reads, packed by its linker script.
const PACKED: &str = "
    .section .head.text, \"ax\"
    .globl __export_parasite_head_start
__export_parasite_head_start:
    call function
    mov table@GOTPCREL(%rip), %rax
    mov table@GOTPCREL(%rip), %r12
    push zeros@GOTPCREL(%rip)
    cmp zeros@GOTPCREL(%rip), %rdx
    call *function@GOTPCREL(%rip)
    lea string(%rip), %rdi
    ret
    .text
    .globl function
function:
    ret
    .byte 1, 2
    .section .rodata.str1.1, \"aMS\", @progbits, 1
string: .string \"hello\"
tail: .string \"lo\"
    .section .rodata, \"a\"
    .balign 32
constants: .quad string, tail + 1, function, zeros, table
    .data
    .balign 16
    .globl table, __export_table
__export_table:
table: .quad function, constants + 4, zeros + 8, table
    .long table, zeros
    .byte 9
    .bss
    .balign 64
    .globl zeros, __export_zeros
__export_zeros:
zeros: .zero 100
    .globl __export_behind
__export_behind: .zero 1
";

#[test]
fn what_its_linker_script_packs() {
    let bench = Bench::new();
    let packed = pack(&bench, &[assemble(&bench, PACKED)], &[]);
    let (header, image) = (Header::of(&bench, &packed), parse(&packed, Some(Abs32::Truncate)));
    offsets_agree(&image, &header);
    let kinds: Vec<bool> = header.relocs.iter().map(|reloc| reloc.got).collect();
    assert!(kinds.contains(&true) && kinds.contains(&false));
    proptest!(config(), |(base in bases())| agrees(&image, &header, base));
    // compel has a slot for each of five instructions; here two symbols of which one instruction needs its slot have one
    // each, and the others none.
    assert_eq!(header.relocs.iter().filter(|reloc| reloc.got).count(), 5);
    assert_eq!(image.bytes().len(), header.size.next_multiple_of(8) + 8);
}

/// Sections in the order of their headers, without a script: alignments, empty and zero-filled sections between others.
#[test]
fn sections_in_any_order() {
    let bench = Bench::new();
    let source = "
        .text
        .globl __export_start
        __export_start: lea zeros(%rip), %rax\n call late
        .section .empty, \"a\"
        .balign 64
        .globl __export_empty
        __export_empty:
        .section .rodata, \"a\"
        .balign 4
        .globl __export_constants
        __export_constants: .long 1
        .section .text.late, \"ax\"
        .balign 32
        .globl __export_late
        __export_late:
        late: ret
        .section .rodata.more, \"a\"
        .balign 8
        .globl __export_more
        __export_more: .quad zeros, late
        zeros: .zero 8
    ";
    let object = assemble(&bench, source);
    let (header, image) = (Header::of(&bench, &object), parse(&object, None));
    offsets_agree(&image, &header);
    assert_eq!(header.exports.len(), 5);
    assert_eq!(image.bytes().len(), header.size);
    proptest!(config(), |(base in bases())| agrees(&image, &header, base));
}

/// The one place where offsets differ by intent: a page that is writable and executable.
#[test]
fn data_begins_a_page() {
    let bench = Bench::new();
    let source = ".globl __export_start, __export_data\n__export_start: ret\n.data\n.balign 8\n__export_data: .quad 1\n";
    let object = assemble(&bench, source);
    let (header, image) = (Header::of(&bench, &object), parse(&object, None));
    let theirs = header.exports.iter().find(|export| export.0 == "data").unwrap().1;
    assert_eq!((theirs, image.symbol("__export_data").unwrap().offset()), (8, 0x1000));
}

/// Relocations of sections that take no memory: compel applies them to the entry.
#[test]
fn relocations_of_debugging_information() {
    let bench = Bench::new();
    let source = ".globl __export_start\n__export_start: nop\n.zero 15\n.section .debug_mine, \"\", @progbits\n.quad __export_start + 0x123456\n";
    let object = assemble(&bench, source);
    let (header, image) = (Header::of(&bench, &object), parse(&object, None));
    let base = 0x7f00_0000_0000;
    assert_eq!(
        word(&header.at(base), 0),
        base + 0x12_3456,
        "compel has changed: its entry is an address no more"
    );
    let mut expected = vec![0; 16];
    expected[0] = 0x90;
    assert_eq!(image.relocated(base).unwrap(), expected);
}

/// Zero-filled memory: compel fills it with what follows in the file.
#[test]
fn zero_filled_memory() {
    let bench = Bench::new();
    let source = ".globl __export_start\n__export_start: ret\n.bss\n.globl __export_zeros\n__export_zeros: .zero 64\n\
                  .section .rodata, \"a\"\n.globl __export_end\n__export_end: .fill 64, 1, 0x5a\n";
    let object = assemble(&bench, source);
    let (header, image) = (Header::of(&bench, &object), parse(&object, None));
    let zeros = header.exports.iter().find(|export| export.0 == "zeros").unwrap().1;
    let zeros = usize::try_from(zeros).unwrap();
    assert_ne!(header.at(0x1000)[zeros..zeros + 64], [0; 64], "compel has changed: zeros are zeros");
    let zeros = usize::try_from(image.symbol("__export_zeros").unwrap().offset()).unwrap();
    assert_eq!(image.relocated(0x1000).unwrap()[zeros..zeros + 64], [0; 64]);
}

/// Absolute symbols: compel adds the base to them.
#[test]
fn absolute_symbols() {
    let bench = Bench::new();
    let plain = assemble(&bench, ".globl __export_start\n__export_start: ret\n.balign 8\n.quad fixed\n");
    let object = bench.path("defined.o");
    let mut link = std::process::Command::new("ld");
    run(link.args(["-r", "--defsym=fixed=0x1234", "-o"]).arg(&object).arg(plain));
    let (header, image) = (Header::of(&bench, &object), parse(&object, None));
    let base = 0x7f00_0000_0000;
    assert_eq!(word(&header.at(base), 8), base + 0x1234, "compel has changed: what is absolute stays");
    assert_eq!(word(&image.relocated(base).unwrap(), 8), 0x1234);
}
