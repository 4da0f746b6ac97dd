//! The Rust of a blob in three languages: called from C, and calling it.
#![no_std]
#![cfg(pie_blob)]

use core::fmt::Write;

// Links the entry and the panic handler into the blob.
use pie_blob_std as _;

unsafe extern "C" {
    safe fn c_name(which: u32) -> *const u8;
    safe fn c_apply(which: u32, x: u64) -> u64;
}

/// In the table of functions that C holds.
#[unsafe(no_mangle)]
extern "C" fn triple(x: u64) -> u64 {
    x.wrapping_mul(3)
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

/// Formats, in Rust, what C names and computes; returns the length of the text.
#[unsafe(no_mangle)]
unsafe extern "C" fn describe(which: u32, x: u64, to: *mut u8, len: usize) -> usize {
    // SAFETY: the caller's promise.
    let room = unsafe { core::slice::from_raw_parts_mut(to, len) };
    // SAFETY: C returns one of its string literals.
    let name = unsafe { core::ffi::CStr::from_ptr(c_name(which).cast()) };
    let mut text = Text { room, used: 0 };
    let _ = write!(text, "{name:?} of {x} is {}", c_apply(which, x));
    text.used
}
