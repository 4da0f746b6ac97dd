//! C, and assembler that wants C's preprocessor: the compiler that every build script finds.

use std::path::Path;

use super::{Compiled, depinfo};
use crate::context::Context;
use crate::symbols::Input;
use crate::{Blob, Error, tool};

/// No C library, no loader, no unwinder, nothing that would refer to one.
const FLAGS: [&str; 8] = [
    "-ffreestanding",
    "-fvisibility=hidden",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
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
    let compiler = cc::Build::new()
        .target(&context.target)
        .host(&context.host)
        .out_dir(&context.work)
        .opt_level_str(&blob.opt_level)
        .cargo_metadata(blob.directives)
        .warnings(true)
        .pic(false)
        .try_get_compiler()
        .map_err(|error| Error::NoCompiler { path: source.to_owned(), message: error.to_string() })?;

    let object = place.join("source.o");
    let dependencies = place.join("source.d");
    let mut command = compiler.to_command();
    command.current_dir(&context.base).args(FLAGS);
    // What an import is to lie at is read from a table, and never through a stub that a loader would fill in.
    command.args(if blob.imports.is_empty() { &["-fPIE"][..] } else { &["-fPIC", "-fno-plt"] });
    if matches!(context.architecture(), "x86_64" | "i386" | "i586" | "i686") {
        // Landing pads for a table of valid targets that a blob's process does not have.
        command.arg("-fcf-protection=none");
    }
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
    compiled.read.extend(depinfo::read(&dependencies, &context.base)?);
    compiled.inputs.push(Input::read(object, source)?);
    Ok(())
}
