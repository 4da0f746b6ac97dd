//! A crate of a stranger's: everything as a user has it, outside of the workspace.
//!
//! Each case copies a package from `outside/` to a temporary folder, with path dependencies on the workspace, and
//! builds it with cargo. What the packages check themselves is in their `main`.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "outside/guide.rs"]
mod guide;
#[path = "outside/mistakes.rs"]
mod mistakes;
#[path = "support/package.rs"]
mod package;
#[path = "outside/panics.rs"]
mod panics;
#[path = "outside/rebuilds.rs"]
mod rebuilds;

use std::process::Command;

use package::Package;

/// From two folders: the image does not tell where it was built.
#[test]
fn a_blob_of_rust() {
    let image = Package::new("rust_only").build(&[]).run();
    assert!(image.len() > 4096, "{} bytes", image.len());
    let elsewhere = Package::in_folder("rust_only", "a folder of änother name").build(&[]).run();
    assert!(image == elsewhere, "the images differ");
}

#[test]
fn a_blob_of_rust_c_and_assembler() {
    Package::new("three_languages").build(&[]).run();
}

#[test]
fn a_blob_that_never_returns() {
    let package = Package::new("entered");
    let program = package.build(&[]).program;
    for arg in [7, 70] {
        let status = Command::new(&program).arg(arg.to_string()).status().unwrap();
        assert_eq!(status.code(), Some(arg * 3), "{status}");
    }
}
