//! Processes as a whole: signalled, looked at, waited for.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::check;

/// A descriptor of a process (`pidfd_open(2)`).
pub(crate) fn open_process(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers.
    let answer = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let descriptor = RawFd::try_from(answer).map_err(io::Error::other)?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Waits until a process has ended, for so long at most.
pub(crate) fn wait_for_end(process: &OwnedFd, limit: Duration) -> io::Result<()> {
    let mut wanted = libc::pollfd { fd: process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let milliseconds = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the kernel reads and writes one structure.
    match check(libc::c_long::from(unsafe { libc::poll(&raw mut wanted, 1, milliseconds) })) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// Sends a signal to a process.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes two numbers.
    check(libc::c_long::from(unsafe { libc::kill(pid, signal) })).map(drop)
}

/// Waits for the end of a child or of a thread that this thread traces: its status as `waitpid` has it.
pub(crate) fn wait_for(pid: i32, options: i32) -> io::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes one int.
        match check(libc::c_long::from(unsafe { libc::waitpid(pid, &raw mut status, options) })) {
            Ok(_) => return Ok(status),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Looks whether a child, or a thread that this thread traces, has ended or done what the options ask about: its status as
/// `waitpid` has it.
pub(crate) fn ended(pid: i32, options: i32) -> io::Result<Option<i32>> {
    let mut status = 0;
    // SAFETY: the kernel writes one int.
    let answer = unsafe { libc::waitpid(pid, &raw mut status, options | libc::WNOHANG) };
    Ok((check(libc::c_long::from(answer))? != 0).then_some(status))
}

/// Whether a process belongs to another process group than this one.
pub(crate) fn in_another_group(pid: i32) -> bool {
    // SAFETY: takes a number.
    let its = unsafe { libc::getpgid(pid) };
    // SAFETY: takes nothing.
    its != unsafe { libc::getpgrp() }
}

/// Has the ends of children kept until they are waited for. A process whose parent ignored SIGCHLD has inherited that, and
/// with it that nobody hears of them.
pub(crate) fn keep_ends() -> io::Result<()> {
    // SAFETY: the structure is plain numbers, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel's answer is written to one structure.
    let asked = unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), &raw mut action) };
    check(libc::c_long::from(asked))?;
    if action.sa_sigaction == libc::SIG_IGN {
        action.sa_sigaction = libc::SIG_DFL;
    }
    action.sa_flags &= !libc::SA_NOCLDWAIT;
    // SAFETY: one structure is read; the handler is the one that there was, or the default.
    let set = unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut()) };
    check(libc::c_long::from(set)).map(drop)
}
