//! The image: what lies in memory when the object's code runs, and what is known about it.

use std::fmt;
use std::ops::Range;

use crate::narrow::Narrow;
use crate::relocation::Relocation;
use crate::{Architecture, word};

/// Names that begin so are the project's own and never exports.
pub(crate) const RESERVED: &str = "__pie_blob_";

/// An object flattened: initialised bytes, zero tail, segments, relocations, exports and imports.
///
/// Every field is consistent with the others: offsets lie in the image, relocated words in its initialised
/// bytes, segments and relocations are sorted and disjoint. The entry lies at offset 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    pub(crate) architecture: Architecture,
    pub(crate) bytes: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) align: u64,
    pub(crate) segments: Vec<Segment>,
    pub(crate) stack: Option<Range<u64>>,
    pub(crate) relocations: Vec<Relocation>,
    pub(crate) narrow: Narrow,
    /// By name; a relocation refers to one by its place here.
    pub(crate) imports: Vec<Import>,
    /// By offset, then by name.
    pub(crate) exports: Vec<Symbol>,
    /// By name, then by offset.
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) packed: bool,
    pub(crate) dropped: Vec<Dropped>,
}

/// A section of the object that is no part of the image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dropped {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) reason: DroppedReason,
}

/// Why a section is no part of the image.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DroppedReason {
    /// It takes no memory (no `SHF_ALLOC`): debugging information, comments.
    NotAllocated,
    /// It relocates a section that takes no memory.
    RelocatesDropped,
    /// It lies at or behind `__pie_blob_end`: only the reader needs it.
    BehindEnd,
}

/// What may be done with the pages of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Permissions {
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub execute: bool,
}

/// A run of the image with the same permissions. Nothing is permitted in a guard.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Segment {
    /// Where it begins; a multiple of the page size unless the image is packed.
    pub offset: u64,
    /// How long it is in memory.
    pub size: u64,
    /// How much of it the object initialises; what follows is zero.
    pub initialised: u64,
    /// What its pages allow.
    pub permissions: Permissions,
}

/// A symbol that the blob wants from outside: the host must supply its address.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Import {
    pub(crate) name: String,
}

/// Whether a symbol is called or read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SymbolKind {
    /// A function.
    Code,
    /// A variable or constant.
    Data,
}

/// How far a symbol is known in the object.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Binding {
    /// Only where it is defined, or everywhere in the object but not outside (hidden).
    Local,
    /// Exported, unless its name says otherwise.
    Exported,
}

/// A defined symbol of the image.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Symbol {
    pub(crate) name: String,
    pub(crate) offset: u32,
    pub(crate) size: u64,
    pub(crate) kind: SymbolKind,
    pub(crate) binding: Binding,
}

/// Why an image cannot stand at a base.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BaseError {
    /// The base is not a multiple of the image's alignment.
    Misaligned {
        /// The base asked for.
        base: u64,
        /// The alignment it must have.
        align: u64,
    },
    /// The image would reach past the last address.
    AddressSpace {
        /// The base asked for.
        base: u64,
        /// The size of the image.
        size: u64,
    },
    /// A word that is narrower than an address would not hold its value ([`Abs32::Checked`](crate::Abs32::Checked)).
    Narrow {
        /// The base asked for.
        base: u64,
        /// The last base, counted from 0, at which every word holds its value.
        last: u64,
    },
    /// The base is not all that the image needs: it has imports.
    Imports {
        /// Their names.
        names: Vec<String>,
    },
}

impl Image {
    /// The instruction set of its code.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// The initialised bytes from offset 0. Every relocated word holds its addend: its value at base 0.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its size in memory: the initialised bytes and the zero tail (zero-filled data, guard, stack).
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The alignment that the base must have: a power of two.
    #[must_use]
    pub fn align(&self) -> u64 {
        self.align
    }

    /// The segments, sorted and disjoint.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The reserved stack: `__pie_blob_stack` up to `__pie_blob_stack_top`.
    #[must_use]
    pub fn stack(&self) -> Option<Range<u64>> {
        self.stack.clone()
    }

    /// The words to which the base or the address of an import is added, sorted and disjoint.
    #[must_use]
    pub fn relocations(&self) -> &[Relocation] {
        &self.relocations
    }

    /// The symbols that the host must supply, sorted by name: what a relocation's number refers to.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// The symbols that the host may name, sorted by offset: global or weak, of default or protected
    /// visibility, the name a C identifier and none of the project's own.
    #[must_use]
    pub fn exports(&self) -> &[Symbol] {
        &self.exports
    }

    /// Every symbol defined in the image, local and hidden ones included, sorted by name.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// Whether everything lies in one segment with all permissions (`__pie_blob_packed` is defined).
    #[must_use]
    pub fn packed(&self) -> bool {
        self.packed
    }

    /// The bases at which every word that is narrower than an address holds its value; every base where there is none,
    /// or where they may be [cut off](crate::Abs32::Truncate).
    #[must_use]
    pub fn narrow(&self) -> Narrow {
        self.narrow
    }

    /// The sections of the object that are no part of the image, in the order of their headers.
    #[must_use]
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// The export of that name.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<&Symbol> {
        self.exports.iter().find(|export| export.name == name)
    }

    /// Every symbol of that name: local ones may share it.
    #[must_use]
    pub fn symbols_named(&self, name: &str) -> &[Symbol] {
        let start = self.symbols.partition_point(|symbol| symbol.name.as_str() < name);
        let rest = self.symbols.get(start..).unwrap_or_default();
        let count = rest.partition_point(|symbol| symbol.name == name);
        rest.get(..count).unwrap_or_default()
    }

    /// The symbol of that name: the exported one, else the only one. `None` if there is none or if it could
    /// be any of several local ones ([`symbols_named`](Self::symbols_named) tells them apart).
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<&Symbol> {
        match self.symbols_named(name) {
            [only] => Some(only),
            several => {
                let mut exported = several.iter().filter(|symbol| symbol.binding == Binding::Exported);
                exported.next().filter(|_| exported.next().is_none())
            }
        }
    }

    /// The bytes as they stand at `base`.
    ///
    /// # Errors
    ///
    /// [`BaseError`] if the image cannot stand there.
    pub fn relocated(&self, base: u64) -> Result<Vec<u8>, BaseError> {
        if base % self.align != 0 {
            return Err(BaseError::Misaligned { base, align: self.align });
        }
        // The last byte, not the one behind it: an image may end where the address space does.
        let last = base.checked_add(self.size.saturating_sub(1));
        if last.is_none_or(|last| last > self.architecture.last_address()) {
            return Err(BaseError::AddressSpace { base, size: self.size });
        }
        if !self.narrow.allows(base) {
            return Err(BaseError::Narrow { base, last: self.narrow.last });
        }
        if !self.imports.is_empty() {
            let names = self.imports.iter().map(|import| import.name.clone()).collect();
            return Err(BaseError::Imports { names });
        }
        let mut bytes = self.bytes.clone();
        for relocation in &self.relocations {
            // Each adds the base: imports have been refused above.
            let kind = relocation.kind;
            let word = usize::try_from(relocation.offset)
                .ok()
                .and_then(|offset| bytes.get_mut(offset..)?.get_mut(..usize::from(kind.width())));
            if let Some(word) = word {
                let value = word::load(word, kind.little_endian());
                word::store(word, value.wrapping_add(base), kind.little_endian());
            }
        }
        Ok(bytes)
    }
}

impl Dropped {
    /// The section's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Why it is no part of the image.
    #[must_use]
    pub fn reason(&self) -> DroppedReason {
        self.reason
    }
}

impl fmt::Display for DroppedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAllocated => "takes no memory",
            Self::RelocatesDropped => "relocates what takes no memory",
            Self::BehindEnd => "lies behind the image, for the reader alone",
        })
    }
}

impl Import {
    /// Its name in the object.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Symbol {
    /// Its name in the object.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it lies in the image.
    #[must_use]
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// How long it is; 0 where the object does not say.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether it is called or read.
    #[must_use]
    pub fn kind(&self) -> SymbolKind {
        self.kind
    }

    /// How far it is known.
    #[must_use]
    pub fn binding(&self) -> Binding {
        self.binding
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |set, letter| if set { letter } else { '-' };
        write!(f, "{}{}{}", letter(self.read, 'R'), letter(self.write, 'W'), letter(self.execute, 'X'))
    }
}

impl fmt::Display for BaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned { base, align } => {
                write!(f, "the base {base:#x} is not a multiple of the image's alignment {align:#x}")
            }
            Self::AddressSpace { base, size } => {
                write!(f, "{size} bytes at {base:#x} reach past the last address")
            }
            Self::Narrow { base, last } => write!(
                f,
                "at the base {base:#x} a word narrower than an address would not hold its value, beyond {last:#x} it does not"
            ),
            Self::Imports { names } => {
                f.write_str("the image needs more than a base, it wants from its host:")?;
                names.iter().try_for_each(|name| write!(f, " `{name}`"))
            }
        }
    }
}

impl std::error::Error for BaseError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relocation::RelocationKind;

    fn symbol(name: &str, offset: u32, binding: Binding) -> Symbol {
        Symbol { name: name.to_owned(), offset, size: 8, kind: SymbolKind::Data, binding }
    }

    fn image() -> Image {
        Image {
            architecture: Architecture::X86_64,
            bytes: vec![0x10, 0, 0, 0, 0, 0, 0, 0],
            size: 16,
            align: 16,
            segments: Vec::new(),
            stack: None,
            relocations: vec![Relocation { offset: 0, kind: RelocationKind::Relative64 }],
            narrow: Narrow::default(),
            imports: Vec::new(),
            exports: Vec::new(),
            symbols: vec![
                symbol("a", 0, Binding::Local),
                symbol("b", 0, Binding::Local),
                symbol("b", 8, Binding::Exported),
                symbol("c", 0, Binding::Local),
                symbol("c", 8, Binding::Local),
            ],
            packed: true,
            dropped: Vec::new(),
        }
    }

    #[test]
    fn a_name_that_several_local_symbols_share_is_nobodys() {
        let image = image();
        assert_eq!(image.symbol("a").map(Symbol::offset), Some(0));
        assert_eq!(image.symbol("b").map(Symbol::offset), Some(8));
        assert_eq!(image.symbol("c"), None);
        assert_eq!(image.symbols_named("c").len(), 2);
        assert_eq!(image.symbols_named("d"), []);
    }

    #[test]
    fn bases() {
        let image = image();
        assert_eq!(image.relocated(0x7000).unwrap(), [0x10, 0x70, 0, 0, 0, 0, 0, 0]);
        assert_eq!(image.relocated(8), Err(BaseError::Misaligned { base: 8, align: 16 }));
        let last = u64::MAX - 15;
        assert_eq!(image.relocated(last).unwrap(), last.wrapping_add(0x10).to_le_bytes());
        let image = Image { size: 17, ..image };
        assert_eq!(image.relocated(last), Err(BaseError::AddressSpace { base: last, size: 17 }));
    }

    #[test]
    fn bases_of_32_bits() {
        let relocations = vec![Relocation { offset: 0, kind: RelocationKind::Relative32 }];
        let image = Image { architecture: Architecture::X86, relocations, ..image() };
        let last = 0xffff_fff0;
        assert_eq!(image.relocated(last).unwrap(), [0, 0, 0, 0, 0, 0, 0, 0]);
        let base = last + 16;
        assert_eq!(image.relocated(base), Err(BaseError::AddressSpace { base, size: 16 }));
    }

    #[test]
    fn words_of_either_width_and_byte_order() {
        for (kind, expected) in [
            (RelocationKind::Relative64, [0x10, 0x10, 0x20, 0x30, 0x40, 0, 0, 0x80]),
            (RelocationKind::Relative32, [0x10, 0x10, 0x20, 0x30, 0, 0, 0, 0x80]),
            (RelocationKind::Relative64Be, [0x10, 0, 0, 0x40, 0x30, 0x20, 0x10, 0x80]),
            (RelocationKind::Relative32Be, [0x40, 0x20, 0x10, 0, 0, 0, 0, 0x80]),
        ] {
            let bytes = vec![0x10, 0, 0, 0, 0, 0, 0, 0x80];
            let image = Image { bytes, relocations: vec![Relocation { offset: 0, kind }], ..image() };
            let expected_width = if kind.width() == 8 { 0x40_3020_1000 } else { 0x3020_1000 };
            assert_eq!(image.relocated(expected_width).unwrap(), expected, "{kind}");
        }
    }

    fn imports<const N: usize>(names: [&str; N]) -> Vec<Import> {
        names.into_iter().map(|name| Import { name: name.to_owned() }).collect()
    }

    #[test]
    fn no_base_is_enough_for_an_image_with_imports() {
        let image = Image { imports: imports(["errno", "getenv"]), ..image() };
        let error = image.relocated(0x7000).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the image needs more than a base, it wants from its host: `errno` `getenv`"
        );
    }

    #[test]
    fn whatever_decides_behaviour_changes_the_id() {
        let plain = image();
        let mut other = image();
        other.bytes[0] = 0x11;
        assert_ne!(plain.id(), other.id());
        other = image();
        other.relocations.clear();
        assert_ne!(plain.id(), other.id());
        other = image();
        other.imports = imports(["getenv"]);
        other.relocations[0].kind = RelocationKind::Import64 { import: 0 };
        let one = other.id();
        assert_ne!(plain.id(), one);
        other.imports = imports(["getenw"]);
        assert_ne!(one, other.id());
        other = image();
        other.symbols.clear();
        assert_eq!(plain.id(), other.id());
    }
}
