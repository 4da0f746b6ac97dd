//! System calls that a stop interrupts: how each is taken up again.
//!
//! Most of them the kernel starts again by itself, when the thread gets back the very registers that it was stopped
//! with: the answer is one of the kernel's internal restart codes then. Some it ends with `EINTR` although no
//! signal came, merely because the thread was stopped; those are told to start again here. The list is the one of
//! signal(7), "Interruption of system calls and library functions by stop signals".

use crate::machine::Machine;

const EINTR: i64 = -4;
/// Starts again after a handler with `SA_RESTART`.
const ERESTARTSYS: i64 = -512;
/// Always starts again.
const ERESTARTNOINTR: i64 = -513;
/// Starts again if no handler runs, else `EINTR`.
const ERESTARTNOHAND: i64 = -514;
/// Starts again where it left off (`restart_syscall`) if no handler runs.
const ERESTART_RESTARTBLOCK: i64 = -516;

/// Calls that answer `EINTR` to a mere stop and lose nothing when they start again.
///
/// An error means of each that nothing was moved, so that nothing is moved twice; of `io_uring_enter` that nothing was submitted,
/// because the answer is a number otherwise. Never `close` (the descriptor is gone) and `connect` (it goes on in the
/// background).
const STOPPED_BY_A_STOP: [i64; 21] = [
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    SYS_EPOLL_PWAIT2,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_io_getevents,
    SYS_IO_PGETEVENTS,
    // Those of a socket only with a time-out (SO_RCVTIMEO, SO_SNDTIMEO); without one the kernel restarts them.
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_io_uring_enter,
];
const SYS_EPOLL_PWAIT2: i64 = 441;
const SYS_IO_PGETEVENTS: i64 = 333;

/// Calls with a time-out that a stop makes start again: the argument that has the time, and whether that is a number of
/// milliseconds, an `int`, or the address of a time.
const TIMED: [(i64, usize, bool); 7] = [
    (libc::SYS_epoll_wait, 3, true),
    (libc::SYS_epoll_pwait, 3, true),
    (SYS_EPOLL_PWAIT2, 3, false),
    (libc::SYS_rt_sigtimedwait, 2, false),
    (libc::SYS_semtimedop, 3, false),
    (libc::SYS_io_getevents, 4, false),
    (SYS_IO_PGETEVENTS, 4, false),
];

/// Whether a call has a time-out that starts again when its thread is stopped.
pub(crate) fn starts_again(call: i64, arguments: &[u64]) -> bool {
    let Some((_, argument, milliseconds)) = TIMED.iter().find(|timed| timed.0 == call) else { return false };
    // A negative number is no end at all, and neither is no address.
    let has_end = |value: u64| if *milliseconds { value >> 31 & 1 == 0 } else { value != 0 };
    arguments.get(*argument).copied().is_some_and(has_end)
}

/// Whether the kernel has noted for this thread how its wait goes on (the restart block).
pub(crate) fn notes_a_wait(stopped: &impl Machine) -> bool {
    stopped.system_call().is_some() && stopped.answer() == ERESTART_RESTARTBLOCK
}

/// The registers with which a cured thread goes on: the kernel does the rest.
pub(crate) fn cured<M: Machine>(stopped: &M) -> M {
    match stopped.system_call() {
        Some(call) if stopped.answer() == EINTR && STOPPED_BY_A_STOP.contains(&call) => {
            stopped.answering(ERESTARTNOHAND)
        }
        _ => *stopped,
    }
}

/// The registers with which a thread goes on whose tracer has died: through `rt_sigreturn`, which starts nothing again
/// by itself, so that the call is made once more from its start.
pub(crate) fn after_death<M: Machine>(stopped: &M) -> M {
    let registers = match (stopped.system_call(), stopped.answer()) {
        (Some(call), ERESTARTSYS | ERESTARTNOINTR | ERESTARTNOHAND | ERESTART_RESTARTBLOCK) => {
            stopped.making_again(call)
        }
        _ => *stopped,
    };
    registers.in_no_call()
}

/// The registers for a thread that goes on without passing where the kernel restarts calls: `restart_syscall` by hand.
pub(crate) fn by_hand<M: Machine>(stopped: &M) -> M {
    if notes_a_wait(stopped) {
        stopped.making_again(libc::SYS_restart_syscall).in_no_call()
    } else {
        after_death(&cured(stopped))
    }
}
