//! What compiled inputs define and want, and which of it a blob exports.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use object::read::{
    Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind, SymbolScope, SymbolSection,
};

use crate::Error;
use crate::compile::FUNCTIONS;
use crate::error::MissingExport;

/// An object file that a compiler wrote.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) path: PathBuf,
    /// What it was compiled from.
    source: PathBuf,
    symbols: Vec<Symbol>,
    /// What in it needs a loader: nothing that is linked from it could become a blob.
    unsuitable: Vec<String>,
    /// The symbols that it wants.
    pub(crate) undefined: BTreeSet<String>,
}

#[derive(Debug)]
struct Symbol {
    name: String,
    scope: SymbolScope,
}

impl Input {
    /// Reads the object at `path`, which was compiled from `source`.
    pub(crate) fn read(path: PathBuf, source: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        Self::parse(path, source, &bytes)
    }

    /// The same, of bytes that were read already.
    pub(crate) fn parse(path: PathBuf, source: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let file = object::File::parse(bytes)
            .map_err(|error| Error::Malformed { path: path.clone(), message: error.to_string() })?;
        let mut input = Self {
            path,
            source: source.to_owned(),
            symbols: Vec::new(),
            unsuitable: Vec::new(),
            undefined: BTreeSet::new(),
        };
        for section in file.sections() {
            let name = section.name().unwrap_or_default();
            if is_list_of_constructors(name) && section.size() > 0 {
                input.unsuitable.push(format!(
                    "{name}: nothing runs constructors or destructors in a blob; call them from an export"
                ));
            }
        }
        for symbol in file.symbols() {
            let Ok(name) = symbol.name() else { continue };
            if symbol.is_undefined() {
                input.undefined.insert(name.to_owned());
            } else if matches!(symbol.section(), SymbolSection::Section(_) | SymbolSection::Common) {
                if symbol.kind() == SymbolKind::Tls {
                    input.unsuitable.push(format!(
                        "`{name}` is thread-local: a blob has no threads of its own; make it a plain static"
                    ));
                }
                input.symbols.push(Symbol { name: name.to_owned(), scope: symbol.scope() });
            }
        }
        Ok(input)
    }

    /// Whether others can link to a symbol of this name in here.
    pub(crate) fn defines(&self, name: &str) -> bool {
        self.symbols.iter().any(|symbol| symbol.name == name && symbol.scope != SymbolScope::Compilation)
    }

    fn has_local(&self, name: &str) -> bool {
        self.symbols.iter().any(|symbol| symbol.name == name && symbol.scope == SymbolScope::Compilation)
    }
}

/// Says of every input what in it cannot be in a blob: the linkers differ in whether they notice.
pub(crate) fn refuse_unsuitable(inputs: &[Input]) -> Result<(), Error> {
    let refused = inputs
        .iter()
        .filter(|input| !input.unsuitable.is_empty())
        .map(|input| Error::Refused { path: input.source.clone(), reasons: input.unsuitable.clone() });
    Error::all(refused.collect())
}

/// Whether a section of this name lists functions to be run before the entry or after the end.
fn is_list_of_constructors(name: &str) -> bool {
    [".preinit_array", ".init_array", ".fini_array", ".ctors", ".dtors"]
        .iter()
        .any(|list| name.strip_prefix(list).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// Every symbol that the linker must keep: those that were asked for, and all that are visible and have a name
/// that a host can write.
pub(crate) fn exports(blob: &str, asked: &[String], inputs: &[Input]) -> Result<BTreeSet<String>, Error> {
    let missing: Vec<_> = asked
        .iter()
        .filter(|name| !inputs.iter().any(|input| input.defines(name)))
        .map(|name| describe(name, inputs))
        .collect();
    if !missing.is_empty() {
        return Err(Error::MissingExports { name: blob.to_owned(), missing });
    }
    let visible = inputs
        .iter()
        .flat_map(|input| &input.symbols)
        .filter(|symbol| symbol.scope == SymbolScope::Dynamic && is_exportable(&symbol.name))
        .map(|symbol| symbol.name.clone());
    Ok(visible.chain(asked.iter().cloned()).collect())
}

/// Whether a host may name the symbol: an identifier, and neither mangled nor a compiler's or this project's own.
fn is_exportable(name: &str) -> bool {
    let is_identifier = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().any(|byte| byte != b'_');
    let is_mangled = name.starts_with("_ZN")
        || name.strip_prefix("_R").is_some_and(|rest| {
            rest.starts_with(|letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit())
        });
    let is_reserved = ["__pie_blob_", "__rust", "rust_"].iter().any(|prefix| name.starts_with(prefix));
    is_identifier && !is_mangled && !is_reserved && !FUNCTIONS.contains(&name)
}

/// Why a symbol that was asked for is not there.
fn describe(name: &str, inputs: &[Input]) -> MissingExport {
    let candidates = inputs
        .iter()
        .flat_map(|input| &input.symbols)
        .filter(|symbol| symbol.scope != SymbolScope::Compilation && is_exportable(&symbol.name))
        .map(|symbol| symbol.name.as_str());
    MissingExport {
        symbol: name.to_owned(),
        local_in: inputs.iter().find(|input| input.has_local(name)).map(|input| input.source.clone()),
        nearest: pie_blob_image::nearest(name, candidates).into_iter().map(String::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_exportable;

    #[test]
    fn names_that_a_host_can_write() {
        for name in ["dump_misc", "_start", "CALLS", "x86", "_Reset", "_Room", "rusty"] {
            assert!(is_exportable(name), "{name}");
        }
    }

    #[test]
    fn names_that_are_somebody_elses() {
        for name in [
            "_RNvCs1234_7___rustc17rust_begin_unwind",
            "_R0x",
            "_ZN4core3fmt9Formatter3padE",
            "rust_eh_personality",
            "__rust_alloc",
            "__pie_blob_entry",
            "memcpy",
            "bcmp",
            "a.b",
            "$x",
            "9",
            "__",
            "",
        ] {
            assert!(!is_exportable(name), "{name}");
        }
    }
}
