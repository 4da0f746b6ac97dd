//! Standing in for the program towards whoever started `thaw`: signals in, stops and the end out.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::error::Error;
use crate::sys;

/// `si_code` of what the kernel itself sends, a terminal's signals among it.
const SI_KERNEL: i32 = 0x80;

/// Of the signals in `held` the process has not heard, whoever sent them: they came before it was there.
pub(super) fn attend(pid: i32, mut held: u64) -> Result<ExitStatus, Error> {
    let mask = sys::block_signals().map_err(Error::io("block signals"))?;
    let status = loop {
        match sys::ended(pid, libc::WUNTRACED).map_err(Error::io("wait for the thawed process"))? {
            Some(status) if libc::WIFSTOPPED(status) => {
                stop_as(libc::WSTOPSIG(status));
                continue;
            }
            Some(status) => break status,
            None => {}
        }
        let Ok((signal, code)) = sys::take_signal() else { continue };
        let bit = 1_u64.checked_shl(signal.unsigned_abs().wrapping_sub(1)).unwrap_or(0);
        // A terminal has told the whole group.
        let told_already = code == SI_KERNEL && held & bit == 0 && !sys::in_another_group(pid);
        held &= !bit;
        if signal != libc::SIGCHLD && !told_already {
            // If it has ended meanwhile, its status says the rest.
            let _ = sys::kill(pid, signal);
        }
    };
    sys::set_signal_mask(mask).map_err(Error::io("let signals through again"))?;
    Ok(ExitStatus::from_raw(status))
}

/// Stops this process too where a terminal has stopped the other one: the shell waits for this one. The SIGCONT that ends it
/// comes as any other signal, and is passed on.
fn stop_as(signal: i32) {
    if [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signal) {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let _ = sys::kill(own, libc::SIGSTOP);
    }
}
