//! Which processor a process runs on: a stop on the same one is a context switch, on another an interrupt.

use std::io;

/// The processors that this thread may run on.
pub(crate) fn allowed() -> io::Result<Vec<usize>> {
    // SAFETY: a cpu_set_t is plain bits, for which zeros are a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the size given to `set`.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every number is within the set.
    Ok((0..8 * size_of::<libc::cpu_set_t>()).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

/// Lets a thread (0: the calling one) run on these processors only.
pub(crate) fn pin(tid: i32, cpus: &[usize]) -> io::Result<()> {
    // SAFETY: as in `allowed`.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in cpus.iter().copied().filter(|cpu| *cpu < 8 * size_of::<libc::cpu_set_t>()) {
        // SAFETY: the number was checked to lie within the set.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the kernel only reads the size given.
    let result = unsafe { libc::sched_setaffinity(tid, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
