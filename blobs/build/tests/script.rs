//! A build script that builds blobs, run by a cargo that knows nothing of this test.
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::Scratch;

/// Runs cargo in `directory`, as a user would: without what cargo and build scripts said to this test.
fn cargo(directory: &Path, arguments: &[&str], variables: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars() {
        let is_users = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTRIES_", "CARGO_SOURCE_"]
            .iter()
            .any(|users| name.starts_with(users));
        if !is_users && ["CARGO", "PIE_BLOB", "OUT_DIR", "RUST_LOG"].iter().any(|ours| name.starts_with(ours))
        {
            command.env_remove(name);
        }
    }
    // The crates that the build script needs are compiled once for all runs of this test.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("script");
    command.current_dir(directory).args(arguments).arg("--offline").env("CARGO_TARGET_DIR", target);
    command.envs(variables.iter().copied()).output().unwrap()
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    message
}

/// A workspace with a host whose build script builds a blob of the same workspace.
fn workspace(scratch: &Scratch) {
    let here = env!("CARGO_MANIFEST_DIR");
    scratch.write("Cargo.toml", "[workspace]\nresolver = \"2\"\nmembers = [\"host\", \"my-probe\"]\n");
    // The same versions as here: the ones that are at hand without a network.
    if let Ok(lock) = std::fs::read_to_string(Path::new(here).join("../../Cargo.lock")) {
        scratch.write("Cargo.lock", &lock);
    }
    scratch.write(
        "host/Cargo.toml",
        &format!(
            "[package]\nname = \"host\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
             [dependencies]\nmy-probe = {{ path = \"../my-probe\" }}\n\
             [build-dependencies]\npie_blob_build = {{ path = {here:?} }}\n"
        ),
    );
    scratch.write(
        "host/build.rs",
        "fn main() { pie_blob_build::Blob::new(\"my-probe\").cargo_package(\"../my-probe\").source(\"extra.s\").build(); }",
    );
    scratch.write("host/extra.s", "\t.text\n\t.globl extra\nextra:\n\tret\n");
    scratch.write(
        "host/src/main.rs",
        "fn main() { print!(\"{} {}\", env!(\"PIE_BLOB_my_probe\"), my_probe::ANSWER); }",
    );
    scratch.write(
        "my-probe/Cargo.toml",
        "[package]\nname = \"my-probe\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
         [lints.rust]\nunexpected_cfgs = { level = \"warn\", check-cfg = [\"cfg(pie_blob)\"] }\n",
    );
    scratch.write("my-probe/src/lib.rs", &probe(42));
}

fn probe(answer: u32) -> String {
    format!(
        "#![cfg_attr(pie_blob, no_std)]
        pub const ANSWER: u32 = {answer};
        #[cfg(pie_blob)]
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {{ loop {{}} }}
        #[no_mangle]
        pub extern \"C\" fn ask() -> u32 {{ ANSWER }}"
    )
}

#[test]
fn a_host_and_a_blob_of_one_workspace() {
    let scratch = Scratch::new();
    workspace(&scratch);
    let run = || cargo(scratch.path(), &["run", "-p", "host"], &[]);

    let first = run();
    succeeds(&first);
    let answer = String::from_utf8(first.stdout).unwrap();
    let (object, answer) = answer.split_once(' ').unwrap();
    assert_eq!(answer, "42");
    assert!(object.ends_with("my-probe.po") && Path::new(object).is_file(), "{object}");
    let bytes = std::fs::read(object).unwrap();

    assert!(!succeeds(&run()).contains("Compiling"), "nothing changed");

    scratch.write("my-probe/src/lib.rs", &probe(43));
    assert!(succeeds(&run()).contains("Compiling host"), "a source of the blob changed");
    assert_ne!(std::fs::read(object).unwrap(), bytes);

    // An object from elsewhere, and back.
    let elsewhere = scratch.path().join("elsewhere.po");
    std::fs::write(&elsewhere, bytes).unwrap();
    let variables = [("PIE_BLOB_PREBUILT_my_probe", elsewhere.as_path())];
    let prebuilt = cargo(scratch.path(), &["run", "-p", "host"], &variables);
    succeeds(&prebuilt);
    assert!(String::from_utf8_lossy(&prebuilt.stdout).starts_with(&*elsewhere.to_string_lossy()));

    std::fs::write(&elsewhere, "no ELF").unwrap();
    let refused = cargo(scratch.path(), &["run", "-p", "host"], &variables);
    let message = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && message.contains("elsewhere.po: cannot become a blob"), "{message}");

    // A mistake in the blob stands where cargo shows errors.
    scratch.write("my-probe/src/lib.rs", &probe(43).replace("ANSWER }", "QUESTION }"));
    let wrong = cargo(scratch.path(), &["build", "-p", "host"], &[]);
    let message = String::from_utf8_lossy(&wrong.stderr);
    assert!(!wrong.status.success(), "{message}");
    assert!(
        message.contains("error: host@0.1.0: blob `my-probe`") || message.contains("QUESTION"),
        "{message}"
    );
}
