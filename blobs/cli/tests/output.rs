//! Where output ends up, and what is said when it cannot.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Scratch, command, done, image, refused};

/// Each subcommand that writes, to standard output.
fn every_one(object: &Path) -> Vec<Command> {
    let object = object.to_str().unwrap();
    [
        vec!["inspect", object],
        vec!["inspect", "--json", object],
        vec!["flatten", object, "--base", "0", "-o", "-"],
        vec!["header", object, "-o", "-"],
        vec!["completions", "zsh"],
        vec!["man"],
        vec!["man", "flatten"],
        vec!["--help"],
        vec!["--version"],
    ]
    .map(command)
    .into()
}

/// One line and status 1.
fn one_line(command: &mut Command, about: &str, why: &str) {
    let output = command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
    assert!(said.starts_with(&format!("pie-blob: {about}: ")) && said.contains(why), "{command:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{command:?}: {said}");
}

#[test]
fn a_full_disk() {
    let scratch = Scratch::new();
    let object = scratch.built();
    for mut command in every_one(&object) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        one_line(command.stdout(full), "standard output", "No space left");
    }
    for arguments in [["flatten", "--base=0"], ["header", "--name=probe"]] {
        let mut command = command(arguments);
        one_line(command.arg(&object).args(["-o", "/dev/full"]), "/dev/full", "No space left");
        assert!(!fs::metadata("/dev/full").unwrap().is_file());
    }
}

#[test]
fn a_pipe_whose_reader_has_gone() {
    let scratch = Scratch::new();
    let object = scratch.built();
    for mut command in every_one(&object) {
        let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let mut writer = reader.stdin.take().unwrap();
        assert!(reader.wait().unwrap().success());
        // A program that another test is just starting holds the other end for a moment too.
        while std::io::Write::write(&mut writer, b".").is_ok() {}
        one_line(command.stdout(writer), "standard output", "Broken pipe");
    }
}

#[test]
fn a_file_is_whole_or_not_there() {
    let scratch = Scratch::new();
    let object = scratch.built();
    fs::create_dir(scratch.path("place")).unwrap();
    let place = scratch.path("place/flat.bin");
    let flatten = |base: &str, output: &Path| {
        let mut command = command(["flatten", "--base", base, "-o"]);
        command.arg(output).arg(&object);
        command
    };
    let names = || {
        let entries = fs::read_dir(scratch.path("place")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    // Refused: not even an empty file.
    refused(&mut flatten("1", &place));
    assert!(names().is_empty());
    done(&mut flatten("0x1000", &place));
    let first = fs::read(&place).unwrap();
    assert_eq!(names(), ["flat.bin"]);
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o600, 0o600);
    // Refused again: what was there is there.
    refused(&mut flatten("1", &place));
    assert!(fs::read(&place).unwrap() == first);
    // More than a file may have of bytes: the old one stays, and nothing beside it.
    let shell = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let limited = flatten("0x2000", &place);
    let mut sh = Command::new("sh");
    sh.args(["-c", shell, "sh"]).arg(limited.get_program()).args(limited.get_args());
    one_line(&mut sh, place.to_str().unwrap(), "File too large");
    assert!(fs::read(&place).unwrap() == first);
    assert_eq!(names(), ["flat.bin"]);
    // Through a link, which stays one, and with the permissions that were there.
    fs::set_permissions(&place, Permissions::from_mode(0o640)).unwrap();
    let link = scratch.path("place/link");
    symlink("flat.bin", &link).unwrap();
    done(&mut flatten("0x2000", &link));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read(&place).unwrap() == image(&object).relocated(0x2000).unwrap());
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(names(), ["flat.bin", "link"]);
}

#[test]
fn where_no_file_can_be() {
    let scratch = Scratch::new();
    let object = scratch.built();
    let output = scratch.path("no-such-folder/flat.bin");
    let mut command = command(["flatten", "--base", "0", "-o"]);
    one_line(command.arg(&output).arg(object), output.to_str().unwrap(), "No such file");
}

/// Every shell that clap knows, and a manual page that the reader of manual pages takes.
#[test]
fn completions_and_manual_pages() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = done(&mut command(["completions", shell])).stdout;
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("pie-blob") && script.contains("zero-fill"), "{shell}");
    }
    let page = String::from_utf8(done(&mut command(["man", "inspect"])).stdout).unwrap();
    assert!(page.contains(".TH pie-blob-inspect 1") && page.contains("narrow"), "{page}");
    let said = refused(&mut command(["man", "nothing"]));
    assert!(said.contains("no such subcommand"), "{said}");
}
