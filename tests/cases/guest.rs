//! The guest at its fixed address: the bytes that linkers write for it, and a machine that runs them.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/linkers.rs"]
#[allow(dead_code, reason = "its own source is for the tests of loading")]
mod linkers;
// The example shows the same where there is no KVM.
#[path = "../../runtime/examples/guest/relink.rs"]
#[allow(dead_code, reason = "the example looks for linkers differently")]
mod relink;

use std::fs::File;
use std::path::Path;
use std::process::Command;

use pie_blob_guest::{BASE, guest};
use relink::Relinked;

/// At the guest's base, and at one that no 32-bit word can hold.
#[test]
fn relocating_writes_what_linkers_write() {
    for base in [BASE, 0x5555_5555_4000] {
        for Relinked { linker, fixed, relocated } in relink::with(linkers::linkers(), base).unwrap() {
            assert!(fixed == relocated, "{} at {base:#x}", linker.display());
        }
    }
}

/// What the macro has embedded is what is built anywhere, relocated, and nothing is left to relocate.
#[test]
fn the_macro_relocates() {
    let folder = tempfile::tempdir().unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../blobs/guest");
    let blob = pie_blob_build::Blob::new("guest").cargo_package(package).packed(true);
    let blob = blob.target("x86_64-unknown-linux-gnu").out_dir(folder.path()).cargo_directives(false);
    let built = blob.try_build().unwrap();
    assert!(built.image().relocations().len() > 10, "nothing to relocate: {:?}", built.image().relocations());
    assert!(built.image().relocated(BASE).unwrap() == guest::BYTES[..]);
    assert!(guest::BLOB.is_packed());
    assert_eq!((guest::BLOB.relocs(), guest::BLOB.fixed_base()), (&[][..], Some(BASE)));
}

/// Where `/dev/kvm` opens, in a virtual machine.
#[test]
fn the_example_runs() {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    cargo.args(["run", "--quiet", "-p", "pie_blob", "--example", "guest"]).current_dir(workspace);
    let output = cargo.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let mut report = String::new();
    pie_blob_guest::report(&mut report).unwrap();
    if File::options().read(true).write(true).open("/dev/kvm").is_err() {
        assert!(said.starts_with("no KVM here ("), "{said}");
    } else if !said.starts_with("KVM is here but makes no virtual machine (") {
        assert_eq!(said, report + "guest halted\n");
    }
}
