//! A blob: image, relocations and exports as `static` data, and what describes them.

use core::ops::Range;

use crate::{Offset, Reloc};

/// The instruction set that a blob's code is for.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Architecture {
    /// AMD64, little-endian, 64-bit words.
    X86_64,
    /// i386 and its successors, little-endian, 32-bit words.
    X86,
    /// AArch64, little-endian, 64-bit words.
    Aarch64,
    /// 32-bit ARM and Thumb, little-endian. The offset of a Thumb function has bit 0 set, as its address must.
    Arm,
    /// RISC-V, little-endian, 64-bit words.
    Riscv64,
    /// z/Architecture, big-endian, 64-bit words.
    S390x,
    /// PowerPC, little-endian, 64-bit words, ABI version 2: a function is called with its address in `r12`.
    PowerPc64,
    /// MIPS, little-endian, 64-bit words (N64): a function is called with its address in `t9`.
    Mips64,
    /// MIPS, little-endian, 32-bit words (O32): a function is called with its address in `t9`.
    Mips,
    /// LoongArch, little-endian, 64-bit words.
    LoongArch64,
}

impl Architecture {
    /// The address of the last byte of memory that its code can name.
    pub(crate) const fn last_address(self) -> u64 {
        match self {
            Self::X86 | Self::Arm | Self::Mips => u32::MAX as u64,
            Self::X86_64
            | Self::Aarch64
            | Self::Riscv64
            | Self::S390x
            | Self::PowerPc64
            | Self::Mips64
            | Self::LoongArch64 => u64::MAX,
        }
    }
}

/// What may be done with the pages of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permissions {
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub execute: bool,
}

impl core::fmt::Display for Permissions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let letter = |set, letter| if set { letter } else { "-" };
        f.write_str(letter(self.read, "R"))?;
        f.write_str(letter(self.write, "W"))?;
        f.write_str(letter(self.execute, "X"))
    }
}

/// A run of pages of the image with the same permissions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Where it begins in the image, in bytes.
    pub offset: u64,
    /// How long it is in memory, in bytes.
    pub size: u64,
    /// What its pages allow; nothing at all for a guard page.
    pub permissions: Permissions,
}

/// Whether an export is called or read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportKind {
    /// A function.
    Code,
    /// A static.
    Data,
}

/// A symbol of the blob that the host may name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Export {
    /// Its name in the object.
    pub name: &'static str,
    /// Where it lies in the image, in bytes.
    pub offset: u32,
    /// How long it is, in bytes; 0 where the object does not say.
    pub size: u64,
    /// Whether it is called or read.
    pub kind: ExportKind,
}

/// What the macro found in an object, field by field.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// The blob's name as in the invocation.
    pub name: &'static str,
    /// A hash of everything that decides the blob's behaviour.
    pub id: u64,
    /// The instruction set.
    pub architecture: Architecture,
    /// The initialised bytes, addends in the words.
    pub bytes: &'static [u8],
    /// Sorted by offset.
    pub relocs: &'static [Reloc],
    /// Names of the symbols that the host must supply, by number.
    pub imports: &'static [&'static str],
    /// Bytes in memory: initialised bytes and zero tail.
    pub size: u64,
    /// A power of two.
    pub align: u64,
    /// Sorted by offset, disjoint.
    pub segments: &'static [Segment],
    /// In the order of their offsets.
    pub exports: &'static [Export],
    /// The reserved stack: first byte and one past the last.
    pub stack: Option<(u64, u64)>,
    /// One segment with all permissions.
    pub packed: bool,
    /// The address that the bytes were relocated for while compiling.
    pub base: Option<u64>,
    /// The last of the low bases and the first of the high ones at which words narrower than an address hold their values;
    /// `None` where every base will do.
    pub narrow: Option<(u64, u64)>,
    /// `__pie_blob_done`: where the code stands when a call has ended.
    pub done: Option<u32>,
    /// `__pie_blob_panic`: where a panic leaves its message.
    pub panic: Option<u32>,
}

/// Puts a blob together; for the macro's expansion.
#[doc(hidden)]
#[must_use]
pub const fn blob(parts: Parts) -> Blob {
    Blob(parts)
}

/// Image, relocations and exports of a prelinked object, embedded in this program.
///
/// Made by [`pie_blob!`](crate::pie_blob) as a `static`.
#[derive(Debug)]
pub struct Blob(pub(crate) Parts);

impl Blob {
    /// The name that it was embedded by.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.0.name
    }

    /// Tells this blob from every other: a hash of what decides its behaviour.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.0.id
    }

    /// The instruction set that its code is for.
    #[must_use]
    pub const fn architecture(&self) -> Architecture {
        self.0.architecture
    }

    /// The initialised bytes of the image, as they stand at base 0 (or at [`fixed_base`](Self::fixed_base)).
    #[must_use]
    pub const fn bytes(&self) -> &'static [u8] {
        self.0.bytes
    }

    /// The words to which the base is added, sorted by offset.
    #[must_use]
    pub const fn relocs(&self) -> &'static [Reloc] {
        self.0.relocs
    }

    /// The names of the symbols that the host must supply, by number.
    #[must_use]
    pub const fn imports(&self) -> &'static [&'static str] {
        self.0.imports
    }

    /// How many bytes the image takes in memory: initialised bytes, zeros, guard page and stack.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.0.size
    }

    /// The alignment that the base must have, in bytes.
    #[must_use]
    pub const fn align(&self) -> u64 {
        self.0.align
    }

    /// The runs of pages with their permissions, sorted by offset.
    #[must_use]
    pub const fn segments(&self) -> &'static [Segment] {
        self.0.segments
    }

    /// The symbols that the host may name.
    #[must_use]
    pub const fn exports(&self) -> &'static [Export] {
        self.0.exports
    }

    /// Where in the image its own stack is reserved, if it has one.
    #[must_use]
    pub const fn stack(&self) -> Option<Range<u64>> {
        match self.0.stack {
            Some((start, end)) => Some(start..end),
            None => None,
        }
    }

    /// Whether everything lies in one segment with all permissions, for code that runs without an MMU.
    #[must_use]
    pub const fn is_packed(&self) -> bool {
        self.0.packed
    }

    /// The address that it was relocated for while compiling (`base =` in the macro), if it was.
    #[must_use]
    pub const fn fixed_base(&self) -> Option<u64> {
        self.0.base
    }

    /// The bases at which words narrower than an address hold their values.
    pub(crate) const fn narrow(&self) -> Option<(u64, u64)> {
        self.0.narrow
    }

    /// Whether the offset was made for this blob and lies in its image.
    #[must_use]
    pub fn owns<T: ?Sized>(&self, offset: Offset<T>) -> bool {
        offset.blob_id() == self.0.id && u64::from(offset.get()) < self.0.size
    }

    /// The export that covers an offset, and how far into it the offset lies: for naming a place in the code.
    #[must_use]
    pub fn symbolise(&self, offset: u64) -> Option<(&'static Export, u64)> {
        let before = |e: &&Export| u64::from(e.offset) <= offset;
        let export = self.0.exports.iter().filter(before).max_by_key(|e| e.offset)?;
        let within = offset.checked_sub(u64::from(export.offset))?;
        (within < export.size.max(1)).then_some((export, within))
    }

    #[doc(hidden)]
    #[must_use]
    pub const fn __parts(&self) -> &Parts {
        &self.0
    }
}
