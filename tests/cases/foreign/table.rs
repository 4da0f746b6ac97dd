//! Code of every architecture that reads its addresses out of the global offset table, and what linkers make of it where they
//! know the address: linked for one base and moved to another, it is what is linked there.

use std::path::Path;
use std::process::Command;

use pie_blob_image::{Image, Limits};

use crate::relink;

/// The target in zig's words and in those that linkers are found by, whether addresses have 32 bits, and what the compiler is told.
const TARGETS: [(&str, &str, bool, &[&str]); 12] = [
    ("x86-linux-gnu", "i686", true, &[]),
    ("aarch64-linux-gnu", "aarch64", false, &[]),
    ("arm-linux-gnueabihf", "armv7", true, &[]),
    ("thumb-linux-gnueabihf", "thumbv7neon", true, &[]),
    ("riscv64-linux-gnu", "riscv64gc", false, &[]),
    ("riscv64-linux-gnu", "riscv64gc", false, &["-mrelax"]),
    ("s390x-linux-gnu", "s390x", false, &[]),
    ("powerpc64le-linux-gnu", "powerpc64le", false, &[]),
    ("mips64el-linux-gnuabi64", "mips64el", false, &[]),
    ("mipsel-linux-gnueabihf", "mipsel", true, &[]),
    ("loongarch64-linux-gnu", "loongarch64", false, &[]),
    ("loongarch64-linux-gnu", "loongarch64", false, &["-mrelax"]),
];

const SCRIPT: &str = "
ENTRY(start)
PHDRS { text PT_LOAD FLAGS(5); rodata PT_LOAD FLAGS(4); data PT_LOAD FLAGS(6); }
SECTIONS {
    . = BASE;
    .text : { *(.text.start) *(.text .text.*) } :text
    . = ALIGN(65536);
    .rodata : { *(.rodata .rodata.* .srodata .srodata.* .sdata2) *(.data.rel.ro .data.rel.ro.*) } :rodata
    GP
    .got : { *(.got.plt) *(.got .toc) } :rodata
    . = ALIGN(65536);
    .data : { *(.data .data.* .sdata .sdata.*) } :data
    .bss (NOLOAD) : { *(.bss .bss.* .sbss .sbss.*) *(COMMON) } :data
    /DISCARD/ : { *(.comment .note .note.* .eh_frame .ARM.* .riscv.attributes .MIPS.* .reginfo .pdr .mdebug.*) }
}
";

/// Runs a command that has to succeed.
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn link(linker: &Path, target: &str, folder: &Path, base: u64) -> Vec<u8> {
    // GNU's linker has to be told where the register points that MIPS code reaches the table from.
    let gp = if target.starts_with("mips") { "HIDDEN(_gp = ALIGN(16) + 0x7ff0);" } else { "" };
    let script = SCRIPT.replace("BASE", &format!("{base:#x}")).replace("GP", gp);
    std::fs::write(folder.join("table.ld"), script).unwrap();
    let mut link = Command::new(linker);
    link.current_dir(folder).args(["-static", "-z", "norelro", "-z", "max-page-size=65536", "--emit-relocs"]);
    if target == "i686" {
        link.args(["-m", "elf_i386"]);
    }
    run(link.args(["-T", "table.ld", "-o", "linked", "table.o"]));
    std::fs::read(folder.join("linked")).unwrap()
}

#[test]
fn code_that_reads_the_table() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign/table.c");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut compared = 0;
    for (zig, target, narrow, more) in TARGETS {
        for level in ["-O0", "-O2", "-Os"] {
            for model in ["-fPIC", "-fPIE"] {
                let mut compile = Command::new("zig");
                compile.args(["cc", "-target", zig, level, model, "-ffreestanding", "-ffunction-sections"]);
                compile.args(["-fno-stack-protector", "-fno-sanitize=all", "-fno-unwind-tables", "-g0"]);
                compile.args(["-fno-asynchronous-unwind-tables", "-c"]).args(more).arg(&source);
                run(compile.arg("-o").arg(folder.join("table.o")));
                for linker in relink::linkers(target).into_iter().filter(|linker| links(target, linker)) {
                    let place = format!("{zig} {level} {model} {more:?} {}", linker.display());
                    let bases =
                        if narrow { [0x1000_0000, 0x4800_0000] } else { [0x23_1000_0000, 0x12_3456_0000] };
                    let images = bases.map(|base| {
                        let file = link(&linker, target, folder, base);
                        Image::parse(&file, &Limits::default())
                            .unwrap_or_else(|faults| panic!("{place}: {faults}"))
                    });
                    for base in bases {
                        let [one, other] = images.each_ref().map(|image| image.relocated(base).unwrap());
                        let differences: Vec<_> = (0..one.len()).filter(|&at| one[at] != other[at]).collect();
                        assert!(differences.is_empty(), "{place} at {base:#x}: {differences:x?}");
                    }
                    compared += 1;
                }
            }
        }
    }
    println!("{compared} programs, moved both ways");
}

/// Debian's linker for z/Architecture stumbles over its own table where the result is at a fixed address.
fn links(target: &str, linker: &Path) -> bool {
    target != "s390x" || linker.ends_with("ld.lld")
}
