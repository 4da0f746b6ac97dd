//! Who may inject into whom, decided before anything is touched.
//!
//! The kernel decides, not this crate: opening `/proc/PID/mem` asks the very question that seizing would, and touches nothing.
//! But it has one answer for every rule, `EPERM`, and someone who reads it wants to know which rule it was and what to do. So
//! the rules of ptrace(2), "Ptrace access mode checking", are gone through once more over what `/proc` says. What cannot be
//! seen from outside (`PR_SET_PTRACER`, a security module's own policy) can thus never refuse what the kernel allows.

mod access;
mod seccomp;
mod texts;
mod vfork;

use std::io;
use std::os::unix::fs::MetadataExt;

pub use access::Rule;
pub(crate) use seccomp::NOT_IN_THIS_KERNEL;
pub(crate) use vfork::{Vfork, waiting_in_vfork};

use crate::{Error, sys};
use access::Facts;
use texts::Credentials;

/// What the kernel refused, with the rule that it refused by. Only `EPERM` and `EACCES` are refusals by a rule: of any
/// other answer it is said what it is, because whoever looked for a rule would look in vain.
pub(crate) fn not_permitted(pid: i32, action: &'static str, source: io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Error::NotPermitted { pid, action, rule: rule(pid), source },
        _ => Error::kernel(action, pid)(source),
    }
}

/// Refuses a `/proc` that belongs to another pid namespace than this process: the numbers in it are those of other
/// processes than the numbers that tracing takes.
pub(crate) fn check_proc() -> Result<(), Error> {
    const OTHER: &str = "shows the processes of another pid namespace, under other numbers: mount that of this process \
                         (mount -t proc proc /proc, in a mount namespace of its own), or run in that namespace";
    const NONE: &str = "is not mounted: mount it (mount -t proc proc /proc)";
    sys::count();
    let status = own_status();
    let reason = match texts::field(&status, "NSpid").or_else(|| texts::field(&status, "Pid")) {
        // From the namespace that `/proc` belongs to down to this thread's own.
        Some(ids) if texts::number(ids) == Some(sys::gettid()) => return Ok(()),
        Some(_) => OTHER,
        None if std::fs::exists("/proc/uptime").unwrap_or(false) => OTHER,
        None => NONE,
    };
    Err(Error::OtherProc { reason })
}

/// A process that `/proc` does not show: there is none, or it is hidden.
pub(crate) fn not_shown(pid: i32, source: io::Error) -> Error {
    let exists = match sys::kill(pid, 0) {
        Ok(()) => true,
        Err(error) => error.raw_os_error() == Some(libc::EPERM),
    };
    // It may have been started since, or `/proc` not be mounted at all, but then nothing is shown of this process either.
    if exists
        && std::fs::exists("/proc/self").unwrap_or(false)
        && !std::fs::exists(format!("/proc/{pid}")).unwrap_or(true)
    {
        Error::NotPermitted { pid, action: "see it in /proc", rule: Rule::Hidden, source }
    } else {
        Error::NoSuchProcess { pid }
    }
}

/// The users that a process acts as: real, effective, saved, and that of file access.
pub(crate) fn users(pid: i32) -> Option<[u32; 4]> {
    sys::count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Credentials::parse(&status)?.users)
}

/// Refuses a process with a filter that could not be put to sleep.
pub(crate) fn check_seccomp(pid: i32, mode: u32) -> Result<(), Error> {
    if mode == 0 {
        return Ok(());
    }
    let own = own_status();
    match seccomp::obstacle(&own, in_initial_user_namespace()) {
        Some(reason) => Err(Error::Seccomp { pid, mode, reason }),
        None => Ok(()),
    }
}

fn rule(pid: i32) -> Rule {
    let own = own_status();
    let target = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let (Some(ours), Some(theirs)) = (Credentials::parse(&own), Credentials::parse(&target)) else {
        return Rule::Unknown;
    };
    // Not that of the folder, which stays the user's whatever the process allows.
    let owner = std::fs::metadata(format!("/proc/{pid}/status")).ok();
    let yama = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok();
    access::rule(&Facts {
        ours,
        theirs,
        owner: owner.map(|owner| (owner.uid(), owner.gid())),
        yama: yama.as_deref().and_then(texts::number),
        descends: descends(pid),
        in_initial_user_namespace: in_initial_user_namespace(),
    })
}

fn own_status() -> String {
    std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default()
}

/// Whether a process is a child of this one, or a child's child.
fn descends(pid: i32) -> bool {
    let own = i32::try_from(std::process::id()).ok();
    let parent = |pid: i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        texts::number::<i32>(texts::field(&status, "PPid")?).filter(|parent| *parent != 0)
    };
    // Ids go round, so a chain that changes meanwhile could lead in a circle.
    std::iter::successors(Some(pid), |pid| parent(*pid)).take(4096).any(|pid| Some(pid) == own)
}

/// Whether capabilities of this process are those that the kernel asks for by `capable()`.
fn in_initial_user_namespace() -> bool {
    // The inode is a constant of the kernel's (`PROC_USER_INIT_INO`). Where there is no such file, there is one namespace only.
    std::fs::metadata("/proc/self/ns/user").map_or(true, |namespace| namespace.ino() == 0xefff_fffd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_are_looked_for_in_the_rules() {
        let pid = i32::try_from(std::process::id()).unwrap();
        for errno in [libc::EPERM, libc::EACCES] {
            let error = not_permitted(pid, "try", io::Error::from_raw_os_error(errno));
            assert!(matches!(error, Error::NotPermitted { .. }), "{error:?}");
        }
        for errno in [libc::EIO, libc::ENOMEM, libc::EMFILE, libc::EINVAL, libc::EBUSY] {
            let error = not_permitted(pid, "try", io::Error::from_raw_os_error(errno));
            assert!(
                matches!(&error, Error::Kernel { source, .. } if source.raw_os_error() == Some(errno)),
                "{error:?}"
            );
        }
        let error = not_permitted(pid, "try", io::Error::from_raw_os_error(libc::ESRCH));
        assert!(matches!(error, Error::Died { .. }), "{error:?}");
    }

    #[test]
    fn the_own_proc_is_the_own() {
        check_proc().unwrap();
        std::thread::spawn(check_proc).join().unwrap().unwrap();
    }
}
