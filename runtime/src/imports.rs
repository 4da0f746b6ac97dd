//! Blobs that want symbols from their host, and what a host can load: such a blob with its imports, or one without.

use core::marker::PhantomData;

use crate::{Blob, LoadError};

/// Addresses of imports, by number: implemented by the `Imports` structure of the macro's expansion.
pub trait Supply {
    /// The address of an import.
    fn address(&self, import: u32) -> Option<u64>;
}

/// Nothing is supplied.
impl Supply for () {
    fn address(&self, _: u32) -> Option<u64> {
        None
    }
}

/// A blob that wants symbols from its host: code or data of the address space that it will run in.
///
/// Made by [`pie_blob!`](crate::pie_blob) with an `imports` block. There is nothing to do with it but to
/// [supply](Self::with) them: without, it cannot be loaded, and that is an error while compiling.
///
/// ```
/// # use pie_blob::{Architecture, Blob, Bytes, Importing, Reloc};
/// # static BYTES: Bytes<8> = Bytes::new([4, 0, 0, 0, 0, 0, 0, 0]);
/// # pub struct Imports { pub errno: pie_blob::Remote<i32> }
/// # impl pie_blob::__private::Supply for Imports {
/// #     fn address(&self, _: u32) -> Option<u64> { Some(self.errno.address()) } }
/// # static BLOB: Importing<Imports> = Importing::__new(pie_blob::__private::blob(pie_blob::__private::Parts {
/// #     name: "word", id: 1, architecture: Architecture::X86_64, bytes: BYTES.as_slice(),
/// #     relocs: Reloc::slice(b"\0\0\0\0\x02\0\0\0"), imports: &["errno"],
/// #     size: 8, align: 8, segments: &[], exports: &[], stack: None, packed: false, base: None, narrow: None,
/// #     done: None, panic: None }));
/// let mut image = [0; 8];
/// BLOB.with(Imports { errno: pie_blob::Remote::new(0x1000) }).load(&mut image, 0).unwrap();
/// assert_eq!(u64::from_le_bytes(image), 0x1004);
/// ```
#[derive(Debug)]
pub struct Importing<I> {
    blob: Blob,
    imports: PhantomData<fn(I)>,
}

impl<I: Supply> Importing<I> {
    #[doc(hidden)]
    #[must_use]
    pub const fn __new(blob: Blob) -> Self {
        Self { blob, imports: PhantomData }
    }

    /// The blob with the addresses that it wants.
    #[must_use]
    pub const fn with(&'static self, imports: I) -> Supplied<I> {
        Supplied { blob: &self.blob, imports }
    }
}

/// A blob with the addresses that it wants from its host: as loadable as one that wants none.
#[derive(Clone, Copy, Debug)]
pub struct Supplied<I> {
    pub(crate) blob: &'static Blob,
    pub(crate) imports: I,
}

impl<I: Supply> Supplied<I> {
    /// As [`Blob::load`].
    ///
    /// # Errors
    ///
    /// As [`Blob::load`].
    pub fn load(&self, dst: &mut [u8], base: u64) -> Result<(), LoadError> {
        self.blob.load_supplied(dst, base, &self.imports)
    }

    /// The blob itself, to be looked at: its size, segments, exports.
    #[must_use]
    pub const fn blob(&self) -> &'static Blob {
        self.blob
    }
}

/// What can be written into memory and run: a blob that wants nothing, or one with what it wants.
///
/// Sealed: what a loadable says of itself is relied on.
pub trait Loadable: sealed::Sealed {
    /// The blob.
    #[doc(hidden)]
    fn __blob(&self) -> &'static Blob;
    /// As [`Blob::load`].
    #[doc(hidden)]
    fn __load(&self, dst: &mut [u8], base: u64) -> Result<(), LoadError>;
    /// Tells what is loaded from everything else that could be: the blob and what was supplied to it.
    #[doc(hidden)]
    fn __id(&self) -> u64;
}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for &'static Blob {}
impl Loadable for &'static Blob {
    fn __blob(&self) -> &'static Blob {
        self
    }

    fn __load(&self, dst: &mut [u8], base: u64) -> Result<(), LoadError> {
        self.load(dst, base)
    }

    fn __id(&self) -> u64 {
        self.id()
    }
}

impl<I: Supply> sealed::Sealed for Supplied<I> {}
impl<I: Supply> Loadable for Supplied<I> {
    fn __blob(&self) -> &'static Blob {
        self.blob
    }

    fn __load(&self, dst: &mut [u8], base: u64) -> Result<(), LoadError> {
        self.load(dst, base)
    }

    fn __id(&self) -> u64 {
        // FNV-1a over the addresses, from where the blob's own hash ends.
        let numbers = 0..u32::try_from(self.blob.imports().len()).unwrap_or(u32::MAX);
        let addresses = numbers.filter_map(|number| self.imports.address(number));
        addresses
            .flat_map(u64::to_le_bytes)
            .fold(self.blob.id(), |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

impl<L: Loadable> sealed::Sealed for &L {}
impl<L: Loadable> Loadable for &L {
    fn __blob(&self) -> &'static Blob {
        (**self).__blob()
    }

    fn __load(&self, dst: &mut [u8], base: u64) -> Result<(), LoadError> {
        (**self).__load(dst, base)
    }

    fn __id(&self) -> u64 {
        (**self).__id()
    }
}
