//! What a compiler prints for every message of the macro: one file each in `ui/`, named after the message, and the
//! compiler's words beside it.
//!
//! `TRYBUILD=overwrite cargo test -p pie_blob_tests --test ui` writes those anew; read the difference.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/gallery.rs"]
mod gallery;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pie_blob_build::Blob;

/// Set where the objects are there already, and the macro's variables with them.
const PREPARED: &str = "PIE_BLOB_TESTS_PREPARED";

/// Blobs of `ui/blobs/`: the name, more sources than the one of that name, what they take from the host.
const BLOBS: &[(&str, &[&str], &[&str])] = &[
    ("sound.s", &[], &[]),
    ("taken.s", &[], &[]),
    ("nameless.s", &[], &[]),
    ("twins.s", &["twins_too.s"], &[]),
    ("wanting.s", &[], &["getenv", "environ"]),
    ("described.rs", &[], &[]),
];

/// The test is its own child: the macro's variables have to be there before any thread is.
#[test]
fn every_message_is_shown_at_its_token() {
    if std::env::var_os(PREPARED).is_some() {
        trybuild::TestCases::new().compile_fail("ui/*.rs");
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "every_message_is_shown_at_its_token", "--nocapture"]);
    child.args(std::env::args_os().filter(|argument| argument.to_string_lossy().starts_with("trybuild=")));
    let status = child.env(PREPARED, "1").envs(objects()).status().unwrap();
    assert!(status.success(), "{status}");
}

/// Builds the objects; returns the variables that name them.
fn objects() -> Vec<(String, OsString)> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/blobs");
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    let mut objects = Vec::new();
    for &(source, more, imports) in BLOBS {
        let (name, _) = source.split_once('.').unwrap();
        let blob = Blob::new(name).target("x86_64-unknown-linux-gnu").cargo_directives(false).stack(0);
        let blob = blob.out_dir(built.join(name)).source(sources.join(source));
        let blob = more.iter().fold(blob, |blob, source| blob.source(sources.join(source)));
        let blob = imports.iter().fold(blob, |blob, import| blob.import(*import));
        let object = blob.try_build().unwrap_or_else(|error| panic!("{error}")).object().to_owned();
        objects.push((variable(name), object.into()));
    }
    objects.push((variable("cleaned"), "/nowhere/cleaned.po".into()));

    // Where a message names the path, it must be the same wherever the workspace lies: the compiler's own folder.
    let sound = std::fs::read(PathBuf::from(&objects[0].1)).unwrap();
    let mut put = |name: &str, file: &[u8], object: &[u8]| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tests/trybuild/pie_blob_tests");
        std::fs::create_dir_all(&folder).unwrap();
        let file = OsString::from_vec(file.to_owned());
        std::fs::write(folder.join(&file), object).unwrap();
        objects.push((variable(name), Path::new("/proc/self/cwd").join(file).into()));
    };
    put("odd", b"bl\xf6b.po", &sound);
    put("elsewhere", b"elsewhere.po", &elsewhere(sound.clone()));
    put("faulty", b"faulty.po", &faulty(sound));
    objects
}

/// The object as it would be for AArch64: it has no relocations, and what its code says is not looked at.
fn elsewhere(mut object: Vec<u8>) -> Vec<u8> {
    const MACHINE: usize = 18;
    const EM_AARCH64: u8 = 183;
    object[MACHINE] = EM_AARCH64;
    object
}

/// Every entry of the table has its file, and the page of messages shows each with what the compiler makes of it.
#[test]
fn every_message_is_on_its_page() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    let mut page =
        "# What the macro says\n\nEach message where it is shown, as the project's tests hold it.\n"
            .to_owned();
    for entry in gallery::entries("Message", include_str!("../../macros/src/messages.rs")) {
        let (_, name) = entry.split_once("::").unwrap();
        let mut file = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() && !file.is_empty() {
                file.push('_');
            }
            file.push(letter.to_ascii_lowercase());
        }
        let read = |path: PathBuf| {
            std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{entry}: {}: {error}", path.display()))
        };
        let source = read(ui.join(&file).with_extension("rs"));
        let source = source.trim_end().trim_end_matches("fn main() {}").trim_end();
        let said = read(ui.join(&file).with_extension("stderr"));
        page += &format!("\n## `{name}`\n\n```text\n{source}\n```\n\n```text\n{}\n```\n", said.trim_end());
    }
    gallery::compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../macros/docs/messages.md"), &page);
}

/// Writable code, and an entry that is not at 0.
fn faulty(mut object: Vec<u8>) -> Vec<u8> {
    const ENTRY: usize = 24;
    const FIRST_FLAGS: usize = 64 + 4;
    object[ENTRY] = 0x10;
    object[FIRST_FLAGS] = 7;
    object
}

fn variable(name: &str) -> String {
    format!("PIE_BLOB_{name}")
}
