//! Whole expansions, written down: what the macro makes of an invocation is seen in a difference of files.
//!
//! The files in `tests/expanded` are compiled and used by a test of their own. `PIE_BLOB_BLESS=1` writes them anew.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::testing::{NEXT_FILE, expand_with_object};

/// A function, two statics, a pointer to the function.
const OBJECT: &str = "
    .globl start, answer, calls
    .type start, @function
    start: ret
    .size start, 1
    .balign 16
    .type answer, @function
    answer: lea 1(%rdi), %rax
    ret
    .size answer, . - answer
    .data
    .balign 8
    .type calls, @object
    calls: .quad 7
    .size calls, 8
    .quad answer";

fn holds(file: &str, assembly: &str, declared: &str, options: &str) {
    let mut path = String::new();
    let (expansion, errors) = expand_with_object(assembly, &|object| {
        OBJECT_PATH.set(object.to_owned());
        format!("{declared} = {object:?}{options}")
    });
    path.push_str(&OBJECT_PATH.take());
    assert_eq!(errors, "");
    // What is tracked must be there when the file is compiled: the file itself.
    let tracked = format!("include_bytes ! ({path:?})");
    let expansion = expansion.replace(&tracked, &format!("include_bytes ! ({file:?})"));
    let expansion = without_bytes(&expansion.replace(&path, "golden"));
    let now = format!(
        "// Written by the macro's own test; the bytes of the image are left out.\n{}",
        formatted(&expansion)
    );
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expanded").join(file);
    if std::env::var_os("PIE_BLOB_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, now).unwrap();
        return;
    }
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(before, now, "if that is meant, run this test with PIE_BLOB_BLESS=1");
}

thread_local! {
    /// Where `expand_with_object` has put the object.
    static OBJECT_PATH: std::cell::Cell<String> = const { std::cell::Cell::new(String::new()) };
}

/// Zeros for the image, whose pages are mostly that, and a number for its hash: assemblers pad in their own ways.
fn without_bytes(expansion: &str) -> String {
    let (ahead, rest) = expansion.split_once("Bytes :: new (*").expect("an image");
    let (_, behind) = rest.split_once(") ;").expect("an end");
    let (_, count) = ahead.rsplit_once("Bytes < ").expect("its type");
    let (count, _) = count.split_once(' ').expect("its length");
    let expansion = format!("{ahead}Bytes :: new ([0 ; {count}]) ;{behind}");
    let (_, id) = expansion.split_once(" id : ").expect("an id");
    let (id, _) = id.split_once("u64").expect("its end");
    expansion.replace(id, "4711")
}

fn formatted(tokens: &str) -> String {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config", "max_width=110,normalize_doc_attributes=false"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt, a component of the toolchain");
    rustfmt.stdin.take().unwrap().write_all(tokens.as_bytes()).unwrap();
    let output = rustfmt.wait_with_output().unwrap();
    assert!(output.status.success(), "{tokens}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_export() {
    holds("every_export.rs", OBJECT, "mod every_export", ";");
}

#[test]
fn declared_and_fixed() {
    let block = ", base = 0x8000;
        unsafe extern \"C\" {
            /// Answers.
            fn answer(question: u64) -> u64;
            pub(crate) static mut calls: Number;
        }";
    holds("declared.rs", OBJECT, "/// Declared.\n pub mod declared", block);
}

#[test]
fn imports() {
    let object = format!("{OBJECT}, getpid{NEXT_FILE}");
    let block = ", crate = crate::again;
        imports { fn getpid() -> i32; }
        unsafe extern \"C\" { fn start(); }";
    holds("importing.rs", &object, "pub(crate) mod importing", block);
}
