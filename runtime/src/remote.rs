//! Addresses in another address space.

use core::fmt;
use core::marker::PhantomData;

/// An address in another address space: passed on, computed with, never dereferenced here.
///
/// ```
/// use pie_blob::Remote;
///
/// let words: Remote<u32> = Remote::new(0x1000);
/// assert_eq!(words.add(3).address(), 0x100c);
/// ```
#[repr(transparent)]
pub struct Remote<T: ?Sized> {
    address: u64,
    what: PhantomData<fn() -> *const T>,
}

impl<T: ?Sized> Remote<T> {
    /// Names an address of the other side.
    #[must_use]
    pub const fn new(address: u64) -> Self {
        Self { address, what: PhantomData }
    }

    /// The address as a number.
    #[must_use]
    pub const fn address(self) -> u64 {
        self.address
    }

    /// The same address taken for something else.
    #[must_use]
    pub const fn cast<U: ?Sized>(self) -> Remote<U> {
        Remote::new(self.address)
    }
}

impl<T> Remote<T> {
    /// The address `count` items further on (wrapping, as addresses do).
    #[must_use]
    pub const fn add(self, count: u64) -> Self {
        Self::new(self.address.wrapping_add(count.wrapping_mul(size_of::<T>() as u64)))
    }
}

impl<T: ?Sized> Clone for Remote<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Remote<T> {}

impl<T: ?Sized> PartialEq for Remote<T> {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl<T: ?Sized> Eq for Remote<T> {}

impl<T: ?Sized> fmt::Debug for Remote<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({:#x})", self.address)
    }
}
