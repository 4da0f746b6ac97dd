//! Bytes that lie: every field of every table of good objects, changed one at a time and several at once. An object is refused
//! with a reason, or its image keeps its promises and loads without leaving its buffer.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../fuzz/targets/borrowed.rs"]
mod borrowed;
#[path = "support/fields.rs"]
mod fields;
#[path = "support/promises.rs"]
mod promises;
#[path = "support/sketch.rs"]
#[allow(dead_code, reason = "here images are made of objects, and given back")]
mod sketch;
#[path = "support/written.rs"]
mod written;

use std::path::{Path, PathBuf};
use std::process::Command;

use fields::{Field, fields};
use pie_blob::__private::Parts;
use pie_blob_image::{Abs32, Architecture, Image, Limits};
use proptest::collection::vec;
use proptest::prelude::*;

/// Small, so that a lying size is refused and not allocated.
const LIMIT: u64 = 1 << 20;

/// Whether the image could be made; then it is held to its promises.
fn accepted(object: &[u8]) -> bool {
    let limits = Limits::default().with_image_size(LIMIT).with_abs32(Abs32::Checked);
    match Image::parse(object, &limits) {
        Ok(image) => {
            promises::kept(&image, LIMIT);
            let relocs = image.relocations().iter().flat_map(|reloc| {
                let [a, b, c, _] = reloc.kind().import().unwrap_or(0).to_le_bytes();
                reloc.offset().to_le_bytes().into_iter().chain([reloc.kind().code(), a, b, c])
            });
            let parts = Parts {
                architecture: sketch::architecture(&image),
                size: image.size(),
                align: image.align(),
                narrow: Some((image.narrow().last, image.narrow().first_high)),
                ..borrowed::NOTHING
            };
            borrowed::with_blob(image.bytes().to_vec(), relocs.collect(), parts, |blob| {
                promises::loads(&image, blob);
            });
            true
        }
        Err(faults) => {
            assert!(!faults.as_slice().is_empty());
            assert!(faults.to_string().len() > 20, "{faults}");
            false
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The linker that every toolchain has, or one that the machine has.
fn linker() -> PathBuf {
    let rustc = |what| {
        let output = Command::new("rustc").args(["--print", what]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let shipped = format!("{}/lib/rustlib/{}/bin/gcc-ld/ld.lld", rustc("sysroot"), rustc("host-tuple"));
    let works =
        |linker: &PathBuf| Command::new(linker).arg("--version").output().is_ok_and(|o| o.status.success());
    [&shipped, "ld.lld", "ld"]
        .map(PathBuf::from)
        .into_iter()
        .find(works)
        .expect("every toolchain has a linker")
}

/// Good objects of every kind: relocatable ones of both widths, a static-PIE with RELA and one with RELR, a shared object with
/// imports, executables that have kept their relocations, for every architecture, and static-PIEs for MIPS with its GOT that has
/// none.
fn objects() -> Vec<(&'static str, Vec<u8>)> {
    // A fuzzer begins with what these tests begin with, without the zeros between pages.
    if let Some(corpus) = std::env::var_os("PIE_BLOB_CORPUS") {
        for (name, object) in laid_out(16) {
            std::fs::write(Path::new(&corpus).join(name.replace(' ', "-")), object).unwrap();
        }
    }
    laid_out(4096)
}

/// The objects with segments at multiples of so many bytes; where that is no page, in an image without pages.
fn laid_out(page: u64) -> Vec<(&'static str, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/mutants");
    let path = |name: &str| folder.path().join(name);
    for (source, object, width) in [
        ("wide.s", "wide.o", "-m64"),
        ("narrow.s", "narrow.o", "-m32"),
        ("importing.s", "importing.o", "-m64"),
    ] {
        run(Command::new("cc").args([width, "-c"]).arg(sources.join(source)).arg("-o").arg(path(object)));
    }
    let linker = linker();
    let script = std::fs::read_to_string(sources.join("blob.ld")).unwrap();
    let script = script.replace("ALIGN(4096)", &format!("ALIGN({page})"));
    let script = if page == 4096 { script } else { script + "__pie_blob_packed = 0;\n" };
    std::fs::write(path("blob.ld"), &script).unwrap();
    let pages = format!("max-page-size={page}");
    let link = |object: &str, output: &str, flags: &[&str]| {
        let mut link = Command::new(&linker);
        link.args(["-z", "norelro", "-z", "noexecstack", "-z", &pages, "--hash-style=sysv"]);
        link.args(["--build-id=none", "-Bsymbolic"]).args(flags).arg("-T").arg(path("blob.ld"));
        run(link.arg("-o").arg(path(output)).arg(path(object)));
    };
    link("wide.o", "pie.po", &["-pie", "--no-dynamic-linker"]);
    link("importing.o", "importing.po", &["-shared", "-z", "now"]);
    let read = |name: &str| std::fs::read(path(name)).unwrap();
    let mut objects = vec![
        ("ET_REL of x86-64", read("wide.o")),
        ("ET_REL of i386", read("narrow.o")),
        ("static-PIE", read("pie.po")),
        ("with imports", read("importing.po")),
    ];
    if linker.ends_with("ld.lld") {
        link("wide.o", "relr.po", &["-pie", "--no-dynamic-linker", "-z", "pack-relative-relocs"]);
        objects.push(("with RELR", read("relr.po")));
        let script = std::fs::read_to_string(sources.join("blob.ld")).unwrap();
        let script =
            script.replace("*(.comment)", "*(.comment) *(.reginfo .MIPS.abiflags .MIPS.options .rld_map)");
        std::fs::write(path("foreign.ld"), &script).unwrap();
        std::fs::write(path("fixed.ld"), script.replacen(". = 0;", ". = 0x10000000;", 1)).unwrap();
        let link = |object: &str, script: &str, flags: &[&str]| {
            let mut link = Command::new(&linker);
            link.args(["-z", "norelro", "-z", &pages, "--hash-style=sysv"]).args(flags);
            link.arg("-T").arg(path(script)).arg("-o").arg(path("linked.po"));
            run(link.arg(path(object)));
            read("linked.po")
        };
        objects.push(("ET_EXEC of x86-64", link("wide.o", "fixed.ld", &["-static", "--emit-relocs"])));
        for row in &written::ROWS {
            std::fs::write(path("written.o"), written::object(row, 5)).unwrap();
            if row.architecture != Architecture::X86_64 {
                let name = row.architecture.name();
                objects.push((name, link("written.o", "fixed.ld", &["-static", "--emit-relocs"])));
            }
            if matches!(row.architecture, Architecture::Mips | Architecture::Mips64) {
                let object = link("written.o", "foreign.ld", &["-pie", "--no-dynamic-linker"]);
                objects.push((
                    if row.architecture == Architecture::Mips {
                        "static-PIE of O32"
                    } else {
                        "static-PIE of N64"
                    },
                    object,
                ));
            }
        }
    }
    for (name, object) in &objects {
        assert!(accepted(object), "{name}");
    }
    objects
}

/// What a field is changed to: what is next to it, what is special, and what other fields of its kind say.
fn values(field: &Field, good: u64, length: u64) -> Vec<u64> {
    let top = u64::MAX >> (64 - 8 * field.width);
    let half = top >> 1;
    let mut values =
        vec![0, 1, 2, 3, 7, 8, 0x10, 0xff, 0x1000, 0xfff1, 0xfff2, 0xffff, half, half + 1, top, top - 1];
    values.extend([
        good.wrapping_add(1),
        good.wrapping_sub(1),
        good << 1,
        good >> 1,
        !good,
        length,
        length - 1,
    ]);
    values.extend((0..8 * field.width).map(|bit| good ^ 1 << bit));
    values.iter_mut().for_each(|value| *value &= top);
    values.sort_unstable();
    values.dedup();
    values.retain(|&value| value != good);
    values
}

/// Every field of every table of one object: how many mutants there are, and how many were refused.
fn every_field(name: &str, mut object: Vec<u8>) -> (u32, u32) {
    let (mut tried, mut refused) = (0, 0);
    let fields = fields(&object);
    assert!(fields.len() > 150, "{name}: {}", fields.len());
    for field in fields {
        let good = field.get(&object);
        for value in values(&field, good, object.len() as u64) {
            field.set(&mut object, value);
            tried += 1;
            refused += u32::from(!accepted(&object));
        }
        field.set(&mut object, good);
    }
    assert!(accepted(&object), "{name}");
    (tried, refused)
}

#[test]
fn every_field_of_every_table() {
    let counts = std::thread::scope(|scope| {
        let start = |(name, object)| scope.spawn(move || every_field(name, object));
        let threads: Vec<_> = objects().into_iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let sum = |(a, b), (c, d)| (a + c, b + d);
    let (tried, refused) = counts.into_iter().fold((0, 0), sum);
    assert!(tried > 50_000, "{tried}");
    assert!(refused > tried / 4 && refused < tried, "{refused} of {tried}");
    println!("{tried} mutants, {refused} refused");
}

#[test]
fn cut_off_anywhere() {
    for (name, object) in objects() {
        let step = object.len() / 2000 + 1;
        for length in (0..object.len()).step_by(step) {
            assert!(!accepted(&object[..length]), "{name} when cut to {length} bytes");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Several fields at once: one lie may hide another.
    #[test]
    fn several_fields(changes in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 2..6)) {
        for (_, mut object) in good() {
            let fields = fields(&object);
            for (field, value) in &changes {
                let field = field.get(&fields);
                let good = field.get(&object);
                let values = values(field, good, object.len() as u64);
                field.set(&mut object, *value.get(&values));
            }
            accepted(&object);
        }
    }

    /// Pieces of the file in other places of it.
    #[test]
    fn moved_pieces(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), length in 1..200_usize) {
        for (_, mut object) in good() {
            let (from, to) = (from.index(object.len()), to.index(object.len()));
            let length = length.min(object.len() - from.max(to));
            object.copy_within(from..from + length, to);
            accepted(&object);
        }
    }

    /// Nothing of an object but what says that it is one.
    #[test]
    fn anything_behind_a_header(mut bytes in vec(any::<u8>(), 64..4096), relocatable in any::<bool>(), wide in any::<bool>()) {
        bytes[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, 1, 1]);
        bytes[16..24].copy_from_slice(&[if relocatable { 1 } else { 3 }, 0, if wide { 62 } else { 3 }, 0, 1, 0, 0, 0]);
        accepted(&bytes);
    }
}

/// The objects, built once.
fn good() -> Vec<(&'static str, Vec<u8>)> {
    static GOOD: std::sync::OnceLock<Vec<(&'static str, Vec<u8>)>> = std::sync::OnceLock::new();
    GOOD.get_or_init(objects).clone()
}
