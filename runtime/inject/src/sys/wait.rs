//! `waitid(2)` for one thread, looking without taking.
//!
//! A stop is only looked at (`WNOWAIT`): a signal whose delivery was reported stays with the thread until the
//! tracer decides about it, so that a tracer which dies between looking and deciding loses none.

use std::io;

use super::{check, count};

/// What became of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// At the entry or exit of a system call.
    SystemCall,
    /// Before this signal is delivered.
    Signal(i32),
    /// `PTRACE_EVENT_STOP` and other events, with the event's number.
    Event(i32),
    /// `PTRACE_EVENT_STOP` of a thread whose process is stopped by job control.
    JobStop,
    /// It is gone; the status as in `si_status`.
    Gone(i32),
}

/// Waits until something has happened to the thread, however long that takes; `EINTR` where this thread handles a signal.
pub(crate) fn block(tid: i32) -> io::Result<Option<Change>> {
    look(tid, libc::WNOWAIT)
}

/// Looks whether something has happened to the thread.
pub(crate) fn poll(tid: i32) -> io::Result<Option<Change>> {
    look(tid, libc::WNOWAIT | libc::WNOHANG)
}

/// Takes the end of a traced thread: until its tracer has, nobody else learns of it.
pub(crate) fn take_end(tid: i32) {
    if crate::proc::is_own_child(tid) {
        return;
    }
    let _ = wait(tid, libc::WEXITED | libc::__WALL | libc::WNOHANG);
}

fn look(tid: i32, flags: i32) -> io::Result<Option<Change>> {
    let information = wait(tid, flags | libc::WSTOPPED | libc::WEXITED | libc::__WALL)?;
    // SAFETY: waitid fills in the fields of a SIGCHLD, or leaves all of them zero.
    let pid = unsafe { information.si_pid() };
    // SAFETY: as above.
    let status = unsafe { information.si_status() };
    if pid == 0 {
        return Ok(None);
    }
    let change = match information.si_code {
        libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED => Change::Gone(status),
        _ if status >> 8 == libc::PTRACE_EVENT_STOP && status & 0xff != libc::SIGTRAP => Change::JobStop,
        _ if status >> 8 != 0 => Change::Event(status >> 8),
        _ if status == libc::SIGTRAP | 0x80 => Change::SystemCall,
        _ => Change::Signal(status),
    };
    Ok(Some(change))
}

fn wait(tid: i32, flags: i32) -> io::Result<libc::siginfo_t> {
    // SAFETY: a siginfo_t is plain numbers, for which zeros are a value.
    let mut information: libc::siginfo_t = unsafe { std::mem::zeroed() };
    count();
    // SAFETY: the kernel writes one siginfo_t to `information`.
    let result = unsafe { libc::waitid(libc::P_PID, id(tid), &raw mut information, flags) };
    check(libc::c_long::from(result))?;
    Ok(information)
}

#[expect(clippy::cast_sign_loss, reason = "thread ids are positive")]
fn id(tid: i32) -> libc::id_t {
    tid as libc::id_t
}
