//! C, and assembler that wants C's preprocessor: the compiler that every build script finds.

use std::path::Path;
use std::process::Command;

use super::{Compiled, depinfo, zig};
use crate::context::Context;
use crate::symbols::Input;
use crate::{Blob, Error, tool};

/// No C library, no loader, no unwinder, nothing that would refer to one.
const FLAGS: [&str; 9] = [
    "-ffreestanding",
    "-fvisibility=hidden",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-g",
];

/// Compiles or assembles `source`.
pub(crate) fn file(
    blob: &Blob,
    context: &Context,
    source: &Path,
    place: &Path,
    compiled: &mut Compiled,
) -> Result<(), Error> {
    let object = place.join("source.o");
    let dependencies = place.join("source.d");
    let mut command = compiler(blob, context, source)?;
    command.current_dir(&context.base).args(FLAGS);
    // What an import is to lie at is read from a table, and never through a stub that a loader would fill in.
    command.args(if blob.imports.is_empty() { &["-fPIE"][..] } else { &["-fPIC", "-fno-plt"] });
    match &*context.architecture {
        // Landing pads for a table of valid targets that a blob's process does not have.
        "x86_64" | "x86" => command.arg("-fcf-protection=none"),
        // An atomic operation is instructions, not a call of the compiler's library.
        "aarch64" => command.arg("-mno-outline-atomics"),
        _ => &mut command,
    };
    for (directory, name) in context.renamed(&context.base) {
        command.arg(format!("-ffile-prefix-map={}={name}", directory.display()));
    }
    for directory in &blob.includes {
        command.arg("-I").arg(context.source(directory));
    }
    for (key, value) in &blob.defines {
        command.arg(match value {
            Some(value) => format!("-D{key}={value}"),
            None => format!("-D{key}"),
        });
    }
    command.args(["-MMD", "-MF"]).arg(&dependencies).arg("-c").arg(source).arg("-o").arg(&object);
    tool::compile(&mut command, source)?;
    // What is not preprocessed has no dependencies.
    if source.extension().is_none_or(|extension| extension != "s") {
        compiled.read.extend(depinfo::read(&dependencies, &context.base)?);
    }
    compiled.inputs.push(Input::read(object, source)?);
    Ok(())
}

/// The compiler for the target: the one that every build script finds, or else zig's, which has all targets in it.
fn compiler(blob: &Blob, context: &Context, source: &Path) -> Result<Command, Error> {
    let found = cc::Build::new()
        .target(&context.target)
        .host(&context.host)
        .out_dir(&context.work)
        .opt_level_str(&blob.opt_level)
        .cargo_metadata(blob.directives)
        // Whether it is there is found out below.
        .cargo_warnings(false)
        .warnings(true)
        .pic(false)
        .try_get_compiler();
    let message = match found {
        // One that the user named is the one, whether it runs or not.
        Ok(found) if zig::is_named(context) || tool::runs(found.path()) => return Ok(found.to_command()),
        Ok(found) => format!("`{}` is not installed", found.path().display()),
        Err(error) => error.to_string(),
    };
    zig::compiler(blob, context).ok_or_else(|| Error::NoCompiler {
        path: source.to_owned(),
        message: format!("{message}, and neither is `zig` (`pip install ziglang` has it)"),
    })
}
