//! The source line of everything that a blob does wrong, and the victim that goes on whatever it was.

use std::time::Duration;

use pie_blob::Offset;
use pie_blob_inject::lines::{Line, Lines, LinesError};
use pie_blob_inject::{Error, Infected, Target};
use pie_blob_parasite::parasite;
use pie_blob_wild::{OBJECT, wild};

use crate::{cycle, start};

/// The source of the blob, whose lines say at their end which they are.
const SOURCE: &str = include_str!("../../wild/src/lib.rs");

/// The numbers of the lines that are marked so; a mark that stands alone is for the line behind it.
fn marked(name: &str) -> Vec<u32> {
    let mark = format!("// line: {name}");
    let marks = SOURCE.lines().enumerate().filter(|(_, line)| line.ends_with(&mark));
    marks.map(|(at, line)| u32::try_from(at + 1 + usize::from(line.trim() == mark)).unwrap()).collect()
}

/// Makes a call that must not come back, and has the victim, which checks every register of its own, go on.
fn wrong(call: impl FnOnce(&mut Infected) -> Error) -> Error {
    let mut victim = start(&["registers"]);
    let target = Target::open(victim.pid()).unwrap().deadline(Duration::from_millis(300));
    let seized = target.seize().unwrap();
    let before = seized.snapshot().unwrap();
    let mut infected = seized.infect(&wild::BLOB).unwrap();
    let error = call(&mut infected);
    let cured = infected.cure().unwrap();
    assert_eq!(before.differences(&cured.snapshot().unwrap()), [], "{error}");
    cycle(cured.release().unwrap());
    victim.end();
    error
}

/// The line in the blob's own source: what was inlined into it from elsewhere comes before.
fn own(lines: &[Line]) -> &Line {
    lines
        .iter()
        .find(|line| line.file.as_deref().is_some_and(|file| file.ends_with("tests/wild/src/lib.rs")))
        .unwrap()
}

type Way = fn(&mut Infected) -> Error;

/// An export that does not return, as one that would: so the call compiles.
fn returning(export: Offset<unsafe extern "C" fn() -> !>) -> Offset<unsafe extern "C" fn() -> u64> {
    export.cast()
}

#[test]
fn every_fault_names_its_source_line() {
    let lines = Lines::of(&wild::BLOB, OBJECT).unwrap();
    let ways: [(&str, i32, Way); 7] = [
        ("read_nothing", libc::SIGSEGV, |blob| blob.call(wild::READ_NOTHING, ()).unwrap_err()),
        ("illegal", libc::SIGILL, |blob| blob.call(returning(wild::ILLEGAL), ()).unwrap_err()),
        ("divide", libc::SIGFPE, |blob| blob.call(wild::DIVIDE, ()).unwrap_err()),
        ("overflow", libc::SIGSEGV, |blob| blob.call(wild::OVERFLOW, (0,)).unwrap_err()),
        ("calls_nothing", libc::SIGSEGV, |blob| blob.call(wild::CALLS_NOTHING, ()).unwrap_err()),
        ("endless", 0, |blob| blob.call(wild::ENDLESS, ()).unwrap_err()),
        ("sleeps", 0, |blob| blob.call(wild::SLEEPS, (60_000,)).unwrap_err()),
    ];
    for (name, expected, way) in ways {
        let error = wrong(way);
        let (signal, symbol) = match &error {
            Error::Fault { signal, symbol, .. } => (*signal, symbol),
            Error::Deadline { symbol, .. } => (0, symbol),
            other => panic!("{name}: {other}"),
        };
        assert_eq!(
            (signal, symbol.as_ref().map(|(name, _)| name.as_str())),
            (expected, Some(name)),
            "{error}"
        );
        let explained = lines.explain(&error);
        let line = own(explained.lines());
        assert_eq!(line.function.as_deref(), Some(name), "{explained}");
        let number = line.line.unwrap();
        assert!(marked(name).contains(&number), "{explained}; marked: {:?}", marked(name));
        let printed = explained.to_string();
        assert!(printed.starts_with(&error.to_string()), "{printed}");
        // With a column, which a function's first instructions have none of.
        assert!(printed.contains(&format!("in {name} at ./tests/wild/src/lib.rs:{number}")), "{printed}");
    }
}

#[test]
fn a_panic_brings_its_source_line_along() {
    let error = wrong(|blob| blob.call(wild::PANICS, (13,)).unwrap_err());
    let Error::Panicked { file, line, .. } = &error else { panic!("{error}") };
    assert!(file.ends_with("tests/wild/src/lib.rs") && marked("panics").contains(line), "{error}");
    let lines = Lines::of(&wild::BLOB, OBJECT).unwrap();
    assert_eq!(lines.explain(&error).lines(), []);
}

/// A jump leaves nothing behind that would say where it came from.
#[test]
fn a_jump_into_nowhere_comes_from_nowhere() {
    let error = wrong(|blob| blob.call(wild::NOWHERE, ()).unwrap_err());
    assert!(matches!(error, Error::Fault { offset: None, symbol: None, address: 0x20, .. }), "{error}");
}

/// Inlined functions are named, innermost first, and Rust's names are readable.
#[test]
fn inlined_functions_are_named() {
    let lines = Lines::of(&wild::BLOB, OBJECT).unwrap();
    let error = wrong(|blob| blob.call(wild::READ_NOTHING, ()).unwrap_err());
    let names: Vec<String> =
        lines.explain(&error).lines().iter().map(|line| line.function.clone().unwrap()).collect();
    assert_eq!(names.last().unwrap(), "read_nothing");
    assert!(names[0].starts_with("core::ptr::") && !names[0].contains("17h"), "{names:?}");
}

#[test]
fn lines_of_another_object_are_refused() {
    let error = Lines::of(&parasite::BLOB, OBJECT).unwrap_err();
    assert!(matches!(error, LinesError::OtherObject { blob: "parasite" }), "{error}");
    let mut changed = OBJECT.to_vec();
    // The first instruction: another build.
    let code = wild::BLOB.bytes()[..64].to_vec();
    let at = changed.windows(64).position(|window| window == code).unwrap();
    changed[at] ^= 1;
    assert!(matches!(Lines::of(&wild::BLOB, &changed), Err(LinesError::OtherObject { .. })));
    assert!(matches!(Lines::of(&wild::BLOB, b"no object"), Err(LinesError::OtherObject { .. })));
}

/// The same object without its debugging information is the same blob, and has no lines.
#[test]
fn an_object_without_debugging_information_says_so() {
    let mut bytes = OBJECT.to_vec();
    // Sections under names that mean nothing to anybody.
    while let Some(at) = bytes.windows(7).position(|name| name == b".debug_") {
        bytes[at + 1] = b'x';
    }
    let error = Lines::of(&wild::BLOB, &bytes).unwrap_err();
    assert!(matches!(error, LinesError::NoLines { .. }), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("compile with -g"), "{cause}");
}
