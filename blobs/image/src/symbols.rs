//! Symbol tables to exports, and what the project's own symbols say.

use std::ops::Range;

use object::elf;

use crate::fault::{Fault, SymbolFault};
use crate::faults::Faults;
use crate::image::{Binding, Import, RESERVED, Symbol, SymbolKind};
use crate::layout::{Layout, Marks};
use crate::read::{ElfSymbol, Object, Place, text};

/// Reads the symbols that the layout depends on.
pub(crate) fn marks(object: &Object<'_>) -> Marks {
    Marks {
        end: reserved(object, b"__pie_blob_end").map(|symbol| symbol.value),
        packed: reserved(object, b"__pie_blob_packed").is_some(),
    }
}

/// A symbol of the project's own. Linkers make some of those absolute that scripts define outside of sections.
fn reserved<'a, 'data>(object: &'a Object<'data>, name: &[u8]) -> Option<&'a ElfSymbol<'data>> {
    object
        .names()
        .iter()
        .find(|symbol| symbol.name == name && matches!(symbol.place, Place::Section(_) | Place::Absolute))
}

/// The reserved stack.
pub(crate) fn stack(object: &Object<'_>, layout: &Layout, faults: &mut Faults) -> Option<Range<u64>> {
    let bottom = reserved(object, b"__pie_blob_stack");
    let top = reserved(object, b"__pie_blob_stack_top");
    let (Some(bottom), Some(top)) = (bottom, top) else {
        if let Some(lonely) = bottom.or(top) {
            faults.add(|| stack_fault(lonely));
        }
        return None;
    };
    let writable = top.value.checked_sub(bottom.value).filter(|&size| size > 0).is_some_and(|size| {
        layout.segment_at(bottom.value, size).is_some_and(|segment| segment.permissions.write)
    });
    if !writable {
        faults.add(|| stack_fault(bottom));
        return None;
    }
    Some(bottom.value..top.value)
}

fn stack_fault(symbol: &ElfSymbol<'_>) -> Fault {
    Fault::Symbol { name: text(symbol.name), value: symbol.value, section: None, problem: SymbolFault::Stack }
}

/// Every symbol that lies in the image: exports by offset, and all of them by name.
pub(crate) fn collect(
    object: &Object<'_>,
    layout: &Layout,
    marks: &Marks,
    imports: &[Import],
    faults: &mut Faults,
) -> (Vec<Symbol>, Vec<Symbol>) {
    let mut symbols = Vec::new();
    for symbol in object.names() {
        symbols.extend(in_image(object, layout, marks, imports, symbol, faults));
    }
    // What is undefined in one table need not appear in the other.
    if !object.symbols.is_empty() {
        for symbol in object.dynamic_symbols.iter().filter(|symbol| symbol.place == Place::Undefined) {
            undefined(symbol, imports, faults);
        }
    }
    // There will be no image to have them.
    if !faults.is_empty() {
        return Default::default();
    }
    symbols.sort_by(|a: &Symbol, b: &Symbol| {
        (&a.name, a.offset, a.binding).cmp(&(&b.name, b.offset, b.binding))
    });
    symbols.dedup();
    let exported = |symbol: &&Symbol| {
        symbol.binding == Binding::Exported
            && is_identifier(&symbol.name)
            && !symbol.name.starts_with(RESERVED)
    };
    let mut exports: Vec<Symbol> = symbols.iter().filter(exported).cloned().collect();
    exports.sort_by_key(|export| export.offset);
    (exports, symbols)
}

/// What one entry of the symbol table is to the image.
fn in_image(
    object: &Object<'_>,
    layout: &Layout,
    marks: &Marks,
    imports: &[Import],
    symbol: &ElfSymbol<'_>,
    faults: &mut Faults,
) -> Option<Symbol> {
    let name = std::str::from_utf8(symbol.name).ok().filter(|name| !name.is_empty())?;
    let section = object.section_of(symbol);
    let mut report = |problem| {
        faults.add(|| Fault::Symbol {
            name: text(symbol.name),
            value: symbol.value,
            section: section.map(|section| text(section.name)),
            problem,
        });
        None
    };
    match (symbol.kind, symbol.place) {
        (elf::STT_SECTION | elf::STT_FILE, _) => return None,
        (_, Place::Undefined) => {
            undefined(symbol, imports, faults);
            return None;
        }
        (elf::STT_TLS, _) => return report(SymbolFault::ThreadLocal),
        (elf::STT_GNU_IFUNC, _) => return report(SymbolFault::Ifunc),
        (_, Place::Common) => return report(SymbolFault::Common),
        (_, Place::Absolute) if !name.starts_with(RESERVED) => return None,
        (elf::STT_FUNC | elf::STT_OBJECT | elf::STT_COMMON | elf::STT_NOTYPE, _) => {}
        _ => return None,
    }
    let allocated = section.is_none_or(|section| section.flags.0 & elf::SHF_ALLOC.0 != 0);
    let behind_end = marks.end.is_some_and(|end| symbol.value >= end) && symbol.value > layout.size;
    if !allocated || behind_end {
        return None;
    }
    let binding = binding(symbol);
    let start = match symbol.kind {
        elf::STT_FUNC => object.architecture.code_address(symbol.value),
        _ => symbol.value,
    };
    let inside = start.checked_add(symbol.size).is_some_and(|end| end <= layout.size);
    if !inside {
        return if binding == Binding::Exported {
            report(SymbolFault::OutsideImage { size: symbol.size })
        } else {
            None
        };
    }
    if !faults.is_empty() {
        return None;
    }
    Some(Symbol {
        name: name.to_owned(),
        offset: u32::try_from(symbol.value).ok()?,
        size: symbol.size,
        kind: kind(object, layout, symbol),
        binding,
    })
}

/// Reports a symbol that nobody defines, unless it is an import, or a relocation has named it already, and with its
/// place.
fn undefined(symbol: &ElfSymbol<'_>, imports: &[Import], faults: &mut Faults) {
    if symbol.binding == elf::STB_WEAK || symbol.binding == elf::STB_LOCAL || symbol.name.is_empty() {
        return;
    }
    if imports.binary_search_by(|import| import.name.as_bytes().cmp(symbol.name)).is_ok() {
        return;
    }
    let name = text(symbol.name);
    let known = faults.iter().any(|fault| match fault {
        Fault::Relocation { symbol, .. } => symbol.as_deref() == Some(&name),
        Fault::Symbol { name: other, problem: SymbolFault::Undefined, .. } => *other == name,
        _ => false,
    });
    if !known {
        faults.add(|| Fault::Symbol { name, value: 0, section: None, problem: SymbolFault::Undefined });
    }
}

fn binding(symbol: &ElfSymbol<'_>) -> Binding {
    let visible = matches!(symbol.visibility, elf::STV_DEFAULT | elf::STV_PROTECTED);
    let global = matches!(symbol.binding, elf::STB_GLOBAL | elf::STB_WEAK | elf::STB_GNU_UNIQUE);
    if visible && global { Binding::Exported } else { Binding::Local }
}

/// Assembly often gives no type: then the section decides, or the segment where there is no section.
fn kind(object: &Object<'_>, layout: &Layout, symbol: &ElfSymbol<'_>) -> SymbolKind {
    let executable = match (symbol.kind, object.section_of(symbol)) {
        (elf::STT_FUNC, _) => true,
        (elf::STT_NOTYPE, Some(section)) => section.flags.0 & elf::SHF_EXECINSTR.0 != 0,
        (elf::STT_NOTYPE, None) => {
            layout.segment_at(symbol.value, 1).is_some_and(|segment| segment.permissions.execute)
        }
        _ => false,
    };
    if executable { SymbolKind::Code } else { SymbolKind::Data }
}

/// Whether C could name it, and so Rust.
fn is_identifier(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let mut bytes = name.bytes();
    bytes.next().is_some_and(letter) && bytes.all(|byte| letter(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_identifier;

    #[test]
    fn identifiers() {
        for good in ["a", "_", "_Z3fooi", "dump_misc", "A9"] {
            assert!(is_identifier(good), "{good}");
        }
        for bad in ["", "9a", ".L1", "a.b", "a$b", "a@V1", "ä"] {
            assert!(!is_identifier(bad), "{bad}");
        }
    }
}
