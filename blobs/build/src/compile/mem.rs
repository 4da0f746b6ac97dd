//! What every compiler expects to be there: `memcpy` and its siblings, and the arithmetic that a processor lacks.
//!
//! Both are archives: linked only where something refers to them.

use std::path::PathBuf;

use pie_blob_std::sources::MEM;

use super::{Compiled, rust};
use crate::context::Context;
use crate::{Error, tool};

/// The functions that [`MEM`] defines.
pub(crate) const FUNCTIONS: [&str; 6] = ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"];

/// Adds the archives to what was compiled. Without any Rust in a blob they are left out when nothing refers
/// to them: then the toolchain need not have the target.
pub(crate) fn add(context: &Context, rust: bool, compiled: &mut Compiled) -> Result<(), Error> {
    let is_wanted = |name: &str| FUNCTIONS.contains(&name);
    if rust || compiled.inputs.iter().any(|input| input.undefined.iter().any(|name| is_wanted(name))) {
        let archive = compile(context, compiled)?;
        compiled.archives.push(archive);
    }
    compiled.archives.extend(compiler_builtins(context));
    Ok(())
}

/// Compiles the functions that the blob does not bring itself.
fn compile(context: &Context, compiled: &Compiled) -> Result<PathBuf, Error> {
    let place = context.work.join("mem");
    std::fs::create_dir_all(&place).map_err(Error::io("create", &place))?;
    let root = place.join("root.rs");
    let text = format!("#![no_std]\n#![no_builtins]\n{MEM}");
    std::fs::write(&root, text).map_err(Error::io("write", &root))?;
    let mut command = rust::rustc(context, "2", &place);
    command.args(["--crate-type=rlib", "--emit=link", "--crate-name=mem", "--cap-lints=allow"]);
    for function in FUNCTIONS {
        if compiled.inputs.iter().any(|input| input.defines(function)) {
            command.arg(format!("--cfg=pie_blob_supplied=\"{function}\""));
        }
    }
    tool::compile(command.arg(&root), &root)?;
    Ok(place.join("libmem.rlib"))
}

/// The runtime that rustc's own code generation relies on, where the target is installed.
fn compiler_builtins(context: &Context) -> Option<PathBuf> {
    let entries = std::fs::read_dir(&context.libraries).ok()?;
    entries.filter_map(Result::ok).map(|entry| entry.path()).find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libcompiler_builtins-") && name.ends_with(".rlib")
    })
}
