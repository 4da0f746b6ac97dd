//! One relocation, packed so that a million of them are one byte string to the compiler.

/// A word of the image to which an address is added: 8 opaque bytes.
///
/// Laid out as offset (`u32`), kind (`u8`) and import (24 bits), little-endian whatever the host is, so
/// that new kinds change no type and the macro needs not know the target's byte order. The addend lies in the
/// word itself.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reloc([u8; 8]);

/// Adds the base to a little-endian 64-bit word (`R_X86_64_RELATIVE` and its like).
pub(crate) const WORD64_LE: u8 = 1;
/// Adds the address of an import to a little-endian 64-bit word (`R_X86_64_GLOB_DAT` and its like).
pub(crate) const IMPORT64_LE: u8 = 2;
/// Adds the base to a little-endian 32-bit word (`R_386_RELATIVE`).
pub(crate) const WORD32_LE: u8 = 3;
/// Adds the address of an import to a little-endian 32-bit word (`R_386_GLOB_DAT`).
pub(crate) const IMPORT32_LE: u8 = 4;
/// Adds the base to a big-endian 64-bit word (`R_390_RELATIVE`).
pub(crate) const WORD64_BE: u8 = 5;
/// Adds the address of an import to a big-endian 64-bit word (`R_390_GLOB_DAT`).
pub(crate) const IMPORT64_BE: u8 = 6;
/// Adds the base to a big-endian 32-bit word.
pub(crate) const WORD32_BE: u8 = 7;
/// Adds the address of an import to a big-endian 32-bit word.
pub(crate) const IMPORT32_BE: u8 = 8;
/// Adds the base to a little-endian 16-bit word (`R_X86_64_16`).
pub(crate) const WORD16_LE: u8 = 9;
/// Adds the base to a byte (`R_X86_64_8`).
pub(crate) const WORD8: u8 = 10;

impl Reloc {
    /// Reads a packed list as the macro writes it; bytes behind the last whole relocation are left out.
    ///
    /// ```
    /// let list = pie_blob::Reloc::slice(b"\x10\0\0\0\x01\0\0\0\x20\0\0\0\x01\0\0\0");
    /// assert_eq!(list.len(), 2);
    /// assert_eq!(list[1].offset(), 0x20);
    /// ```
    #[must_use]
    pub const fn slice(packed: &'static [u8]) -> &'static [Reloc] {
        // SAFETY: the pointer comes from a `'static` slice of `packed.len()` bytes and covers at most those
        // (`len / 8 * 8 <= len`). `Reloc` is `repr(transparent)` over `[u8; 8]`: size 8, alignment 1, and every bit
        // pattern is valid.
        unsafe { core::slice::from_raw_parts(packed.as_ptr().cast::<Reloc>(), packed.len() / 8) }
    }

    /// Where in the image the word lies, in bytes.
    #[must_use]
    pub const fn offset(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_le_bytes([a, b, c, d])
    }

    /// How the word is changed: a code shared with the macro.
    pub(crate) const fn kind(self) -> u8 {
        let [_, _, _, _, kind, ..] = self.0;
        kind
    }

    /// The number of the import that the word wants.
    pub(crate) const fn import(self) -> u32 {
        let [_, _, _, _, _, a, b, c] = self.0;
        u32::from_le_bytes([a, b, c, 0])
    }
}

impl core::fmt::Debug for Reloc {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Reloc(offset {:#x}, kind {})", self.offset(), self.kind())
    }
}
