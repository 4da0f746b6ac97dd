//! Relocatable objects, flattened here and linked at the same address by other linkers: the same bytes.
//!
//! Each source in `relocatable/` is a few relocation types. Its first lines are directives:
//!
//! | directive | means |
//! |---|---|
//! | `#! bases: A …` | where it is linked |
//! | `#! abs32: checked` | how narrow words are read |
//! | `#! page: S …` | the sections that begin on pages of their own |
//! | `#! linkers: lld` or `gnu` | only these are asked: the others leave out what the source is about |
//! | `#! flags: F …` | what the linker is told besides |
//! | `#! pie` | linked as a static-PIE at that address, where linkers relax as they do for position-independent code |
//! | `#! retype: A B` | relocations of type A become type B, which assemblers at hand do not know |
//! | `#! table` | code reaches the global offset table itself |

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/flat.rs"]
mod flat;
#[path = "foreign/program.rs"]
mod program;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use flat::{Bench, Source, linkers, run};
use object::read::elf::{FileHeader, Rel as _, Rela as _, SectionHeader as _};
use object::{Endianness, elf};
use pie_blob::__private::{Parts, blob};
use pie_blob::{Architecture, Blob, Offset, Permissions, Reloc, Segment};
use pie_blob_image::{Abs32, Image, Limits};

fn sources() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/relocatable");
    let mut sources: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "s"));
    sources.sort();
    assert!(sources.len() >= 19, "{sources:?}");
    sources
}

/// Where two images differ: offset and both bytes.
fn differences(ours: &[u8], theirs: &[u8]) -> Vec<String> {
    let pairs = ours.iter().zip(theirs).enumerate().filter(|(_, (ours, theirs))| ours != theirs);
    pairs.map(|(offset, (ours, theirs))| format!("{offset:#x}: {ours:02x} {theirs:02x}")).collect()
}

#[test]
fn linkers_write_the_same_bytes() {
    let (linkers, mut compared, mut failures) = (linkers(), 0, Vec::new());
    for path in sources() {
        let (source, bench) = (Source::read(&path), Bench::new());
        let object = bench.assemble(&source);
        let image = match source.image(&object) {
            Ok(image) => image,
            Err(faults) => {
                failures.push(format!("{}: {faults}", path.display()));
                continue;
            }
        };
        let before = compared;
        for linker in linkers.iter().filter(|linker| source.asks(linker)) {
            for &base in &source.bases {
                compared += 1;
                let ours = image.relocated(base).unwrap();
                let context = format!("{}, {} at {base:#x}", path.display(), linker.display());
                let theirs = match bench.link(linker, &source, &object, base) {
                    Ok(theirs) => theirs,
                    Err(error) => {
                        failures.push(format!("{context}: {error}"));
                        continue;
                    }
                };
                if theirs.len() < ours.len() {
                    failures.push(format!("{context}: {:#x} and {:#x} bytes", ours.len(), theirs.len()));
                }
                let differences = differences(&ours, &theirs);
                if !differences.is_empty() {
                    failures.push(format!("{context}: {differences:?}"));
                }
            }
        }
        // The toolchain's own linker is always there; GNU's need not be.
        assert!(compared > before || source.only_gnu(), "{}: no linker was asked", path.display());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared > 40, "{compared}");
}

/// The relocation types of an object, wherever they are.
fn types<Elf: FileHeader<Endian = Endianness>>(object: &[u8]) -> BTreeSet<u32> {
    let header = Elf::parse(object).unwrap();
    let endian = header.endian().unwrap();
    let mut types = BTreeSet::new();
    for section in header.sections(endian, object).unwrap().iter() {
        if let Some((entries, _)) = section.rela(endian, object).unwrap() {
            types.extend(entries.iter().map(|entry| entry.r_type(endian, false).0));
        }
        if let Some((entries, _)) = section.rel(endian, object).unwrap() {
            types.extend(entries.iter().map(|entry| entry.r_type(endian).0));
        }
    }
    types
}

/// Every type that is read is in one of the sources, so that a linker has had its say on it.
#[test]
fn every_type_has_a_source() {
    let (mut wide, mut narrow) = (BTreeSet::new(), BTreeSet::new());
    for path in sources() {
        let object = std::fs::read(Bench::new().assemble(&Source::read(&path))).unwrap();
        if object[4] == 2 {
            wide.extend(types::<elf::FileHeader64<Endianness>>(&object));
        } else {
            narrow.extend(types::<elf::FileHeader32<Endianness>>(&object));
        }
    }
    // By their numbers in the psABIs: 64, PC32, PLT32, GOTPCREL, 32, 32S, 16, PC16, 8, PC8, PC64, GOTOFF64, GOTPC32, GOT64,
    // GOTPCREL64, GOTPC64, PLTOFF64, SIZE32, SIZE64, GOTPCRELX, REX_GOTPCRELX, CODE_4_GOTPCRELX.
    let all = [0, 1, 2, 4, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 31, 32, 33, 41, 42, 43];
    assert_eq!(all.into_iter().filter(|kind| !wide.contains(kind)).collect::<Vec<_>>(), []);
    // 32, PC32, GOT32, PLT32, GOTOFF, GOTPC, 16, PC16, 8, PC8, GOT32X.
    let all = [0, 1, 2, 3, 4, 9, 10, 20, 21, 22, 23, 43];
    assert_eq!(all.into_iter().filter(|kind| !narrow.contains(kind)).collect::<Vec<_>>(), []);
}

/// The blob that the macro would make of an image.
fn embedded(image: &Image) -> &'static Blob {
    let relocs = image.relocations().iter().flat_map(|relocation| {
        let [a, b, c, d] = relocation.offset().to_le_bytes();
        [a, b, c, d, relocation.kind().code(), 0, 0, 0]
    });
    let segments = image.segments().iter().map(|segment| {
        let pie_blob_image::Permissions { read, write, execute } = segment.permissions;
        Segment {
            offset: segment.offset,
            size: segment.size,
            permissions: Permissions { read, write, execute },
        }
    });
    Box::leak(Box::new(blob(Parts {
        name: "linked here",
        id: image.id(),
        architecture: match image.architecture() {
            pie_blob_image::Architecture::X86 => Architecture::X86,
            _ => Architecture::X86_64,
        },
        bytes: image.bytes().to_vec().leak(),
        relocs: Reloc::slice(relocs.collect::<Vec<u8>>().leak()),
        imports: &[],
        size: image.size(),
        align: image.align(),
        segments: segments.collect::<Vec<_>>().leak(),
        exports: &[],
        stack: None,
        packed: image.packed(),
        base: None,
        narrow: Some((image.narrow().last, image.narrow().first_high)),
        done: None,
        panic: None,
    })))
}

type Answer = unsafe extern "C" fn(u64) -> u64;

/// Compiled in every way that a compiler has, the code runs where it is mapped: at two places, each with its own data.
#[test]
fn compiled_code_runs() {
    let bench = Bench::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/relocatable/runs.c");
    let object = bench.path("runs.o");
    for flags in [
        "-O2 -fPIE",
        "-O0 -fPIE -fcommon",
        "-O2 -fPIC -fno-plt",
        "-O1 -fPIC -fcommon -mno-red-zone",
        "-Os -fPIE -ffunction-sections -fdata-sections",
        "-O2 -fPIC -mcmodel=large",
        "-O0 -fPIC -fcommon -mcmodel=medium -mlarge-data-threshold=4",
        "-O2 -fno-pic -mcmodel=large",
    ] {
        let mut cc = std::process::Command::new("cc");
        cc.args(["-ffreestanding", "-fno-stack-protector", "-fcf-protection=none"]).args(flags.split(' '));
        run(cc.arg("-c").arg(&source).arg("-o").arg(&object));
        let object = std::fs::read(&object).unwrap();
        let image =
            Image::parse(&object, &Limits::default()).unwrap_or_else(|faults| panic!("{flags}: {faults}"));
        assert!(image.relocations().len() >= 7, "{flags}: {image}");
        let blob = embedded(&image);
        let answer = Offset::<Answer>::__new(image.symbol("answer").unwrap().offset(), image.id());
        let places = [blob.map().unwrap(), blob.map().unwrap()];
        for mapped in &places {
            // SAFETY: `answer` of `runs.c` is declared so.
            let answer = unsafe { mapped.function(answer) }.unwrap();
            // SAFETY: the code is that of `runs.c`, which does what it says and nothing else.
            let answers = (0..8).map(|which| unsafe { answer(which) } - 35).collect::<Vec<u64>>();
            assert_eq!(answers, [35, 50, u64::from(b'a'), 77, 1, 1, 81, 1000], "{flags}");
        }
    }
}

/// The same for i386, as a program that the kernel maps as it was loaded.
#[test]
fn compiled_code_of_i386_runs() {
    let bench = Bench::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/relocatable/runs.c");
    let object = bench.path("runs.o");
    for flags in ["-O2 -fPIE", "-O0 -fPIC -fcommon", "-O2 -fPIC -fno-plt", "-O1 -fno-pic"] {
        let mut cc = std::process::Command::new("cc");
        cc.args(["-m32", "-ffreestanding", "-fno-stack-protector", "-fcf-protection=none"]);
        run(cc.args(flags.split(' ')).arg("-c").arg(&source).arg("-o").arg(&object));
        let object = std::fs::read(&object).unwrap();
        let image =
            Image::parse(&object, &Limits::default()).unwrap_or_else(|faults| panic!("{flags}: {faults}"));
        for base in [0x1000_0000, 0x7654_0000] {
            let mut loaded = vec![0; usize::try_from(image.size()).unwrap()];
            embedded(&image).load(&mut loaded, base).unwrap();
            let program = program::write(bench.folder.path(), &image, &loaded, base);
            let status = std::process::Command::new(program).status().unwrap();
            assert_eq!(status.code(), Some(42), "{flags} at {base:#x}");
        }
    }
}

/// Code that is not position-independent at all has words of 32 bits, and runs in the lowest 2 GiB alone.
#[test]
fn code_for_low_addresses_is_checked() {
    let bench = Bench::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/relocatable/runs.c");
    let object = bench.path("runs.o");
    let mut cc = std::process::Command::new("cc");
    cc.args(["-ffreestanding", "-fno-stack-protector", "-fcf-protection=none", "-fno-pic", "-O1"]);
    run(cc.arg("-c").arg(source).arg("-o").arg(&object));
    let object = std::fs::read(&object).unwrap();
    let faults = Image::parse(&object, &Limits::default()).unwrap_err().to_string();
    assert!(faults.contains("the option `abs32`"), "{faults}");
    let image = Image::parse(&object, &Limits::default().with_abs32(Abs32::Checked)).unwrap();
    let error = embedded(&image).load(&mut vec![0; 1 << 20], 0x7fff_0000_0000).unwrap_err();
    assert!(matches!(error, pie_blob::LoadError::Narrow { .. }), "{error}");
    assert!(error.to_string().contains("a word narrower than an address"), "{error}");
    assert_eq!(embedded(&image).load(&mut vec![0; 1 << 20], 0x4000_0000), Ok(()));
}
