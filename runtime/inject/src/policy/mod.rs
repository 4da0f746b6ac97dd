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

/// What the kernel refused, with the rule that it refused by.
pub(crate) fn not_permitted(pid: i32, action: &'static str, source: io::Error) -> Error {
    Error::NotPermitted { pid, action, rule: rule(pid), source }
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
