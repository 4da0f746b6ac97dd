//! What the tests share: the command itself, a scratch directory, and an object that is built into it.
// Every test file is a crate that uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pie_blob_build::Blob;
use pie_blob_image::{Image, Limits};

/// Words of every kind in constants and data, unaligned ones too, and zeros behind them.
pub const SOURCE: &str = "
    .text
    .globl start
start:
    call inner
    ret
inner:
    ret

    .globl answer
    .type answer, @function
answer:
    lea (%rdi,%rdi), %rax
    mov counted(%rip), %rcx
    add (%rcx), %rax
    incq (%rcx)
    ret
    .size answer, . - answer

    .section .data.rel.ro, \"aw\"
    .balign 8
constants:
    .quad start, inner, constants
    .quad end_of_zeros
    .quad 0x1122334455667788
    .byte 1
    .quad inner + 1
    .byte 2, 3

    .data
    .balign 8
counted:
    .quad count
count:
    .quad 5
    .skip 5000, 0xa5
    .quad constants + 8, zeros
    .byte 4

    .bss
zeros:
    .skip 3000
end_of_zeros:
";

/// One segment, so that the linker's plain binary is the image; what only the reader needs lies behind it.
pub const SCRIPT: &str = "
ENTRY(start)
PHDRS { all PT_LOAD FLAGS(7); reader PT_LOAD FLAGS(6); dynamic PT_DYNAMIC FLAGS(6); }
SECTIONS {
    . = BASE;
    .text : { *(.text) } :all
    .data : { *(.data.rel.ro .data) } :all
    .bss (NOLOAD) : { *(.bss) } :all
    . = ALIGN(4096);
    __pie_blob_end = .;
    __pie_blob_packed = 1;
    .got : { *(.got .got.plt) } :reader
    .dynamic : { *(.dynamic) } :reader :dynamic
    .dynsym : { *(.dynsym) } :reader
    .dynstr : { *(.dynstr) } :reader
    .hash : { *(.hash) } :reader
    .rela.dyn : { *(.rela.*) } :reader
    /DISCARD/ : { *(.comment .note .note.* .eh_frame .interp .gnu.hash) }
}
";

/// A directory that is removed at the end.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What lies in it.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The source, assembled and not linked.
    pub fn assembled(&self, name: &str, source: &str) -> PathBuf {
        let source = self.write(&format!("{name}.s"), source);
        let object = self.path(&format!("{name}.o"));
        done(Command::new("cc").arg("-c").arg(source).arg("-o").arg(&object));
        object
    }

    /// An object as the build crate makes it.
    pub fn built(&self) -> PathBuf {
        self.blob().try_build().unwrap();
        self.path("out/probe.po")
    }

    /// The same with more to be asked of the build crate.
    pub fn blob(&self) -> Blob {
        let source = self.write("probe.s", SOURCE);
        let blob = Blob::new("probe").target("x86_64-unknown-linux-gnu").cargo_directives(false);
        blob.out_dir(self.path("out")).source(source).export("answer")
    }
}

/// The image of an object, as the library reads it.
pub fn image(object: &Path) -> Image {
    Image::parse(&std::fs::read(object).unwrap(), &Limits::default()).unwrap()
}

/// The command with these arguments.
pub fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pie-blob"));
    command.args(arguments);
    command
}

/// Runs something that must end well.
pub fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs the command, which must end with status 1 and nothing on standard output: its standard error.
pub fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty());
    said
}

/// Every linker at hand: the toolchain's, LLVM's and GNU's.
pub fn linkers() -> Vec<PathBuf> {
    let rustc = |what| {
        let output = done(Command::new("rustc").args(["--print", what]));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let shipped = format!("{}/lib/rustlib/{}/bin/gcc-ld/ld.lld", rustc("sysroot"), rustc("host-tuple"));
    let works = |linker: &PathBuf| {
        Command::new(linker).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    let found: Vec<_> = [&shipped, "ld.lld", "ld"].map(PathBuf::from).into_iter().filter(works).collect();
    assert!(!found.is_empty(), "every toolchain has a linker");
    found
}
