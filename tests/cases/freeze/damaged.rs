//! An image of which any byte is not what was written, or that was made elsewhere, is refused with the reason; it is never
//! thawed by half.

use std::fs;
use std::path::Path;

use crate::support::{Place, all, compile, text};

/// An image of a small program whose end has been taken.
pub(crate) fn image() -> (Place, i32) {
    let place = Place::new();
    let program = compile("cc", "ends.c", &[]);
    let victim = place.start(&[program.to_str().unwrap()]);
    let pid = victim.pid();
    let frozen = place.freeze(pid);
    assert!(frozen.status.success(), "{}", text(&frozen));
    victim.bury();
    (place, pid)
}

/// Thawing fails with these words, and leaves no process.
pub(crate) fn refused(place: &Place, pid: i32, words: &str, what: &str) {
    let output = place.thaw();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{what}: {said}");
    assert!(said.contains(words), "{what}: no `{words}` in {said}");
    let name = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    assert!(!name.ends_with("ends.c.cc"), "{what}: it runs");
}

/// It can still be thawed: what refused was not the image.
pub(crate) fn works(place: &Place, pid: i32) {
    let mut thawing = place.start_thawing(pid);
    std::thread::sleep(std::time::Duration::from_millis(50));
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    assert_eq!(thawing.wait().unwrap().code(), Some(42));
}

/// Bits turned over all along a file, one at a time.
fn every_region(file: &str, words: &str) {
    let (place, pid) = image();
    let path = place.image().join(file);
    let whole = fs::read(&path).unwrap();
    let count = if all() { 2000 } else { 60 };
    let step = (whole.len() / count).max(1);
    let places = (0..whole.len()).step_by(step).chain([whole.len() - 1]);
    for at in places {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&path, changed).unwrap();
        refused(&place, pid, words, &format!("{file}, byte {at}"));
    }
    for len in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        refused(&place, pid, words, &format!("{file}, cut to {len}"));
    }
    fs::write(&path, [&whole[..], b" "].concat()).unwrap();
    refused(&place, pid, words, &format!("{file}, longer"));
    fs::remove_file(&path).unwrap();
    refused(&place, pid, "No such file", &format!("{file}, gone"));
    fs::write(&path, whole).unwrap();
    works(&place, pid);
}

#[test]
fn every_region_of_the_state() {
    every_region("state.json", "cannot be thawed");
}

#[test]
fn every_region_of_the_pages() {
    every_region("pages", "cannot be thawed");
}

/// Changes the state as a forger would, its checksum made to fit.
fn forge(place: &Place, from: &str, to: &str) {
    rewrite(place, |state| {
        assert!(state.contains(from), "{state}");
        state.replacen(from, to, 1)
    });
}

/// Writes the text of the state anew, with the checksum that it has then.
pub(crate) fn rewrite(place: &Place, change: impl FnOnce(&str) -> String) {
    let path = place.image().join("state.json");
    let text = fs::read_to_string(&path).unwrap();
    let (head, state) = text.split_once("\"state\": ").unwrap();
    let state = change(state.strip_suffix("\n}\n").unwrap());
    let sum = twox_hash::XxHash3_64::oneshot(state.as_bytes());
    let (head, _) = head.split_once("\"checksum\"").unwrap();
    fs::write(&path, format!("{head}\"checksum\": \"{sum:#x}\",\n\"state\": {state}\n}}\n")).unwrap();
}

#[test]
fn another_processor_kernel_or_version() {
    let (place, pid) = image();
    let whole = fs::read_to_string(place.image().join("state.json")).unwrap();
    let restore = || fs::write(place.image().join("state.json"), &whole).unwrap();
    forge(&place, "\"cpu_flags\": \"", "\"cpu_flags\": \"avx2048 ");
    refused(&place, pid, "this processor lacks avx2048", "processor");
    restore();
    let vdso = whole.split_once("\"vdso\": \"").unwrap().1.split_once('"').unwrap().0;
    forge(&place, vdso, "0x1");
    refused(&place, pid, "vDSO is another one", "kernel");
    restore();
    forge(&place, "\"checksum\": \"0x", "\"checksum\": \"0x0");
    forge(&place, "\"areas\": [", "\"areas\": [ {},");
    refused(&place, pid, "missing field", "areas");
    restore();
    let text = whole.replacen("\"version\": 1", "\"version\": 2", 1);
    fs::write(place.image().join("state.json"), text).unwrap();
    refused(&place, pid, "version 2", "version");
    restore();
    works(&place, pid);
}

#[test]
fn lies_that_fit_their_checksum() {
    let (place, pid) = image();
    let whole = fs::read_to_string(place.image().join("state.json")).unwrap();
    for (from, to, words) in [
        ("\"executable\": 0", "\"executable\": 77", "names what it does not have"),
        ("\"start\": \"0x", "\"start\": \"0xfffffff0", ""),
        ("\"chunk\": 262144", "\"chunk\": 0", "are not as many"),
        ("\"chunk\": 262144", "\"chunk\": 1", "are not as many"),
        ("\"number\": 1", "\"number\": -1", "names what it does not have"),
    ] {
        forge(&place, from, to);
        refused(&place, pid, words, from);
        fs::write(place.image().join("state.json"), &whole).unwrap();
    }
    works(&place, pid);
}

#[test]
fn a_changed_program() {
    let place = Place::new();
    let program = place.path("program");
    fs::copy(compile("cc", "ends.c", &[]), &program).unwrap();
    let victim = place.start(&[program.to_str().unwrap()]);
    let pid = victim.pid();
    assert!(place.freeze(pid).status.success());
    victim.bury();
    let change = |bytes: &[u8]| {
        let modified = program.metadata().unwrap().modified().unwrap();
        fs::write(&program, bytes).unwrap();
        fs::File::options().write(true).open(&program).unwrap().set_modified(modified).unwrap();
    };
    let whole = fs::read(&program).unwrap();
    // As large as before and as old, but for one byte.
    let mut other = whole.clone();
    *other.last_mut().unwrap() ^= 1;
    change(&other);
    refused(&place, pid, "is another file than when", "another byte");
    change(&[&whole[..], b"more"].concat());
    refused(&place, pid, "has another size", "larger");
    fs::remove_file(&program).unwrap();
    refused(&place, pid, "No such file", "gone");
    fs::write(&program, &whole).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    // A copy that is the same byte by byte will do.
    let mut thawing = place.start_thawing(pid);
    std::thread::sleep(std::time::Duration::from_millis(50));
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    assert_eq!(thawing.wait().unwrap().code(), Some(42));
}

#[test]
fn ids_in_use_and_a_changed_file() {
    let (place, pid) = image();
    let said = place.path("said");
    let modified = said.metadata().unwrap().modified().unwrap();
    fs::write(&said, "ready, and more").unwrap();
    refused(&place, pid, "has been changed since the process was frozen", "a file");
    fs::write(&said, "ready\n").unwrap();
    fs::File::options().write(true).open(&said).unwrap().set_modified(modified).unwrap();
    let mut thawing = place.start_thawing(pid);
    let second = place.freezer(&["thaw", place.image().to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second).contains("in use by another process"), "{}", text(&second));
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    assert_eq!(thawing.wait().unwrap().code(), Some(42));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}
