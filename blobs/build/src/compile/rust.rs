//! A single Rust file, compiled without cargo.

use std::path::Path;
use std::process::Command;

use super::{Compiled, depinfo, members};
use crate::context::Context;
use crate::{Blob, Error, tool};

/// Flags under which a crate becomes a part of a blob, whoever calls rustc.
pub(crate) fn flags(context: &Context, root: &Path) -> Vec<String> {
    let mut flags: Vec<String> = [
        "--cfg=pie_blob",
        "--check-cfg=cfg(pie_blob)",
        "-Crelocation-model=pie",
        // Nothing unwinds through a blob.
        "-Cforce-unwind-tables=no",
    ]
    .map(String::from)
    .into();
    for (directory, name) in context.renamed(root) {
        flags.push(format!("--remap-path-prefix={}={name}", directory.display()));
    }
    flags
}

/// rustc for the blob's target, with everything that decides about code; all that it writes, temporary files too, is
/// in `place`.
pub(crate) fn rustc(context: &Context, opt_level: &str, place: &Path) -> Command {
    let mut command = Command::new(&context.rustc);
    command
        .current_dir(&context.base)
        .arg("--out-dir")
        .arg(place)
        .args(["--edition=2024", "-Cpanic=abort", "-Ccodegen-units=1", "-Cdebuginfo=2"])
        .arg(format!("-Copt-level={opt_level}"))
        .args(["--target", &context.target])
        .args(flags(context, &context.base));
    command
}

/// Compiles the crate whose root is `source`.
pub(crate) fn file(
    blob: &Blob,
    context: &Context,
    source: &Path,
    place: &Path,
    compiled: &mut Compiled,
) -> Result<(), Error> {
    let name = crate_name(source);
    let mut command = rustc(context, &blob.opt_level, place);
    command
        // Across crates: a blob must not carry what it does not use of `core`.
        .args(["--crate-type=staticlib", "-Clto=fat", "--emit=dep-info,link", "--crate-name", &name])
        .arg(source);
    tool::compile(&mut command, source)?;
    compiled.read.extend(depinfo::read(&place.join(format!("{name}.d")), &context.base)?);
    members::add(&place.join(format!("lib{name}.a")), source, &place.join("members"), compiled)
}

/// The name that rustc would choose, where the file's name is none for a crate.
pub(crate) fn crate_name(source: &Path) -> String {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let name = stem.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
    if name.starts_with(|letter: char| letter.is_ascii_alphabetic()) { name } else { format!("blob_{name}") }
}
