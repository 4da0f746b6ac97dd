//! Who the process is to the kernel: ids, groups, capabilities, securebits.

use core::ffi::c_int;

use linux_raw_sys::prctl::{PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, PR_CAPBSET_READ, PR_GET_SECUREBITS};
use pie_blob_std::sys::{Sysno, number};
use pie_blob_std::syscalls::{syscall1, syscall2, syscall3, syscall5};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Ids as in the process's own user namespace; capability sets with bit 0 for capability 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Credentials {
    /// Real, effective, saved and file-system user id.
    pub uids: [u32; 4],
    /// Real, effective, saved and file-system group id.
    pub gids: [u32; 4],
    /// Capabilities that survive `execve` through file capabilities.
    pub inheritable: u64,
    /// Capabilities that it may make effective.
    pub permitted: u64,
    /// Capabilities that it uses.
    pub effective: u64,
    /// Capabilities that `execve` can ever give it.
    pub bounding: u64,
    /// Capabilities that survive `execve` without file capabilities.
    pub ambient: u64,
    /// `PR_GET_SECUREBITS`.
    pub securebits: u32,
    /// How many supplementary groups there are.
    pub groups: u32,
}

/// Fills in ids, capability sets and securebits.
///
/// # Safety
///
/// `out` points to room for [`Credentials`].
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn dump_credentials(out: *mut Credentials) -> c_int {
    let credentials = credentials();
    // SAFETY: the caller's promise; unaligned because the host chooses the place.
    unsafe { out.write_unaligned(credentials) };
    0
}

/// Writes at most `capacity` supplementary group ids and returns how many there are.
///
/// When they are more than fit, nothing is written.
///
/// # Safety
///
/// `out` points to room for `capacity` ids, aligned to 4 bytes.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn dump_groups(out: *mut u32, capacity: usize) -> c_int {
    // SAFETY: with a size of 0 getgroups writes nothing.
    let count = number(unsafe { syscall2(Sysno::getgroups, 0, 0) });
    match usize::try_from(count) {
        Ok(needed) if needed <= capacity => {
            // SAFETY: the kernel writes at most `capacity` ids, for which the caller has room.
            number(unsafe { syscall2(Sysno::getgroups, capacity, out.expose_provenance()) })
        }
        _ => count,
    }
}

/// Asks the kernel, call by call.
#[must_use]
pub fn credentials() -> Credentials {
    let mut credentials = Credentials::default();
    let (uids, gids) = (&mut credentials.uids, &mut credentials.gids);
    // SAFETY: getresuid writes three ids to its three arguments.
    let _ = unsafe { three(Sysno::getresuid, uids) };
    // SAFETY: getresgid writes three ids to its three arguments.
    let _ = unsafe { three(Sysno::getresgid, gids) };
    // An impossible id changes nothing, and the answer is the id that was.
    let ([.., fsuid], [.., fsgid]) = (uids, gids);
    *fsuid = id(Sysno::setfsuid);
    *fsgid = id(Sysno::setfsgid);
    capabilities(&mut credentials);
    credentials.securebits = unsigned(prctl(PR_GET_SECUREBITS, 0, 0));
    // SAFETY: with a size of 0 getgroups writes nothing.
    credentials.groups = unsigned(number(unsafe { syscall2(Sysno::getgroups, 0, 0) }));
    credentials
}

/// # Safety
///
/// `call` writes three `u32` to its three arguments and touches nothing else.
unsafe fn three(call: Sysno, ids: &mut [u32; 4]) -> Result<usize, pie_blob_std::sys::Errno> {
    let first = ids.as_mut_ptr();
    let (second, third) = (first.wrapping_add(1), first.wrapping_add(2));
    // SAFETY: the caller's promise, and all three places lie in the array.
    unsafe { syscall3(call, first.expose_provenance(), second.addr(), third.addr()) }
}

fn id(call: Sysno) -> u32 {
    // SAFETY: only called for setfsuid and setfsgid, which take a number; -1 is no id and changes nothing.
    unsigned(number(unsafe { syscall1(call, usize::MAX) }))
}

/// `capget` with version 3 of its structures: two times three words of 32 bits.
fn capabilities(credentials: &mut Credentials) {
    const VERSION_3: u32 = 0x2008_0522;
    const LAST: u32 = 63;
    let mut header: [u32; 2] = [VERSION_3, 0];
    let mut data = [[0_u32; 3]; 2];
    // SAFETY: version 3 reads a header of two words and writes two times three words.
    let _ = unsafe { syscall2(Sysno::capget, (&raw mut header).addr(), (&raw mut data).addr()) };
    let [[effective_low, permitted_low, inheritable_low], [effective_high, permitted_high, inheritable_high]] =
        data;
    let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    credentials.effective = join(effective_low, effective_high);
    credentials.permitted = join(permitted_low, permitted_high);
    credentials.inheritable = join(inheritable_low, inheritable_high);
    for capability in 0..=LAST {
        match prctl(PR_CAPBSET_READ, capability as usize, 0) {
            1 => credentials.bounding |= 1 << capability,
            0 => {}
            // The first that the kernel does not know.
            _ => break,
        }
        if prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET as usize, capability as usize) == 1 {
            credentials.ambient |= 1 << capability;
        }
    }
}

/// A `prctl` that takes numbers only.
fn prctl(option: u32, first: usize, second: usize) -> i32 {
    // SAFETY: only called for options that take numbers and touch no memory.
    number(unsafe { syscall5(Sysno::prctl, option as usize, first, second, 0, 0) })
}

/// Ids and bits are unsigned; a failure reads as 0.
#[expect(clippy::cast_sign_loss, reason = "ids above 2^31 come as negative ints")]
fn unsigned(answer: i32) -> u32 {
    if (-4095..0).contains(&answer) { 0 } else { answer as u32 }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;
    use std::vec::Vec;

    use super::*;

    fn status(field: &str) -> Vec<String> {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().skip(1).map(String::from).collect()
    }

    fn set(field: &str) -> u64 {
        u64::from_str_radix(&status(field)[0], 16).unwrap()
    }

    #[test]
    fn the_answers_are_those_of_proc() {
        let credentials = credentials();
        let numbers = |ids: [u32; 4]| ids.iter().map(|id| std::format!("{id}")).collect::<Vec<_>>();
        assert_eq!(numbers(credentials.uids), status("Uid:"));
        assert_eq!(numbers(credentials.gids), status("Gid:"));
        assert_eq!(credentials.inheritable, set("CapInh"));
        assert_eq!(credentials.permitted, set("CapPrm"));
        assert_eq!(credentials.effective, set("CapEff"));
        assert_eq!(credentials.bounding, set("CapBnd"));
        assert_eq!(credentials.ambient, set("CapAmb"));
        assert_eq!(credentials.groups as usize, status("Groups:").len());
    }

    #[test]
    fn groups_fill_the_room_or_nothing() {
        let mut ids = [u32::MAX; 1024];
        // SAFETY: the array has room for that many.
        let count = unsafe { dump_groups(ids.as_mut_ptr(), ids.len()) };
        let expected = status("Groups:");
        assert_eq!(usize::try_from(count).unwrap(), expected.len());
        let mut found: Vec<String> = ids[..expected.len()].iter().map(|id| std::format!("{id}")).collect();
        let mut expected = expected;
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}
