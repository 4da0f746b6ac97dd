//! Arguments and results of remote calls: what goes in registers, what is copied in and back.
//!
//! A pointer of this process means nothing in the victim. Where an export takes `*const T`, a `&T` or `&[T]` is
//! copied beside the blob and the copy's address passed; where it takes `*mut T`, a `&mut T` or `&mut [T]` is
//! copied in and back. `T` is plain data, for which every answer of the victim's is a value.

use pie_blob::Remote;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What is copied into the victim beside the blob, and back.
#[derive(Debug)]
pub struct Room<'a> {
    start: u64,
    bytes: Vec<u8>,
    back: Vec<(u64, &'a mut [u8])>,
}

/// What every argument is aligned to in the victim: enough for every type of the C ABI.
const ALIGN: usize = 16;

impl<'a> Room<'a> {
    pub(crate) fn at(start: u64) -> Self {
        Self { start, bytes: Vec::new(), back: Vec::new() }
    }

    /// Copies bytes in and returns where they will lie.
    fn put(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        let address = self.start.wrapping_add(self.bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        address
    }

    /// Copies bytes in, and back when the call has ended.
    fn lend(&mut self, bytes: &'a mut [u8]) -> u64 {
        let address = self.put(bytes);
        self.back.push((address, bytes));
        address
    }

    /// What goes in, from the start of the room.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What comes back, and from where.
    pub(crate) fn into_back(self) -> Vec<(u64, &'a mut [u8])> {
        self.back
    }
}

/// A value of this process that can be passed where an export takes a `P`.
///
/// Integers pass as themselves, [`Remote`] as an address, references and slices of plain data by copy.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be passed where the export takes `{P}`",
    note = "`*mut T` takes `&mut T` or `&mut [T]`, `*const T` takes `&T` or `&[T]`, both take `Remote<T>`; \
            `T` must be plain data: derive zerocopy's `FromBytes`, `IntoBytes` and `Immutable`"
)]
pub trait Pass<'a, P>: sealed::Sealed {
    /// The register's value; what it refers to is put into the room.
    #[doc(hidden)]
    fn pass(self, room: &mut Room<'a>) -> u64;
}

/// A value that an export can return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot come back from a remote call",
    note = "an export returns an integer, `()` or `Remote<T>`"
)]
pub trait Returned: sealed::Sealed {
    /// What the result register says.
    #[doc(hidden)]
    fn returned(register: u64) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl sealed::Sealed for $integer {}
        impl Pass<'_, $integer> for $integer {
            #[allow(clippy::cast_sign_loss, clippy::cast_lossless, reason = "the ABI extends an integer by its sign")]
            fn pass(self, _: &mut Room<'_>) -> u64 {
                self as u64
            }
        }
        impl Returned for $integer {
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "the ABI uses the low bits")]
            fn returned(register: u64) -> Self {
                register as Self
            }
        }
    )*};
}
integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl sealed::Sealed for () {}
impl Returned for () {
    fn returned(_: u64) {}
}

impl<T: ?Sized> sealed::Sealed for Remote<T> {}
impl<T: ?Sized> Pass<'_, Remote<T>> for Remote<T> {
    fn pass(self, _: &mut Room<'_>) -> u64 {
        self.address()
    }
}
impl<T> Pass<'_, *const T> for Remote<T> {
    fn pass(self, _: &mut Room<'_>) -> u64 {
        self.address()
    }
}
impl<T> Pass<'_, *mut T> for Remote<T> {
    fn pass(self, _: &mut Room<'_>) -> u64 {
        self.address()
    }
}
impl<T: ?Sized> Returned for Remote<T> {
    fn returned(register: u64) -> Self {
        Remote::new(register)
    }
}

impl<T: ?Sized> sealed::Sealed for &T {}
impl<T: IntoBytes + Immutable> Pass<'_, *const T> for &T {
    fn pass(self, room: &mut Room<'_>) -> u64 {
        room.put(self.as_bytes())
    }
}
impl<T: IntoBytes + Immutable> Pass<'_, *const T> for &[T] {
    fn pass(self, room: &mut Room<'_>) -> u64 {
        room.put(self.as_bytes())
    }
}
impl<T: IntoBytes + Immutable, const N: usize> Pass<'_, *const T> for &[T; N] {
    fn pass(self, room: &mut Room<'_>) -> u64 {
        room.put(self.as_bytes())
    }
}

impl<T: ?Sized> sealed::Sealed for &mut T {}
impl<'a, T: FromBytes + IntoBytes> Pass<'a, *mut T> for &'a mut T {
    fn pass(self, room: &mut Room<'a>) -> u64 {
        room.lend(self.as_mut_bytes())
    }
}
impl<'a, T: FromBytes + IntoBytes> Pass<'a, *mut T> for &'a mut [T] {
    fn pass(self, room: &mut Room<'a>) -> u64 {
        room.lend(self.as_mut_bytes())
    }
}
impl<'a, T: FromBytes + IntoBytes, const N: usize> Pass<'a, *mut T> for &'a mut [T; N] {
    fn pass(self, room: &mut Room<'a>) -> u64 {
        room.lend(self.as_mut_bytes())
    }
}

/// A function type that can be called in a victim with arguments `A`: an `unsafe extern "C" fn` of up to six
/// parameters, each of which takes the argument at its place.
pub trait Call<'a, A> {
    /// What it returns.
    type Output;
    /// The registers; what they refer to is put into the room.
    #[doc(hidden)]
    fn registers(arguments: A, room: &mut Room<'a>) -> [u64; 6];
    /// What the result register says.
    #[doc(hidden)]
    fn output(register: u64) -> Self::Output;
}

macro_rules! calls {
    ($($($parameter:ident $argument:ident $at:tt)*;)*) => {$(
        impl<'a, R: Returned $(, $parameter, $argument: Pass<'a, $parameter>)*> Call<'a, ($($argument,)*)>
            for unsafe extern "C" fn($($parameter),*) -> R
        {
            type Output = R;

            fn registers(_arguments: ($($argument,)*), _room: &mut Room<'a>) -> [u64; 6] {
                #[allow(unused_mut, reason = "no arguments, nothing to put into registers")]
                let mut registers = [0; 6];
                $(registers[$at] = _arguments.$at.pass(_room);)*
                registers
            }

            fn output(register: u64) -> R {
                R::returned(register)
            }
        }
    )*};
}
calls! {
    ;
    P0 A0 0;
    P0 A0 0 P1 A1 1;
    P0 A0 0 P1 A1 1 P2 A2 2;
    P0 A0 0 P1 A1 1 P2 A2 2 P3 A3 3;
    P0 A0 0 P1 A1 1 P2 A2 2 P3 A3 3 P4 A4 4;
    P0 A0 0 P1 A1 1 P2 A2 2 P3 A3 3 P4 A4 4 P5 A5 5;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_lie_side_by_side_aligned_and_come_back() {
        type F = unsafe extern "C" fn(*const u8, *mut u32, i32, *mut u8) -> i32;
        let mut word = 7_u32;
        let mut tail = [1_u8, 2, 3];
        let mut room = Room::at(0x1000);
        let registers = <F as Call<'_, _>>::registers((b"name", &mut word, -2, &mut tail[..]), &mut room);
        assert_eq!(registers, [0x1000, 0x1010, u64::MAX - 1, 0x1020, 0, 0]);
        assert_eq!(&room.bytes()[..4], b"name");
        assert_eq!(room.bytes()[16..20], 7_u32.to_ne_bytes());
        assert_eq!(room.bytes()[32..], [1, 2, 3]);
        for (address, bytes) in room.into_back() {
            bytes[0] = if address == 0x1010 { 9 } else { 8 };
        }
        assert_eq!((word.to_ne_bytes()[0], tail[0]), (9, 8));
        assert_eq!(<F as Call<'_, (&[u8; 4], &mut u32, i32, &mut [u8])>>::output(0xffff_ffff), -1);
    }
}
