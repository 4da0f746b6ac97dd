//! A descriptor that the host gives to the process.

use core::ffi::c_int;

/// Receives a descriptor and returns its number; see [`pie_blob_std::descriptors`].
///
/// # Safety
///
/// `end` points to an aligned `int` that nobody else writes meanwhile.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn receive_descriptor(
    end: *mut c_int,
    close_on_exec: c_int,
    microseconds: u64,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { pie_blob_std::descriptors::receive(end, close_on_exec, microseconds) }
}
