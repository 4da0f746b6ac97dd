//! What cannot become a blob, and what is said about it.
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;
#[path = "../../../tests/cases/support/gallery.rs"]
mod gallery;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use common::{Scratch, linkers, source};
use pie_blob_build::{Blob, Error};

const EXPORT: &str = "#define EXPORT __attribute__((visibility(\"default\")))\n";

/// That the message says all of this.
#[track_caller]
fn says(error: &Error, parts: &[&str]) {
    let message = error.to_string();
    heard(error);
    for part in parts {
        assert!(message.contains(part), "`{part}` is missing:\n{message}");
    }
}

#[test]
fn every_error_is_on_its_page() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let table = ("Error", include_str!("../src/error.rs"));
    gallery::hold(&page, "What is said of sources that cannot become an object", &[table], &[]);
}

/// Writes an error down for the page of all of them.
fn heard(error: &Error) {
    let message = error.to_string();
    // What a tool said stands indented below our own words, and differs from machine to machine.
    let own = match error {
        Error::Compile { .. } | Error::Link { .. } | Error::Several(_) => {
            message.lines().filter(|line| !line.starts_with("  ")).collect::<Vec<_>>().join("\n")
        }
        _ => message,
    };
    gallery::heard(&format!("Error::{}", gallery::enumerator(error)), &own);
    if let Error::Several(errors) = error {
        errors.iter().for_each(heard);
    }
}

//# fault: Error::Name
#[test]
fn a_name_that_is_no_part_of_a_variables_name() {
    for name in ["", "a b", "9lives", "a/b", "-x", "ü"] {
        let error = Blob::new(name).source("x.c").try_build().expect_err(name);
        assert!(matches!(error, Error::Name { .. }), "{error}");
        says(&error, &["no name for a blob", "use letters"]);
    }
}

//# fault: Error::NoSource
#[test]
fn nothing_to_compile() {
    let error = Scratch::new().blob("empty").try_build().unwrap_err();
    says(&error, &["`empty`", ".cargo_package(..)"]);
}

//# fault: Error::Language
#[test]
fn a_language_that_is_not_known() {
    says(&Scratch::new().refused("a.cpp", ""), &["a.cpp", "`.rs`"]);
}

//# fault: Error::Io
#[test]
fn a_source_that_is_not_there() {
    let scratch = Scratch::new();
    let missing = scratch.path().join("missing.S");
    says(&scratch.blob("missing").source(missing).try_build().unwrap_err(), &["missing.S", "cannot read"]);
}

//# fault: Error::Compile, Error::Several
#[test]
fn all_compile_errors_at_once() {
    let scratch = Scratch::new();
    let one = scratch.write("one.c", "int one(void) { return not_there; }");
    let two = scratch.write("two.rs", "#![no_std] pub fn two() -> u32 { nor_this }");
    let three = scratch.write("three.s", "  no_instruction %rax\n");
    let error = scratch.blob("wrong").source(one).source(two).source(three).try_build().unwrap_err();
    says(&error, &["one.c", "not_there", "two.rs", "nor_this", "three.s", "no_instruction", "refused it"]);
    let Error::Several(errors) = error else { panic!("{error}") };
    assert_eq!(errors.len(), 3);
}

//# fault: Error::MissingExports
#[test]
fn an_export_that_is_not_there() {
    let scratch = Scratch::new();
    let source =
        scratch.write("probe.c", "static int mine(int x) { return x; } int (*dump_misc)(int) = mine;");
    let blob = scratch.blob("probe").source(source).export("dump_mics").export("mine").export("dump_misc");
    let error = blob.try_build().unwrap_err();
    says(
        &error,
        &[
            "does not define what it is to export",
            "`dump_mics` (did you mean `dump_misc`?)",
            "`mine` is local in",
            "probe.c",
        ],
    );
    let Error::MissingExports { missing, .. } = error else { panic!("{error}") };
    assert_eq!(missing.len(), 2);
}

//# fault: Error::Link
#[test]
fn undefined_symbols_whatever_links() {
    for linker in linkers() {
        let scratch = Scratch::new();
        let text = "int puts(const char *); int exit2(int); int go(void) { return puts(\"\") + exit2(1); }";
        let mut blob = scratch.blob("go").source(scratch.write("go.c", text)).export("go");
        if let Some(linker) = linker {
            blob = blob.linker(linker);
        }
        let error = blob.try_build().unwrap_err();
        says(&error, &["nothing defines `exit2`, `puts`", "add the source"]);
    }
}

#[test]
fn a_stack_that_is_wanted_but_not_reserved() {
    let scratch = Scratch::new();
    let blob = scratch.blob("probe").source(source("probe.c")).source(source("entry.S")).define("LEVEL", "1");
    let error = blob.stack(0).try_build().unwrap_err();
    says(&error, &["`__pie_blob_stack`", "`.stack(bytes)`"]);
}

//# fault: Error::Refused
#[test]
fn thread_local_storage_whatever_links() {
    for linker in linkers() {
        let scratch = Scratch::new();
        let text = format!("{EXPORT} static __thread int own = 3; EXPORT int next(void) {{ return own++; }}");
        let mut blob = scratch.blob("tls").source(scratch.write("tls.c", &text));
        if let Some(linker) = linker {
            blob = blob.linker(linker);
        }
        says(
            &blob.try_build().unwrap_err(),
            &["tls.c", "cannot become a blob", "thread-local", "plain static"],
        );
    }
}

#[test]
fn constructors_whatever_links() {
    for linker in linkers() {
        let scratch = Scratch::new();
        let text = format!(
            "{EXPORT} EXPORT int x; __attribute__((constructor)) static void init(void) {{ x = 1; }}"
        );
        let mut blob = scratch.blob("init").source(scratch.write("init.c", &text));
        if let Some(linker) = linker {
            blob = blob.linker(linker);
        }
        says(&blob.try_build().unwrap_err(), &["init.c", ".init_array", "from an export"]);
    }
}

#[test]
fn indirect_functions_whatever_links() {
    for linker in linkers() {
        let scratch = Scratch::new();
        let text = format!(
            "{EXPORT} static int one(void) {{ return 1; }} static int (*pick(void))(void) {{ return one; }}
            int chosen(void) __attribute__((ifunc(\"pick\"))); EXPORT int go(void) {{ return chosen(); }}"
        );
        let mut blob = scratch.blob("ifunc").source(scratch.write("ifunc.c", &text));
        if let Some(linker) = linker {
            blob = blob.linker(linker);
        }
        let error = blob.try_build().unwrap_err();
        assert!(matches!(error, Error::Refused { .. } | Error::Link { .. }), "{error}");
    }
}

#[test]
fn a_section_that_the_layout_does_not_know() {
    for linker in linkers() {
        let scratch = Scratch::new();
        let text = "__attribute__((section(\".strange\"), used, visibility(\"default\"))) int x = 3;";
        let mut blob = scratch.blob("strange").source(scratch.write("strange.c", text));
        if let Some(linker) = linker {
            blob = blob.linker(linker);
        }
        says(&blob.try_build().unwrap_err(), &[".strange"]);
    }
}

#[test]
fn nothing_that_could_be_called() {
    let scratch = Scratch::new();
    says(&scratch.refused("nothing.c", "static int x; int y(void) { return x; }"), &["export"]);
}

//# fault: Error::NoLinker
#[test]
fn a_linker_that_is_not_there() {
    let scratch = Scratch::new();
    let blob = scratch.blob("one").source(scratch.write("one.c", "int one;")).linker("no-such-linker");
    says(&blob.try_build().unwrap_err(), &["PIE_BLOB_LINKER", "no-such-linker"]);
}

//# fault: Error::Setting
#[test]
fn settings_that_exclude_each_other() {
    let scratch = Scratch::new();
    let source = scratch.write("one.s", ".globl one\n.text\none: ret\n");
    let error = scratch.blob("one").source(&source).packed(true).stack(4096).try_build().unwrap_err();
    says(&error, &["packed"]);
    let error = scratch.blob("one").source(&source).stack(u64::MAX).try_build().unwrap_err();
    says(&error, &["4 GiB"]);
}

//# fault: Error::Unknown
#[test]
fn no_build_script_and_no_target() {
    let scratch = Scratch::new();
    let blob = Blob::new("one").source(scratch.write("one.s", "")).out_dir(scratch.path());
    says(&blob.try_build().unwrap_err(), &["TARGET is not set: this is no build script", "`.target(..)`"]);
}

/// Runs a test of this file once more, with variables that only a new process can be given.
fn again(test: &str, variables: &[(&str, &str)]) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output =
        child.args(["--exact", test]).env(AGAIN, "1").envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Writes a script that stands for a tool.
fn executable(scratch: &Scratch, text: &str) -> String {
    let path = scratch.write("tool", text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

const AGAIN: &str = "PIE_BLOB_TESTS_AGAIN";

//# fault: Error::Start
#[test]
fn a_tool_that_is_not_there() {
    if std::env::var_os(AGAIN).is_none() {
        return again("a_tool_that_is_not_there", &[("RUSTC", "/nowhere/rustc")]);
    }
    says(&Scratch::new().refused("one.rs", "#![no_std]"), &["cannot start `/nowhere/rustc`"]);
}

//# fault: Error::Malformed
#[test]
fn a_compiler_that_writes_something_else() {
    if std::env::var_os(AGAIN).is_none() {
        let scratch = Scratch::new();
        let text = "#!/bin/sh\nwhile [ $# -gt 0 ]; do\n  case $1 in -o | -MF) echo 'no: object' > \"$2\" ;; esac\n  shift\ndone\n";
        let variables = [("CC", &*executable(&scratch, text))];
        return again("a_compiler_that_writes_something_else", &variables);
    }
    let error = Scratch::new().refused("one.c", "int one;");
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    says(&error, &["source.o: "]);
}

//# fault: Error::NoLibrary
#[test]
fn a_cargo_that_writes_nothing() {
    let scratch = Scratch::new();
    scratch.write("Cargo.toml", "[package]\nname = \"one\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    scratch.write("src/lib.rs", "#![no_std]");
    if std::env::var_os(AGAIN).is_none() {
        let cargo = std::env::var("CARGO").unwrap();
        let text = format!("#!/bin/sh\ncase \"$1\" in rustc | build) ;; *) exec {cargo} \"$@\" ;; esac\n");
        let variables = [("CARGO", &*executable(&scratch, &text))];
        return again("a_cargo_that_writes_nothing", &variables);
    }
    let error = scratch.blob("one").cargo_package(scratch.path()).try_build().unwrap_err();
    says(&error, &["not exactly one static library", "does the package have a library?"]);
}

//# fault: Error::NoCompiler
#[test]
fn a_search_for_a_compiler_that_fails() {
    // On Linux the search always ends in a name, which then cannot be started.
    let error = Error::NoCompiler { path: "one.c".into(), message: "no `xcrun`".to_owned() };
    says(&error, &["one.c: no C compiler for it (set CC): no `xcrun`"]);
}
