//! Places in an image, typed by what lies there.

use core::fmt;
use core::marker::PhantomData;

use crate::Remote;

/// What an undeclared function of a blob is: code of unknown signature ([`Offset::cast`] gives it one).
#[derive(Debug)]
pub enum Code {}

/// What an undeclared static of a blob is: data of unknown type ([`Offset::cast`] gives it one).
#[derive(Debug)]
pub enum Data {}

/// Where an export lies in the image of one blob.
///
/// `T` is what lies there: a function pointer type (`unsafe extern "C" fn(u64) -> u64`) or the type of a
/// static. The offset remembers which blob it belongs to; used with another it is refused before anything runs.
pub struct Offset<T: ?Sized> {
    offset: u32,
    blob: u64,
    what: PhantomData<fn() -> *const T>,
}

impl<T: ?Sized> Offset<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn __new(offset: u32, blob: u64) -> Self {
        Self { offset, blob, what: PhantomData }
    }

    /// Bytes from the start of the image.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.offset
    }

    /// The [id](crate::Blob::id) of the blob that this offset belongs to.
    #[must_use]
    pub const fn blob_id(self) -> u64 {
        self.blob
    }

    /// The same place taken for something else.
    ///
    /// Nothing checks that `U` is what lies there; whoever calls or reads it answers for that.
    #[must_use]
    pub const fn cast<U: ?Sized>(self) -> Offset<U> {
        Offset::__new(self.offset, self.blob)
    }

    /// Its address where the image lies at `base` (wrapping, as addresses do).
    #[must_use]
    pub const fn at(self, base: u64) -> Remote<T> {
        Remote::new(base.wrapping_add(self.offset as u64))
    }
}

impl<T: ?Sized> Clone for Offset<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Offset<T> {}

impl<T: ?Sized> PartialEq for Offset<T> {
    fn eq(&self, other: &Self) -> bool {
        self.offset == other.offset && self.blob == other.blob
    }
}

impl<T: ?Sized> Eq for Offset<T> {}

impl<T: ?Sized> fmt::Debug for Offset<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Offset<{}>({:#x})", core::any::type_name::<T>(), self.offset)
    }
}
