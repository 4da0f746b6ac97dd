//! Ids as the process sees them, and what its memory and its main flags look like to itself.

use core::ffi::c_int;

use linux_raw_sys::prctl::{
    PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_GET_PDEATHSIG, PR_GET_TID_ADDRESS, PR_GET_TIMERSLACK,
};
use pie_blob_std::sys::{self, Sysno, number};
use pie_blob_std::syscalls::{syscall1, syscall2};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// How often [`ping`] was called since the blob was mapped.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
static mut PINGS: u64 = 0;

/// What a process knows of itself; ids are those of its own namespaces.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Misc {
    /// `getpid(2)`.
    pub pid: i32,
    /// `gettid(2)` of the thread that answered.
    pub tid: i32,
    /// `getpgid(2)`: the process group.
    pub pgid: i32,
    /// `getsid(2)`: the session.
    pub sid: i32,
    /// `PR_GET_DUMPABLE`: 0, 1 or 2.
    pub dumpable: i32,
    /// `PR_GET_NO_NEW_PRIVS`: 0 or 1.
    pub no_new_privs: i32,
    /// `PR_GET_PDEATHSIG`: the signal it gets when its parent dies, or 0.
    pub parent_death_signal: i32,
    /// `umask(2)`: the permission bits taken from new files.
    pub umask: u32,
    /// `PR_GET_TIMERSLACK`, in nanoseconds.
    pub timer_slack: u64,
    /// `brk(2)`: the address behind the heap.
    pub program_break: u64,
    /// `sigaltstack(2)`: where the thread's alternate stack begins.
    pub alternate_stack: u64,
    /// Its size in bytes.
    pub alternate_stack_size: u64,
    /// Its flags: `SS_ONSTACK`, `SS_DISABLE`, `SS_AUTODISARM`.
    pub alternate_stack_flags: u64,
    /// `ARCH_GET_FS`: the thread pointer.
    pub thread_pointer: u64,
    /// `PR_GET_TID_ADDRESS`: the word that the kernel clears when the thread ends; 0 where it cannot say.
    pub clear_child_tid: u64,
}

/// The kernel's `stack_t` with 64-bit words.
#[repr(C)]
#[derive(Default)]
struct StackT {
    sp: u64,
    flags: u64,
    size: u64,
}

/// Answers 42 and counts: the smallest sign of life.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn ping() -> c_int {
    let pings = &raw mut PINGS;
    // SAFETY: a blob runs one thread at a time, and nothing holds a reference to the count.
    let count = unsafe { pings.read() };
    // SAFETY: as above.
    unsafe { pings.write(count.wrapping_add(1)) };
    42
}

/// Fills in what the process knows of itself.
///
/// The umask is read by setting it and setting it back: no other thread may run meanwhile.
///
/// # Safety
///
/// `out` points to room for a [`Misc`].
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn dump_misc(out: *mut Misc) -> c_int {
    let misc = misc();
    // SAFETY: the caller's promise; unaligned because the host chooses the place.
    unsafe { out.write_unaligned(misc) };
    0
}

/// Asks the kernel, call by call.
#[must_use]
pub fn misc() -> Misc {
    let mut stack = StackT::default();
    let mut clear_child_tid: u64 = 0;
    let mut thread_pointer: u64 = 0;
    // SAFETY: with a null first argument sigaltstack only writes a `stack_t` to the second.
    let _ = unsafe { syscall2(Sysno::sigaltstack, 0, (&raw mut stack).addr()) };
    // SAFETY: writes one pointer to the second argument.
    let _ = unsafe { syscall2(Sysno::prctl, PR_GET_TID_ADDRESS as usize, (&raw mut clear_child_tid).addr()) };
    let mut parent_death_signal: c_int = 0;
    // SAFETY: writes one int to the second argument.
    let _ =
        unsafe { syscall2(Sysno::prctl, PR_GET_PDEATHSIG as usize, (&raw mut parent_death_signal).addr()) };
    #[cfg(target_arch = "x86_64")]
    {
        const ARCH_GET_FS: usize = 0x1003;
        // SAFETY: writes one word to the second argument.
        let _ = unsafe { syscall2(Sysno::arch_prctl, ARCH_GET_FS, (&raw mut thread_pointer).addr()) };
    }
    Misc {
        pid: sys::getpid(),
        tid: sys::gettid(),
        pgid: simple(Sysno::getpgid, 0),
        sid: simple(Sysno::getsid, 0),
        dumpable: simple(Sysno::prctl, PR_GET_DUMPABLE as usize),
        no_new_privs: prctl_zeros(PR_GET_NO_NEW_PRIVS),
        parent_death_signal,
        umask: umask(),
        timer_slack: word(Sysno::prctl, PR_GET_TIMERSLACK as usize),
        program_break: word(Sysno::brk, 0),
        alternate_stack: stack.sp,
        alternate_stack_size: stack.size,
        // The kernel writes an int and four bytes of padding that it does not fill in.
        alternate_stack_flags: stack.flags & 0xffff_ffff,
        thread_pointer,
        clear_child_tid,
    }
}

/// A call of one number that touches no memory and answers an `int`.
fn simple(call: Sysno, argument: usize) -> i32 {
    // SAFETY: only called for system calls that read or write no memory of the caller's.
    number(unsafe { syscall1(call, argument) })
}

/// A call of one number that touches no memory and answers a word; 0 when it fails.
fn word(call: Sysno, argument: usize) -> u64 {
    // SAFETY: only called for system calls that read or write no memory of the caller's (`brk(0)` moves nothing).
    unsafe { syscall1(call, argument) }.unwrap_or(0) as u64
}

/// A `prctl` that insists on four zeros.
fn prctl_zeros(option: u32) -> i32 {
    // SAFETY: PR_GET_NO_NEW_PRIVS takes no address.
    number(unsafe { pie_blob_std::syscalls::syscall5(Sysno::prctl, option as usize, 0, 0, 0, 0) })
}

fn umask() -> u32 {
    // SAFETY: takes a number and touches no memory.
    let Ok(mask) = (unsafe { syscall1(Sysno::umask, 0o777) }) else { return 0 };
    // SAFETY: as above; this puts the old one back.
    let _ = unsafe { syscall1(Sysno::umask, mask) };
    u32::try_from(mask).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;

    use super::*;

    /// A field of `/proc/thread-self/status`.
    fn status(field: &str) -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        String::from(line.split_once(':').unwrap().1.trim())
    }

    #[test]
    fn the_answers_are_those_of_proc() {
        let misc = misc();
        assert_eq!(misc.pid, i32::try_from(std::process::id()).unwrap());
        assert_eq!(status("Pid"), std::format!("{}", misc.tid));
        assert_eq!(status("NSpgid"), std::format!("{}", misc.pgid));
        assert_eq!(status("NSsid"), std::format!("{}", misc.sid));
        assert_eq!(status("Umask"), std::format!("{:04o}", misc.umask));
        assert_eq!(status("NoNewPrivs"), std::format!("{}", misc.no_new_privs));
        assert_eq!(misc.dumpable, 1);
        // The break is the end of the area that maps calls the heap.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        if let Some(heap) = maps.lines().find(|line| line.ends_with("[heap]")) {
            let end = heap.split(['-', ' ']).nth(1).unwrap();
            assert_eq!(u64::from_str_radix(end, 16).unwrap(), misc.program_break);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_thread_pointer_points_to_itself() {
        let pointer = misc().thread_pointer;
        // SAFETY: the x86-64 TLS ABI puts the thread pointer itself into the word that it points to.
        let word =
            unsafe { std::ptr::with_exposed_provenance::<u64>(usize::try_from(pointer).unwrap()).read() };
        assert_eq!(word, pointer);
    }

    #[test]
    fn pings_are_counted() {
        let pings = &raw const PINGS;
        // SAFETY: no other test touches the count.
        let before = unsafe { pings.read() };
        assert_eq!(ping(), 42);
        // SAFETY: as above.
        assert_eq!(unsafe { pings.read() }, before + 1);
    }
}
