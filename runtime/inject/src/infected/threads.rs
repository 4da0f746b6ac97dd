//! Which thread runs the blob, and what the others do meanwhile.
//!
//! One thread at a time is answerable for the blob: left alone, it unmaps it and goes on. When another takes over, it
//! stands ready to do so before the first is given back, so that there is no moment at which nobody would.

use pie_blob::Offset;

use super::{Infected, Session};
use crate::arguments::Call;
use crate::borrowed::{Borrowed, Mapping, Spot};
use crate::system_call::SystemCall;
use crate::{CrashRisk, Error};

/// What the other threads do while one runs an export.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// They stay stopped: nothing that the blob looks at changes under its eyes. Whatever lock one of them holds is not
    /// released meanwhile.
    #[default]
    Stopped,
    /// They run on as if there were no tracer, and are stopped again when the export has come back.
    ///
    /// The first thread then uses its stack as it likes. In any other, the way back lies in the blob's own mapping:
    /// if this process dies meanwhile, the victim goes on, but those pages (16 KiB) stay mapped
    /// ([`CrashRisk::PageStays`]).
    Running,
}

impl Infected {
    /// Runs an export in the thread `tid` of the victim, the others stopped or running.
    ///
    /// What belongs to a thread only that thread can ask or change: its alternate stack, its name, its robust list, its
    /// thread-local storage.
    ///
    /// ```no_run
    /// # fn example(mut infected: pie_blob_inject::Infected, tid: i32,
    /// #     gettid: pie_blob::Offset<unsafe extern "C" fn() -> i32>) -> Result<(), pie_blob_inject::Error> {
    /// use pie_blob_inject::Others;
    ///
    /// assert_eq!(infected.call_in(tid, Others::Stopped, gettid, ())?, tid);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call); [`Error::NoSuchThread`]; with [`Others::Running`] also [`Error::DidNotStop`] when one does
    /// not stop again, [`Error::NotAdoptable`] for a victim that the caller traces itself, and with
    /// [`Target::require_crash_safe`](crate::Target::require_crash_safe) [`Error::NotCrashSafe`] for any thread but the first.
    pub fn call_in<'a, F, A>(
        &mut self,
        tid: i32,
        others: Others,
        export: Offset<F>,
        arguments: A,
    ) -> Result<F::Output, Error>
    where
        F: Call<'a, A>,
    {
        let session = self.session()?;
        if others == Others::Stopped {
            session.move_to(tid, others)?;
            return session.call_with(export, arguments);
        }
        session.may_run_others(tid)?;
        session.victim.claim_stack(session.target.stack.as_ref())?;
        session.move_to(tid, others)?;
        session.victim.let_others_run(tid)?;
        let result = session.call_with(export, arguments);
        let stopped = session.stop_others();
        let value = result?;
        stopped.map(|()| value)
    }
}

impl Session {
    /// Makes `tid` the thread that runs the blob and is answerable for it.
    pub(super) fn move_to(&mut self, tid: i32, others: Others) -> Result<(), Error> {
        let pid = self.victim.pid;
        let spot = match others {
            Others::Running if tid != pid && !self.victim.others_run() => {
                Spot::Mapping(self.prepared.arguments.end..self.prepared.base + self.prepared.span)
            }
            _ => self.spot.other(),
        };
        if tid != self.borrowed.tid() {
            if !self.victim.threads.contains(&tid) {
                return Err(Error::NoSuchThread { pid, tid });
            }
            let span = self.unmapping(&spot).min(self.unmapping(&self.spot));
            let mapping = Mapping { base: self.prepared.base, span, done: true };
            let undo = SystemCall::munmap(mapping.base, mapping.span);
            let mut next = Borrowed::take(&mut self.victim, &self.target, tid, &spot, &mapping)?;
            // Left alone now, both undo everything but what frames lie in: the last one must not stand in the blob's code, which
            // the next would unmap under it.
            let out = self.borrowed.stand_by(&self.victim, &undo);
            self.at_end = false;
            if let Err(error) = out.and_then(|()| next.stand_by(&self.victim, &undo)) {
                return next.give_back(&mut self.victim, &self.target).and(Err(error));
            }
            let mut last = std::mem::replace(&mut self.borrowed, next);
            self.spot = spot;
            self.at_end = false;
            return last.give_back(&mut self.victim, &self.target);
        }
        if matches!(spot, Spot::Mapping(_)) != matches!(self.spot, Spot::Mapping(_)) {
            self.relay(spot)?;
        }
        Ok(())
    }

    /// Lays the frames of the thread that runs the blob at another spot.
    fn relay(&mut self, spot: Spot) -> Result<(), Error> {
        let mapping = Mapping { base: self.prepared.base, span: self.unmapping(&spot), done: true };
        if self.borrowed.relay(&mut self.victim, &self.target, &spot, &mapping)? {
            self.spot = spot;
            self.at_end = false;
        }
        Ok(())
    }

    /// How many bytes the blob unmaps when nobody else does.
    pub(super) fn unmapped_by_blob(&self) -> u64 {
        self.unmapping(&self.spot)
    }

    /// How many bytes may be unmapped while frames lie at a spot: not the page that they lie in.
    fn unmapping(&self, spot: &Spot) -> u64 {
        match spot {
            Spot::Mapping(spare) => spare.start - self.prepared.base,
            Spot::Stack { .. } => self.prepared.span,
        }
    }

    fn may_run_others(&mut self, tid: i32) -> Result<(), Error> {
        let pid = self.victim.pid;
        if !self.victim.threads.contains(&tid) {
            return Err(Error::NoSuchThread { pid, tid });
        }
        if !self.victim.is_seized() {
            let reason =
                "its other threads are the caller's to stop and to resume: they cannot be left running";
            return Err(Error::NotAdoptable { tid, reason });
        }
        if tid != pid && !self.victim.others_run() {
            self.victim.add_risk(CrashRisk::PageStays);
        }
        self.victim.check_risks().inspect_err(|_| self.forget_page())
    }

    fn forget_page(&mut self) {
        self.victim.risks.retain(|risk| *risk != CrashRisk::PageStays);
    }

    /// Stops the others again, and leaves nothing that a running thread could be in the way of.
    fn stop_others(&mut self) -> Result<(), Error> {
        self.victim.stop_threads()?;
        if matches!(self.spot, Spot::Mapping(_)) {
            self.relay(Spot::Stack { second: false })?;
        }
        // Where there was no room for them elsewhere, the frames are still in that page.
        if matches!(self.spot, Spot::Stack { .. }) {
            self.forget_page();
        }
        Ok(())
    }
}
