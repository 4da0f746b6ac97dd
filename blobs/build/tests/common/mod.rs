//! What the tests of this crate share: a scratch directory, and a blob that is built into it.
// Every test file is a crate that uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::Command;

use pie_blob_build::{Blob, Built, Error};
use pie_blob_image::Image;
use tempfile::TempDir;

/// A directory that is removed at the end.
pub struct Scratch(TempDir);

impl Scratch {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and the directories that it lies in.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A blob for the machine that the test runs on, put into this directory.
    pub fn blob(&self, name: &str) -> Blob {
        Blob::new(name).target(target()).out_dir(self.path().join("out")).cargo_directives(false)
    }

    /// The error of a blob that has only this source.
    pub fn refused(&self, name: &str, text: &str) -> Error {
        let source = self.write(name, text);
        self.blob("refused").source(source).try_build().expect_err("it must not become a blob")
    }
}

/// One of the sources next to the tests.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sources").join(name)
}

pub fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// The linkers of this machine; `None` is whatever the crate finds.
pub fn linkers() -> Vec<Option<&'static str>> {
    let runs = |name: &&str| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    std::iter::once(None).chain(["ld.lld", "ld"].into_iter().filter(runs).map(Some)).collect()
}

/// Builds the blob once with every linker, into a directory per linker.
pub fn with_every_linker(scratch: &Scratch, blob: &Blob) -> Vec<(&'static str, Built)> {
    linkers()
        .into_iter()
        .map(|linker| {
            let name = linker.unwrap_or("found");
            let mut blob = blob.clone().out_dir(scratch.path().join(name));
            if let Some(linker) = linker {
                blob = blob.linker(linker);
            }
            (name, blob.try_build().unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect()
}

/// Names and sizes of everything that is exported.
pub fn exports(image: &Image) -> Vec<(String, u64)> {
    let mut exports: Vec<_> =
        image.exports().iter().map(|export| (export.name().to_owned(), export.size())).collect();
    exports.sort();
    exports
}

/// Where the symbol lies.
pub fn offset(image: &Image, name: &str) -> u64 {
    u64::from(image.symbol(name).unwrap_or_else(|| panic!("no `{name}`")).offset())
}

/// The word of the image at `offset`, before relocation.
pub fn word(image: &Image, offset: u64) -> u64 {
    let at = usize::try_from(offset).unwrap();
    u64::from_le_bytes(image.bytes()[at..at + 8].try_into().unwrap())
}

/// Whether the image holds these bytes anywhere.
pub fn contains(image: &Image, bytes: &[u8]) -> bool {
    image.bytes().windows(bytes.len()).any(|window| window == bytes)
}
