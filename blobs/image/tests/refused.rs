//! Objects that cannot become an image: each is refused with its reason, by name, and with the remedy.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "refused/executables.rs"]
mod executables;
#[path = "../../../tests/cases/support/gallery.rs"]
mod gallery;
#[path = "refused/mips.rs"]
mod mips;
#[path = "refused/relocatable.rs"]
mod relocatable;
mod support;

use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endianness, elf};
use pie_blob_image::{Fault, Image, Limits};
use support::{Bench, GOOD, Target, linkers, lld, script};

/// Every fault of a source that is linked with the usual script, for every linker.
fn refuse(source: &str, flags: &[&str], expected: &[&str]) {
    refuse_with(source, &script(Target::Pie), flags, expected);
}

fn refuse_with(source: &str, script: &str, flags: &[&str], expected: &[&str]) {
    for linker in linkers() {
        let object = Bench::new(&linker).link_with(source, Target::Pie, script, flags);
        expect(&object, expected, &linker.display().to_string());
    }
}

fn expect(object: &[u8], expected: &[&str], context: &str) {
    let message = match Image::parse(object, &Limits::default()) {
        Ok(image) => panic!("accepted ({context}):\n{image}"),
        Err(faults) => {
            faults.iter().for_each(heard);
            faults.to_string()
        }
    };
    for part in expected {
        assert!(message.contains(part), "{context}: no `{part}` in:\n{message}");
    }
}

/// Writes a fault down for the page of all of them.
fn heard(fault: &Fault) {
    let entry = match fault {
        Fault::Segment { problem, .. } => format!("SegmentFault::{}", gallery::enumerator(problem)),
        Fault::Section { problem, .. } => format!("SectionFault::{}", gallery::enumerator(problem)),
        Fault::Relocation { problem, .. } => format!("RelocationFault::{}", gallery::enumerator(problem)),
        Fault::Symbol { problem, .. } => format!("SymbolFault::{}", gallery::enumerator(problem)),
        _ => format!("Fault::{}", gallery::enumerator(fault)),
    };
    gallery::heard(&entry, &fault.to_string());
}

#[test]
fn every_fault_is_on_its_page() {
    let source = include_str!("../src/fault.rs");
    let tables = ["Fault", "SegmentFault", "SectionFault", "RelocationFault", "SymbolFault"]
        .map(|table| (table, source));
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let nested = ["Fault::Segment", "Fault::Section", "Fault::Relocation", "Fault::Symbol"];
    gallery::hold(&page, "What is said of objects that cannot become an image", &tables, &nested);
}

/// A good object, for damaging: its bytes and where its program headers are.
fn good() -> Vec<u8> {
    Bench::new(&linkers()[0]).link(GOOD, Target::Pie, &[])
}

/// Where an entry of the dynamic section lies in the file.
fn dynamic_entry(object: &[u8], tag: elf::DynamicTag) -> usize {
    let header = elf::FileHeader64::<Endianness>::parse(object).unwrap();
    let headers = header.program_headers(Endianness::Little, object).unwrap();
    let dynamic = headers.iter().find(|header| header.p_type(Endianness::Little) == elf::PT_DYNAMIC).unwrap();
    let entries = dynamic.dynamic(Endianness::Little, object).unwrap().unwrap();
    let index = entries.iter().position(|entry| entry.tag(Endianness::Little) == tag).expect("no such tag");
    usize::try_from(dynamic.p_offset(Endianness::Little)).unwrap() + index * 16
}

/// Where the first entry of the relocation table lies in the file: that of the word at 0x1000.
fn first_rela(object: &[u8]) -> usize {
    let header = elf::FileHeader64::<Endianness>::parse(object).unwrap();
    let sections = header.sections(Endianness::Little, object).unwrap();
    let (_, section) = sections.section_by_name(Endianness::Little, b".rela.dyn").unwrap();
    let table = usize::try_from(section.sh_offset(Endianness::Little)).unwrap();
    let entries = object[table..].chunks_exact(24);
    table + 24 * entries.take(20).position(|entry| entry[..8] == 0x1000_u64.to_le_bytes()).unwrap()
}

/// Where a symbol lies in the file, in the one table and in the other.
fn symbols(object: &[u8], name: &str) -> Vec<usize> {
    let header = elf::FileHeader64::<Endianness>::parse(object).unwrap();
    let sections = header.sections(Endianness::Little, object).unwrap();
    let mut places = Vec::new();
    for (kind, section) in [(elf::SHT_SYMTAB, &b".symtab"[..]), (elf::SHT_DYNSYM, &b".dynsym"[..])] {
        let symbols = sections.symbols(Endianness::Little, object, kind).unwrap();
        let named = symbols.iter().position(|symbol| {
            symbol.name(Endianness::Little, symbols.strings()).is_ok_and(|found| found == name.as_bytes())
        });
        let (_, section) = sections.section_by_name(Endianness::Little, section).unwrap();
        let table = usize::try_from(section.sh_offset(Endianness::Little)).unwrap();
        places.extend(named.map(|index| table + 24 * index));
    }
    assert!(!places.is_empty(), "no symbol `{name}`");
    places
}

/// Where a section header lies in the file.
fn section_header(object: &[u8], name: &[u8]) -> usize {
    let header = elf::FileHeader64::<Endianness>::parse(object).unwrap();
    let sections = header.sections(Endianness::Little, object).unwrap();
    let (index, _) = sections.section_by_name(Endianness::Little, name).unwrap();
    usize::try_from(header.e_shoff(Endianness::Little)).unwrap() + index.0 * 64
}

const PROGRAM_HEADERS: usize = 64;
const PROGRAM_HEADER: usize = 56;

//# fault: RelocationFault::Undefined, RelocationFault::OutsideImage
#[test]
fn undefined_symbols() {
    // A name of the project's own; and a slot that is not in the image, so that nobody could fill it.
    let source = format!("{GOOD}\n.data\nword: .quad __pie_blob_nowhere\n.text\ncall elsewhere\n");
    for linker in linkers() {
        let object = Bench::new(&linker).link(&source, Target::Shared, &[]);
        expect(
            &object,
            &[
                "R_X86_64_64 at 0x2",
                "in .data against `__pie_blob_nowhere`: undefined symbol: define it",
                "against `elsewhere`: the word does not lie in the image",
            ],
            &linker.display().to_string(),
        );
    }
}

//# fault: Fault::ThreadLocal, SymbolFault::ThreadLocal
#[test]
fn thread_local_storage() {
    let source = format!(
        "{GOOD}\n.section .tdata, \"awT\"\n.globl per_thread\n.type per_thread, @object\nper_thread: .quad 1\n\
         .size per_thread, 8\n.text\nmov %fs:per_thread@tpoff, %eax\n"
    );
    let script = script(Target::Pie)
        .replace("meta PT_LOAD", "tls PT_TLS FLAGS(4); meta PT_LOAD")
        .replace(".guard (NOLOAD)", ".tdata : { *(.tdata) } :data :tls . = ALIGN(4096); .guard (NOLOAD)");
    refuse_with(
        &source,
        &script,
        &[],
        &["(PT_TLS)", "symbol `per_thread`", "thread-local", "use ordinary statics"],
    );
}

//# fault: RelocationFault::Ifunc, SymbolFault::Ifunc
#[test]
fn ifuncs() {
    let source = format!(
        "{GOOD}\n.globl pick\n.type pick, @gnu_indirect_function\npick: ret\n.size pick, 1\n.data\n.balign 8\nword: .quad pick\n"
    );
    refuse(&source, &[], &["R_X86_64_IRELATIVE at 0x", "an IFUNC", "use the plain function"]);
}

//# fault: Fault::Constructors
#[test]
fn constructors() {
    let source = format!("{GOOD}\n.section .init_array, \"aw\", @init_array\n.quad dump_misc\n");
    refuse(&source, &[], &["DT_INIT_ARRAY asks for code to run", "call it from the entry"]);
    let source = format!("{GOOD}\n.text\n.globl _init\n_init: ret\n");
    refuse(&source, &[], &["DT_INIT asks for code to run"]);
}

//# fault: RelocationFault::InCode
#[test]
fn relocations_in_code() {
    let source = format!("{GOOD}\n.text\nmovabs $calls, %rax\n");
    refuse(
        &source,
        &["-z", "notext"],
        &["R_X86_64_RELATIVE at 0x", "in .text", "the word lies in code", "-z text"],
    );
}

//# fault: RelocationFault::Copy, RelocationFault::Narrow, RelocationFault::LinkTime, RelocationFault::ThreadLocal
#[test]
fn relocation_types_that_are_not_for_a_loader_of_blobs() {
    for (kind, expected) in [
        (5, "R_X86_64_COPY at 0x1000 in .rodata: a copy of a shared library's data"),
        (10, "R_X86_64_32 at 0x1000 in .rodata: the word is too narrow"),
        (11, "R_X86_64_32S at 0x1000"),
        (2, "R_X86_64_PC32 at 0x1000 in .rodata: only a linker can resolve this type"),
        (16, "R_X86_64_DTPMOD64 at 0x1000 in .rodata: thread-local storage"),
        (18, "R_X86_64_TPOFF64 at 0x1000"),
        (36, "R_X86_64_TLSDESC at 0x1000"),
        (37, "R_X86_64_IRELATIVE at 0x1000"),
        (99, "type 99 at 0x1000 in .rodata: only a linker can resolve this type"),
    ] {
        let mut object = good();
        let at = first_rela(&object);
        object[at + 8] = kind;
        expect(&object, &[expected], "patched type");
    }
}

//# fault: RelocationFault::Overlap, RelocationFault::Uninitialised, RelocationFault::Target
#[test]
fn relocations_whose_place_or_target_is_wrong() {
    for (field, value, expected) in [
        (
            0,
            0x1004_u64,
            "R_X86_64_RELATIVE at 0x1008 in .rodata: the word overlaps the one of the relocation at 0x1004",
        ),
        (0, 0x1008, "overlaps the one of the relocation at 0x1008"),
        (0, 0x4, "R_X86_64_RELATIVE at 0x4 in .text: the word lies in code"),
        (0, 0x1021, "R_X86_64_RELATIVE at 0x1021 in .got: the word does not lie in the image"),
        (0, 0x2028, "R_X86_64_RELATIVE at 0x2028 in .bss: the word lies in zero-filled memory"),
        (0, 0x2012, "in .data: the word lies in zero-filled memory"),
        (0, 0x3000, "R_X86_64_RELATIVE at 0x3000 in .guard: the word lies in zero-filled memory"),
        (0, 0x6010, "R_X86_64_RELATIVE at 0x6010 in .dynamic: the word does not lie in the image"),
        (0, u64::MAX, "at 0xffffffffffffffff: the word does not lie in the image"),
        (16, 0x6008, "R_X86_64_RELATIVE at 0x1000 in .rodata: refers to 0x6008, outside of the image"),
        (16, u64::MAX, "refers to 0xffffffffffffffff, outside of the image"),
    ] {
        let mut object = good();
        let at = first_rela(&object) + field;
        object[at..at + 8].copy_from_slice(&value.to_le_bytes());
        expect(&object, &[expected], "patched relocation");
    }
    let mut object = good();
    let at = first_rela(&object) + 16;
    object[at..at + 8].copy_from_slice(&0x6000_u64.to_le_bytes());
    assert!(Image::parse(&object, &Limits::default()).is_ok(), "one past the end is an address");
}

//# fault: Fault::TextRelocations, Fault::RelocationTable
#[test]
fn dynamic_tables_that_lie() {
    for (tag, value, expected) in [
        (elf::DT_RELAENT, 16, "DT_RELA: its entries have a wrong size"),
        (elf::DT_RELASZ, 23, "its size is no multiple of an entry's"),
        (elf::DT_RELASZ, u64::MAX, "DT_RELA: it lies outside of the loaded bytes"),
        (elf::DT_RELA, 0, "they would be lost"),
        (elf::DT_SYMTAB, 8, "DT_SYMTAB has another address"),
    ] {
        let mut object = good();
        let at = dynamic_entry(&object, tag) + 8;
        object[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        expect(&object, &[expected], "patched dynamic section");
    }
    for (tag, expected) in [
        (elf::DT_ANDROID_RELA, "DT_ANDROID_RELA holds relocations in a format that is not read"),
        (elf::DT_JMPREL, "DT_JMPREL: DT_PLTREL does not say whether it is REL or RELA"),
        (elf::DT_TEXTREL, "the code has relocations (DT_TEXTREL)"),
        (elf::DT_FINI, "DT_FINI asks for code to run"),
    ] {
        let mut object = good();
        let at = dynamic_entry(&object, elf::DT_HASH);
        object[at..at + 8].copy_from_slice(&tag.0.to_le_bytes());
        expect(&object, &[expected], "patched dynamic section");
    }
}

//# fault: SegmentFault::WritableCode
#[test]
fn writable_code() {
    let script = script(Target::Pie).replace("text PT_LOAD FLAGS(5)", "text PT_LOAD FLAGS(7)");
    refuse_with(GOOD, &script, &[], &["is writable and executable", "__pie_blob_packed"]);
}

//# fault: Fault::Entry
#[test]
fn an_entry_elsewhere() {
    refuse(GOOD, &["-e", "dump_misc"], &["the entry lies at 0xe and not at 0"]);
}

//# fault: Fault::NotLoaded
#[test]
fn sections_that_are_in_no_segment() {
    // The section behind the text, patched to lie in the hole up to the next page.
    let mut object = good();
    let at = section_header(&object, b".rodata") + 16;
    object[at..at + 8].copy_from_slice(&0x800_u64.to_le_bytes());
    expect(
        &object,
        &["the section .rodata at 0x800 lies in no segment and would be lost"],
        "patched section",
    );
}

//# fault: SegmentFault::SharedPage
#[test]
fn segments_that_share_a_page() {
    let script = script(Target::Pie).replacen(". = ALIGN(4096);", ". = ALIGN(64);", 1);
    refuse_with(
        GOOD,
        &script,
        &["-z", "max-page-size=64"],
        &["shares a page with the one at 0x0", "a page of its own"],
    );
}

//# fault: SegmentFault::NotAtZero
#[test]
fn segments_that_do_not_begin_at_zero() {
    let script = script(Target::Pie).replace(". = 0x0;", ". = 0x10000;");
    // GNU ld makes an ET_EXEC of it.
    let Some(lld) = lld() else { return };
    let object = Bench::new(&lld).link_with(GOOD, Target::Pie, &script, &[]);
    expect(&object, &["does not begin at 0", "the entry lies at 0x10000"], "lld");
}

//# fault: SegmentFault::CutByEnd
#[test]
fn an_end_inside_of_a_segment() {
    let script = script(Target::Pie).replace(". += 8192;", ". += 4096; __pie_blob_end = .; . += 4096;");
    let script = script.replace("    __pie_blob_end = .;\n", "");
    refuse_with(GOOD, &script, &[], &["is cut by `__pie_blob_end` at 0x5000"]);
}

//# fault: SymbolFault::Stack
#[test]
fn a_stack_that_is_none() {
    let script = script(Target::Pie).replace("__pie_blob_stack_top = .;", "");
    refuse_with(GOOD, &script, &[], &["symbol `__pie_blob_stack`", "writable memory"]);
    let script = script.replace("__pie_blob_guard = .;", "__pie_blob_stack_top = .;");
    refuse_with(GOOD, &script, &[], &["symbol `__pie_blob_stack`", "writable memory"]);
}

//# fault: Fault::UnreachedRelocations
#[test]
fn relocations_that_are_cut_off() {
    let mut object = good();
    let at = dynamic_entry(&object, elf::DT_RELA);
    object[at..at + 8].copy_from_slice(&elf::DT_DEBUG.0.to_le_bytes());
    expect(&object, &["relocations in .rela.dyn, they would be lost"], "no DT_RELA");
}

//# fault: Fault::TooLarge
#[test]
fn images_over_the_limit() {
    let source = format!("{GOOD}\n.bss\n.zero 0x40000000\n");
    refuse(&source, &[], &["268435456 are allowed", "raise the limit"]);
    for linker in linkers() {
        let object = Bench::new(&linker).link(&source, Target::Pie, &[]);
        let image = Image::parse(&object, &Limits::default().with_image_size(u64::MAX)).unwrap();
        assert!(image.size() > 0x4000_0000 && image.bytes().len() < 0x1_0000);
    }
    let source = format!("{GOOD}\n.bss\n.zero 0x100000000\n");
    for linker in linkers() {
        let object = Bench::new(&linker).link(&source, Target::Pie, &[]);
        let faults = Image::parse(&object, &Limits::default().with_image_size(u64::MAX)).unwrap_err();
        assert!(faults.to_string().contains("never beyond 4 GiB"), "{faults}");
    }
}

//# fault: Fault::Needed, Fault::Interpreter
#[test]
fn shared_libraries_and_interpreters() {
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("libfoo.so");
    std::fs::write(folder.path().join("foo.s"), ".globl foo\nfoo: ret\n").unwrap();
    let mut cc = std::process::Command::new("cc");
    cc.args(["-shared", "-nostdlib", "-Wl,-soname,libfoo.so", "-o"])
        .arg(&shared)
        .arg(folder.path().join("foo.s"));
    assert!(cc.status().unwrap().success());
    for linker in linkers() {
        let flags = ["--no-as-needed", shared.to_str().unwrap()];
        let object = Bench::new(&linker).link(GOOD, Target::Pie, &flags);
        expect(&object, &["needs the shared library `libfoo.so` (DT_NEEDED)"], &linker.display().to_string());
    }
    let mut object = good();
    object[PROGRAM_HEADERS + 6 * PROGRAM_HEADER] = 3;
    expect(&object, &["(PT_INTERP)"], "PT_INTERP");
}

//# fault: Fault::NotElf, Fault::Malformed, Fault::Machine, Fault::Identification, Fault::FileType
#[test]
fn other_kinds_of_files() {
    expect(b"", &["not an ELF file"], "empty");
    expect(b"#!/bin/sh\n", &["not an ELF file"], "script");
    expect(b"\x7fELF", &["ELF header: it is cut off", "truncated or damaged"], "magic only");
    let bench = Bench::new(&linkers()[0]);
    expect(&bench.link(GOOD, Target::At(0x40_0000), &[]), &["(ET_EXEC)", "-fPIE"], "ET_EXEC");
    for (at, byte, expected) in [
        (4, 1, "cannot be of 32 bits (ELFCLASS32)"),
        (4, 7, "e_ident: neither class"),
        (5, 9, "e_ident: neither byte order"),
        (16, 4, "the file type is ET_CORE"),
        (18, 2, "the object is for EM_SPARC; this version reads objects for x86_64 x86 aarch64"),
        (20, 2, "e_version is not EV_CURRENT"),
    ] {
        let mut object = good();
        object[at] = byte;
        expect(&object, &[expected], "damaged header");
    }
    let mut object = good();
    object[5] = 2;
    object[18..20].copy_from_slice(&[0, 62]);
    expect(&object, &["big-endian (ELFDATA2MSB)"], "byte order");
}

//# fault: SegmentFault::OutsideFile, SegmentFault::FileLargerThanMemory, SegmentFault::AddressSpace, SegmentFault::Alignment, SegmentFault::Incongruent, SegmentFault::Overlap
#[test]
fn headers_that_lie() {
    /// Replaces eight bytes of the program header of the data segment.
    fn damage(field: usize, value: u64) -> Vec<u8> {
        let mut object = good();
        let at = PROGRAM_HEADERS + 2 * PROGRAM_HEADER + field;
        object[at..at + 8].copy_from_slice(&value.to_le_bytes());
        object
    }
    for (field, value, expected) in [
        (8, 0x1000_0000, "has bytes outside of the file"),
        (8, 0x2008, "differs from its address modulo the alignment"),
        (16, 0, "overlaps the one at 0x0"),
        (16, u64::MAX - 0xfff, "the word does not lie in the image"),
        (32, 0x100, "has more bytes in the file than in memory"),
        (32, u64::MAX, "has bytes outside of the file"),
        (40, u64::MAX, "reaches past the last address"),
        (48, 3, "no power of two"),
        (48, 1 << 60, "no power of two or too large"),
    ] {
        expect(&damage(field, value), &[expected], "damaged program header");
    }
}

//# fault: SymbolFault::Undefined, SymbolFault::Common, SymbolFault::OutsideImage
#[test]
fn symbols_that_are_nowhere() {
    const SECTION: usize = 6;
    const SIZE: usize = 16;
    for (field, value, expected) in [
        (SECTION, &[0, 0][..], "symbol `calls`: undefined: define it in the blob's sources"),
        (SECTION, &[0xf2, 0xff], "has no room yet (COMMON): compile with `-fno-common`"),
        (SIZE, &[0, 0, 0, 1], "its 0x1000000 bytes reach out of the image"),
    ] {
        let mut object = good();
        for symbol in symbols(&object, "calls") {
            object[symbol + field..symbol + field + value.len()].copy_from_slice(value);
        }
        expect(&object, &[expected], "patched symbol");
    }
}

//# fault: RelocationFault::NoSymbol
#[test]
fn a_relocation_against_no_symbol() {
    let mut object = good();
    let at = first_rela(&object) + 8;
    object[at..at + 8].copy_from_slice(&[1, 0, 0, 0, 0xff, 0x7f, 0, 0]);
    expect(&object, &["the symbol table has no such symbol"], "patched relocation");
}

//# fault: Fault::TooManyRelocations
#[test]
fn more_relocations_than_words() {
    let source = format!(
        "{GOOD}\n.data\n.balign 8\nword: .quad 0\n.rept 3000\n.reloc word, R_X86_64_64, calls\n.endr\n"
    );
    refuse(&source, &[], &["there are more relocations than words to relocate"]);
}

//# fault: Fault::NoSegments
#[test]
fn nothing_to_load() {
    let mut object = good();
    for header in 0..6 {
        object[PROGRAM_HEADERS + header * PROGRAM_HEADER] = 0;
    }
    expect(&object, &["no PT_LOAD belongs to the image"], "no PT_LOAD");
}

//# fault: Fault::NoSymbols
#[test]
fn an_object_without_names() {
    let mut object = good();
    for section in [&b".symtab"[..], b".dynsym"] {
        let kind = section_header(&object, section) + 4;
        object[kind] = 1;
    }
    expect(&object, &["there is neither .symtab nor .dynsym", "do not strip"], "sections of another type");
}

#[test]
fn several_faults_are_reported_together() {
    let source = format!(
        "{GOOD}\n.section .init_array, \"aw\", @init_array\n.quad dump_misc\n.globl pick\n.text\n\
         .type pick, @gnu_indirect_function\npick: ret\n.data\n.balign 8\n.quad pick\n"
    );
    let script = script(Target::Pie).replace("text PT_LOAD FLAGS(5)", "text PT_LOAD FLAGS(7)");
    for linker in linkers() {
        let object = Bench::new(&linker).link_with(&source, Target::Pie, &script, &["-e", "dump_misc"]);
        let message = Image::parse(&object, &Limits::default()).unwrap_err().to_string();
        assert!(message.lines().count() >= 3, "{message}");
    }
}

#[test]
fn a_relocation_table_of_another_format() {
    let Some(lld) = lld() else { return };
    let script = script(Target::Pie)
        .replace(".rela.dyn .rela.*", ".rela.dyn")
        .replace("    .relr", "    .rela.plt : { *(.rela.plt) }\n    .relr");
    let object = Bench::new(&lld).link_with(GOOD, Target::Pie, &script, &["--pack-dyn-relocs=android"]);
    expect(&object, &["holds relocations in a format that is not read"], "android");
}

#[test]
fn faults_are_data() {
    let faults = Image::parse(b"#!", &Limits::default()).unwrap_err();
    assert_eq!(faults.as_slice(), [Fault::NotElf]);
}

//# fault: Fault::TooManyImports
#[test]
fn more_imports_than_numbers() {
    // An object that wants so many would take a gigabyte.
    let fault = Fault::TooManyImports { count: (1 << 24) + 1, limit: 1 << 24 };
    heard(&fault);
    let message = fault.to_string();
    assert!(message.contains("16777217 symbols from its host and 16777216 are allowed"), "{message}");
}
