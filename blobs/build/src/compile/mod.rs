//! Sources to position-independent code: one module per language.

mod asm;
mod c;
mod cargo;
mod depinfo;
mod mem;
mod members;
mod rust;
mod zig;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::symbols::Input;
use crate::{Blob, Error};

pub(crate) use mem::FUNCTIONS;

/// What the compilers made.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// Linked as they are.
    pub(crate) inputs: Vec<Input>,
    /// Linked where something is still missing.
    pub(crate) archives: Vec<PathBuf>,
    /// Every file that was read.
    pub(crate) read: BTreeSet<PathBuf>,
}

/// Compiles everything that the blob consists of, and says of all that fails why.
pub(crate) fn all(blob: &Blob, context: &Context) -> Result<Compiled, Error> {
    let mut compiled = Compiled::default();
    let mut errors = Vec::new();
    for (number, package) in blob.packages.iter().enumerate() {
        let place = context.work.join(format!("package-{number}"));
        if let Err(error) = cargo::package(blob, context, &context.source(package), &place, &mut compiled) {
            errors.push(error);
        }
    }
    for (number, source) in blob.sources.iter().enumerate() {
        let source = context.source(source);
        compiled.read.insert(source.clone());
        if let Err(error) = one(blob, context, &source, number, &mut compiled) {
            errors.push(error);
        }
    }
    Error::all(errors)?;
    mem::add(context, blob.is_rust(), &mut compiled)?;
    Ok(compiled)
}

/// Compiles one source in a directory of its own; `number` keeps apart what would have the same name.
fn one(
    blob: &Blob,
    context: &Context,
    source: &Path,
    number: usize,
    compiled: &mut Compiled,
) -> Result<(), Error> {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let place = context.work.join(format!("{number}-{stem}"));
    std::fs::create_dir_all(&place).map_err(Error::io("create", &place))?;
    match source.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => rust::file(blob, context, source, &place, compiled),
        Some("c") => c::file(blob, context, source, &place, compiled),
        // rustc assembles for the targets that it can compile for.
        Some("s") if context.has_core() => asm::file(context, source, &place, compiled),
        Some("s") => c::file(blob, context, source, &place, compiled),
        Some("S") => {
            let text = std::fs::read(source).map_err(Error::io("read", source))?;
            if asm::is_preprocessed(&text) || !context.has_core() {
                c::file(blob, context, source, &place, compiled)
            } else {
                asm::file(context, source, &place, compiled)
            }
        }
        _ => Err(Error::Language { path: source.to_owned() }),
    }
}
