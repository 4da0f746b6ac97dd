//! The embedding crate is compiled again when its object changes, and only then.

use std::path::{Path, PathBuf};

use crate::package::{Build, Package};

/// What the program prints.
fn said(build: &Build) -> String {
    String::from_utf8(build.run()).unwrap().trim().to_owned()
}

#[test]
fn a_blob_that_is_built_here() {
    let package = Package::new("rebuilt");
    let first = package.build(&[]);
    assert!(first.compiled.contains(&"rebuilt".to_owned()));
    assert_eq!(said(&first), "42");

    assert_eq!(package.build(&[]).compiled, [""; 0], "nothing has changed");
    package.write("README.md", "nothing that a compiler reads");
    assert_eq!(package.build(&[]).compiled, [""; 0], "nothing has changed that a compiler reads");

    let source = std::fs::read_to_string(package.path("answer.s")).unwrap();
    package.write("answer.s", source.replace("$42", "$43"));
    let changed = package.build(&[]);
    assert_eq!(changed.compiled, ["rebuilt"], "the program, not the build script");
    assert_eq!(said(&changed), "43");
    assert_eq!(package.build(&[]).compiled, [""; 0]);
}

/// An object that answers a number, built by somebody else.
fn object(folder: &Path, answer: u32) -> PathBuf {
    let folder = folder.join(format!("object-{answer}"));
    std::fs::create_dir_all(&folder).unwrap();
    let source = folder.join("answer.s");
    let code = format!("mov ${answer}, %eax\n ret\n");
    std::fs::write(&source, format!(".globl answer\n .type answer, @function\n answer: {code}")).unwrap();
    let blob = pie_blob_build::Blob::new("answer").source(source).out_dir(folder);
    let blob = blob.target("x86_64-unknown-linux-gnu").cargo_directives(false);
    blob.try_build().unwrap().object().to_owned()
}

#[test]
fn objects_without_a_build_script() {
    let package = Package::new("checked_in");
    let elsewhere = tempfile::tempdir().unwrap();
    let put =
        |place: &str, answer| package.write(place, std::fs::read(object(elsewhere.path(), answer)).unwrap());
    put("blobs/by-name.po", 1);
    put("objects/path.po", 10);
    assert_eq!(said(&package.build(&[])), "1 10");
    assert_eq!(package.build(&[]).compiled, [""; 0], "nothing has changed");
    package.write("blobs/other.po", "not an object of this crate");
    assert_eq!(package.build(&[("PIE_BLOB_other", "/nowhere")]).compiled, [""; 0], "none of this crate's");

    put("blobs/by-name.po", 2);
    assert_eq!(said(&package.build(&[])), "2 10", "found by its name");
    put("objects/path.po", 20);
    assert_eq!(said(&package.build(&[])), "2 20", "found by its path");

    // The variable goes before the name, and comes and goes without any file having changed.
    let third = object(elsewhere.path(), 3);
    let variable = [("PIE_BLOB_by_name", third.to_str().unwrap())];
    assert_eq!(said(&package.build(&variable)), "3 20");
    assert_eq!(package.build(&variable).compiled, [""; 0]);
    let fourth = object(elsewhere.path(), 4);
    assert_eq!(said(&package.build(&[("PIE_BLOB_by_name", fourth.to_str().unwrap())])), "4 20");
    assert_eq!(said(&package.build(&[])), "2 20");
    assert_eq!(package.build(&[]).compiled, [""; 0]);
}
