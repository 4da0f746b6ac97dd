//! Expansions in crates of their own: what compiles, under which lints, and what it says where it does not.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const OBJECT: &str = r#"
    .text
    .globl start, dump_misc
    .type start, @function
    start: lea calls(%rip), %rax
    ret
    .size start, . - start
    .type dump_misc, @function
    dump_misc: ret
    .size dump_misc, 1
    .type hidden_helper, @function
    hidden_helper: ret
    .size hidden_helper, 1
    .data
    .balign 8
    .globl calls, pair, table
    .type calls, @object
    calls: .quad 7
    .size calls, 8
    .type pair, @object
    pair: .long 1, 2
    .size pair, 8
    .type table, @object
    table: .quad dump_misc
    .size table, 8
"#;

const SCRIPT: &str = "
PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); meta PT_LOAD FLAGS(4); dynamic PT_DYNAMIC FLAGS(4); }
SECTIONS {
    . = 0;
    .text : { *(.text) } :text
    . = ALIGN(4096);
    .data : { *(.data) } :data
    . = ALIGN(4096);
    __pie_blob_end = .;
    .dynamic : { *(.dynamic) } :meta :dynamic
    .meta : { *(.got .got.plt) } :meta
    .dynsym : { *(.dynsym) } .dynstr : { *(.dynstr) } .hash : { *(.hash) } .rela.dyn : { *(.rela.*) }
    /DISCARD/ : { *(.comment) *(.note .note.*) *(.eh_frame) *(.interp) }
}
";

/// A package that depends on the runtime and the macro, in a folder that all cases of a test share.
struct Package {
    folder: PathBuf,
}

impl Package {
    fn new(name: &str) -> Self {
        Self::of_edition(name, "2024")
    }

    fn of_edition(name: &str, edition: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(folder.join("src")).unwrap();
        std::fs::create_dir_all(folder.join("blobs")).unwrap();
        let house = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"{edition}\"\n[dependencies]\n\
             pie_blob = {{ path = \"{0}/runtime\" }}\npie_blob_macros = {{ path = \"{0}/macros\" }}\n[workspace]\n",
            house.display()
        );
        std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        // The versions that the house is built with; others may not be at hand.
        std::fs::copy(house.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        let package = Self { folder };
        package.object(OBJECT);
        package
    }

    /// Makes `blobs/misc.po` of an assembly source.
    fn object(&self, assembly: &str) {
        self.link(assembly, "-pie --no-dynamic-linker");
    }

    /// As [`object`](Self::object), with symbols that nobody defines.
    fn importing_object(&self, assembly: &str) {
        self.link(assembly, "-shared -z now");
    }

    /// Makes `blobs/misc.po` of a C source, with debugging information.
    fn c_object(&self, source: &str) {
        let blobs = self.folder.join("blobs");
        std::fs::write(blobs.join("blob.c"), source).unwrap();
        let mut cc = Command::new("cc");
        cc.current_dir(&blobs)
            .args("-g -O1 -S -fPIC -ffreestanding -fno-stack-protector blob.c -o c.s".split(' '));
        assert!(cc.status().unwrap().success());
        self.object(&std::fs::read_to_string(blobs.join("c.s")).unwrap());
    }

    /// Makes a relocatable `blobs/misc.po`.
    fn relocatable_object(&self, assembly: &str) {
        let blobs = self.folder.join("blobs");
        std::fs::write(blobs.join("blob.s"), assembly).unwrap();
        let mut cc = Command::new("cc");
        cc.current_dir(&blobs).args(["-c", "blob.s", "-o", "misc.po"]);
        assert!(cc.status().unwrap().success());
    }

    fn link(&self, assembly: &str, kind: &str) {
        let blobs = self.folder.join("blobs");
        std::fs::write(blobs.join("blob.ld"), SCRIPT).unwrap();
        std::fs::write(blobs.join("blob.s"), assembly).unwrap();
        let run = |program: &str, arguments: &str| {
            let status =
                Command::new(program).current_dir(&blobs).args(arguments.split(' ')).status().unwrap();
            assert!(status.success(), "{program} failed");
        };
        run("cc", "-c blob.s -o blob.o");
        let flags =
            "-Bsymbolic -z norelro -z max-page-size=4096 --hash-style=sysv -e 0 -T blob.ld blob.o -o misc.po";
        run("ld", &format!("{kind} {flags}"));
    }

    /// Runs cargo on a source.
    fn cargo(&self, command: &str, source: &str) -> Output {
        std::fs::write(self.folder.join("src/main.rs"), source).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        for (variable, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("PIE_BLOB_") || name == "OUT_DIR")
        {
            cargo.env_remove(variable);
        }
        cargo
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages"))
            .args([command, "--quiet", "--offline"])
            .output()
            .unwrap()
    }

    fn runs(&self, source: &str) {
        let output = self.cargo("run", source);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{source}\n{errors}");
        assert_eq!(errors, "", "{source}");
    }

    fn fails(&self, source: &str, expected: &[&str]) {
        let output = self.cargo("check", source);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{source}\ncompiles");
        for part in expected {
            assert!(errors.contains(part), "{source}\nno `{part}` in:\n{errors}");
        }
    }
}

/// Lints and shadows that a stranger's crate may have.
const STRICT: &str = "
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub, unused, dead_code)]
#![no_implicit_prelude]
//! Strict.
mod core {}
";

#[test]
fn expansions_compile_and_are_right() {
    let package = Package::new("expansion_runs");
    package.runs(
        r#"
        use pie_blob::{Code, Data, Offset};
        pie_blob_macros::pie_blob!("misc");
        fn main() {
            let _: Offset<Code> = misc::DUMP_MISC;
            let _: Offset<Data> = misc::CALLS;
            assert_eq!(misc::START.get(), 0);
            assert_eq!(misc::CALLS.get(), 0x1000);
            assert_eq!(misc::RELOCS.len(), 1);
            assert_eq!(misc::BYTES.len(), 0x1018);
            assert_eq!(misc::BLOB.name(), "misc");
            assert!(misc::BLOB.owns(misc::CALLS));
            let mut image = vec![0; usize::try_from(misc::BLOB.size()).unwrap()];
            misc::BLOB.load(&mut image, 0x7000_0000).unwrap();
            assert_eq!(image[0x1010..0x1018], (0x7000_0000 + u64::from(misc::DUMP_MISC.get())).to_le_bytes());
        }
        "#,
    );
    package.runs(&format!(
        "{STRICT}{}",
        r#"
        mod inner {
            pub(crate) use ::core::ffi::c_int;
            /// Private to the crate.
            pub(crate) struct Misc { _x: c_int }
            /// Aliased.
            pub(crate) mod deep {
                use super::{c_int, Misc};
                ::pie_blob_macros::pie_blob! {
                    /// Asks a process.
                    pub mod parasite = "misc", base = 0x8000,;
                    unsafe extern "C" {
                        /// Dumps.
                        fn dump_misc(out: *mut Misc, at: ::pie_blob::Remote<u8>) -> c_int;
                        fn hidden_helper() -> !;
                        static mut calls: u64;
                        static pair: [super::super::Half; 2];
                        #[cfg(any())]
                        fn not_there();
                        #[link_name = "table"]
                        static functions: [*const u8; 1];
                    }
                }
            }
            pub(crate) use deep::parasite;
        }
        type Half = u32;
        fn main() {
            use ::core::assert_eq;
            use ::std::convert::From;
            use inner::parasite;
            let _: ::pie_blob::Offset<[u32; 2]> = parasite::PAIR;
            let _: ::pie_blob::Offset<unsafe extern "C" fn() -> !> = parasite::HIDDEN_HELPER;
            let _: ::pie_blob::Offset<unsafe extern "C" fn(*mut inner::Misc, ::pie_blob::Remote<u8>) -> i32> =
                parasite::DUMP_MISC;
            assert_eq!(parasite::RELOCS.len(), 0);
            assert_eq!(parasite::BLOB.fixed_base(), ::core::option::Option::Some(0x8000));
            let at = 0x8000 + u64::from(parasite::DUMP_MISC.get());
            assert_eq!(parasite::BYTES[0x1010..0x1018], at.to_le_bytes());
            let _ = (parasite::FUNCTIONS, parasite::CALLS);
        }
        "#
    ));
    // In the body of a function, with the runtime elsewhere, in a crate that uses nothing of it.
    package.runs(
        r#"
        #![deny(warnings)]
        mod mine { pub use pie_blob as blobs; }
        fn main() {
            struct Local(u64);
            pie_blob_macros::pie_blob! {
                mod misc = "blobs/misc.po", crate = crate::mine::blobs;
                unsafe extern "C" { fn dump_misc(local: *const Local); static calls: Local; }
            }
            let local = Local(u64::from(misc::DUMP_MISC.get()));
            assert_ne!(local.0, 0);
        }
        mod other {
            pie_blob_macros::pie_blob!("misc", crate = super::mine::blobs);
        }
        "#,
    );
}

/// Shadows in scope, other macros around, an older edition, the examples of a library's documentation.
#[test]
fn expansions_compile_wherever_they_stand() {
    let source = r#"
        #![deny(warnings)]
        #![allow(non_camel_case_types, dead_code)]
        //! ```
        //! struct Local(u64);
        //! pie_blob_macros::pie_blob! {
        //!     mod misc = "misc";
        //!     unsafe extern "C" { fn dump_misc(local: *const Local) -> i32; static calls: Local; }
        //! }
        //! assert_ne!(misc::DUMP_MISC.get(), 0);
        //! ```
        macro_rules! embed {
            ($module:ident = $name:literal, $export:ident($($parameter:ident: $type:ty),*) -> $result:ty; $static:ty) => {
                pie_blob_macros::pie_blob! {
                    mod $module = $name;
                    unsafe extern "C" { fn $export($($parameter: $type),*) -> $result; static calls: $static; }
                }
            };
        }
        mod shadowed {
            struct u8; struct u32; struct u64; struct Option; struct Result; enum None {} struct Some; struct str;
            mod core {} mod std {}
            type number = ::std::primitive::u64;
            pie_blob_macros::pie_blob! {
                pub mod misc = "misc";
                unsafe extern "C" { fn dump_misc(out: *mut number); static calls: number; }
            }
            embed!(again = "misc", dump_misc(out: *mut number) -> number; number);
            pub fn same() -> bool { misc::DUMP_MISC.get() == again::DUMP_MISC.get() }
        }
        fn main() {
            embed!(inner = "misc", dump_misc(a: u64, b: *const [u8; 2]) -> i32; u64);
            assert!(shadowed::same());
            assert_ne!(inner::DUMP_MISC.get(), 0);
        }
    "#;
    for (name, edition) in [("expansion_2021", "2021"), ("expansion_2024", "2024")] {
        let package = Package::of_edition(name, edition);
        package.runs(source);
        std::fs::write(
            package.folder.join("src/lib.rs"),
            source.replace("fn main()", "/// Tried.\npub fn tried()"),
        )
        .unwrap();
        let tested = package.cargo("test", source);
        let said = String::from_utf8_lossy(&tested.stdout);
        let errors = String::from_utf8_lossy(&tested.stderr);
        assert!(tested.status.success() && said.contains("1 passed"), "{edition}: {said}\n{errors}");
        std::fs::remove_file(package.folder.join("src/lib.rs")).unwrap();
    }
}

#[test]
fn the_documentation_shows_where_everything_lies() {
    let package = Package::new("expansion_documented");
    let source = "//! Documented.\npie_blob_macros::pie_blob! {\n/// A blob.\npub mod misc = \"misc\";\n\
                  unsafe extern \"C\" { fn dump_misc(); }\n}";
    std::fs::write(package.folder.join("src/lib.rs"), source).unwrap();
    let documented = package.cargo("doc", "fn main() {}");
    assert!(documented.status.success(), "{}", String::from_utf8_lossy(&documented.stderr));
    let page =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages/doc/expansion_documented/misc/index.html");
    let page = std::fs::read_to_string(page).unwrap();
    for shown in ["A blob.", "<table>", "segment R-X", "segment RW-", "DUMP_MISC", "0x1000"] {
        assert!(page.contains(shown), "{shown}");
    }
}

#[test]
fn imports_are_supplied() {
    let package = Package::new("expansion_imports");
    package.importing_object(&format!("{OBJECT} .quad environ + 16, getenv, environ\n"));
    package.runs(&format!(
        "{STRICT}{}",
        r#"
        mod inner {
            /// Named by whoever supplies it.
            pub(crate) struct Private(u64);
            ::pie_blob_macros::pie_blob! {
                /// Wants something.
                pub(crate) mod misc = "misc";
                imports {
                    /// Looks up a variable.
                    #[deprecated]
                    fn getenv(name: *const ::core::ffi::c_char, ...) -> *const ::core::ffi::c_char;
                    #[link_name = "environ"]
                    static mut r#type: Private;
                    #[cfg(any())]
                    fn not_there();
                }
                unsafe extern "C" { fn start(); }
            }
            pub(crate) fn make() -> u64 { Private(0x7000).0 }
        }
        fn main() {
            use ::core::assert_eq;
            use ::pie_blob::Remote;
            use inner::misc;
            #[allow(deprecated)]
            let imports = misc::Imports { getenv: Remote::new(0x5000), r#type: Remote::new(inner::make()) };
            let copy = imports;
            assert_eq!(::std::format!("{copy:?}").starts_with("Imports { getenv: "), true);
            let supplied = misc::BLOB.with(imports);
            assert_eq!(supplied.blob().imports(), ["environ", "getenv"]);
            let mut image = ::std::vec![0; 0x2000];
            supplied.load(&mut image[..0x2000], 0x10_0000).unwrap();
            let word = |at: usize| image[at] as u64 | (image[at + 1] as u64) << 8;
            assert_eq!([word(0x1018), word(0x1020), word(0x1028)], [0x7010, 0x5000, 0x7000]);
            let _ = misc::START;
        }
        "#
    ));
    package.runs(
        r#"
        #![deny(warnings)]
        mod mine { pub use pie_blob as blobs; }
        fn main() {
            pie_blob_macros::pie_blob! {
                mod misc = "misc", crate = self::mine::blobs;
                imports { fn getenv(name: &u8); static environ: [u8; 4]; }
            }
            let imports = misc::Imports { getenv: pie_blob::Remote::new(1), environ: pie_blob::Remote::new(2) };
            let _: pie_blob::Supplied<misc::Imports> = misc::BLOB.with(imports);
            let _: pie_blob::Offset<pie_blob::Code> = misc::START;
        }
        "#,
    );
    package.fails(
        "pie_blob_macros::pie_blob!(\"misc\");\nfn main() {}",
        &["wants 2 symbols from its host", "fn environ(…) -> …; // or `static environ: …;`"],
    );
    package.fails(
        "pie_blob_macros::pie_blob! {\nmod misc = \"misc\";\nimports {\nfn getemv();\nfn environ();\n}\n}\nfn main() {}",
        &["is it `getenv`?", "src/main.rs:4:4", "the blob wants `getenv`", "src/main.rs:3:1"],
    );
}

#[test]
fn narrow_words_of_relocatable_objects() {
    let package = Package::new("expansion_narrow");
    package.relocatable_object(
        ".globl start\nstart: mov $start, %eax\n mov table@GOTPCREL(%rip), %rax\n ret\n\
         .data\n.globl table\ntable: .quad start\n .word 7\n",
    );
    let source = |option: &str, checks: &str| {
        format!(
            "pie_blob_macros::pie_blob! {{\n    mod misc = \"misc\"{option};\n    unsafe extern \"C\" {{ fn start() -> i32; }}\n}}\n\
             fn load(base: u64) -> Result<Vec<u8>, pie_blob::LoadError> {{\n    let _ = misc::START;\n    \
             let mut image = vec![0xa5; misc::BLOB.size() as usize];\n    \
             misc::BLOB.load(&mut image, base).map(|()| image)\n}}\nfn main() {{\n{checks}\n}}\n"
        )
    };
    package.fails(&source("", ""), &["R_X86_64_32 at 0x1 in .text", "the option `abs32`, as `checked`"]);
    package.runs(&source(
        ", abs32 = checked",
        "let image = load(0x7fff_f000).unwrap();\n\
         assert_eq!(image[1..5], [0, 0xf0, 0xff, 0x7f]);\n\
         assert_eq!(image[0x1000..0x1008], 0x7fff_f000_u64.to_le_bytes());\n\
         assert!(load(0xffff_f000).is_ok());\n\
         let base = 0x1_0000_0000;\n\
         assert_eq!(load(base), Err(pie_blob::LoadError::Narrow { base, last: 0xffff_ffff }));",
    ));
    package.runs(&source(
        ", abs32 = truncate",
        "let image = load(0x1234_5678_9000).unwrap();\n\
         assert_eq!(image[1..5], [0, 0x90, 0x78, 0x56]);\n\
         assert_eq!(image[0x1000..0x1008], 0x1234_5678_9000_u64.to_le_bytes());",
    ));
    package.runs(&source(
        ", abs32 = checked, base = 0x8000",
        "assert_eq!(load(0x8000).unwrap()[1..5], [0, 0x80, 0, 0]);\nassert!(load(0x9000).is_err());",
    ));
    package.fails(
        &source(", abs32 = checked, base = 0x1_0000_0000", ""),
        &[
            "at the base 0x100000000 a word narrower than an address would not hold its value",
            "choose another base",
        ],
    );
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let package = Package::new("expansion_fails");
    let declared = |items: &str| {
        format!(
            "pie_blob_macros::pie_blob! {{\nmod misc = \"misc\";\nunsafe extern \"C\" {{\n{items}\n}}\n}}\nfn main() {{}}"
        )
    };
    package.fails(
        &declared("fn dump_mics();\nfn calls();\nstatic calls: &'static u8;"),
        &["is it `dump_misc`?", "src/main.rs:4:4", "`calls` is data", "src/main.rs:5:4", "src/main.rs:6:15"],
    );
    package.fails(
        &declared("static calls: u32;\nstatic pair: u64;\nstatic start: [u8; 3];"),
        &["`start` is a function in the object"],
    );
    package.fails(
        &declared("static calls: u32;\nstatic pair: Wide;")
            .replace("fn main", "#[repr(align(8192))] struct Wide([u8; 8]); fn main"),
        &[
            "the type's size is not that of `calls` in the object: 8 bytes",
            "src/main.rs:4:15",
            "too little for the type's alignment",
            "src/main.rs:5:14",
        ],
    );
    package.fails(
        &declared("static calls: NoSuchType;"),
        &["cannot find type `NoSuchType`", "src/main.rs:4:15"],
    );
    package.fails(&declared("#[cfg(not(any()))] fn nowhere();"), &["defines no `nowhere`"]);
    package.fails(
        "pie_blob_macros::pie_blob!(\"nowhere\");\nfn main() {}",
        &["PIE_BLOB_nowhere", "blobs/nowhere.po"],
    );
}

#[test]
fn layouts_are_those_of_the_blob() {
    let package = Package::new("expansion_layouts");
    package.c_object(
        "struct misc { int pid; unsigned long flags; };\nint start(struct misc *a, int b) { return a->pid + b; }\n\
         struct misc here = { 1, 2 };\n",
    );
    let source = |misc: &str, number: &str| {
        format!(
            "#![deny(warnings)]\nmod inner {{\npub struct Misc {{ {misc} }}\n}}\ntype Number = {number};\n\
             pie_blob_macros::pie_blob! {{\nmod misc = \"misc\";\nunsafe extern \"C\" {{\n#[layout(pid, flags)]\n\
             fn start(a: *mut inner::Misc, b: Number) -> i32;\n#[layout(flags)]\nstatic here: inner::Misc;\n}}\n}}\n\
             fn main() {{ let _ = (misc::START, misc::HERE); }}"
        )
    };
    package
        .runs(&source("pub pid: i32, pub flags: u64", "i32").replace("pub struct", "#[repr(C)] pub struct"));
    package.fails(
        &source("pub flags: u64, pub pid: i32", "u16").replace("pub struct", "#[repr(C)] pub struct"),
        &[
            "the member `pid` of the blob's `misc` lies at 0x0, and here it does not",
            "src/main.rs:9:10",
            "the member `flags` of the blob's `misc` lies at 0x8",
            "src/main.rs:11:10",
            "the type's size is not that of `int` in the blob: 4 bytes; the blob has `fn start(a: *mut misc, b: int) -> int`",
            "src/main.rs:10:34",
        ],
    );
    package.fails(
        &source("pub flags: u32, pub pid: i32", "i32").replace("pub struct", "#[repr(C)] pub struct"),
        &["the type's size is not that of `misc` in the blob: 16 bytes", "src/main.rs:10:18"],
    );
}

#[test]
fn a_changed_object_is_compiled_in_again() {
    let package = Package::new("expansion_tracks");
    let source = "pie_blob_macros::pie_blob!(\"misc\"); fn main() { println!(\"{}\", misc::BYTES[0x1000]); }";
    let printed = || String::from_utf8(package.cargo("run", source).stdout).unwrap();
    assert_eq!(printed(), "7\n");
    package.object(&OBJECT.replace(".quad 7", ".quad 8"));
    assert_eq!(printed(), "8\n");
}
