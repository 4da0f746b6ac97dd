//! Real objects for the unit tests of the macro.

use std::path::Path;
use std::process::Command;

use crate::expand::expand;
use crate::find::Environment;
use crate::report::Report;

const SCRIPT: &str = "
PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); meta PT_LOAD FLAGS(4); dynamic PT_DYNAMIC FLAGS(4); }
SECTIONS {
    . = 0;
    .text : { *(.text .text.*) } :text
    . = ALIGN(4096);
    .data : { *(.data) } :data
    .init_array : { *(.init_array) } :data
    . = ALIGN(4096);
    __pie_blob_end = .;
    .dynamic : { *(.dynamic) } :meta :dynamic
    .meta : { *(.got .got.plt) } :meta
    .dynsym : { *(.dynsym) } .dynstr : { *(.dynstr) } .hash : { *(.hash) } .rela.dyn : { *(.rela.*) }
    /DISCARD/ : { *(.comment) *(.note .note.*) *(.eh_frame) *(.interp) }
}
";

/// What separates two source files of one object.
pub(crate) const NEXT_FILE: &str = "\n=====\n";

/// Compiles and links sources to an object at `path`.
fn object(sources: &str, extension: &str, flags: &str, path: &Path) {
    let folder = path.parent().unwrap();
    std::fs::write(folder.join("blob.ld"), SCRIPT).unwrap();
    let mut link = Command::new("ld");
    if flags.contains("-m32") {
        link.args(["-m", "elf_i386"]);
    }
    link.args([
        // What alone may leave symbols undefined.
        "-shared",
        "-Bsymbolic",
        "-z",
        "norelro",
        "-z",
        "max-page-size=4096",
        "-e",
        "0",
    ]);
    link.args(["--hash-style=sysv", "-T", "blob.ld", "-o"]).arg(path);
    for (index, source) in sources.split(NEXT_FILE).enumerate() {
        let (source_path, object) = (format!("{index}.{extension}"), format!("{index}.o"));
        std::fs::write(folder.join(&source_path), format!("{source}\n")).unwrap();
        let mut assemble = Command::new("cc");
        assemble.current_dir(folder).args(flags.split(' ')).arg("-c").arg(source_path).args(["-o", &object]);
        assert!(assemble.status().unwrap().success());
        link.arg(object);
    }
    assert!(link.current_dir(folder).status().unwrap().success());
}

/// The expansion and the errors of an invocation that finds nothing in the environment.
fn expanded(invocation: &str) -> (String, String) {
    let mut report = Report::default();
    let expansion = expand(invocation.parse().unwrap(), &Environment::new(|_| None), &mut report);
    let errors = report.into_tokens().to_string().replace("\\\"", "\"");
    (expansion.unwrap_or_default().to_string(), errors)
}

/// The expansion of an invocation that names an object made of `assembly`.
pub(crate) fn expand_with_object(assembly: &str, invocation: &dyn Fn(&str) -> String) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blob.po");
    object(assembly, "s", "-g0", &path);
    expanded(&invocation(path.to_str().unwrap()))
}

/// The expansion and the errors of an invocation that names an object made of C.
pub(crate) fn expand_with_c(c: &str, flags: &str, invocation: &dyn Fn(&str) -> String) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blob.po");
    let flags = format!("{flags} -fPIC -ffreestanding -fno-stack-protector -fcf-protection=none");
    object(c, "c", &flags, &path);
    expanded(&invocation(path.to_str().unwrap()))
}

/// The errors of an invocation that finds nothing in the environment.
pub(crate) fn errors_of(invocation: &str) -> String {
    expanded(invocation).1
}

/// The errors of an invocation that names an object made of `assembly`.
pub(crate) fn errors_with_object(assembly: &str, invocation: &dyn Fn(&str) -> String) -> String {
    expand_with_object(assembly, invocation).1
}
