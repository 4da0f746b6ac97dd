//! Giving a borrowed thread back as it was.

use super::Borrowed;
use crate::machine::{Machine, Native};
use crate::sys::ptrace::{self, Resume, UserDispatch};
use crate::target::Target;
use crate::victim::{Held, Victim};
use crate::{Error, restart};

impl Borrowed {
    /// Gives the thread its mask, its extended state, its registers and the memory of the frames back, in this order.
    pub(crate) fn give_back(&mut self, victim: &mut Victim, target: &Target) -> Result<(), Error> {
        let pid = victim.pid;
        if let Some(waited) = self.lost {
            return Err(Error::DidNotStop { tid: self.tid, waited });
        }
        if self.changed {
            ptrace::set_signal_mask(self.tid, self.mask)
                .map_err(Error::kernel("set the signal mask", pid))?;
            if !self.has_state {
                let set = Native::set_state(&self.state, self.tid);
                set.map_err(Error::kernel("set the extended state", pid))?;
            }
            let again = self.wait_forgotten && restart::notes_a_wait(&self.original);
            let registers = if again {
                restart::after_death(&self.original)
            } else {
                restart::cured(&self.original).going_on_at(self.resume_at)
            };
            registers.set(self.tid).map_err(Error::kernel("set registers", pid))?;
            if self.user_dispatch != UserDispatch::OFF {
                ptrace::set_user_dispatch(self.tid, &self.user_dispatch)
                    .map_err(Error::kernel("switch on its user dispatch", pid))?;
            }
            self.changed = false;
            victim.given_back.push(self.tid);
            if victim.held != Held::Seized {
                self.stop_anew(victim)?;
            }
        }
        victim.borrowed.retain(|tid| *tid != self.tid);
        self.uncover(victim, target)
    }

    /// Leaves zeros where the frames were: what was there before. The blob's own mapping goes as a whole.
    pub(crate) fn uncover(&mut self, victim: &mut Victim, target: &Target) -> Result<(), Error> {
        let Some(frames) = self.frames.take() else { return Ok(()) };
        if self.in_mapping {
            return Ok(());
        }
        if victim.borrowed.is_empty() {
            victim.places = None;
        }
        // The stack's own thread may have come down to them.
        if victim.first_runs && !Native::frames_are_whole(&target.memory, &frames) {
            return Ok(());
        }
        let zeros = vec![0; frames.bytes.len()];
        target
            .memory
            .write(frames.address, &zeros)
            .map_err(Error::kernel("put back what the frames lay on", victim.pid))
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
