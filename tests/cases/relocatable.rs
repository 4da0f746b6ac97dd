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

use std::path::{Path, PathBuf};

use flat::{Bench, Source, linkers};

fn sources() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/relocatable");
    let mut sources: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
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
