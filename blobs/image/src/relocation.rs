//! A relocation: which word of the image changes with the base, and how.

use std::fmt;

/// A word of the image to which the base, or the address of an import, is added; the word itself holds the addend.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Relocation {
    pub(crate) offset: u32,
    pub(crate) kind: RelocationKind,
}

/// How a word is relocated.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RelocationKind {
    /// Add the base to a little-endian word of 64 bits.
    Relative64,
    /// Add the address of an import to a little-endian word of 64 bits.
    Import64 {
        /// Its number: an index into [`Image::imports`](crate::Image::imports), of at most 24 bits.
        import: u32,
    },
    /// Add the base to a little-endian word of 32 bits.
    Relative32,
    /// Add the address of an import to a little-endian word of 32 bits.
    Import32 {
        /// As of [`Import64`](Self::Import64).
        import: u32,
    },
    /// Add the base to a big-endian word of 64 bits.
    Relative64Be,
    /// Add the address of an import to a big-endian word of 64 bits.
    Import64Be {
        /// As of [`Import64`](Self::Import64).
        import: u32,
    },
    /// Add the base to a big-endian word of 32 bits.
    Relative32Be,
    /// Add the address of an import to a big-endian word of 32 bits.
    Import32Be {
        /// As of [`Import64`](Self::Import64).
        import: u32,
    },
    /// Add the base to a little-endian word of 16 bits.
    Relative16,
    /// Add the base to a byte.
    Relative8,
}

impl Relocation {
    /// Where the word begins.
    #[must_use]
    pub fn offset(self) -> u32 {
        self.offset
    }

    /// How it is relocated.
    #[must_use]
    pub fn kind(self) -> RelocationKind {
        self.kind
    }
}

impl RelocationKind {
    /// The number that stands for it in a blob.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Relative64 => 1,
            Self::Import64 { .. } => 2,
            Self::Relative32 => 3,
            Self::Import32 { .. } => 4,
            Self::Relative64Be => 5,
            Self::Import64Be { .. } => 6,
            Self::Relative32Be => 7,
            Self::Import32Be { .. } => 8,
            Self::Relative16 => 9,
            Self::Relative8 => 10,
        }
    }

    /// How many bytes the word has.
    #[must_use]
    pub fn width(self) -> u8 {
        match self {
            Self::Relative64 | Self::Import64 { .. } | Self::Relative64Be | Self::Import64Be { .. } => 8,
            Self::Relative32 | Self::Import32 { .. } | Self::Relative32Be | Self::Import32Be { .. } => 4,
            Self::Relative16 => 2,
            Self::Relative8 => 1,
        }
    }

    /// Whether the word's least significant byte comes first.
    #[must_use]
    pub fn little_endian(self) -> bool {
        match self {
            Self::Relative64
            | Self::Import64 { .. }
            | Self::Relative32
            | Self::Import32 { .. }
            | Self::Relative16
            | Self::Relative8 => true,
            Self::Relative64Be | Self::Import64Be { .. } | Self::Relative32Be | Self::Import32Be { .. } => {
                false
            }
        }
    }

    /// The number of the import whose address is added; `None` where the base is.
    #[must_use]
    pub fn import(self) -> Option<u32> {
        match self {
            Self::Import64 { import }
            | Self::Import32 { import }
            | Self::Import64Be { import }
            | Self::Import32Be { import } => Some(import),
            Self::Relative64
            | Self::Relative32
            | Self::Relative64Be
            | Self::Relative32Be
            | Self::Relative16
            | Self::Relative8 => None,
        }
    }

    /// How the base is added to a word of fewer than 64 bits; `None` for a big-endian one of 16.
    pub(crate) fn narrow(width: u8, little_endian: bool) -> Option<Self> {
        match (width, little_endian) {
            (4, true) => Some(Self::Relative32),
            (4, false) => Some(Self::Relative32Be),
            (2, true) => Some(Self::Relative16),
            (1, _) => Some(Self::Relative8),
            _ => None,
        }
    }
}

/// As the enumerator is called, with the number of the import.
impl fmt::Display for RelocationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Relative64 => "Relative64",
            Self::Import64 { .. } => "Import64",
            Self::Relative32 => "Relative32",
            Self::Import32 { .. } => "Import32",
            Self::Relative64Be => "Relative64Be",
            Self::Import64Be { .. } => "Import64Be",
            Self::Relative32Be => "Relative32Be",
            Self::Import32Be { .. } => "Import32Be",
            Self::Relative16 => "Relative16",
            Self::Relative8 => "Relative8",
        };
        f.write_str(name)?;
        self.import().map_or(Ok(()), |import| write!(f, " {import}"))
    }
}
