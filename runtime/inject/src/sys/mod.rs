//! The kernel interface of a tracer: one safe function per request, and a count of them.
//!
//! Nothing here decides anything. Every function makes one system call, except where its name says otherwise, and
//! counts it: what an injection costs is mostly how often the tracer asks the kernel.

pub(crate) mod cpu;
pub(crate) mod end;
pub(crate) mod interrupt;
pub(crate) mod maps;
pub(crate) mod memory;
pub(crate) mod pagemap;
pub(crate) mod ptrace;
pub(crate) mod socket;
pub(crate) mod wait;

use std::cell::Cell;
use std::io;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// How many system calls this thread has made through this module.
pub(crate) fn calls() -> u64 {
    CALLS.get()
}

/// Counts one system call.
pub(crate) fn count() {
    count_more(1);
}

/// Counts system calls that another thread has made for this one.
pub(crate) fn count_more(calls: u64) {
    CALLS.set(CALLS.get().wrapping_add(calls));
}

/// Turns the answer of a libc function that says failure by -1 into a result.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The id of this thread: what `TracerPid` in `/proc` shows for its tracees.
pub(crate) fn gettid() -> i32 {
    count();
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// Whether two processes have the same memory; no where the kernel does not say (`CONFIG_KCMP`) or may not.
pub(crate) fn share_memory(one: i32, other: i32) -> bool {
    const KCMP_VM: libc::c_int = 1;
    count();
    // SAFETY: takes five numbers.
    unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0 }
}

/// Sends a signal to one thread.
pub(crate) fn tgkill(pid: i32, tid: i32, signal: i32) -> io::Result<()> {
    count();
    // SAFETY: takes three numbers.
    check(unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) }).map(drop)
}

/// Sends a signal to a process.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    count();
    // SAFETY: takes two numbers.
    check(libc::c_long::from(unsafe { libc::kill(pid, signal) })).map(drop)
}

/// Whether a thread has registered a list of robust locks, as C libraries do for every thread.
pub(crate) fn has_robust_list(tid: i32) -> bool {
    let (mut head, mut len) = (0_usize, 0_usize);
    count();
    // SAFETY: the kernel writes an address and a length to the two words, and the address is only compared.
    let got = unsafe { libc::syscall(libc::SYS_get_robust_list, tid, &raw mut head, &raw mut len) };
    got == 0 && head != 0
}
