//! Whatever objects the machine has: each is drawn or refused. `.ci/inspect` asks for many of them, and holds each to a time.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic)] // That is how tests fail.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Scratch, command, done};
use object::read::archive::ArchiveFile;

/// Where objects are, by what they are.
type Found = BTreeMap<&'static str, Vec<PathBuf>>;

/// Objects, shared objects and archives below a folder, links left out.
fn find(folder: &Path, found: &mut Found) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            find(&path, found);
        } else if kind.is_file() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let what = [".o", ".a", ".so", ".rlib"].into_iter().find(|end| name.ends_with(end));
            if let Some(what) = what.or_else(|| name.contains(".so.").then_some(".so")) {
                found.entry(what).or_default().push(path);
            }
        }
    }
}

/// The files in an order in which any number of the first ones is of every kind and from all over.
fn in_turn(found: Found, bound: usize) -> Vec<PathBuf> {
    let kinds = found.into_values().map(|mut files| {
        files.sort();
        // The first ones by name are all of one package.
        let step = files.len().div_ceil(bound).max(1);
        let order: Vec<_> =
            (0..step).flat_map(|first| files.iter().skip(first).step_by(step).cloned()).collect();
        order.into_iter()
    });
    let mut kinds: Vec<_> = kinds.collect();
    let mut files = Vec::new();
    loop {
        let before = files.len();
        files.extend(kinds.iter_mut().filter_map(Iterator::next));
        if files.len() == before {
            return files;
        }
    }
}

/// What was looked at, and how long each took.
#[derive(Default)]
struct Looked {
    drawn: usize,
    refused: usize,
    times: Vec<(Duration, String)>,
    /// The longest that one may take.
    within: Option<Duration>,
}

impl Looked {
    fn all(&self) -> usize {
        self.drawn + self.refused
    }

    fn look(&mut self, object: &Path, name: &str) {
        let start = Instant::now();
        let output = command(["inspect"]).arg(object).output().unwrap();
        let mut time = start.elapsed();
        let said = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => self.drawn += 1,
            Some(1) => self.refused += 1,
            other => panic!("{name}: {other:?}: {said}"),
        }
        let ended = output.status.success();
        assert!(ended == said.is_empty() && ended != output.stdout.is_empty(), "{name}: {said}");
        // Others use the machine too: what was too long once need not be.
        for _ in 0..10 {
            if self.within.is_none_or(|within| time <= within) {
                break;
            }
            let start = Instant::now();
            command(["inspect"]).arg(object).output().unwrap();
            time = time.min(start.elapsed());
        }
        self.times.push((time, name.to_owned()));
    }
}

/// `PIE_BLOB_LOOK_AT` says at how many objects to look, instead of 300, and `PIE_BLOB_WITHIN` how many milliseconds each may take.
#[test]
fn objects_of_the_machine() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<usize>().unwrap());
    let bound = number("PIE_BLOB_LOOK_AT").unwrap_or(300);
    let within = number("PIE_BLOB_WITHIN").map(|within| Duration::from_millis(within as u64));
    let sysroot = done(Command::new("rustc").args(["--print", "sysroot"])).stdout;
    let mut found = Found::new();
    find(Path::new("/usr/lib"), &mut found);
    find(Path::new(String::from_utf8(sysroot).unwrap().trim()), &mut found);
    find(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("../debug/deps"), &mut found);
    let scratch = Scratch::new();
    let mut looked = Looked { within, ..Looked::default() };
    // Of an archive no more than a few, so that there is something of every kind.
    let each = bound.div_ceil(300);
    for file in in_turn(found, bound) {
        if looked.all() >= bound {
            break;
        }
        let name = file.display().to_string();
        // Somebody may be building here.
        let Ok(data) = fs::read(&file) else { continue };
        match ArchiveFile::parse(&*data) {
            Ok(archive) if !archive.is_thin() => {
                for member in archive.members().flatten().take(each.min(bound - looked.all())) {
                    let path = scratch.path("member.o");
                    fs::write(&path, member.data(&*data).unwrap()).unwrap();
                    looked.look(&path, &format!("{name}({})", String::from_utf8_lossy(member.name())));
                }
            }
            _ => {
                let path = scratch.path("file");
                fs::write(&path, &data).unwrap();
                looked.look(&path, &name);
            }
        }
    }
    let Looked { drawn, refused, times, .. } = &mut looked;
    println!("{drawn} drawn, {refused} refused");
    // A toolchain alone has so many.
    assert!(*drawn + *refused >= 50, "{drawn} drawn, {refused} refused");
    if let Some(within) = within {
        times.sort();
        times.iter().rev().take(5).for_each(|(time, name)| println!("{time:?}  {name}"));
        println!("{:?} in the middle", times[times.len() / 2].0);
        let late: Vec<_> = times.iter().filter(|(time, _)| *time > within).collect();
        assert!(late.is_empty(), "beyond {within:?}: {late:?}");
    }
}
