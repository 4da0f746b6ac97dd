//! Source lines of offsets, whatever address the object was linked for and whatever debugging information it has.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Command;

use pie_blob_image::{Image, Limits, Lines, LinesError};
use support::{Bench, Target, linkers};

/// The place that is asked for is behind a label, so that its offset is a symbol's.
const C: &str = "int shared; int *relocated = &shared;
int start(void) { return 0; }
static inline __attribute__((always_inline)) int inner(int a) {
    __asm__ volatile(\".globl in_inner\\nin_inner: nop\"); // inner
    return a + 1;
}
int outer(int a) {
    return inner(a) * 2; // outer
}
";

/// The C source as assembler, so that it is linked as every other source of these tests is.
fn compiled(flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("some.c"), C).unwrap();
    let output = Command::new("cc")
        .current_dir(folder.path())
        .args([
            "-S",
            "-O1",
            "-fPIE",
            "-ffreestanding",
            "-fno-asynchronous-unwind-tables",
            "some.c",
            "-o",
            "-",
        ])
        .args(flags)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The number of the line that is marked so.
fn marked(name: &str) -> u32 {
    let at = C.lines().position(|line| line.ends_with(&format!("// {name}"))).unwrap();
    u32::try_from(at + 1).unwrap()
}

#[test]
fn lines_are_found_by_offset_wherever_the_object_was_linked_to() {
    for flags in [["-gdwarf-4"], ["-gdwarf-5"]] {
        let source = compiled(&flags);
        for linker in linkers() {
            let bench = Bench::new(&linker);
            for (target, more) in [(Target::Pie, &[][..]), (Target::At(0x5000_0000), &["--emit-relocs"])] {
                let object = bench.link(&source, target, more);
                let image =
                    Image::parse(&object, &Limits::default()).unwrap_or_else(|faults| panic!("{faults}"));
                let offset = u64::from(image.symbol("in_inner").unwrap().offset());
                assert!(offset < 0x1000);
                let found = Lines::of(&object).unwrap().at(offset);
                let places: Vec<_> = found
                    .iter()
                    .map(|line| (line.function.as_deref().unwrap(), line.line.unwrap()))
                    .collect();
                assert_eq!(places, [("inner", marked("inner")), ("outer", marked("outer"))], "{flags:?}");
                assert!(found.iter().all(|line| Path::new(line.file.as_ref().unwrap()).ends_with("some.c")));
                let printed = found[0].to_string();
                assert!(printed.starts_with("inner at /") && printed.contains("/some.c:4:"), "{printed}");
            }
        }
    }
}

#[test]
fn what_has_no_lines_says_why() {
    assert!(matches!(Lines::of(b""), Err(LinesError::NoObject)));
    assert!(matches!(Lines::of(b"\x7fELF"), Err(LinesError::NoObject)));
    let bench = Bench::new(&linkers()[0]);
    let plain = bench.link(&compiled(&[]), Target::Pie, &[]);
    assert!(matches!(Lines::of(&plain), Err(LinesError::None)));
    let source = compiled(&["-g"]);
    let unlinked = std::fs::read(bench.assemble(&source)).unwrap();
    assert!(matches!(Lines::of(&unlinked), Err(LinesError::Relocatable)));
    let compressed = bench.link(&source, Target::Pie, &["--compress-debug-sections=zlib"]);
    assert!(matches!(Lines::of(&compressed), Err(LinesError::Compressed)));
}

/// An offset that no function covers, and every offset of an object with damaged information: no line and no panic.
#[test]
fn damage_is_an_error_or_no_line() {
    let bench = Bench::new(&linkers()[0]);
    let object = bench.link(&compiled(&["-gdwarf-5"]), Target::Pie, &[]);
    let image = Image::parse(&object, &Limits::default()).unwrap();
    let lines = Lines::of(&object).unwrap();
    assert_eq!(lines.at(image.size()), []);
    assert_eq!(lines.at(u64::MAX), []);
    let offset = u64::from(image.symbol("in_inner").unwrap().offset());
    let mut seen = [0; 2];
    for at in (64..object.len()).step_by(3) {
        let mut damaged = object.clone();
        damaged[at] ^= 0x81;
        if let Ok(lines) = Lines::of(&damaged) {
            seen[usize::from(lines.at(offset).is_empty())] += 1;
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}
