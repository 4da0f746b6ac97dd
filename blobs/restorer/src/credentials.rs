//! Who a thread is. The kernel keeps that for each thread, so each takes it on itself, after everything that wants rights.

use pie_blob_std::sys::{Errno, Sysno};
use pie_blob_std::syscalls::{syscall1, syscall2, syscall3, syscall5};

use crate::plan::Credentials;
use crate::report::word;

const PR_CAPBSET_READ: usize = 23;
const PR_CAPBSET_DROP: usize = 24;
const PR_SET_SECUREBITS: usize = 28;
const PR_CAP_AMBIENT: usize = 47;
const PR_CAP_AMBIENT_RAISE: usize = 2;
const PR_CAP_AMBIENT_CLEAR_ALL: usize = 4;
/// Ids change without touching capabilities.
const SECBIT_NO_SETUID_FIXUP: usize = 1 << 2;

/// Takes the credentials on.
///
/// # Errors
///
/// What the kernel answered the first call that it refused.
pub fn take_on(wanted: &Credentials) -> Result<(), Errno> {
    if wanted.change == 0 {
        return Ok(());
    }
    // SAFETY: the kernel reads `count` ids, which the plan has there.
    unsafe { syscall2(Sysno::setgroups, word(wanted.groups.count), word(wanted.groups.address)) }?;
    prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0)?;
    for capability in 0..64 {
        match prctl(PR_CAPBSET_READ, capability, 0) {
            Ok(1) if wanted.bounding >> capability & 1 == 0 => prctl(PR_CAPBSET_DROP, capability, 0)?,
            Ok(_) => 0,
            // The first that the kernel does not know.
            Err(_) => break,
        };
    }
    for (call, [real, effective, saved, _]) in
        [(Sysno::setresgid, wanted.gids), (Sysno::setresuid, wanted.uids)]
    {
        // SAFETY: takes three numbers.
        unsafe { syscall3(call, real as usize, effective as usize, saved as usize) }?;
    }
    for (call, [.., id]) in [(Sysno::setfsgid, wanted.gids), (Sysno::setfsuid, wanted.uids)] {
        // SAFETY: takes a number; it answers the old id and never fails.
        let _ = unsafe { syscall1(call, id as usize) };
    }
    // Ambient capabilities want to be permitted and inheritable, the inheritable ones CAP_SETPCAP while it is there.
    let all = wanted.permitted | 1 << CAP_SETPCAP;
    set(wanted.inheritable, all, all)?;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0)?;
    for capability in 0..64 {
        if wanted.ambient >> capability & 1 == 1 {
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)?;
        }
    }
    prctl(PR_SET_SECUREBITS, wanted.securebits as usize, 0)?;
    set(wanted.inheritable, wanted.permitted, wanted.effective)
}

const CAP_SETPCAP: u32 = 8;

/// `capset` with version 3 of its structures.
fn set(inheritable: u64, permitted: u64, effective: u64) -> Result<(), Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let half = |shift: u32| [effective, permitted, inheritable].map(|set| (set >> shift) as u32);
    let data = [half(0), half(32)];
    // SAFETY: version 3 reads a header of two words and two times three words.
    unsafe { syscall2(Sysno::capset, (&raw const header).addr(), (&raw const data).addr()) }.map(drop)
}

/// A `prctl` that takes numbers only.
fn prctl(option: usize, first: usize, second: usize) -> Result<usize, Errno> {
    // SAFETY: only called for options that take numbers and touch no memory.
    unsafe { syscall5(Sysno::prctl, option, first, second, 0, 0) }
}
