//! What a stopped thread would go on with, for whoever wants to let it go on elsewhere: in a checkpoint.
//!
//! Read only: nothing here changes the thread.

use crate::machine::{Gadgets, Machine};
use crate::sys::ptrace;
use crate::target::Target;
use crate::victim::Victim;
use crate::x86_64::frame;
use crate::x86_64::registers::Registers;
use crate::{Error, restart};

/// A thread as `rt_sigreturn` would take it up: its interrupted system call, if it was in one, is made again from its start.
#[derive(Clone, Debug)]
pub struct ThreadState {
    /// General registers and segment bases.
    pub registers: libc::user_regs_struct,
    /// The XSAVE area as a signal frame holds it, both magics included.
    pub extended: Vec<u8>,
    /// Blocked signals; bit 0 is signal 1.
    pub mask: u64,
    /// The number of the system call that it was stopped in.
    pub system_call: Option<u64>,
}

/// Code of a program's own through which a thread can be led without changing any code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// The address of a `syscall; ret`.
    pub system_call: u64,
    /// The address of what makes the system call `rt_sigreturn`.
    pub sigreturn: u64,
}

impl Victim {
    /// What a thread of the victim's would go on with.
    ///
    /// # Errors
    ///
    /// [`Error::Died`], [`Error::Compat`] for a thread that runs 32-bit code, [`Error::Kernel`].
    pub fn thread_state(&self, tid: i32) -> Result<ThreadState, Error> {
        let kernel = |action| Error::kernel(action, self.pid);
        let read = Registers::of(tid).map_err(kernel("read registers"))?;
        let Some(stopped) = read else { return Err(Error::Compat { pid: self.pid }) };
        let resume_at = stopped.resume_at(tid).map_err(kernel("read the restartable sequence"))?;
        let state = Registers::state_of(tid).map_err(kernel("read the extended state"))?;
        let Some(extended) = Registers::state_in_frame(&state) else {
            let source = std::io::Error::from(std::io::ErrorKind::InvalidData);
            return Err(Error::Kernel { action: "understand the extended state", pid: self.pid, source });
        };
        let mask = ptrace::get_signal_mask(tid).map_err(kernel("read the signal mask"))?;
        let system_call = stopped.system_call().map(i64::unsigned_abs);
        let mut registers = restart::after_death(&restart::cured(&stopped));
        if registers.place() == stopped.place() {
            registers = registers.going_on_at(resume_at);
        }
        Ok(ThreadState { registers: registers.to_user(), extended, mask, system_call })
    }
}

impl Target {
    /// Where the target's own code has what leads it back; `None` for a program without a C library and signal handlers.
    #[must_use]
    pub fn way_back(&self) -> Option<WayBack> {
        match self.gadgets {
            Gadgets::Pair { call, sigreturn, .. } => {
                Some(WayBack { system_call: call.address, sigreturn: sigreturn.address })
            }
            Gadgets::CallOnly(_) => None,
        }
    }
}

impl ThreadState {
    /// How many bytes [`signal_frame`](Self::signal_frame) takes at most, wherever it lies.
    #[must_use]
    pub fn frame_size(&self) -> usize {
        frame::FRAME + 64 + self.extended.len()
    }

    /// The signal frame for the address `at`, whose first word is `sigreturn`: a thread that returns into it with `at` as
    /// its stack pointer goes on with this state. The alternate stack stays as it is.
    #[must_use]
    pub fn signal_frame(&self, at: u64, sigreturn: u64) -> Vec<u8> {
        // Up there no frame can lie; what is made for it is of no use, and no reason to stop.
        let area = at.saturating_add(frame::FRAME as u64).checked_next_multiple_of(64).unwrap_or(at);
        let mut bytes = vec![0; frame::FRAME];
        // It has room for the whole frame.
        let _ = frame::write(&mut bytes, &Registers::from_user(&self.registers), self.mask, sigreturn, area);
        let len = usize::try_from(area - at).unwrap_or(frame::FRAME);
        bytes.resize(len, 0);
        bytes.extend_from_slice(&self.extended);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_survive_the_way_through_the_c_structure() {
        use zerocopy::{FromBytes, IntoBytes};
        let numbered: Vec<u64> = (1..=27).collect();
        let registers = Registers::read_from_bytes(numbered.as_bytes()).unwrap();
        assert_eq!(Registers::from_user(&registers.to_user()), registers);
        let user = registers.to_user();
        assert_eq!((user.r15, user.rip, user.fs_base, user.gs), (1, 17, 22, 27));
    }
}
