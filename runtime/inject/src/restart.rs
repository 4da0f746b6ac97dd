//! System calls that a stop interrupts: how each is taken up again.
//!
//! Most of them the kernel starts again by itself, when the thread gets back the very registers that it was stopped
//! with: `rax` holds one of the kernel's internal restart codes then. Some it ends with `EINTR` although no
//! signal came, merely because the thread was stopped; those are told to start again here. The list is the one of
//! signal(7), "Interruption of system calls and library functions by stop signals".

use crate::x86_64::registers::{CastSigned, NO_SYSTEM_CALL, Registers};

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
/// An error means of each that nothing was moved, so that nothing is moved twice. Never `close` (the descriptor is gone), `connect` (it goes on in the background), `io_uring_enter` (what was
/// submitted is submitted).
const STOPPED_BY_A_STOP: [i64; 20] = [
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
];
const SYS_EPOLL_PWAIT2: i64 = 441;
const SYS_IO_PGETEVENTS: i64 = 333;

/// Whether the kernel has noted for this thread how its wait goes on (the restart block).
pub(crate) fn notes_a_wait(stopped: &Registers) -> bool {
    stopped.in_system_call() && stopped.rax.cast_signed_() == ERESTART_RESTARTBLOCK
}

/// The registers with which a cured thread goes on: the kernel does the rest.
pub(crate) fn cured(stopped: &Registers) -> Registers {
    let mut registers = *stopped;
    if registers.in_system_call()
        && registers.rax.cast_signed_() == EINTR
        && STOPPED_BY_A_STOP.contains(&registers.orig_rax.cast_signed_())
    {
        registers.rax = unsigned(ERESTARTNOHAND);
    }
    registers
}

/// The registers with which a thread goes on whose tracer has died: through `rt_sigreturn`, which starts nothing again
/// by itself, so that the call is made once more from its start.
pub(crate) fn after_death(stopped: &Registers) -> Registers {
    let mut registers = *stopped;
    if registers.in_system_call() {
        match registers.rax.cast_signed_() {
            ERESTARTSYS | ERESTARTNOINTR | ERESTARTNOHAND | ERESTART_RESTARTBLOCK => {
                registers.rax = registers.orig_rax;
                // Back over `syscall`, two bytes.
                registers.rip = registers.rip.wrapping_sub(2);
            }
            _ => {}
        }
    }
    registers.orig_rax = NO_SYSTEM_CALL;
    registers
}

/// The registers for a thread that goes on without passing where the kernel restarts calls: `restart_syscall` by hand.
pub(crate) fn by_hand(stopped: &Registers) -> Registers {
    let registers = cured(stopped);
    let noted = notes_a_wait(&registers);
    let mut registers = after_death(&registers);
    if noted {
        registers.rax = unsigned(libc::SYS_restart_syscall);
    }
    registers
}

#[expect(clippy::cast_sign_loss, reason = "registers hold signed values too")]
fn unsigned(value: i64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(call: i64, rax: i64) -> Registers {
        Registers { rip: 0x1002, orig_rax: unsigned(call), rax: unsigned(rax), ..Registers::default() }
    }

    #[test]
    fn restart_codes_are_left_to_the_kernel() {
        let sleeping = stopped(libc::SYS_clock_nanosleep, ERESTART_RESTARTBLOCK);
        assert_eq!(cured(&sleeping), sleeping);
        let dead = after_death(&sleeping);
        assert_eq!((dead.rip, dead.rax), (0x1000, unsigned(libc::SYS_clock_nanosleep)));
        let hand = by_hand(&sleeping);
        assert_eq!((hand.rip, hand.rax), (0x1000, unsigned(libc::SYS_restart_syscall)));
    }

    #[test]
    fn only_calls_that_can_are_started_again() {
        assert_eq!(cured(&stopped(libc::SYS_epoll_wait, EINTR)).rax, unsigned(ERESTARTNOHAND));
        assert_eq!(cured(&stopped(libc::SYS_epoll_wait, 3)).rax, 3);
        for call in [libc::SYS_close, libc::SYS_connect, libc::SYS_io_uring_enter] {
            assert_eq!(cured(&stopped(call, EINTR)).rax, unsigned(EINTR));
        }
        // A number that looks like a call's error in a thread that is in none.
        let running = stopped(-1, -512);
        assert_eq!(cured(&running), running);
        assert_eq!(after_death(&running).rip, 0x1002);
    }
}
