//! Compiled inputs to the object.

mod linker;
mod script;

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::compile::Compiled;
use crate::context::Context;
use crate::{Blob, Error, tool};

use linker::Linker;
pub(crate) use linker::VARIABLE;
use script::Layout;

/// An object that was linked and not looked at yet.
#[derive(Debug)]
pub(crate) struct Linked {
    pub(crate) object: PathBuf,
    /// What the linker said although it went on.
    pub(crate) warnings: Vec<String>,
}

/// Links everything; `exports` stay although nothing may refer to them.
pub(crate) fn link(
    blob: &Blob,
    context: &Context,
    compiled: &Compiled,
    exports: &BTreeSet<String>,
) -> Result<Linked, Error> {
    let script = context.work.join("blob.ld");
    let linker = Linker::find(context)?;
    let layout = layout(blob, context, &linker)?;
    std::fs::write(&script, layout.script()).map_err(Error::io("write", &script))?;

    let object = context.work.join("linked.po");
    let mut command = linker.command(context, !blob.imports.is_empty());
    command.arg("-T").arg(&script).arg("-o").arg(&object);
    for export in exports {
        command.args(["-u", export]);
    }
    command.args(compiled.inputs.iter().map(|input| &input.path));
    command.args(&compiled.archives);

    let ended = tool::run(&mut command)?;
    if !ended.status.success() {
        return Err(Error::Link {
            linker: linker.path,
            undefined: undefined(&ended.stderr),
            output: ended.stdout + &ended.stderr,
        });
    }
    // That a packed object has one segment with all permissions is what was asked for.
    let warnings =
        ended.stderr.lines().filter(|line| !line.ends_with("has a LOAD segment with RWX permissions"));
    Ok(Linked { object, warnings: warnings.map(String::from).collect() })
}

/// The layout that the blob asks for.
fn layout(blob: &Blob, context: &Context, linker: &Linker) -> Result<Layout, Error> {
    const DEFAULT_STACK: u64 = 16 * 1024;
    let page = linker::page(&context.architecture);
    let stack = match (blob.packed, blob.stack) {
        (true, Some(1..)) => {
            return Err(Error::Setting {
                what: "a packed blob has no stack: leave out `.stack(..)` or `.packed(true)`",
            });
        }
        (true, _) => 0,
        (false, stack) => stack.unwrap_or(DEFAULT_STACK),
    };
    if stack > u64::from(u32::MAX) {
        return Err(Error::Setting { what: "`.stack(..)` of more than 4 GiB does not fit into an image" });
    }
    // LLVM's linker knows where it is.
    let global_pointer = matches!(&*context.architecture, "mips" | "mips64") && !linker.is_lld;
    Ok(Layout { page, stack: stack.next_multiple_of(page), packed: blob.packed, global_pointer })
}

/// The symbols that the linker's messages call undefined, each once.
fn undefined(messages: &str) -> Vec<String> {
    let mut names = BTreeSet::new();
    for line in messages.lines() {
        // LLVM: `error: undefined hidden symbol: name`; GNU: `undefined reference to `name'`.
        let llvm = line.split_once("undefined ").and_then(|(_, rest)| rest.split_once("symbol: "));
        let gnu = line.split_once("undefined reference to `");
        if let Some((_, name)) = llvm.or(gnu) {
            names.insert(name.trim_end_matches('\'').to_owned());
        }
    }
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::undefined;

    #[test]
    fn both_linkers_say_what_is_undefined() {
        let llvm = "ld.lld: error: undefined symbol: puts\n>>> referenced by a.c\n\
                    ld.lld: error: undefined hidden symbol: __pie_blob_stack_top\n";
        assert_eq!(undefined(llvm), ["__pie_blob_stack_top", "puts"]);
        let gnu = "ld: a.o: in function `get':\n/src/a.c:3:(.text.get+0x1): undefined reference to `puts'\n\
                   ld: a.c:4: undefined reference to `puts'\n";
        assert_eq!(undefined(gnu), ["puts"]);
    }
}
