//! Builds real objects with the linkers at hand: what a linker writes is the only authority on what one writes.

#![allow(unreachable_pub, dead_code, reason = "every test crate takes what it needs")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder for one test, and the linker it uses.
pub struct Bench {
    folder: tempfile::TempDir,
    linker: PathBuf,
    /// What compiler and linker are told of the architecture.
    architecture: [&'static [&'static str]; 2],
}

/// Every linker of the machine: the toolchain's lld (else `ld.lld`) and GNU `ld`.
pub fn linkers() -> Vec<PathBuf> {
    let lld = rust_lld().into_iter().chain(["ld.lld".into()]).find(|path| works(path));
    let found: Vec<PathBuf> = lld.into_iter().chain(["ld".into()]).filter(|path| works(path)).collect();
    assert!(!found.is_empty(), "no linker: install binutils or lld");
    found
}

/// The linker that writes `DT_RELR` for static-PIEs.
pub fn lld() -> Option<PathBuf> {
    linkers().into_iter().find(|path| path.ends_with("ld.lld"))
}

fn rust_lld() -> Option<PathBuf> {
    let print = |what| {
        let output = Command::new("rustc").args(["--print", what]).output().ok()?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    let host = print("host-tuple").filter(|host| !host.is_empty())?;
    Some(Path::new(&print("sysroot")?).join("lib/rustlib").join(host).join("bin/gcc-ld/ld.lld"))
}

fn works(linker: &Path) -> bool {
    Command::new(linker).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Where an image is linked to.
#[derive(Clone, Copy)]
pub enum Target {
    /// Position-independent.
    Pie,
    /// Fixed at a base: the oracle for relocating.
    At(u64),
    /// Position-independent, with words against the object's own symbols left to the loader.
    Shared,
}

impl Bench {
    pub fn new(linker: &Path) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), linker: linker.to_owned(), architecture: [&[], &[]] }
    }

    /// The same for i386.
    pub fn for_i386(self) -> Self {
        Self { architecture: [&["-m32"], &["-m", "elf_i386"]], ..self }
    }

    /// Assembles a source to a relocatable object.
    pub fn assemble(&self, source: &str) -> PathBuf {
        let path = self.folder.path().join("source.s");
        std::fs::write(&path, format!("{source}\n")).unwrap();
        let object = self.folder.path().join("source.o");
        let status = Command::new("cc")
            .args(self.architecture[0])
            .arg("-c")
            .arg(&path)
            .arg("-o")
            .arg(&object)
            .status()
            .unwrap();
        assert!(status.success(), "cc failed");
        object
    }

    /// Links a source with the usual script.
    pub fn link(&self, source: &str, target: Target, flags: &[&str]) -> Vec<u8> {
        self.link_with(source, target, &script(target), flags)
    }

    /// Links a source with a script.
    pub fn link_with(&self, source: &str, target: Target, script: &str, flags: &[&str]) -> Vec<u8> {
        let object = self.assemble(source);
        let script_path = self.folder.path().join("blob.ld");
        std::fs::write(&script_path, script).unwrap();
        let output = self.folder.path().join("blob.po");
        let mut command = Command::new(&self.linker);
        command.args(self.architecture[1]);
        match target {
            Target::Pie => command.args(["-pie", "--no-dynamic-linker", "-Bsymbolic"]),
            Target::At(_) => command.arg("-static"),
            Target::Shared => command.arg("-shared"),
        };
        command.args(["-z", "norelro", "-z", "noexecstack", "-z", "max-page-size=4096"]);
        command.args(["--hash-style=sysv", "--build-id=none"]).args(flags);
        command.arg("-T").arg(&script_path).arg("-o").arg(&output).arg(&object);
        let result = command.output().unwrap();
        assert!(result.status.success(), "{command:?}: {}", String::from_utf8_lossy(&result.stderr));
        std::fs::read(output).unwrap()
    }
}

/// The layout of the build crate's objects.
pub fn script(target: Target) -> String {
    let base = match target {
        Target::Pie | Target::Shared => 0,
        Target::At(base) => base,
    };
    SCRIPT.replace("BASE", &format!("{base:#x}"))
}

const SCRIPT: &str = "
ENTRY(start)
PHDRS {
    text PT_LOAD FLAGS(5); rodata PT_LOAD FLAGS(4); data PT_LOAD FLAGS(6);
    guard PT_LOAD FLAGS(0); stack PT_LOAD FLAGS(6); meta PT_LOAD FLAGS(4); dynamic PT_DYNAMIC FLAGS(4);
}
SECTIONS {
    . = BASE;
    .text : { *(.text.start) *(.text .text.*) } :text
    . = ALIGN(4096);
    .rodata : { *(.rodata .rodata.*) *(.data.rel.ro .data.rel.ro.*) } :rodata
    .got : { *(.got) } :rodata
    . = ALIGN(4096);
    .data : { *(.data .data.*) } :data
    .init_array : { KEEP(*(.init_array)) } :data
    .bss (NOLOAD) : { *(.bss .bss.*) *(COMMON) } :data
    . = ALIGN(4096);
    .guard (NOLOAD) : { __pie_blob_guard = .; . += 4096; } :guard
    .stack (NOLOAD) : { __pie_blob_stack = .; . += 8192; __pie_blob_stack_top = .; } :stack
    . = ALIGN(4096);
    __pie_blob_end = .;
    .dynamic : { *(.dynamic) } :meta :dynamic
    .dynsym : { *(.dynsym) } :meta
    .dynstr : { *(.dynstr) }
    .hash : { *(.hash) }
    .got.plt : { *(.got.plt) }
    .rela.dyn : { *(.rela.dyn .rela.*) }
    .relr.dyn : { *(.relr.dyn) }
    /DISCARD/ : { *(.comment) *(.note .note.*) *(.eh_frame) *(.interp) }
}
";

/// The layout for objects with imports: slots of the GOT, and code that jumps through them, belong to the image.
pub fn imports_script() -> String {
    script(Target::Shared)
        .replace("*(.text .text.*)", "*(.text .text.* .plt .plt.*)")
        .replace(".got : { *(.got) }", ".got : { *(.got .got.plt) }")
        .replace("    .got.plt : { *(.got.plt) }\n", "")
}

/// A blob that wants symbols from its host, in every way that code and data can.
pub const IMPORTING: &str = r#"
    .section .text.start, "ax"
    .globl start
    .type start, @function
start:
    call getenv@PLT
    pushq errno@GOTPCREL(%rip)
    call *puts@GOTPCREL(%rip)
    ret
    .size start, . - start

    .data
    .balign 8
    .globl words
    .type words, @object
words:
    .quad environ, environ + 0x18, getenv, words, perhaps
    .size words, . - words
    .weak perhaps
"#;

/// A blob with every kind of word: code, constants, GOT, data, zero-filled data; exported, hidden and local names.
pub const GOOD: &str = r#"
    .section .text.start, "ax"
    .globl start
    .type start, @function
start:
    lea table(%rip), %rax
    pushq calls@GOTPCREL(%rip)
    ret
    .size start, . - start

    .text
    .globl dump_misc
    .type dump_misc, @function
dump_misc:
    xor %eax, %eax
    ret
    .size dump_misc, . - dump_misc
    .hidden helper
    .globl helper
    .type helper, @function
helper:
    ret
    .size helper, . - helper

    .section .data.rel.ro, "aw"
    .type table, @object
table:
    .quad dump_misc, helper, calls + 4, table
    .size table, . - table

    .data
    .balign 8
    .globl calls
    .type calls, @object
calls:
    .quad 7
    .size calls, 8
    .byte 1
unaligned:
    .quad zeroed + 8
    .quad zeroed + 16

    .bss
    .balign 8
    .globl zeroed
    .type zeroed, @object
zeroed:
    .zero 16
    .size zeroed, 16
"#;

/// A relocatable object with a bit of everything.
pub const RELOCATABLE: &str = r#"
    .text
    .globl start
    .type start, @function
start:
    lea table(%rip), %rax
    mov dump_misc@GOTPCREL(%rip), %rcx
    pushq zeroed@GOTPCREL(%rip)
    call dump_misc
    ret
    .size start, . - start
    .globl dump_misc
    .type dump_misc, @function
dump_misc:
    ret
    .size dump_misc, . - dump_misc

    .data
    .balign 8
    .globl table
    .type table, @object
table:
    .quad dump_misc, zeroed + 8, shared, table
    .size table, . - table
    .byte 1

    .bss
    .balign 8
    .globl zeroed
    .type zeroed, @object
zeroed:
    .zero 16
    .size zeroed, 16

    .section .rodata, "a"
constant:
    .quad 7, constant - .

    .comm shared, 40, 16

    .section .debug_mine, "", @progbits
    .long 1
    .quad start
"#;
