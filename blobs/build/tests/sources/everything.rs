//! Whatever makes a compiler put addresses into constants, or call what nobody wrote.
#![no_std]

use core::fmt::Write;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

extern "C" fn double(x: u64) -> u64 {
    x.wrapping_mul(2)
}

#[unsafe(no_mangle)]
pub extern "C" fn square(x: u64) -> u64 {
    x.wrapping_mul(x)
}

/// Two relocations; the second word is the offset of an export.
#[unsafe(no_mangle)]
pub static FUNCTIONS: [extern "C" fn(u64) -> u64; 2] = [double, square];

/// Three relocations.
#[unsafe(no_mangle)]
pub static NAMES: [&str; 3] = ["first", "second", "third"];

#[unsafe(no_mangle)]
pub static mut CALLS: u64 = 7;

#[unsafe(no_mangle)]
pub static mut ROOM: [u8; 5000] = [0; 5000];

#[unsafe(no_mangle)]
pub extern "C" fn apply(which: usize, x: u64) -> u64 {
    // A panic with a location, if `which` is out of bounds.
    FUNCTIONS[which](x)
}

#[unsafe(no_mangle)]
pub extern "C" fn jump(which: u32, x: u64) -> u64 {
    match which {
        0 => x.rotate_left(3),
        1 => x / 7,
        2 => x ^ 0x55,
        3 => x.count_ones().into(),
        4 => x.swap_bytes(),
        5 => x.wrapping_sub(9),
        6 => x.leading_zeros().into(),
        _ => 0,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn divide(high: u64, low: u64, by: u64) -> u64 {
    ((u128::from(high) << 64 | u128::from(low)) / u128::from(by)) as u64
}

struct Room<'a>(&'a mut [u8], usize);

impl Write for Room<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.1 + text.len();
        self.0.get_mut(self.1..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.1 = end;
        Ok(())
    }
}

/// # Safety
/// `len` bytes at `to` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn print(to: *mut u8, len: usize, which: usize) -> usize {
    // SAFETY: the caller's promise.
    let room = unsafe { core::slice::from_raw_parts_mut(to, len) };
    room.fill(0);
    let mut room = Room(room, 0);
    let _ = write!(room, "{:?} {:>8.3}", NAMES.get(which), 1.5f64);
    room.1
}
