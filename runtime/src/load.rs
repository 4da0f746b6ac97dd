//! Writing an image as it stands at a base: copy, zero and relocate in one pass.
//!
//! One pass because memory is the cost: a block is relocated while it is still in a near cache. No
//! path here panics: code that loads blobs runs where nobody would see a panic.

use core::fmt;

use crate::imports::Supply;
use crate::reloc::{
    IMPORT32_BE, IMPORT32_LE, IMPORT64_BE, IMPORT64_LE, WORD8, WORD16_LE, WORD32_BE, WORD32_LE, WORD64_BE,
    WORD64_LE,
};
use crate::{Blob, Reloc};

/// How much is copied before its relocations are applied: what is written fits the second cache of a server of today.
/// In smaller pieces a copy is slower than in one, because processors move long runs without reading what they write over.
const BLOCK: usize = 512 * 1024;

/// Why an image cannot stand where it was asked to.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadError {
    /// The buffer is shorter than the image.
    BufferTooSmall {
        /// Bytes the image takes.
        needed: u64,
        /// Bytes the buffer has.
        found: u64,
    },
    /// The base is not a multiple of the blob's alignment.
    Misaligned {
        /// The base asked for.
        base: u64,
        /// The alignment it must have.
        align: u64,
    },
    /// The image would reach past the last address.
    OutOfAddressSpace {
        /// The base asked for.
        base: u64,
        /// Bytes the image takes.
        size: u64,
    },
    /// The blob was relocated for another base while compiling.
    FixedBase {
        /// The base asked for.
        base: u64,
        /// The only base it can stand at.
        fixed: u64,
    },
    /// A word that is narrower than an address would not hold its value (`abs32 = checked` in the macro).
    Narrow {
        /// The base asked for.
        base: u64,
        /// The last base, counted from 0, at which every word holds its value.
        last: u64,
    },
    /// The blob wants a symbol from its host that was not supplied.
    MissingImport {
        /// The symbol; empty where the blob does not name it.
        name: &'static str,
    },
    /// An address was supplied that the blob's architecture cannot name.
    ImportOutOfAddressSpace {
        /// The symbol; empty where the blob does not name it.
        name: &'static str,
        /// The address that was supplied.
        address: u64,
    },
    /// The blob's own data is not what the macro writes.
    Malformed {
        /// The offset of the relocation at fault.
        offset: u32,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BufferTooSmall { needed, found } => {
                write!(f, "the image takes {needed} bytes and the buffer has {found}")
            }
            Self::Misaligned { base, align } => {
                write!(f, "the base {base:#x} is not a multiple of the blob's alignment {align:#x}")
            }
            Self::OutOfAddressSpace { base, size } => {
                write!(f, "{size} bytes at {base:#x} reach past the last address")
            }
            Self::FixedBase { base, fixed } => {
                write!(
                    f,
                    "the blob was relocated for {fixed:#x} while compiling and cannot stand at {base:#x}"
                )
            }
            Self::Narrow { base, last } => write!(
                f,
                "at the base {base:#x} a word narrower than an address would not hold its value; the last base for it is \
                 {last:#x}"
            ),
            Self::MissingImport { name } => {
                write!(f, "the blob wants `{name}` from its host, and it was not supplied")
            }
            Self::ImportOutOfAddressSpace { name, address } => {
                write!(
                    f,
                    "`{name}` was supplied as {address:#x}, past the last address of the blob's architecture"
                )
            }
            Self::Malformed { offset } => {
                write!(f, "the relocation at {offset:#x} is none that this version of the runtime knows")
            }
        }
    }
}

impl core::error::Error for LoadError {}

impl Blob {
    /// Writes the image as it stands at `base` to the start of `dst`: copies, zeroes and relocates in one pass.
    ///
    /// `dst` is where the image is prepared, `base` where it will run: the same address here, or one in another
    /// process or guest. Bytes of `dst` behind [`size`](Blob::size) stay as they are.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when the buffer is too short or the image cannot stand at `base`; `dst` is then untouched
    /// (but for [`LoadError::ImportOutOfAddressSpace`], and [`LoadError::Malformed`], which no expansion of the macro can
    /// give).
    pub fn load(&self, dst: &mut [u8], base: u64) -> Result<(), LoadError> {
        self.load_supplied(dst, base, &())
    }

    /// As [`load`](Self::load), with the addresses of imports.
    pub(crate) fn load_supplied<S: Supply>(
        &self,
        dst: &mut [u8],
        base: u64,
        supply: &S,
    ) -> Result<(), LoadError> {
        let last = self.architecture().last_address();
        let import = |number| match supply.address(number) {
            Some(address) if address <= last => Ok(address),
            Some(address) => {
                Err(LoadError::ImportOutOfAddressSpace { name: self.import_name(number), address })
            }
            None => Err(LoadError::MissingImport { name: self.import_name(number) }),
        };
        let (initialised, zero) = self.split(dst, base)?;
        let mut pending = self.relocs();
        let mut copied = 0;
        while copied < self.bytes().len() {
            let end = self.bytes().len().min(copied.saturating_add(BLOCK));
            if let (Some(to), Some(from)) = (initialised.get_mut(copied..end), self.bytes().get(copied..end))
            {
                if to.len() == from.len() {
                    to.copy_from_slice(from);
                }
            }
            copied = end;
            pending = apply(initialised.get_mut(..copied).unwrap_or_default(), pending, base, import)?;
        }
        zero.fill(0);
        match pending.first() {
            None => Ok(()),
            Some(reloc) => Err(LoadError::Malformed { offset: reloc.offset() }),
        }
    }

    /// Moves an image that [`load`](Blob::load) prepared for `from` so that it can run at `to`.
    ///
    /// Only relocated words change: what the blob has written since is kept, pointers that it made at run time
    /// too, which then still point to the old place.
    ///
    /// # Errors
    ///
    /// As [`load`](Blob::load).
    pub fn relocate(&self, image: &mut [u8], from: u64, to: u64) -> Result<(), LoadError> {
        let (initialised, _) = self.split(image, to)?;
        // What a host has supplied does not move with the image.
        let import = |_| Ok(0);
        match apply(initialised, self.relocs(), to.wrapping_sub(from), import)?.first() {
            None => Ok(()),
            Some(reloc) => Err(LoadError::Malformed { offset: reloc.offset() }),
        }
    }

    fn import_name(&self, number: u32) -> &'static str {
        self.imports().get(number as usize).copied().unwrap_or_default()
    }

    /// Checks everything that can be wrong, then splits the image into initialised bytes and zero tail.
    fn split<'a>(&self, dst: &'a mut [u8], base: u64) -> Result<(&'a mut [u8], &'a mut [u8]), LoadError> {
        let too_small = LoadError::BufferTooSmall { needed: self.size(), found: dst.len() as u64 };
        if let Some(fixed) = self.fixed_base() {
            if fixed != base {
                return Err(LoadError::FixedBase { base, fixed });
            }
        }
        if base & self.align().wrapping_sub(1) != 0 {
            return Err(LoadError::Misaligned { base, align: self.align() });
        }
        // The last byte, not the one behind it: an image may end where the address space does.
        let last = base.checked_add(self.size().saturating_sub(1));
        if last.is_none_or(|last| last > self.architecture().last_address()) {
            return Err(LoadError::OutOfAddressSpace { base, size: self.size() });
        }
        if let Some((last, first_high)) = self.narrow() {
            if base > last && (base < first_high || first_high == u64::MAX) {
                return Err(LoadError::Narrow { base, last });
            }
        }
        let size = usize::try_from(self.size()).map_err(|_| too_small)?;
        let image = dst.get_mut(..size).ok_or(too_small)?;
        image.split_at_mut_checked(self.bytes().len()).ok_or(too_small)
    }
}

/// Changes the words of `image` up to the first that does not lie wholly in it, and returns what is left: `delta` is added to
/// words that hold an address of the image, what `import` says to those that hold one of the host's.
#[inline]
fn apply<'r>(
    image: &mut [u8],
    relocs: &'r [Reloc],
    delta: u64,
    import: impl Fn(u32) -> Result<u64, LoadError>,
) -> Result<&'r [Reloc], LoadError> {
    let mut pending = relocs;
    loop {
        // Almost every word of almost every blob: nothing else is asked about it.
        while let [reloc, rest @ ..] = pending {
            if reloc.kind() != WORD64_LE {
                break;
            }
            let Some(word) = word(image, *reloc) else { return Ok(pending) };
            *word = u64::from_le_bytes(*word).wrapping_add(delta).to_le_bytes();
            pending = rest;
        }
        let [reloc, rest @ ..] = pending else { return Ok(pending) };
        if apply_other(image, *reloc, delta, &import)?.is_none() {
            return Ok(pending);
        }
        pending = rest;
    }
}

/// Changes one word, if it lies wholly in `image`.
fn apply_other(
    image: &mut [u8],
    reloc: Reloc,
    delta: u64,
    import: impl Fn(u32) -> Result<u64, LoadError>,
) -> Result<Option<()>, LoadError> {
    let added = match reloc.kind() {
        WORD64_LE | WORD32_LE | WORD64_BE | WORD32_BE | WORD16_LE | WORD8 => delta,
        IMPORT64_LE | IMPORT32_LE | IMPORT64_BE | IMPORT32_BE => import(reloc.import())?,
        _ => return Err(LoadError::Malformed { offset: reloc.offset() }),
    };
    #[expect(clippy::cast_possible_truncation, reason = "addition modulo 2^32 wants the low half")]
    let low = added as u32;
    Ok(match reloc.kind() {
        WORD64_LE | IMPORT64_LE => {
            word(image, reloc).map(|word| *word = u64::from_le_bytes(*word).wrapping_add(added).to_le_bytes())
        }
        WORD32_LE | IMPORT32_LE => {
            word(image, reloc).map(|word| *word = u32::from_le_bytes(*word).wrapping_add(low).to_le_bytes())
        }
        WORD64_BE | IMPORT64_BE => {
            word(image, reloc).map(|word| *word = u64::from_be_bytes(*word).wrapping_add(added).to_be_bytes())
        }
        WORD32_BE | IMPORT32_BE => {
            word(image, reloc).map(|word| *word = u32::from_be_bytes(*word).wrapping_add(low).to_be_bytes())
        }
        // Narrower than an address: at the bases that `split` lets pass nothing is cut off, unless that was asked for.
        WORD16_LE => word(image, reloc).map(|word| {
            let [a, b, ..] = low.to_le_bytes();
            *word = u16::from_le_bytes(*word).wrapping_add(u16::from_le_bytes([a, b])).to_le_bytes();
        }),
        _ => word::<1>(image, reloc).map(|[byte]| {
            let [a, ..] = low.to_le_bytes();
            *byte = byte.wrapping_add(a);
        }),
    })
}

/// The word that a relocation changes.
#[inline]
fn word<const WIDTH: usize>(image: &mut [u8], reloc: Reloc) -> Option<&mut [u8; WIDTH]> {
    // Of 32 bits, so that adding the width cannot overflow and one comparison is enough.
    let offset = reloc.offset() as usize;
    image.get_mut(offset..offset.saturating_add(WIDTH)).and_then(<[u8]>::first_chunk_mut)
}
