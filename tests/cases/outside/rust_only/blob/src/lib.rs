//! Whatever makes a compiler put addresses into constants, or call what nobody wrote.
//!
//! The host links this package too: what the blob answers is compared with what the same functions answer there.
#![no_std]

use core::fmt::Write;

// Links the entry and the panic handler into the blob.
use pie_blob_std as _;

/// One of the functions that a table holds.
pub type Step = extern "C" fn(u64) -> u64;

extern "C" fn double(x: u64) -> u64 {
    x.wrapping_mul(2)
}

extern "C" fn square(x: u64) -> u64 {
    x.wrapping_mul(x)
}

extern "C" fn invert(x: u64) -> u64 {
    !x
}

/// A table of functions.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub static STEPS: [Step; 3] = [double, square, invert];

/// A table of texts.
static NAMES: [&str; 4] = ["nought", "one", "a couple", "many"];

/// A list in constants: every `next` is a relocated word.
#[repr(C)]
pub struct Link {
    pub value: u64,
    pub next: Option<&'static Link>,
}

#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub static FIRST: Link = Link { value: 1, next: Some(&SECOND) };
static SECOND: Link = Link { value: 20, next: Some(&THIRD) };
static THIRD: Link = Link { value: 300, next: None };

/// Initialised data that changes.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub static mut CALLS: u64 = 7;

/// Zero-filled data, more than a page of it.
static mut ROOM: [u8; 100_000] = [0; 100_000];

/// The address of this function itself.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn here() -> u64 {
    here as *const () as u64
}

#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn apply(which: usize, x: u64) -> u64 {
    STEPS[which](x)
}

/// Enough arms for a table of addresses.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn jump(which: u32, x: u64) -> u64 {
    match which {
        0 => x.rotate_left(3),
        1 => x / 7,
        2 => x ^ 0x55,
        3 => x.count_ones().into(),
        4 => x.swap_bytes(),
        5 => x.wrapping_sub(9),
        6 => x.leading_zeros().into(),
        7 => x.reverse_bits(),
        8 => x % 1000,
        9 => double(square(x)),
        _ => 0,
    }
}

#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn divide(high: u64, low: u64, by: u64) -> u64 {
    ((u128::from(high) << 64 | u128::from(low)) / u128::from(by)) as u64
}

#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn count() -> u64 {
    // SAFETY: the host calls one export after the other.
    unsafe {
        CALLS += 1;
        CALLS
    }
}

/// Fills the room and returns the sum of what was in it.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn fill(byte: u8) -> u64 {
    // SAFETY: the host calls one export after the other.
    let room = unsafe { &mut *(&raw mut ROOM) };
    let sum = room.iter().map(|byte| u64::from(*byte)).sum();
    room.fill(byte);
    sum
}

struct Text<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.used + text.len();
        self.room.get_mut(self.used..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}

/// Writes a text and returns its length.
///
/// # Safety
/// `len` bytes at `to` are writable.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn describe(which: usize, x: u64, to: *mut u8, len: usize) -> usize {
    // SAFETY: the caller's promise.
    let room = unsafe { core::slice::from_raw_parts_mut(to, len) };
    let mut text = Text { room, used: 0 };
    let _ = write!(text, "{:?}: {x:#018x} {:>9.3}", NAMES.get(which), x as f64 / 3.0);
    text.used
}
