//! Signal actions: `/proc` says which signals are caught, but not by what.

use core::ffi::c_int;

use pie_blob_std::sys::Sysno;
use pie_blob_std::syscalls::syscall4;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// How many signals Linux has on every architecture but MIPS.
pub const SIGNALS: usize = 64;

/// The kernel's `struct sigaction` on x86-64.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct SignalAction {
    /// The handler's address, or `SIG_DFL` (0) or `SIG_IGN` (1).
    pub handler: u64,
    /// `SA_*` flags.
    pub flags: u64,
    /// What a handler returns to.
    pub restorer: u64,
    /// The signals blocked while the handler runs; bit 0 is signal 1.
    pub mask: u64,
}

/// Fills in the actions of all signals; signal 1 is the first.
///
/// # Safety
///
/// `out` points to room for [`SIGNALS`] items.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn dump_signals(out: *mut SignalAction) -> c_int {
    for (at, signal) in (1..=SIGNALS).enumerate() {
        let mut action = SignalAction::default();
        // SAFETY: with a null second argument rt_sigaction only writes the action to the third; the last is the
        // size of its mask.
        let result = unsafe { syscall4(Sysno::rt_sigaction, signal, 0, (&raw mut action).addr(), 8) };
        if let Err(errno) = result {
            return -errno.into_raw();
        }
        // SAFETY: `at < SIGNALS`: within the caller's room.
        let place = unsafe { out.add(at) };
        // SAFETY: as above; unaligned because the host chooses the place.
        unsafe { place.write_unaligned(action) };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caught_and_ignored_signals_are_those_of_proc() {
        extern crate std;
        let mut actions = [SignalAction::default(); SIGNALS];
        // SAFETY: the array has room for all of them.
        assert_eq!(unsafe { dump_signals(actions.as_mut_ptr()) }, 0);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mask = |field: &str| {
            let line = status.lines().find(|line| line.starts_with(field)).unwrap();
            u64::from_str_radix(line.split_once(':').unwrap().1.trim(), 16).unwrap()
        };
        let (caught, ignored) = (mask("SigCgt"), mask("SigIgn"));
        assert_ne!(caught, 0, "the standard library catches SIGSEGV");
        for (at, action) in actions.iter().enumerate() {
            assert_eq!(action.handler > 1, caught >> at & 1 == 1, "signal {}", at + 1);
            assert_eq!(action.handler == 1, ignored >> at & 1 == 1, "signal {}", at + 1);
        }
    }
}
