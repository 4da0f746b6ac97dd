//! An image as text: stable, so that tests can hold it against a file.

use std::fmt;

use crate::image::{Image, SymbolKind};

/// One line per fact, numbers in hexadecimal; bytes and local symbols are left out.
impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "image {} size {:#x} align {:#x}", self.architecture.name(), self.size, self.align)?;
        write!(f, " initialised {:#x}", self.bytes.len())?;
        writeln!(f, "{}", if self.packed { " packed" } else { "" })?;
        for s in &self.segments {
            let end = s.offset.saturating_add(s.size);
            writeln!(
                f,
                "segment {:#x}..{end:#x} {} initialised {:#x}",
                s.offset, s.permissions, s.initialised
            )?;
        }
        if let Some(stack) = &self.stack {
            writeln!(f, "stack {:#x}..{:#x}", stack.start, stack.end)?;
        }
        for relocation in &self.relocations {
            writeln!(f, "relocation {:#x} {}", relocation.offset, relocation.kind)?;
        }
        for (number, import) in self.imports.iter().enumerate() {
            writeln!(f, "import {number} {}", import.name)?;
        }
        for export in &self.exports {
            let kind = match export.kind {
                SymbolKind::Code => "code",
                SymbolKind::Data => "data",
            };
            writeln!(f, "export {:#x} {kind} size {:#x} {}", export.offset, export.size, export.name)?;
        }
        Ok(())
    }
}
