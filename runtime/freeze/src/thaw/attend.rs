//! Standing in for the program towards whoever started `thaw`: signals in, the end out.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::error::Error;
use crate::sys;

/// `si_code` of what the kernel itself sends, a terminal's signals among it.
const SI_KERNEL: i32 = 0x80;

pub(super) fn attend(pid: i32) -> Result<ExitStatus, Error> {
    let mask = sys::block_signals().map_err(Error::io("block signals"))?;
    let status = loop {
        if let Some(status) = sys::ended(pid).map_err(Error::io("wait for the thawed process"))? {
            break status;
        }
        let Ok((signal, code)) = sys::take_signal() else { continue };
        if signal != libc::SIGCHLD && code != SI_KERNEL {
            // If it has ended meanwhile, its status says the rest.
            let _ = sys::kill(pid, signal);
        }
    };
    sys::set_signal_mask(mask).map_err(Error::io("let signals through again"))?;
    Ok(ExitStatus::from_raw(status))
}
