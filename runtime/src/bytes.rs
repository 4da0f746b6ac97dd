//! The initialised bytes of an image, aligned so that they can be copied at full speed.

use core::ops::Deref;

/// The initialised bytes of an image: `[u8; N]` aligned to 16 bytes.
///
/// ```
/// static BYTES: pie_blob::Bytes<4> = pie_blob::Bytes::new(*b"\x7fELF");
/// assert_eq!(BYTES.len(), 4);
/// assert_eq!(core::mem::align_of_val(&BYTES), 16);
/// ```
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct Bytes<const N: usize>([u8; N]);

impl<const N: usize> Bytes<N> {
    /// Takes the bytes as they lie in the image at base 0.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// The bytes as a slice, usable in a `static` (where [`Deref`] is not).
    #[must_use]
    pub const fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> Deref for Bytes<N> {
    type Target = [u8; N];

    fn deref(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> core::fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Bytes<{N}>")
    }
}
