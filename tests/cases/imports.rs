//! Blobs that want symbols from their host: in Rust and in C, from every linker, in the own process and in a victim.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../runtime/inject/examples/getenv/library.rs"]
mod library;
#[path = "support/linkers.rs"]
#[allow(dead_code, reason = "another case compares what linkers write")]
mod linkers;

use std::process::Command;

use pie_blob::__private::{Parts, Supply, blob};
use pie_blob::{Architecture, Importing, Offset, Permissions, Reloc, Remote, Segment, Supplied};
use pie_blob_build::Blob;
use pie_blob_caller::caller;
use pie_blob_image::{Image, Limits};

/// What the blobs below want: a function and a number.
#[derive(Clone, Copy)]
struct Wanted {
    add_one: u64,
    number: u64,
    names: &'static [&'static str],
}

impl Supply for Wanted {
    fn address(&self, import: u32) -> Option<u64> {
        match *self.names.get(import as usize)? {
            "add_one" => Some(self.add_one),
            "number" => Some(self.number),
            _ => None,
        }
    }
}

extern "C" fn add_one(value: u64) -> u64 {
    value + 1
}

static NUMBER: u64 = 1000;

const RUST: &str = r#"
#![no_std]
unsafe extern "C" {
    fn add_one(value: u64) -> u64;
    static number: u64;
}
static TABLE: [unsafe extern "C" fn(u64) -> u64; 2] = [add_one, twice];
unsafe extern "C" fn twice(value: u64) -> u64 { value * 2 }
#[unsafe(no_mangle)]
pub unsafe extern "C" fn compute(value: u64) -> u64 {
    let table = core::hint::black_box(&TABLE);
    unsafe { table[0](value) + table[1](value) + add_one(number) }
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
"#;

const C: &str = r#"
extern unsigned long add_one(unsigned long), number;
static unsigned long twice(unsigned long value) { return value * 2; }
static unsigned long (*const volatile table[])(unsigned long) = {add_one, twice};
__attribute__((visibility("default"))) unsigned long compute(unsigned long value) {
    return table[0](value) + table[1](value) + add_one(number);
}
"#;

/// The blob as the macro would embed it.
fn embed(image: &Image) -> Supplied<Wanted> {
    let relocations = image.relocations().iter().flat_map(|relocation| {
        let import = relocation.kind().import().unwrap_or(0);
        let [a, b, c, _] = import.to_le_bytes();
        let [w, x, y, z] = relocation.offset().to_le_bytes();
        [w, x, y, z, relocation.kind().code(), a, b, c]
    });
    let segments = image.segments().iter().map(|segment| Segment {
        offset: segment.offset,
        size: segment.size,
        permissions: Permissions {
            read: segment.permissions.read,
            write: segment.permissions.write,
            execute: segment.permissions.execute,
        },
    });
    let names: Vec<&'static str> =
        image.imports().iter().map(|import| &*import.name().to_owned().leak()).collect();
    let names: &'static [&'static str] = names.leak();
    let importing: &'static Importing<Wanted> = Box::leak(Box::new(Importing::__new(blob(Parts {
        name: "wanting",
        id: 7,
        architecture: Architecture::X86_64,
        bytes: image.bytes().to_vec().leak(),
        relocs: Reloc::slice(relocations.collect::<Vec<u8>>().leak()),
        imports: names,
        size: image.size(),
        align: image.align(),
        segments: segments.collect::<Vec<_>>().leak(),
        exports: &[],
        stack: None,
        packed: false,
        base: None,
        narrow: None,
        done: None,
        panic: None,
    }))));
    let add_one = (add_one as extern "C" fn(u64) -> u64 as *const ()).expose_provenance() as u64;
    let number = (&raw const NUMBER).expose_provenance() as u64;
    importing.with(Wanted { add_one, number, names })
}

#[test]
fn rust_and_c_take_functions_and_data_from_their_host_with_every_linker() {
    for linker in linkers::linkers() {
        for (file, source) in [("wanting.rs", RUST), ("wanting.c", C)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(file);
            std::fs::write(&path, source).unwrap();
            let build = |imports: &[&str]| {
                let blob = Blob::new("wanting").source(&path).out_dir(folder.path()).linker(&linker);
                let blob = blob.target(TARGET).host(TARGET).cargo_directives(false).stack(0);
                imports.iter().fold(blob, |blob, import| blob.import(*import)).try_build()
            };
            let built = build(&["add_one", "number"]).unwrap();
            let object = std::fs::read(built.object()).unwrap();
            let image = Image::parse(&object, &Limits::default()).unwrap();
            let names: Vec<&str> = image.imports().iter().map(pie_blob_image::Import::name).collect();
            assert_eq!(names, ["add_one", "number"], "{} {file}", linker.display());

            let mapped = embed(&image).map().unwrap();
            type Compute = unsafe extern "C" fn(u64) -> u64;
            let compute = Offset::<Compute>::__new(image.export("compute").unwrap().offset(), 7);
            // SAFETY: the type is the one in both sources, and the mapping outlives the call.
            let compute = unsafe { mapped.function(compute) }.unwrap();
            // SAFETY: as above.
            let answer = unsafe { compute(20) };
            assert_eq!(answer, 21 + 40 + 1001, "{} {file}", linker.display());

            // What nobody has asked to be left undefined is not.
            let error = build(&["add_one"]).unwrap_err().to_string();
            assert!(error.contains("number") && error.contains(".import("), "{error}");
            assert!(build(&[]).is_err());
        }
    }
}

const TARGET: &str = "x86_64-unknown-linux-gnu";

#[test]
fn the_macro_names_what_is_wanted_and_it_runs_in_the_own_process() {
    unsafe extern "C" {
        fn getenv(name: *const libc::c_char) -> *mut libc::c_char;
    }
    let address = (getenv as unsafe extern "C" fn(_) -> _ as *const ()).expose_provenance() as u64;
    let mapped = caller::BLOB.with(caller::Imports { getenv: Remote::new(address) }).map().unwrap();
    let mut value = [0_u8; 4096];
    // SAFETY: the declared type was held against the object, and the mapping outlives the call.
    let environment = unsafe { mapped.function(caller::ENVIRONMENT) }.unwrap();
    // SAFETY: the name ends with a zero, the room is as large as said, and no test changes the environment.
    let len = unsafe { environment(c"PATH".as_ptr().cast(), value.as_mut_ptr(), value.len()) };
    assert_eq!(&value[..usize::try_from(len).unwrap()], std::env::var("PATH").unwrap().as_bytes());
}

#[test]
fn a_victim_is_asked_through_its_own_library() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "-p", "pie_blob_inject", "--example", "getenv"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "PIE_BLOB_SAYS=hello from inside\n", "{}", String::from_utf8_lossy(&output.stderr));
}

/// What a process has mapped is asked, not what lies at the same path since.
#[test]
fn a_library_that_has_been_replaced_is_not_asked() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let path =
        maps.lines().find_map(|line| line.split_whitespace().nth(5).filter(|path| path.contains("/libc.so")));
    let Some(path) = path else { return println!("no C library that is shared") };
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("libc.so.6");
    std::fs::copy(path, &copy).unwrap();
    let mut sleep = Command::new("sleep");
    let mut victim = sleep.arg("60").env("LD_LIBRARY_PATH", folder.path()).spawn().unwrap();
    let pid = i32::try_from(victim.id()).unwrap();
    let mapped =
        || std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().contains(copy.to_str().unwrap());
    let begin = std::time::Instant::now();
    while !mapped() || library::function(pid, "getenv").is_err() {
        assert!(begin.elapsed() < std::time::Duration::from_secs(10));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let before = library::function(pid, "getenv").unwrap();
    // As an update does it: another file, under the same name, that has other functions.
    let other = folder.path().join("new");
    std::fs::copy("/proc/self/exe", &other).unwrap();
    std::fs::rename(&other, &copy).unwrap();
    match library::function(pid, "getenv") {
        // Root asks the file that is mapped.
        Ok(after) => assert_eq!(after, before),
        Err(error) => assert!(error.to_string().contains("another file"), "{error}"),
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
}
