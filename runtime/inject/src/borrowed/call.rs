//! System calls that a borrowed thread makes in the victim's name.
//!
//! A call that is followed by a chain stops the thread once, by the end signal, when it has answered. Without a chain the
//! thread stops where the kernel is entered and where it is left.

use super::Borrowed;
use crate::Error;
use crate::machine::{Machine, Native};
use crate::note::NO_ANSWER;
use crate::sys::ptrace::{self, Resume};
use crate::sys::wait::Change;
use crate::system_call::{self, SystemCall};
use crate::target::Target;
use crate::victim::Victim;

impl Borrowed {
    /// Makes one system call in the victim's name and returns what it answered.
    pub(crate) fn system_call(&mut self, victim: &mut Victim, call: &SystemCall) -> Result<u64, Error> {
        self.start_system_call(victim, call, self.undo_or_own())?;
        self.finish_system_call(victim, call)
    }

    /// Maps the blob and returns where it lies.
    ///
    /// What is unmapped where this host dies is what has been mapped: while other threads run, somebody else's memory may
    /// have come to lie at the base, and the call is refused.
    pub(crate) fn map(
        &mut self,
        victim: &mut Victim,
        target: &Target,
        call: &SystemCall,
    ) -> Result<u64, Error> {
        let Some(frames) = &self.frames else { return self.system_call(victim, call) };
        let noted = frames.mapped;
        if let Some(by_signal) = frames.undo_by_signal {
            self.start_system_call(victim, call, by_signal)?;
            return self.finish_by_signal(victim, target, call, noted);
        }
        if let Some(noting) = frames.undo_noting {
            self.start_system_call(victim, call, noting)?;
            let mapped = self.finish_system_call(victim, call)?;
            let note = target.memory.write(noted, &mapped.to_ne_bytes());
            return note.map(|()| mapped).map_err(Error::kernel("note what is mapped", victim.pid));
        }
        // These frames know only where it is to be mapped. No other thread runs that could map something there.
        self.system_call(victim, call)
    }

    /// Makes a system call after which nothing is left to undo.
    pub(crate) fn last_system_call(
        &mut self,
        victim: &mut Victim,
        target: &Target,
        call: &SystemCall,
    ) -> Result<u64, Error> {
        let frames = self.frames.as_ref();
        if let Some((by_signal, answer)) = frames.and_then(|f| Some((f.resume_by_signal?, f.unmapped))) {
            self.start_system_call(victim, call, by_signal)?;
            return self.finish_by_signal(victim, target, call, answer);
        }
        self.start_system_call(victim, call, self.resume_or_own())?;
        self.finish_system_call(victim, call)
    }

    /// Has the blob unmap itself by `call`, from the end of a call of its own. The thread has its own extended state then.
    pub(crate) fn unmap_itself(
        &mut self,
        victim: &mut Victim,
        target: &Target,
        call: &SystemCall,
    ) -> Result<u64, Error> {
        let frames = self.frames.as_ref();
        let answer = match frames.and_then(|f| f.resume_by_signal.map(|_| f.unmapped)) {
            Some(answer) => self.finish_by_signal(victim, target, call, answer)?,
            None => self.finish_system_call(victim, call)?,
        };
        self.has_state = true;
        Ok(answer)
    }

    /// Has the thread stand before the system call after which nothing is left to undo, without making it: the state in
    /// which it undoes everything if it is left alone. Nothing where it has no frames to go back through.
    pub(crate) fn stand_by(&mut self, victim: &Victim, last: &SystemCall) -> Result<(), Error> {
        match &self.frames {
            Some(frames) => self.start_system_call(victim, last, frames.resume),
            None => Ok(()),
        }
    }

    pub(super) fn start_system_call(
        &mut self,
        victim: &Victim,
        call: &SystemCall,
        stack: u64,
    ) -> Result<(), Error> {
        let registers = self.original.calling(self.gadgets.call().address, stack, call);
        self.go_to(victim, &registers)
    }

    /// Sets registers, and the mask where it is still the thread's own: in this order.
    pub(super) fn go_to(&mut self, victim: &Victim, registers: &Native) -> Result<(), Error> {
        let kernel = |action| Error::kernel(action, victim.pid);
        if !self.changed && self.user_dispatch != ptrace::UserDispatch::OFF {
            ptrace::set_user_dispatch(self.tid, &ptrace::UserDispatch::OFF)
                .map_err(kernel("switch off its user dispatch"))?;
        }
        registers.set(self.tid).map_err(kernel("set registers"))?;
        if !self.changed {
            self.changed = true;
            ptrace::set_signal_mask(self.tid, self.running_mask()).map_err(kernel("set the signal mask"))?;
        }
        Ok(())
    }

    /// Everything is blocked while code is borrowed but the end signal and what code raises by itself: a blocked fault
    /// would delete the victim's handler.
    fn running_mask(&self) -> u64 {
        let open = super::FAULTS.iter().chain([&self.end]);
        open.fold(u64::MAX, |mask, signal| mask & !(1 << (signal - 1))) | self.blocked_faults
    }

    /// Lets the system call at hand run until its answer lies in the victim's memory, where it was not before, and the end
    /// signal has stopped the thread. The signal may be somebody else's that came just then: the thread then stands before it
    /// sends its own, and that is of no account.
    fn finish_by_signal(
        &mut self,
        victim: &mut Victim,
        target: &Target,
        call: &SystemCall,
        answer: u64,
    ) -> Result<u64, Error> {
        let pid = victim.pid;
        self.resume(victim, Resume::Continue)?;
        loop {
            if let Change::Signal(signal) = self.wait_shortly(victim)? {
                if signal == self.end {
                    let mut word = [0; 8];
                    target.memory.read(answer, &mut word).map_err(Error::kernel("read an answer", pid))?;
                    let answered = u64::from_ne_bytes(word);
                    if answered != NO_ANSWER {
                        #[expect(clippy::cast_possible_wrap, reason = "the answer is a signed value")]
                        let answer = system_call::answer(answered as i64);
                        return answer.map_err(|source| Error::Refused { pid, call: call.name, source });
                    }
                }
                self.take_signal(victim, call, signal)?;
            }
            self.resume(victim, Resume::Continue)?;
        }
    }

    /// Lets the system call at hand run from its entry to its exit.
    pub(crate) fn finish_system_call(
        &mut self,
        victim: &mut Victim,
        call: &SystemCall,
    ) -> Result<u64, Error> {
        let pid = victim.pid;
        for _ in ["entry", "exit"] {
            self.resume(victim, Resume::ToSystemCall)?;
            loop {
                match self.wait_shortly(victim)? {
                    Change::SystemCall => break,
                    Change::Signal(signal) => self.take_signal(victim, call, signal)?,
                    Change::Event(_) | Change::JobStop | Change::Gone(_) => {}
                }
                self.resume(victim, Resume::ToSystemCall)?;
            }
        }
        let Some(registers) = Native::of(self.tid).map_err(Error::kernel("read registers", pid))? else {
            return Err(Error::Compat { pid });
        };
        system_call::answer(registers.answer()).map_err(|source| Error::Refused {
            pid,
            call: call.name,
            source,
        })
    }

    /// Takes a signal that came while the thread makes a call: it is sent again at the end, but for the end signal where that
    /// means nothing to the victim. What the thread raised itself would be raised for ever.
    fn take_signal(&self, victim: &mut Victim, call: &SystemCall, signal: i32) -> Result<(), Error> {
        let pid = victim.pid;
        if self.raised(victim, signal)?.is_some() {
            if signal != libc::SIGSYS {
                // The borrowed code is no longer what it was.
                return Err(Error::Changed { pid });
            }
            let source = std::io::Error::from_raw_os_error(libc::EPERM);
            return Err(Error::Refused { pid, call: call.name, source });
        }
        if signal != self.end || self.end_means_something {
            victim.defer(self.tid, signal);
        }
        Ok(())
    }
}
