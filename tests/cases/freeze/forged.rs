//! Images that somebody has written who means no good: refused with the reason, before anything of theirs is done, and never
//! waited for.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::damaged::{image, refused, rewrite, works};
use crate::support::{Place, text};

/// Changes the state of an image, has it refused with these words, and changes it back.
fn lies(place: &Place, pid: i32, words: &str, change: impl FnOnce(&mut Value)) {
    let whole = fs::read(place.image().join("state.json")).unwrap();
    forge(place, change);
    refused(place, pid, words, words);
    fs::write(place.image().join("state.json"), whole).unwrap();
}

fn forge(place: &Place, change: impl FnOnce(&mut Value)) {
    rewrite(place, |text| {
        let mut state = serde_json::from_str(text).unwrap();
        change(&mut state);
        serde_json::to_string(&state).unwrap()
    });
}

/// The first area of which that is true.
fn area(state: &mut Value, wanted: impl Fn(&Value) -> bool) -> &mut Value {
    let areas = state["memory"]["areas"].as_array_mut().unwrap();
    areas.iter_mut().find(|area| wanted(area)).unwrap()
}

fn is_kernels(area: &Value) -> bool {
    area["kind"].get("kernel").is_some()
}

/// Memory of its own that has contents.
fn is_filled(area: &Value) -> bool {
    area["kind"] == "anonymous" && area["stored"].is_array()
}

fn is_stack(area: &Value) -> bool {
    area["kind"] == "stack"
}

#[test]
fn areas_that_are_not_what_they_say() {
    let (place, pid) = image();
    let not_its_own = "whose contents are not its own";
    lies(&place, pid, not_its_own, |state| {
        let vdso = area(state, is_kernels);
        vdso["stored"] = json!([[vdso["start"], 1]]);
    });
    // Thawing would write to the file.
    lies(&place, pid, not_its_own, |state| {
        let data = area(state, |area| area["kind"].get("file").is_some() && area["stored"].is_array());
        data["kind"]["file"]["shared"] = json!(true);
    });
    lies(&place, pid, not_its_own, |state| area(state, is_filled)["flags"] = json!(["dp"]));
    // Thawing would move its own heap there.
    lies(&place, pid, "that the kernel does not make", |state| {
        area(state, is_kernels)["kind"]["kernel"] = json!("[heap]");
    });
    let no_stack = "a stack that is none";
    lies(&place, pid, no_stack, |state| area(state, is_filled)["kind"] = json!("stack"));
    lies(&place, pid, no_stack, |state| area(state, is_stack)["permissions"] = json!("r--"));
    for permissions in ["rw", "rw-s", "wr-", ""] {
        lies(&place, pid, "permissions that are none", |state| {
            area(state, is_filled)["permissions"] = json!(permissions);
        });
    }
    lies(&place, pid, "where no code is", |state| {
        let stack = area(state, is_stack)["start"].clone();
        state["memory"]["way_back"][0] = stack;
    });
    works(&place, pid);
}

/// Queued to the copy, they would stop or kill it, whatever is blocked, and it would be waited for in vain.
#[test]
fn signals_that_cannot_be_pending() {
    let (place, pid) = image();
    let words = "pending signal that cannot be one";
    for number in [libc::SIGSTOP, libc::SIGKILL, 0, 65, -1] {
        let mut signal = number.to_ne_bytes().to_vec();
        signal.resize(128, 0);
        let digits: String = signal.iter().map(|byte| format!("{byte:02x}")).collect();
        lies(&place, pid, words, |state| state["process"]["pending"] = json!([digits]));
        lies(&place, pid, words, |state| state["threads"][0]["pending"] = json!([digits]));
    }
    lies(&place, pid, words, |state| state["process"]["pending"] = json!(["0a00"]));
    works(&place, pid);
}

#[test]
fn descriptors_and_ids_that_are_none() {
    let (place, pid) = image();
    let words = "names what it does not have";
    lies(&place, pid, words, |state| state["descriptors"].as_array_mut().unwrap().reverse());
    lies(&place, pid, words, |state| state["descriptors"][1]["number"] = json!(0));
    lies(&place, pid, words, |state| state["files"][0] = json!({"inherited": {"stream": 3}}));
    lies(&place, pid, words, |state| {
        let mut other = state["threads"][0].clone();
        other["tid"] = json!(-1);
        state["threads"].as_array_mut().unwrap().push(other);
    });
    works(&place, pid);
}

/// Nobody ever opens the other end.
#[test]
fn pipes_and_devices_where_files_were() {
    let (place, pid) = image();
    let pipe = place.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let [size, seconds, nanoseconds] = {
        use std::os::unix::fs::MetadataExt;
        let metadata = pipe.metadata().unwrap();
        [i64::try_from(metadata.size()).unwrap(), metadata.mtime(), metadata.mtime_nsec()]
    };
    let said = |state: &Value| {
        let files = state["files"].as_array().unwrap();
        files
            .iter()
            .position(|file| file["path"]["path"].as_str().is_some_and(|path| path.ends_with("said")))
            .unwrap()
    };
    lies(&place, pid, "pipe: not a regular file", |state| {
        let at = said(state);
        state["files"][at]["path"]["path"] = json!(pipe);
        state["files"][at]["path"]["regular"] = json!([size, seconds, nanoseconds]);
    });
    for path in [pipe.as_path(), Path::new("/dev/tty")] {
        lies(&place, pid, "neither a directory nor a known device", |state| {
            let at = said(state);
            state["files"][at]["path"]["path"] = json!(path);
            state["files"][at]["path"].as_object_mut().unwrap().remove("regular");
        });
    }
    lies(&place, pid, "not a regular file", |state| {
        state["mapped"][0]["path"] = json!(pipe);
        state["mapped"][0]["size"] = json!(0);
    });
    works(&place, pid);
}

#[test]
fn what_is_shown_does_not_speak_to_the_terminal() {
    let (place, pid) = image();
    forge(&place, |state| {
        state["threads"][0]["name"] = json!("\u{1b}]0;title\u{7}");
        state["process"]["directory"] = json!("/\u{1b}[2J\u{202e}");
        area(state, is_filled)["stored"] = json!([["0x1000", u64::MAX], ["0x1000", u64::MAX]]);
    });
    let shown = text(&place.freezer(&["show", place.image().to_str().unwrap()]));
    assert!(shown.contains(r"\u{1b}]0;title\u{7}") && shown.contains(r"/\u{1b}[2J\u{202e}"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
    forge(&place, |state| area(state, is_filled)["stored"] = json!([["0x1000", 1]]));
    refused(&place, pid, "pages outside of their area", "stored");
    // An error that names it neither.
    fs::remove_dir_all(place.image()).unwrap();
    let (place, pid) = image();
    forge(&place, |state| state["process"]["directory"] = json!("/\u{1b}[2J"));
    refused(&place, pid, r"/\u{1b}[2J: the directory", "directory");
}
