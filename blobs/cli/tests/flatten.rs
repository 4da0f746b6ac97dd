//! Bytes at a base: the library's, and another linker's.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{SCRIPT, SOURCE, Scratch, command, done, image, linkers, refused};

const BASES: [u64; 3] = [0x10_0000, 0x5555_5555_4000, 0xffff_ffff_8000_0000];

fn link(scratch: &Scratch, linker: &Path, object: &Path, base: u64, flags: &[&str]) -> PathBuf {
    let script = scratch.write("blob.ld", &SCRIPT.replace("BASE", &format!("{base:#x}")));
    let output = scratch.path("linked.po");
    let mut command = Command::new(linker);
    command.args(["-z", "norelro", "-z", "noexecstack", "-z", "max-page-size=4096", "--build-id=none"]);
    command.args(flags).arg("-T").arg(script).arg("-o").arg(&output).arg(object);
    done(&mut command);
    output
}

fn flatten(scratch: &Scratch, object: &Path, base: &str, more: &[&str]) -> Vec<u8> {
    let output = scratch.path("flat.bin");
    let mut command = command(["flatten".as_ref(), object.as_os_str(), "--base".as_ref(), base.as_ref()]);
    done(command.arg("-o").arg(&output).args(more));
    std::fs::read(output).unwrap()
}

#[test]
fn what_the_library_and_every_linker_write() {
    let scratch = Scratch::new();
    let object = scratch.assembled("source", SOURCE);
    for linker in linkers() {
        let flags = ["-pie", "--no-dynamic-linker", "-Bsymbolic", "--hash-style=sysv"];
        for base in BASES {
            let prelinked = link(&scratch, &linker, &object, 0, &flags);
            let image = image(&prelinked);
            assert!(image.relocations().len() > 7, "{:?}", image.relocations());
            let flat = flatten(&scratch, &prelinked, &format!("{base:#x}"), &[]);
            assert!(flat == image.relocated(base).unwrap(), "{} at {base:#x}", linker.display());
            let fixed = link(&scratch, &linker, &object, base, &["-static", "--oformat=binary"]);
            assert!(flat == std::fs::read(fixed).unwrap(), "{} at {base:#x}", linker.display());
        }
    }
}

#[test]
fn zeros_only_if_wanted() {
    let scratch = Scratch::new();
    let object = scratch.built();
    let image = image(&object);
    let flat = flatten(&scratch, &object, "1048576", &[]);
    assert!(flat == image.relocated(0x10_0000).unwrap());
    let filled = flatten(&scratch, &object, "0x100000", &["--zero-fill"]);
    assert_eq!(filled.len() as u64, image.size());
    let (start, zeros) = filled.split_at(flat.len());
    assert!(start == flat && zeros.len() > 3000 && zeros.iter().all(|&byte| byte == 0));
}

/// What a linker that is told a base writes into 32 bits, and what becomes of a base that they cannot hold.
#[test]
fn narrow_words() {
    let scratch = Scratch::new();
    let object = scratch.assembled("narrow", ".globl start\nstart: mov $start, %eax\n ret\n");
    let arguments = |base: &str| {
        let mut command = command(["flatten", "-o", "-", "--base", base]);
        command.arg(&object);
        command
    };
    let said = refused(&mut arguments("0x10000"));
    assert!(said.contains("R_X86_64_32 at 0x1 in .text"), "{said}");
    let checked = done(arguments("0x10000").args(["--abs32", "checked"])).stdout;
    assert_eq!(checked, [0xb8, 0, 0, 1, 0, 0xc3]);
    let said = refused(arguments("0x100010000").args(["--abs32", "checked"]));
    assert!(said.contains("0x100010000") && said.lines().count() == 1, "{said}");
    let cut = done(arguments("0x100010000").args(["--abs32", "truncate"])).stdout;
    assert_eq!(cut, checked);
}

#[test]
fn bases_that_cannot_be() {
    let scratch = Scratch::new();
    let object = scratch.built();
    let at = |base: &str| {
        let mut command = command(["flatten", "-o", "-", "--base", base]);
        command.arg(&object);
        command
    };
    let said = refused(&mut at("0x1001"));
    assert!(said.contains("not a multiple of the image's alignment"), "{said}");
    let said = refused(&mut at("0xfffffffffffff000"));
    assert!(said.contains("reach past the last address"), "{said}");
    assert_eq!(at("base").output().unwrap().status.code(), Some(2));
}
