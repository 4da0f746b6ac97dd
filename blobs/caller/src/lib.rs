//! A blob that calls a function of the program it is put into: `getenv(3)` of the victim's own C library.
//!
//! The blob leaves `getenv` undefined and says so when it is built; the host finds the function in the victim and supplies
//! its address before the blob can be loaded. What `/proc/PID/environ` shows is the environment at the start of the
//! program; what `getenv` answers is the one that the program has now.
#![no_std]

// Links the entry and the panic handler into the blob.
use pie_blob_std as _;

#[cfg(feature = "embed")]
pie_blob::pie_blob! {
    /// The blob, to be supplied with the victim's `getenv`.
    pub mod caller = "caller";
    unsafe extern "C" {
        /// Copies the value of a variable, at most `capacity` bytes, and returns its length; -1 when it is not set.
        fn environment(name: *const u8, out: *mut u8, capacity: usize) -> isize;
    }
    imports {
        /// The victim's own.
        fn getenv(name: *const u8) -> *const u8;
    }
}

unsafe extern "C" {
    fn getenv(name: *const u8) -> *const u8;
}

/// Copies the value of a variable, at most `capacity` bytes, and returns its length; -1 when it is not set.
///
/// # Safety
///
/// `name` ends with a zero, `out` has room for `capacity` bytes, and no other thread changes the environment meanwhile.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn environment(name: *const u8, out: *mut u8, capacity: usize) -> isize {
    // SAFETY: the caller's promise.
    let value = unsafe { getenv(name) };
    if value.is_null() {
        return -1;
    }
    let mut len = 0;
    loop {
        // SAFETY: a value ends with a zero, and everything before it was not.
        let byte = unsafe { value.wrapping_add(len).read() };
        if byte == 0 {
            return isize::try_from(len).unwrap_or(isize::MAX);
        }
        if len < capacity {
            // SAFETY: `len < capacity`: within the caller's room.
            unsafe { out.wrapping_add(len).write(byte) };
        }
        len += 1;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn it_is_the_hosts_environment_on_the_host() {
        let path = std::env::var("PATH").unwrap();
        let mut out = [0; 4096];
        // SAFETY: the name ends with a zero, the room is as large as said, and tests change no environment.
        let len = unsafe { environment(c"PATH".as_ptr().cast(), out.as_mut_ptr(), out.len()) };
        assert_eq!(&out[..usize::try_from(len).unwrap()], path.as_bytes());
        // SAFETY: as above.
        assert_eq!(unsafe { environment(c"no such variable".as_ptr().cast(), out.as_mut_ptr(), 0) }, -1);
    }
}
