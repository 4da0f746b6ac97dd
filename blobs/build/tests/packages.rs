//! Cargo packages: the nested cargo, its environment, what it leaves to be tracked.
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Scratch, contains, linkers};
use pie_blob_build::{Blob, Error};

/// A package `hello` in a workspace, with a path dependency that can panic with a location, and a build script.
fn workspace(scratch: &Scratch) -> PathBuf {
    scratch.write(
        "Cargo.toml",
        "[workspace]\nresolver = \"2\"\nmembers = [\"hello\", \"helper\"]\n[profile.release]\npanic = \"unwind\"\n",
    );
    scratch.write(
        "hello/Cargo.toml",
        "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\nbuild = \"build.rs\"\n\
         [lib]\nname = \"greeting\"\n\
         [features]\ndefault = [\"loud\"]\nloud = []\nquiet = []\n\
         [dependencies]\nhelper = { path = \"../helper\" }\n\
         [lints.rust]\nunexpected_cfgs = { level = \"warn\", check-cfg = [\"cfg(pie_blob)\"] }\n",
    );
    scratch.write(
        "hello/build.rs",
        "fn main() {
            println!(\"cargo::rerun-if-changed=build.rs\");
            // What an outer build says about another package must not arrive here.
            assert_eq!(std::env::var(\"CARGO_PKG_NAME\").unwrap(), \"hello\");
            assert!(!cfg!(pie_blob), \"build scripts run on the host\");
        }",
    );
    scratch.write(
        "hello/src/lib.rs",
        "#![cfg_attr(pie_blob, no_std)]
        #[cfg(pie_blob)]
        mod blob {
            #[panic_handler]
            fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
                let line = info.location().map_or((0, 0), |l| (l.line(), l.file().as_ptr() as usize));
                unsafe { core::ptr::write_volatile(&raw mut LAST, line) };
                loop {}
            }
            #[no_mangle]
            pub static mut LAST: (u32, usize) = (0, 0);
        }
        #[no_mangle]
        pub extern \"C\" fn pick(i: usize) -> u32 { helper::pick(i) }
        #[cfg(feature = \"loud\")]
        #[no_mangle]
        pub extern \"C\" fn loud() {}
        #[cfg(feature = \"quiet\")]
        #[no_mangle]
        pub extern \"C\" fn quiet() {}",
    );
    scratch.write(
        "helper/Cargo.toml",
        "[package]\nname = \"helper\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
         [lints.rust]\nunexpected_cfgs = { level = \"warn\", check-cfg = [\"cfg(pie_blob)\"] }\n",
    );
    scratch.write(
        "helper/src/lib.rs",
        "#![no_std]
        // The flag reaches every crate of the nested build.
        #[cfg(not(pie_blob))]
        compile_error!(\"not part of a blob\");
        mod table;
        #[inline(never)]
        pub fn pick(i: usize) -> u32 { table::TABLE[i] }",
    );
    scratch.write("helper/src/table.rs", "pub(crate) static TABLE: [u32; 3] = [10, 20, 30];");
    scratch.path().join("hello")
}

fn hello(scratch: &Scratch) -> Blob {
    scratch.blob("hello").cargo_package(workspace(scratch))
}

/// When the file was written.
fn written(path: &Path) -> std::time::SystemTime {
    std::fs::metadata(path).unwrap().modified().unwrap()
}

#[test]
fn a_package_and_its_dependency() {
    let scratch = Scratch::new();
    let built = hello(&scratch).try_build().unwrap();
    let mut exports: Vec<_> = built.exports().collect();
    exports.sort_unstable();
    assert_eq!(exports, ["LAST", "loud", "pick"]);
    for name in [
        "Cargo.toml",
        "Cargo.lock",
        "hello/Cargo.toml",
        "hello/build.rs",
        "hello/src/lib.rs",
        "helper/Cargo.toml",
        "helper/src/lib.rs",
        "helper/src/table.rs",
    ] {
        let path = scratch.path().canonicalize().unwrap().join(name);
        assert!(built.inputs().contains(&path), "{name} is not tracked: {:#?}", built.inputs());
    }
    assert!(built.inputs().iter().all(|path| path.is_file()), "what is not there would be built for ever");
}

#[test]
fn two_packages_in_one_blob() {
    let scratch = Scratch::new();
    scratch.write("other/Cargo.toml", "[package]\nname = \"other\"\nversion = \"0.1.0\"\n[workspace]\n");
    scratch.write(
        "other/src/lib.rs",
        "#![no_std]
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
        #[no_mangle]
        pub extern \"C\" fn other(x: u32, y: u32) -> u32 { x / y }",
    );
    let built = hello(&scratch).cargo_package(scratch.path().join("other")).try_build().unwrap();
    for name in ["pick", "other"] {
        assert!(built.exports().any(|export| export == name), "{name}");
    }
}

#[test]
fn features() {
    let scratch = Scratch::new();
    let built = hello(&scratch).default_features(false).features(["quiet"]).try_build().unwrap();
    let mut exports: Vec<_> = built.exports().collect();
    exports.sort_unstable();
    assert_eq!(exports, ["LAST", "pick", "quiet"]);
}

#[test]
fn two_directories_one_image() {
    for linker in linkers() {
        let scratches = [Scratch::new(), Scratch::new()];
        let [one, two] = scratches.each_ref().map(|scratch| {
            let blob = hello(scratch);
            linker.map_or(blob.clone(), |linker| blob.linker(linker)).try_build().unwrap()
        });
        let (one, two) = (one.image(), two.image());
        assert!(contains(one, b"helper/src/lib.rs"), "the location is part of the image");
        for scratch in &scratches {
            let name = scratch.path().file_name().unwrap().as_encoded_bytes();
            assert!(
                !contains(one, name) && !contains(two, name),
                "{linker:?}: a directory's name is in the image"
            );
        }
        assert_eq!(one.id(), two.id(), "{linker:?}");
        assert_eq!(one.bytes(), two.bytes(), "{linker:?}");
        assert_eq!(one.relocations(), two.relocations(), "{linker:?}");
    }
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let scratch = Scratch::new();
    let blob = hello(&scratch);
    let built = blob.try_build().unwrap();
    let library = scratch
        .path()
        .join("out/pie_blob-hello/package-0/target")
        .join(common::target())
        .join("release/deps");
    let times = || -> Vec<_> {
        let mut entries: Vec<_> =
            std::fs::read_dir(&library).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.iter().map(|path| (path.clone(), written(path))).collect()
    };
    let (object, compiled) = (written(built.object()), times());
    std::thread::sleep(Duration::from_millis(20));
    let again = blob.try_build().unwrap();
    assert_eq!(written(again.object()), object);
    assert_eq!(times(), compiled, "the nested cargo had nothing to do");
    assert_eq!(again.inputs(), built.inputs());

    std::thread::sleep(Duration::from_millis(20));
    scratch.write("helper/src/table.rs", "pub(crate) static TABLE: [u32; 3] = [10, 20, 31];");
    let changed = blob.try_build().unwrap();
    assert!(written(changed.object()) > object);
    assert_ne!(changed.image().bytes(), built.image().bytes());
}

#[test]
fn a_compile_error_is_shown() {
    let scratch = Scratch::new();
    let blob = hello(&scratch);
    scratch.write("helper/src/table.rs", "pub(crate) static TABLE: [u32; 3] = [10, 20, \"thirty\"];");
    let error = blob.try_build().unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, Error::Compile { .. }), "{message}");
    for part in ["hello/Cargo.toml", "helper/src/table.rs:1", "expected `u32`"] {
        assert!(message.contains(part), "`{part}` is missing:\n{message}");
    }
}

#[test]
fn a_package_without_a_library() {
    let scratch = Scratch::new();
    scratch.write(
        "Cargo.toml",
        "[package]\nname = \"only-a-program\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    );
    scratch.write("src/main.rs", "fn main() {}");
    let error = scratch.blob("none").cargo_package(scratch.path()).try_build().unwrap_err();
    assert!(error.to_string().contains("library"), "{error}");
}

#[test]
fn a_package_that_is_not_there() {
    let scratch = Scratch::new();
    let error = scratch.blob("none").cargo_package("../no/such/package").try_build().unwrap_err();
    assert!(error.to_string().contains("no/such/package"), "{error}");
}
