//! One assembler source, linked by every linker at hand: position-independent, and fixed at a base.
//!
//! What a linker writes for a base that it was told is what loading must write for a base that it learns later.

use std::path::{Path, PathBuf};
use std::process::Command;

use pie_blob_image::{Image, Limits};

/// Words of every kind in constants and data, unaligned ones and neighbours too, and zeros behind them.
const SOURCE: &str = "
    .text
    .globl start
start:
    lea constants(%rip), %rax
    lea data(%rip), %rcx
    call inner
    ret
inner:
    ret

    .section .data.rel.ro, \"aw\"
    .balign 8
constants:
    .quad start, inner, constants
    .quad data + 0x123
    .quad end_of_zeros
    .quad 0x1122334455667788
    .byte 1
    .quad inner + 1
    .byte 2, 3
    .quad constants - 0x10

    .data
data:
    .quad data
    .skip 5000, 0xa5
    .quad constants + 8, zeros
    .byte 4

    .bss
zeros:
    .skip 3000
end_of_zeros:
";

const SCRIPT: &str = "
ENTRY(start)
PHDRS { text PT_LOAD FLAGS(5); rodata PT_LOAD FLAGS(4); data PT_LOAD FLAGS(6); reader PT_LOAD FLAGS(6);
        dynamic PT_DYNAMIC FLAGS(6); }
SECTIONS {
    . = BASE;
    .text : { *(.text) } :text
    . = ALIGN(4096);
    .rodata : { *(.rodata .data.rel.ro) } :rodata
    . = ALIGN(4096);
    .data : { *(.data) } :data
    .bss (NOLOAD) : { *(.bss) } :data
    . = ALIGN(4096);
    __pie_blob_end = .;
    .got : { *(.got .got.plt) } :reader
    .dynamic : { *(.dynamic) } :reader :dynamic
    .dynsym : { *(.dynsym) } :reader
    .dynstr : { *(.dynstr) } :reader
    .hash : { *(.hash) } :reader
    .rela.dyn : { *(.rela.*) } :reader
    /DISCARD/ : { *(.comment .note .note.* .eh_frame .interp .gnu.hash) }
}
";

/// The source, assembled, and where it is linked.
pub(crate) struct Linked {
    folder: tempfile::TempDir,
}

/// The toolchain's linker, LLVM's and GNU's, as far as they are there.
pub(crate) fn linkers() -> Vec<PathBuf> {
    let rustc = |what| {
        let output = Command::new("rustc").args(["--print", what]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let shipped = format!("{}/lib/rustlib/{}/bin/gcc-ld/ld.lld", rustc("sysroot"), rustc("host-tuple"));
    let works =
        |linker: &PathBuf| Command::new(linker).arg("--version").output().is_ok_and(|o| o.status.success());
    let found: Vec<_> = [&shipped, "ld.lld", "ld"].map(PathBuf::from).into_iter().filter(works).collect();
    assert!(!found.is_empty(), "every toolchain has a linker");
    found
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Linked {
    pub(crate) fn new() -> Self {
        let linked = Self { folder: tempfile::tempdir().unwrap() };
        let source = linked.write("source.s", SOURCE);
        run(Command::new("cc").arg("-c").arg(source).arg("-o").arg(linked.path("source.o")));
        linked
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.path(file);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Position-independent.
    pub(crate) fn image(&self, linker: &Path) -> Image {
        let flags = ["-pie", "--no-dynamic-linker", "-Bsymbolic", "--hash-style=sysv"];
        Image::parse(&self.link(linker, 0, &flags), &Limits::default()).unwrap()
    }

    /// The initialised bytes as the linker itself lays them out for a base.
    pub(crate) fn fixed(&self, linker: &Path, base: u64) -> Vec<u8> {
        self.link(linker, base, &["-static", "--oformat=binary"])
    }

    fn link(&self, linker: &Path, base: u64, flags: &[&str]) -> Vec<u8> {
        let script = self.write("blob.ld", &SCRIPT.replace("BASE", &format!("{base:#x}")));
        let output = self.path("output");
        let mut command = Command::new(linker);
        command.args(["-z", "norelro", "-z", "noexecstack", "-z", "max-page-size=4096", "--build-id=none"]);
        command.args(flags).arg("-T").arg(script).arg("-o").arg(&output).arg(self.path("source.o"));
        run(&mut command);
        std::fs::read(output).unwrap()
    }
}
