//! Loads and relocates a blob that the compiler knows nothing about. A panic handler that is reached from here
//! needs a function that nobody has: the linker says whether any path panics.
#![no_std]
#![no_main]

use pie_blob::Blob;

unsafe extern "C" {
    safe fn this_code_can_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    this_code_can_panic()
}

/// Where the linker begins; never run.
#[unsafe(no_mangle)]
extern "C" fn _start(blob: &'static Blob, dst: *mut u8, len: usize, base: u64, from: u64) -> bool {
    // SAFETY: nobody calls this.
    let dst = unsafe { core::slice::from_raw_parts_mut(dst, len) };
    if cfg!(feature = "control") && dst[from as usize] == 0 {
        return false;
    }
    blob.load(dst, base).is_ok() && blob.relocate(dst, from, base).is_ok()
}
