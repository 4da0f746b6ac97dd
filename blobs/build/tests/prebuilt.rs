//! Objects that were built some other way.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;

use std::process::Command;

use common::Scratch;
use pie_blob_build::Abs32;

const OBJECT: &str = "PIE_BLOB_PREBUILT_relocatable";

/// The test is its own child: the variable has to be there before any thread is.
#[test]
fn narrow_words_of_a_relocatable_object() {
    let scratch = Scratch::new();
    if std::env::var_os(OBJECT).is_none() {
        let source = scratch.write("entry.s", ".globl start\nstart: mov $start, %eax\n ret\n");
        let object = scratch.path().join("relocatable.po");
        let cc = Command::new("cc").arg("-c").arg(source).arg("-o").arg(&object).status().unwrap();
        assert!(cc.success());
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "narrow_words_of_a_relocatable_object", "--nocapture"]).env(OBJECT, object);
        assert!(child.status().unwrap().success());
        return;
    }
    let refused = scratch.blob("relocatable").try_build().unwrap_err().to_string();
    assert!(refused.contains("R_X86_64_32 at 0x1 in .text") && refused.contains("`abs32`"), "{refused}");
    let checked = scratch.blob("relocatable").abs32(Abs32::Checked).try_build().unwrap();
    assert_eq!(checked.image().narrow().last, 0xffff_ffff);
    assert!(checked.image().relocated(0x1_0000_0000).is_err());
    let cut = scratch.blob("relocatable").abs32(Abs32::Truncate).try_build().unwrap();
    assert_eq!(cut.image().relocated(0x1_0000_0000).unwrap()[1..5], [0; 4]);
    let missing = scratch.blob("relocatable").abs32(Abs32::Checked).export("other").try_build().unwrap_err();
    assert!(missing.to_string().contains("`other`"), "{missing}");
}
