//! `memcpy`, `memmove`, `memset`, `memcmp`, `bcmp` and `strlen`.
//!
//! Compilers call these six for plain assignments, comparisons and loops, `core` for `CStr`, and both expect a C library
//! to have them; a blob has none. The build crate compiles this file as a crate root of its own, in front of which it writes `#![no_std]` and
//! `#![no_builtins]` (a loop that copies must not become a call of the function that it implements), and
//! says `pie_blob_supplied = "memcpy"` for each of the six that a blob brings itself. Nothing here can panic: no
//! panic handler is linked for it.

use core::ffi::c_int;

/// Bytes of a word.
const WORD: usize = size_of::<usize>();

/// Whether a word may lie anywhere; elsewhere words are used only where they are aligned.
const ANYWHERE: bool = cfg!(any(
    target_arch = "x86_64",
    target_arch = "x86",
    target_arch = "aarch64",
    target_arch = "powerpc64",
    target_arch = "s390x",
));

/// From this length on the processor's own string instructions are worth their start.
#[cfg(target_arch = "x86_64")]
const STRING: usize = 128;

/// Copies `len` bytes that do not overlap.
#[cfg_attr(all(pie_blob, not(pie_blob_supplied = "memcpy")), unsafe(no_mangle))]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller's promise is the one that `upwards` asks for.
    unsafe { upwards(to, from, len) };
    to
}

/// Copies `len` bytes that may overlap.
#[cfg_attr(all(pie_blob, not(pie_blob_supplied = "memmove")), unsafe(no_mangle))]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= len {
        // SAFETY: both ranges are the caller's; `to` does not begin inside the source, as `upwards` asks.
        unsafe { upwards(to, from, len) };
    } else {
        // SAFETY: both ranges are the caller's; `to` does not end inside the source, as `downwards` asks.
        unsafe { downwards(to, from, len) };
    }
    to
}

/// Sets `len` bytes to the low byte of `value`.
#[cfg_attr(all(pie_blob, not(pie_blob_supplied = "memset")), unsafe(no_mangle))]
unsafe extern "C" fn memset(to: *mut u8, value: c_int, len: usize) -> *mut u8 {
    let byte = value.to_le_bytes()[0];
    // SAFETY: the caller's promise is the one that `fill` asks for.
    unsafe { fill(to, byte, len) };
    to
}

/// Compares `len` bytes as unsigned numbers.
#[cfg_attr(all(pie_blob, not(pie_blob_supplied = "memcmp")), unsafe(no_mangle))]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, len: usize) -> c_int {
    // SAFETY: the caller's promise is the one that `compare` asks for.
    unsafe { compare(left, right, len) }
}

/// Says whether `len` bytes differ.
#[cfg_attr(all(pie_blob, not(pie_blob_supplied = "bcmp")), unsafe(no_mangle))]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, len: usize) -> c_int {
    // SAFETY: the caller's promise is the one that `compare` asks for.
    unsafe { compare(left, right, len) }
}

/// Counts the bytes before the first that is 0.
#[cfg_attr(all(pie_blob, not(pie_blob_supplied = "strlen")), unsafe(no_mangle))]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    loop {
        // SAFETY: the caller promises a 0, and none lies before `len`.
        let place = unsafe { text.add(len) };
        // SAFETY: readable for the same reason.
        if unsafe { place.read() } == 0 {
            return len;
        }
        len += 1;
    }
}

/// How many of `len` bytes go one by one until words can be used at both addresses.
#[inline(always)]
fn until_words(a: usize, b: usize, len: usize) -> usize {
    if ANYWHERE {
        0
    } else if (a ^ b) % WORD == 0 {
        len.min(a.wrapping_neg() % WORD)
    } else {
        len
    }
}

/// Reads a word.
///
/// # Safety
/// `WORD` bytes at `from` are readable, and it is aligned unless words may lie [`ANYWHERE`].
#[inline(always)]
unsafe fn load(from: *const u8) -> usize {
    let from = from.cast::<usize>();
    if ANYWHERE {
        // SAFETY: readable as the caller promises.
        unsafe { from.read_unaligned() }
    } else {
        // A plain read: an unaligned one may become a call of `memcpy` where the processor has none.
        // SAFETY: readable and aligned as the caller promises.
        unsafe { from.read() }
    }
}

/// Writes a word.
///
/// # Safety
/// `WORD` bytes at `to` are writable, and it is aligned unless words may lie [`ANYWHERE`].
#[inline(always)]
unsafe fn store(to: *mut u8, word: usize) {
    let to = to.cast::<usize>();
    if ANYWHERE {
        // SAFETY: writable as the caller promises.
        unsafe { to.write_unaligned(word) };
    } else {
        // SAFETY: writable and aligned as the caller promises.
        unsafe { to.write(word) };
    }
}

/// Copies the byte at `at`.
///
/// # Safety
/// `from + at` is readable and `to + at` writable.
#[inline(always)]
unsafe fn copy_byte(to: *mut u8, from: *const u8, at: usize) {
    // SAFETY: inside the readable range.
    let from = unsafe { from.add(at) };
    // SAFETY: inside the writable range.
    let to = unsafe { to.add(at) };
    // SAFETY: readable as the caller promises.
    let byte = unsafe { from.read() };
    // SAFETY: writable as the caller promises.
    unsafe { to.write(byte) };
}

/// Copies the word at `at`.
///
/// # Safety
/// As [`load`] from `from + at` and [`store`] to `to + at` ask.
#[inline(always)]
unsafe fn copy_word(to: *mut u8, from: *const u8, at: usize) {
    // SAFETY: inside the readable range.
    let from = unsafe { from.add(at) };
    // SAFETY: inside the writable range.
    let to = unsafe { to.add(at) };
    // SAFETY: the caller's promise is `load`'s.
    let word = unsafe { load(from) };
    // SAFETY: the caller's promise is `store`'s.
    unsafe { store(to, word) };
}

/// Copies from the lowest address on.
///
/// # Safety
/// `len` bytes at `from` are readable and at `to` writable; `to` does not begin behind `from` inside the source.
#[inline(always)]
unsafe fn upwards(to: *mut u8, from: *const u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if len >= STRING {
        // SAFETY: reads and writes exactly the two ranges, upwards; the ABI keeps the direction flag clear.
        unsafe {
            core::arch::asm!(
                "rep movsb",
                inout("rcx") len => _,
                inout("rdi") to => _,
                inout("rsi") from => _,
                options(nostack, preserves_flags),
            );
        }
        return;
    }
    let head = until_words(to.addr(), from.addr(), len);
    let mut at = 0;
    while at < head {
        // SAFETY: `at < len`.
        unsafe { copy_byte(to, from, at) };
        at += 1;
    }
    while len - at >= WORD {
        // SAFETY: a word is left; both addresses are aligned where that matters, for `head` bytes went before.
        unsafe { copy_word(to, from, at) };
        at += WORD;
    }
    while at < len {
        // SAFETY: `at < len`.
        unsafe { copy_byte(to, from, at) };
        at += 1;
    }
}

/// Copies from the highest address on.
///
/// # Safety
/// `len` bytes at `from` are readable and at `to` writable; `to` does not begin before `from` and end inside the source.
#[inline(always)]
unsafe fn downwards(to: *mut u8, from: *const u8, len: usize) {
    let head = until_words(to.addr(), from.addr(), len);
    let mut at = len;
    // Whatever lies behind the last whole word after the head.
    let tail = (len - head) % WORD;
    while at > len - tail {
        at -= 1;
        // SAFETY: `at < len`.
        unsafe { copy_byte(to, from, at) };
    }
    while at > head {
        at -= WORD;
        // SAFETY: `at` is `head` and whole words: inside, and aligned where that matters.
        unsafe { copy_word(to, from, at) };
    }
    while at > 0 {
        at -= 1;
        // SAFETY: `at < len`.
        unsafe { copy_byte(to, from, at) };
    }
}

/// Sets every byte.
///
/// # Safety
/// `len` bytes at `to` are writable.
#[inline(always)]
unsafe fn fill(to: *mut u8, byte: u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if len >= STRING {
        // SAFETY: writes exactly the range, upwards; the ABI keeps the direction flag clear.
        unsafe {
            core::arch::asm!(
                "rep stosb",
                inout("rcx") len => _,
                inout("rdi") to => _,
                in("al") byte,
                options(nostack, preserves_flags),
            );
        }
        return;
    }
    let word = usize::from_ne_bytes([byte; WORD]);
    let head = until_words(to.addr(), to.addr(), len);
    let mut at = 0;
    while at < len {
        // SAFETY: `at < len`.
        let place = unsafe { to.add(at) };
        if at >= head && len - at >= WORD {
            // SAFETY: a word is left; aligned where that matters, for `head` bytes went before.
            unsafe { store(place, word) };
            at += WORD;
        } else {
            // SAFETY: `at < len`.
            unsafe { place.write(byte) };
            at += 1;
        }
    }
}

/// The difference of the first two bytes that differ.
///
/// # Safety
/// `len` bytes at `left` and `right` are readable.
#[inline(always)]
unsafe fn compare(left: *const u8, right: *const u8, len: usize) -> c_int {
    let head = until_words(left.addr(), right.addr(), len);
    let mut at = 0;
    while at < len {
        // SAFETY: `at < len`.
        let a = unsafe { left.add(at) };
        // SAFETY: `at < len`.
        let b = unsafe { right.add(at) };
        if at >= head && len - at >= WORD && (at - head) % WORD == 0 {
            // SAFETY: a word is left; aligned where that matters, for `head` bytes and whole words went before.
            let word_a = unsafe { load(a) };
            // SAFETY: as for `word_a`.
            let word_b = unsafe { load(b) };
            if word_a == word_b {
                at += WORD;
                continue;
            }
        }
        // SAFETY: `at < len`.
        let byte_a = unsafe { a.read() };
        // SAFETY: `at < len`.
        let byte_b = unsafe { b.read() };
        if byte_a != byte_b {
            return c_int::from(byte_a) - c_int::from(byte_b);
        }
        at += 1;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than the length at which string instructions take over, by some words and some bytes.
    const SIZE: usize = 200;

    fn numbered() -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        for (i, byte) in (1u8..).zip(&mut bytes) {
            *byte = i;
        }
        bytes
    }

    #[test]
    fn moves_every_overlap() {
        for len in [0, 1, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 150] {
            for from in 0..20 {
                for to in 0..20 {
                    let (mut ours, mut wanted) = (numbered(), numbered());
                    wanted.copy_within(from..from + len, to);
                    let start = ours.as_mut_ptr();
                    // SAFETY: both ranges end at `20 + 150` at most, inside the array.
                    let result = unsafe { memmove(start.wrapping_add(to), start.wrapping_add(from), len) };
                    assert_eq!(result, start.wrapping_add(to));
                    assert_eq!(ours, wanted, "{len} bytes from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn copies_and_fills_at_every_alignment() {
        let source = numbered();
        for len in 0..160 {
            for (from, to) in [(0, 0), (0, 3), (5, 0), (5, 5), (7, 2)] {
                let (mut ours, mut wanted) = ([0; SIZE], [0; SIZE]);
                wanted[to..to + len].copy_from_slice(&source[from..from + len]);
                // SAFETY: both ranges end at `7 + 160` at most, inside the arrays, which are two.
                unsafe {
                    memcpy(ours.as_mut_ptr().wrapping_add(to), source.as_ptr().wrapping_add(from), len)
                };
                assert_eq!(ours, wanted, "{len} bytes from {from} to {to}");

                wanted[to..to + len].fill(0xA5);
                // SAFETY: the range ends at `5 + 160` at most, inside the array.
                unsafe { memset(ours.as_mut_ptr().wrapping_add(to), 0x1A5, len) };
                assert_eq!(ours, wanted, "{len} bytes set at {to}");
            }
        }
    }

    #[test]
    fn counts_up_to_the_first_zero() {
        for len in 0..SIZE {
            let mut text = numbered();
            text[len] = 0;
            // SAFETY: a 0 lies in the array.
            assert_eq!(unsafe { strlen(text.as_ptr()) }, len);
        }
    }

    #[test]
    fn compares_as_unsigned_bytes() {
        let left = numbered();
        for len in 0..100 {
            for at in 0..100 {
                for (start, change) in [(0, 255), (3, 0)] {
                    let mut right = numbered();
                    right[start + at] = change;
                    let a = left.as_ptr().wrapping_add(start);
                    let b = right.as_ptr().wrapping_add(start);
                    // SAFETY: both ranges end at `3 + 100` at most, inside the arrays.
                    let order = unsafe { memcmp(a, b, len) };
                    let wanted = left[start..start + len].cmp(&right[start..start + len]);
                    assert_eq!(order.cmp(&0), wanted, "{len} bytes, the one at {at} changed");
                    // SAFETY: as above.
                    let differs = unsafe { bcmp(a, b, len) } != 0;
                    assert_eq!(differs, wanted.is_ne());
                }
            }
        }
    }
}
