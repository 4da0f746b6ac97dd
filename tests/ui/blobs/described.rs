//! A blob whose object says what its function takes.
#![no_std]

/// What is collected.
#[repr(C)]
pub struct Misc {
    pid: i32,
    flags: u64,
}

/// What was collected last.
#[unsafe(no_mangle)]
pub static mut LAST: Misc = Misc { pid: 1, flags: 0 };

/// Collects.
#[unsafe(no_mangle)]
pub extern "C" fn collect(level: u32, out: *mut Misc) -> i32 {
    let _ = out;
    level.cast_signed()
}

/// Forgets.
#[unsafe(no_mangle)]
pub extern "C" fn reset(level: u32) {
    let _ = level;
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
