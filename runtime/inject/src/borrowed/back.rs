//! Giving a borrowed thread back as it was.

use super::Borrowed;
use crate::machine::{Machine, Native};
use crate::sys::ptrace::{self, Resume};
use crate::target::Target;
use crate::victim::{Held, Victim};
use crate::{Error, restart};

impl Borrowed {
    /// Gives the thread its mask, its extended state, its registers and the covered bytes back, in this order.
    pub(crate) fn give_back(&mut self, victim: &mut Victim, target: &Target) -> Result<(), Error> {
        let pid = victim.pid;
        if let Some(waited) = self.lost {
            return Err(Error::DidNotStop { tid: self.tid, waited });
        }
        if self.changed {
            ptrace::set_signal_mask(self.tid, self.mask)
                .map_err(Error::kernel("set the signal mask", pid))?;
            Native::set_state(&self.state, self.tid).map_err(Error::kernel("set the extended state", pid))?;
            let again = self.wait_forgotten && restart::notes_a_wait(&self.original);
            let registers = if again {
                restart::after_death(&self.original)
            } else {
                restart::cured(&self.original).going_on_at(self.resume_at)
            };
            registers.set(self.tid).map_err(Error::kernel("set registers", pid))?;
            self.changed = false;
            if victim.held != Held::Seized {
                self.stop_anew(victim)?;
            }
        }
        victim.borrowed.retain(|(tid, _)| *tid != self.tid);
        self.uncover(pid, target)
    }

    /// Puts back what the frames lay on. In the blob's own mapping they lay on nothing.
    pub(super) fn uncover(&mut self, pid: i32, target: &Target) -> Result<(), Error> {
        let covered = std::mem::take(&mut self.covered);
        match self.frames.take() {
            Some(frames) if !covered.is_empty() => target
                .memory
                .write(frames.address, &covered)
                .map_err(Error::kernel("put back what the frames lay on", pid)),
            _ => Ok(()),
        }
    }

    /// An adopted thread stays stopped, and its tracer will resume it in a way that does not pass where the kernel
    /// starts system calls again: so it is led past there into a stop of its own.
    fn stop_anew(&mut self, victim: &mut Victim) -> Result<(), Error> {
        let pid = victim.pid;
        if ptrace::interrupt(self.tid).is_ok() {
            self.resume(victim, Resume::Continue)?;
            self.wait_shortly(victim)?;
            return Ok(());
        }
        // Attached, not seized: such a thread cannot be interrupted, so its call is started again by hand.
        let mut registers = if self.wait_forgotten {
            restart::after_death(&self.original)
        } else {
            restart::by_hand(&self.original)
        };
        if registers.place() == self.original.place() {
            registers = registers.going_on_at(self.resume_at);
        }
        registers.set(self.tid).map_err(Error::kernel("set registers", pid))
    }
}
