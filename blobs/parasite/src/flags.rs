//! Flags of `prctl(2)` that nothing outside of the process shows.

use core::ffi::c_int;

use pie_blob_std::sys::{Sysno, number};
use pie_blob_std::syscalls::syscall5;
use zerocopy::{FromBytes, Immutable, IntoBytes};

const PR_GET_TSC: usize = 25;
const PR_MCE_KILL_GET: usize = 34;
const PR_GET_CHILD_SUBREAPER: usize = 37;
const PR_GET_THP_DISABLE: usize = 42;
const PR_GET_IO_FLUSHER: usize = 58;
const PR_GET_MDWE: usize = 66;

/// What a process may have asked for with `prctl(2)`; what the kernel does not know reads as its default.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Flags {
    /// `PR_GET_CHILD_SUBREAPER`: 1 where orphaned descendants become its children.
    pub child_subreaper: i32,
    /// `PR_GET_THP_DISABLE`: not 0 where it gets no huge pages.
    pub no_huge_pages: i32,
    /// `PR_GET_MDWE`: not 0 where memory cannot become executable.
    pub deny_write_execute: i32,
    /// `PR_GET_IO_FLUSHER`: 1 for what the kernel must not wait for when it wants memory.
    pub io_flusher: i32,
    /// `PR_GET_TSC`: 1 where it may read the time-stamp counter (the default), 2 where it may not.
    pub time_stamp_counter: i32,
    /// `PR_MCE_KILL_GET`: what happens when its memory is found broken; 2 is the default.
    pub machine_check: i32,
}

/// Fills in the flags.
///
/// # Safety
///
/// `out` points to room for [`Flags`].
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn dump_flags(out: *mut Flags) -> c_int {
    let flags = flags();
    // SAFETY: the caller's promise; unaligned because the host chooses the place.
    unsafe { out.write_unaligned(flags) };
    0
}

/// Asks the kernel, call by call.
#[must_use]
pub fn flags() -> Flags {
    Flags {
        child_subreaper: written(PR_GET_CHILD_SUBREAPER, 0),
        no_huge_pages: answered(PR_GET_THP_DISABLE, 0),
        deny_write_execute: answered(PR_GET_MDWE, 0),
        io_flusher: answered(PR_GET_IO_FLUSHER, 0),
        time_stamp_counter: written(PR_GET_TSC, 1),
        machine_check: answered(PR_MCE_KILL_GET, 2),
    }
}

/// An option whose answer is what the call returns.
fn answered(option: usize, default: i32) -> i32 {
    // SAFETY: only called for options that take nothing.
    let answer = number(unsafe { syscall5(Sysno::prctl, option, 0, 0, 0, 0) });
    if answer < 0 { default } else { answer }
}

/// An option that writes its answer to an int.
fn written(option: usize, default: i32) -> i32 {
    let mut value = default;
    // SAFETY: only called for options that write one int to the second argument.
    let answer = unsafe { syscall5(Sysno::prctl, option, (&raw mut value).addr(), 0, 0, 0) };
    if answer.is_err() { default } else { value }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn a_flag_that_is_set_is_seen() {
        // In a thread of its own: it is the process that has it, and no other test asks.
        assert_eq!(flags(), Flags { time_stamp_counter: 1, machine_check: 2, ..Flags::default() });
        let set = |on: usize| {
            // SAFETY: takes numbers.
            let set = unsafe { syscall5(Sysno::prctl, 36, on, 0, 0, 0) };
            assert!(set.is_ok());
        };
        set(1);
        assert_eq!(flags().child_subreaper, 1);
        set(0);
        assert_eq!(flags().child_subreaper, 0);
    }
}
