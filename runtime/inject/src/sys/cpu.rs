//! The processor that this thread runs on.

use std::io;

use super::{check, count};

/// A set of processors, as the kernel counts them.
pub(crate) type Set = libc::cpu_set_t;

/// Where this thread may run.
pub(crate) fn allowed() -> io::Result<Set> {
    // SAFETY: a set is plain bits, for which zeros are a value.
    let mut set: Set = unsafe { std::mem::zeroed() };
    count();
    // SAFETY: the kernel writes at most the size given.
    check(libc::c_long::from(unsafe { libc::sched_getaffinity(0, size_of::<Set>(), &raw mut set) }))?;
    Ok(set)
}

/// The processor that this thread may run on, where it is only one.
pub(crate) fn only_one() -> Option<usize> {
    let set = allowed().ok().filter(|set| len(set) == 1)?;
    (0..8 * size_of::<Set>()).find(|cpu| contains(&set, *cpu))
}

/// Says where this thread may run.
pub(crate) fn allow(set: &Set) -> io::Result<()> {
    count();
    // SAFETY: the kernel only reads the size given.
    check(libc::c_long::from(unsafe { libc::sched_setaffinity(0, size_of::<Set>(), set) })).map(drop)
}

/// The set of one processor; `None` for a number that no set can hold.
pub(crate) fn only(cpu: usize) -> Option<Set> {
    if cpu >= 8 * size_of::<Set>() {
        return None;
    }
    // SAFETY: as in `allowed`.
    let mut set: Set = unsafe { std::mem::zeroed() };
    // SAFETY: the number was checked to lie within the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    Some(set)
}

/// Whether the set has this processor.
pub(crate) fn contains(set: &Set, cpu: usize) -> bool {
    // SAFETY: the number is checked to lie within the set.
    cpu < 8 * size_of::<Set>() && unsafe { libc::CPU_ISSET(cpu, set) }
}

/// How many processors the set has.
pub(crate) fn len(set: &Set) -> usize {
    // SAFETY: only counts the bits of the set.
    usize::try_from(unsafe { libc::CPU_COUNT(set) }).unwrap_or(0)
}
