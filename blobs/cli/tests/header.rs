//! The header in programs: what it loads is what the library writes, and it runs.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{SCRIPT, Scratch, command, done, image, linkers, refused};
use object::write::{Object, Relocation, StandardSection, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SymbolFlags, SymbolKind, SymbolScope, elf,
};
use pie_blob_image::{Abs32, Image, Limits};

/// Loads at a base into a buffer that is not aligned, and writes what it has got to standard output.
const DUMP: &str = "
#include \"probe.h\"
#include \"probe.h\" /* Twice does no harm. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    static unsigned char buffer[probe_SIZE + 1];
#if probe_IMPORTS
    uint64_t imports[probe_IMPORTS];
    memset(imports, 0, sizeof imports);
    imports[probe_IMPORT_supplied] = UINT64_C(0x1122334455667788);
    imports[probe_IMPORT_another] = UINT64_C(0x99);
#else
    const uint64_t *imports = NULL;
#endif
    uint64_t base;
    enum probe_result result;

    if (argc != 2)
        return 100;
    base = strtoull(argv[1], NULL, 0);
    memset(buffer, 0xee, sizeof buffer);
    if (probe_load(buffer, probe_SIZE - 1, base, imports) != probe_NO_ROOM || buffer[0] != 0xee)
        return 101;
#if probe_IMPORTS
    if (probe_load(buffer, probe_SIZE, base, NULL) != probe_NO_IMPORTS || buffer[0] != 0xee)
        return 102;
#endif
    result = probe_load(buffer + 1, probe_SIZE, base, imports);
    if (result != probe_LOADED)
        return (int)result;
    return fwrite(buffer + 1, 1, probe_SIZE, stdout) == probe_SIZE ? 0 : 103;
}
";

/// Loads twice, into memory of its own each time, and calls an export at both places.
const RUN: &str = "
#define _DEFAULT_SOURCE
#include \"probe.h\"
#include <stdio.h>
#include <sys/mman.h>

typedef uint64_t function(uint64_t);

static uintptr_t load(void)
{
    size_t at;
    void *memory = mmap(NULL, probe_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || probe_load(memory, probe_SIZE, (uintptr_t)memory, NULL) != probe_LOADED)
        return 0;
    for (at = 0; at < probe_SEGMENTS; at++) {
        const unsigned wanted = probe_segments[at].permissions;
        const int allowed = (wanted & 4 ? PROT_READ : 0) | (wanted & 2 ? PROT_WRITE : 0) | (wanted & 1 ? PROT_EXEC : 0);
        if (mprotect((unsigned char *)memory + probe_segments[at].offset, probe_segments[at].size, allowed) != 0)
            return 0;
    }
    return (uintptr_t)memory;
}

int main(void)
{
    uintptr_t first = load(), second = load();
    if (first == 0 || second == 0 || first == second)
        return 1;
    function *here = (function *)(first + probe_OFFSET_answer);
    function *there = (function *)(second + probe_OFFSET_answer);
    /* Each counts in its own data, which it finds through a relocated word. */
    printf(\"%d\", (int)here(21));
    printf(\" %d\", (int)here(21));
    printf(\" %d\\n\", (int)there(100));
    return 0;
}
";

const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-O1"];

fn write_header(scratch: &Scratch, object: &Path, more: &[&str]) -> PathBuf {
    let header = scratch.path("probe.h");
    let mut command = command(["header", "--name", "probe", "-o"]);
    done(command.arg(&header).arg(object).args(more));
    header
}

/// The compilers of the two languages, what a source of theirs is called, and the standard that they are held to.
const LANGUAGES: [(&str, &str, &str); 3] =
    [("cc", "c", "-std=c11"), ("c++", "cc", "-std=c++11"), ("c++", "cc", "-std=c++20")];

/// Compiles a program that includes the header: in C and in C++, of the same text.
fn programs(scratch: &Scratch, text: &str, more: &[&str]) -> Vec<PathBuf> {
    let compile = |(compiler, extension, standard): (&str, &str, &str)| {
        let source = scratch.write(&format!("program.{extension}"), text);
        let program = scratch.path(&format!("program{standard}"));
        done(
            Command::new(compiler).args(STRICT).arg(standard).args(more).arg(source).arg("-o").arg(&program),
        );
        program
    };
    LANGUAGES.into_iter().map(compile).collect()
}

/// What the header's loader writes at a base, or the status that the program ends with; the same in every language.
fn loaded(programs: &[PathBuf], base: u64) -> Result<Vec<u8>, Option<i32>> {
    let mut answers = programs.iter().map(|program| {
        let output = Command::new(program).arg(format!("{base:#x}")).output().unwrap();
        if output.status.success() { Ok(output.stdout) } else { Err(output.status.code()) }
    });
    let first = answers.next().unwrap();
    assert!(answers.all(|answer| answer == first), "{base:#x}");
    first
}

fn expected(image: &Image, base: u64) -> Vec<u8> {
    let mut bytes = image.relocated(base).unwrap();
    bytes.resize(usize::try_from(image.size()).unwrap(), 0);
    bytes
}

#[test]
fn it_runs_at_two_bases() {
    let scratch = Scratch::new();
    write_header(&scratch, &scratch.built(), &[]);
    for program in programs(&scratch, RUN, &[]) {
        assert_eq!(String::from_utf8(done(&mut Command::new(program)).stdout).unwrap(), "47 48 205\n");
    }
}

#[test]
fn it_loads_what_the_library_writes() {
    let scratch = Scratch::new();
    let object = scratch.built();
    write_header(&scratch, &object, &[]);
    let programs = programs(&scratch, DUMP, &[]);
    let image = image(&object);
    for base in [0, 0x7000, 0x5555_5555_4000] {
        assert!(loaded(&programs, base).unwrap() == expected(&image, base), "{base:#x}");
    }
    assert_eq!(loaded(&programs, 0x7001), Err(Some(2)), "misaligned");
    assert_eq!(loaded(&programs, 0xffff_ffff_ffff_f000), Err(Some(3)), "past the last address");
}

/// Words of 32, 16 and 8 bits.
#[test]
fn narrow_words() {
    let scratch = Scratch::new();
    let source =
        ".globl start\nstart: mov $start, %eax\n ret\n.long start + 3\n.short start + 1\n.byte start + 2\n";
    let object = scratch.assembled("narrow", source);
    let data = std::fs::read(&object).unwrap();
    for (how, abs32) in [("checked", Abs32::Checked), ("truncate", Abs32::Truncate)] {
        let image = Image::parse(&data, &Limits::default().with_abs32(abs32)).unwrap();
        let mut widths: Vec<_> = image.relocations().iter().map(|r| r.kind().width()).collect();
        widths.sort_unstable();
        assert_eq!(widths, [1, 2, 4, 4]);
        write_header(&scratch, &object, &["--abs32", how]);
        let programs = programs(&scratch, DUMP, &[]);
        assert!(loaded(&programs, 0).unwrap() == expected(&image, 0), "{how}");
        match abs32 {
            Abs32::Checked => assert_eq!(loaded(&programs, 0x1_2345_6000), Err(Some(4))),
            _ => assert!(loaded(&programs, 0x1_2345_6000).unwrap() == expected(&image, 0x1_2345_6000)),
        }
    }
}

/// An object of an architecture: a function, a word that points to it and one that points to itself.
fn foreign(
    scratch: &Scratch,
    written: Architecture,
    order: Endianness,
    word: elf::RelocationType,
) -> PathBuf {
    let mut object = Object::new(BinaryFormat::Elf, written, order);
    let (text, data) = (object.section_id(StandardSection::Text), object.section_id(StandardSection::Data));
    object.append_section_data(text, &[0; 64], 16);
    object.append_section_data(data, &[0; 16], 16);
    let mut symbol = |name: &[u8], section, kind| {
        object.add_symbol(Symbol {
            name: name.to_vec(),
            value: 0,
            size: 16,
            kind,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        })
    };
    let targets = [symbol(b"start", text, SymbolKind::Text), symbol(b"words", data, SymbolKind::Data)];
    for (offset, symbol) in [0, 8].into_iter().zip(targets) {
        let flags = RelocationFlags::Elf { r_type: word };
        object.add_relocation(data, Relocation { offset, symbol, addend: 8, flags }).unwrap();
    }
    let (source, linked) = (scratch.path("foreign.o"), scratch.path("foreign.po"));
    std::fs::write(&source, object.write().unwrap()).unwrap();
    let lld = linkers().into_iter().find(|linker| linker.ends_with("ld.lld")).expect("lld, for its targets");
    let mut command = Command::new(lld);
    command.args(["-pie", "--no-dynamic-linker", "-Bsymbolic", "-z", "norelro", "--hash-style=sysv"]);
    command.args(["-T".as_ref(), scratch.write("foreign.ld", &SCRIPT.replace("BASE", "0")).as_os_str()]);
    done(command.arg("-o").arg(&linked).arg(source));
    linked
}

#[test]
fn words_of_other_architectures() {
    for (written, order, word, kind) in [
        (Architecture::S390x, Endianness::Big, elf::R_390_64, "Relative64Be"),
        (Architecture::I386, Endianness::Little, elf::R_386_32, "Relative32"),
    ] {
        let scratch = Scratch::new();
        let object = foreign(&scratch, written, order, word);
        let image = image(&object);
        let kinds: Vec<_> = image.relocations().iter().map(|r| r.kind().to_string()).collect();
        assert_eq!(kinds, [kind; 2]);
        write_header(&scratch, &object, &[]);
        let programs = programs(&scratch, DUMP, &[]);
        for base in [0, 0x7654_3000] {
            assert!(loaded(&programs, base).unwrap() == expected(&image, base), "{kind} at {base:#x}");
        }
        if kind == "Relative32" {
            assert_eq!(loaded(&programs, 0x1_0000_0000), Err(Some(3)), "past the last address");
        }
    }
}

#[test]
fn imports() {
    let scratch = Scratch::new();
    let wanting =
        scratch.write("wanting.s", ".data\n.globl wants\nwants: .quad supplied + 3, another, supplied\n");
    let built = scratch
        .blob()
        .source(wanting)
        .export("wants")
        .import("supplied")
        .import("another")
        .try_build()
        .unwrap();
    write_header(&scratch, built.object(), &[]);
    let (image, base) = (built.image(), 0x7_0000);
    let mut bytes = image.bytes().to_vec();
    bytes.resize(usize::try_from(image.size()).unwrap(), 0);
    let mut supplied = 0;
    for relocation in image.relocations() {
        let added = relocation.kind().import().map(|import| image.imports()[import as usize].name());
        let added = match added {
            None => base,
            Some("another") => 0x99,
            Some(_) => 0x1122_3344_5566_7788,
        };
        supplied += u32::from(added != base);
        let word = bytes[relocation.offset() as usize..].first_chunk_mut().unwrap();
        *word = u64::from_le_bytes(*word).wrapping_add(added).to_le_bytes();
    }
    assert_eq!(supplied, 3);
    assert!(loaded(&programs(&scratch, DUMP, &[]), base).unwrap() == bytes);
}

/// Two headers in one program, and not a warning of those that few ask for.
#[test]
fn several_in_one_program() {
    let scratch = Scratch::new();
    let object = scratch.built();
    std::fs::copy(&object, scratch.path("other-probe.po")).unwrap();
    write_header(&scratch, &object, &[]);
    // Named after the object.
    let other = scratch.path("other.h");
    done(command(["header", "-o"]).arg(&other).arg(scratch.path("other-probe.po")));
    let text = "#include \"probe.h\"\n#include \"other.h\"\nint main(void) {\n    \
                return probe_ID != other_probe_ID || probe_OFFSET_answer != other_probe_OFFSET_answer;\n}\n";
    for program in programs(&scratch, text, &["-Wconversion", "-Wshadow", "-Wcast-qual"]) {
        done(&mut Command::new(program));
    }
}

/// A name that C cannot have is refused, with every other one.
#[test]
fn names_that_c_has_not() {
    let scratch = Scratch::new();
    let wanting = ".data\n.globl wants\nwants: .quad \"with space\", \"a*/\"\n";
    let wanting = scratch.write("wanting.s", wanting);
    let blob = scratch.blob().source(wanting).export("wants");
    let built = blob.import("with space").import("a*/").try_build().unwrap();
    let said = refused(command(["header", "-o", "-"]).arg(built.object()));
    assert!(said.contains("`with space`") && said.contains("`a*/`") && said.lines().count() == 2, "{said}");
}
