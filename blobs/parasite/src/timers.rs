//! Interval and POSIX timers: only the process itself can read them.

use core::ffi::c_int;

use pie_blob_std::sys::{Sysno, number, sign_extended};
use pie_blob_std::syscalls::syscall2;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `ITIMER_REAL`, `ITIMER_VIRTUAL`, `ITIMER_PROF`, in this order.
pub const TIMERS: usize = 3;

/// The kernel's `struct itimerval` with 64-bit words.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct IntervalTimer {
    /// The period: whole seconds.
    pub interval_seconds: i64,
    /// The period: microseconds.
    pub interval_microseconds: i64,
    /// Until it next expires: whole seconds; both parts 0 when it does not run.
    pub value_seconds: i64,
    /// Until it next expires: microseconds.
    pub value_microseconds: i64,
}

/// Fills in the interval timers.
///
/// # Safety
///
/// `out` points to room for [`TIMERS`] items.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn dump_timers(out: *mut IntervalTimer) -> c_int {
    for which in 0..TIMERS {
        let mut timer = IntervalTimer::default();
        // SAFETY: getitimer writes one `itimerval` to the second argument.
        if let Err(errno) = unsafe { syscall2(Sysno::getitimer, which, (&raw mut timer).addr()) } {
            return -errno.into_raw();
        }
        // SAFETY: `which < TIMERS`: within the caller's room.
        let place = unsafe { out.add(which) };
        // SAFETY: as above; unaligned because the host chooses the place.
        unsafe { place.write_unaligned(timer) };
    }
    0
}

/// The kernel's `struct itimerspec`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct PosixTimer {
    /// The period: whole seconds.
    pub interval_seconds: i64,
    /// The period: nanoseconds.
    pub interval_nanoseconds: i64,
    /// Until it next expires: whole seconds; both parts 0 when it does not run.
    pub value_seconds: i64,
    /// Until it next expires: nanoseconds.
    pub value_nanoseconds: i64,
}

/// Fills in what the POSIX timer `id` is set to. Which timers there are says `/proc/PID/timers`.
///
/// # Safety
///
/// `out` points to room for a [`PosixTimer`].
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn dump_posix_timer(id: i32, out: *mut PosixTimer) -> c_int {
    let mut timer = PosixTimer::default();
    // SAFETY: timer_gettime writes one `itimerspec` to the second argument.
    let result =
        number(unsafe { syscall2(Sysno::timer_gettime, sign_extended(id), (&raw mut timer).addr()) });
    // SAFETY: the caller's promise; unaligned because the host chooses the place.
    unsafe { out.write_unaligned(timer) };
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_timer_is_seen() {
        let mut timers = [IntervalTimer::default(); TIMERS];
        // 1000 s of processor time in user mode: the test does not live to see it expire.
        let long = IntervalTimer { value_seconds: 1000, ..IntervalTimer::default() };
        // SAFETY: setitimer reads one `itimerval`; which = 1 is ITIMER_VIRTUAL.
        let set =
            unsafe { pie_blob_std::syscalls::syscall3(Sysno::setitimer, 1, (&raw const long).addr(), 0) };
        assert!(set.is_ok());
        // SAFETY: the array has room for all of them.
        assert_eq!(unsafe { dump_timers(timers.as_mut_ptr()) }, 0);
        assert_eq!(timers[0], IntervalTimer::default());
        let left = timers[1].value_seconds;
        assert!((900..=1000).contains(&left), "{left}");
    }

    #[test]
    fn a_timer_that_is_not_there_is_an_answer() {
        let mut timer = PosixTimer::default();
        // SAFETY: there is room for one.
        assert_eq!(unsafe { dump_posix_timer(77_777, &raw mut timer) }, -22);
    }
}
