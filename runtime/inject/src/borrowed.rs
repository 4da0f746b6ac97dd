//! One stopped thread, borrowed to run code in its process, and given back as it was.
//!
//! The order of every step here is what makes a tracer's death harmless: frames first, then registers, then the mask;
//! back the other way round. At every moment in between, a thread that is suddenly on its own
//! runs into the frames and from there into its own state.

mod back;
mod call;
mod lay;
mod watched;

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::machine::{Entering, Frames, Gadgets, Machine, Native};
use crate::sys::ptrace::{self, Resume, UserDispatch};
use crate::sys::wait::{self, Change};
use crate::target::Target;
use crate::victim::Victim;
use crate::watch::EndSignal;
use crate::{CrashRisk, Error, proc, restart, sys};

pub(crate) use lay::{Mapping, Places, Spot};
use watched::Watched;

/// What the ABI lets a thread use below its stack pointer.
const RED_ZONE: u64 = 128;

/// Signals that code raises by itself.
pub(crate) const FAULTS: [i32; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];

/// A thread whose registers are somebody else's for a while.
#[derive(Debug)]
pub(crate) struct Borrowed {
    tid: i32,
    original: Native,
    /// Where it continues: its own place, or the abort handler of a restartable sequence.
    resume_at: u64,
    state: <Native as Machine>::State,
    mask: u64,
    /// Signals that its own code has raised and that it blocks: pending, and not to be taken by somebody else's code.
    blocked_faults: u64,
    /// The signal that ends calls.
    end: i32,
    /// Whether the victim catches it or waits for it: none was free of that.
    end_means_something: bool,
    gadgets: Gadgets,
    /// The process and the thread, as the victim counts them.
    ids: (i32, i32),
    /// Which of its system calls become signals.
    user_dispatch: UserDispatch,
    frames: Option<Frames>,
    /// Whether the frames lie in the blob's own mapping.
    in_mapping: bool,
    /// Whether the thread has taken its extended state up by itself since the blob ran.
    has_state: bool,
    /// Whether anything has been changed that must be given back.
    changed: bool,
    /// Whether the blob has waited itself: the kernel has one place to note how a wait goes on, and it may no longer hold
    /// the victim's.
    wait_forgotten: bool,
    /// How often it has stopped since it was borrowed.
    stops: u64,
    /// How often it had given its processor up when it was seized, where that is known.
    switches: Option<u64>,
    /// How often it had been given one.
    runs: Option<u64>,
    /// How long it was waited for in vain: it runs, and cannot be given anything back.
    lost: Option<Duration>,
    /// How it has ended, if it has.
    gone: Option<Gone>,
}

/// How a thread came to be no more.
#[derive(Clone, Copy, Debug)]
enum Gone {
    /// Its process has died, with this status.
    Died(Option<ExitStatus>),
    /// Its process has executed another program.
    Changed,
    /// It alone has ended.
    Ended,
}

impl Gone {
    fn error(self, pid: i32, tid: i32) -> Error {
        match self {
            Self::Died(status) => Error::Died { pid, status },
            Self::Changed => Error::Changed { pid },
            Self::Ended => Error::ThreadEnded { pid, tid },
        }
    }
}

/// How the thread came to stand still again.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// At the end of the call.
    Done(Native),
    /// The end signal came before the end: the deadline.
    Overdue(Native),
    /// A signal that its own code raised.
    Fault { signal: i32, address: u64, registers: Native },
}

impl Borrowed {
    /// Saves the state of a thread and writes the frames that lead back to it, the first of which unmaps the blob.
    pub(crate) fn take(
        victim: &mut Victim,
        target: &Target,
        tid: i32,
        spot: &Spot,
        mapping: &Mapping,
    ) -> Result<Self, Error> {
        let pid = victim.pid;
        let kernel = |action| Error::kernel(action, pid);
        let blocked_faults = victim.deliver_faults(tid)?;
        let ids = victim.assess_thread(tid)?;
        let Some(original) = Native::of(tid).map_err(kernel("read registers"))? else {
            return Err(Error::Compat { pid });
        };
        if victim.read_implies_exec {
            return Err(Error::ReadImpliesExec { pid });
        }
        let state = Native::state_of(tid).map_err(kernel("read the extended state"))?;
        let mask = ptrace::get_signal_mask(tid).map_err(kernel("read the signal mask"))?;
        let resume_at = original.resume_at(tid).map_err(kernel("read the restartable sequence"))?;
        let user_dispatch = ptrace::user_dispatch(tid).map_err(kernel("read the user dispatch"))?;
        let (mut end, mut end_means_something) = victim.end_signal(mask);
        if end_means_something {
            // A thread blocks everything for a moment when it begins, ends or starts another.
            (end, end_means_something) = victim.end_signal(mask & proc::blocked_by_all(pid));
        }
        if end_means_something {
            victim.add_risk(CrashRisk::SignalsCaught);
        }
        if user_dispatch != UserDispatch::OFF {
            victim.add_risk(CrashRisk::UserDispatch);
        }
        victim.check_risks()?;
        let mut borrowed = Self {
            tid,
            original,
            resume_at,
            state,
            mask,
            blocked_faults,
            end,
            end_means_something,
            gadgets: target.gadgets,
            ids,
            user_dispatch,
            frames: None,
            in_mapping: false,
            has_state: true,
            changed: false,
            wait_forgotten: false,
            stops: 0,
            switches: None,
            runs: None,
            lost: None,
            gone: None,
        };
        borrowed.lay_frames(victim, target, spot, mapping)?;
        victim.borrowed.push(tid);
        Ok(borrowed)
    }

    /// Says that it has not run since its process was seized.
    pub(crate) fn seized_just_now(self, victim: &Victim) -> Self {
        let known = victim.is_seized() && victim.pid == self.tid;
        let (switches, runs) = (victim.switches.filter(|_| known), victim.runs_at_stop.filter(|_| known));
        Self { switches, runs, ..self }
    }

    /// Runs the blob from its entry until the call ends, however it ends. `done` is where a call stands then.
    pub(crate) fn run(&mut self, victim: &mut Victim, entry: &Entry, done: u64) -> Result<Stopped, Error> {
        if !restart::notes_a_wait(&self.original) {
            return self.run_to_the_end(victim, entry, done);
        }
        let watched = Watched::begin(victim, self);
        let stopped = self.run_to_the_end(victim, entry, done)?;
        self.wait_forgotten |= watched.has_waited(victim, self);
        Ok(stopped)
    }

    fn run_to_the_end(&mut self, victim: &mut Victim, entry: &Entry, done: u64) -> Result<Stopped, Error> {
        let stopped = self.run_to_a_signal(victim, entry, done)?;
        // It stands before that signal's delivery. If this host dies the signal is delivered, wherever the thread has been led
        // by then: a handler that the victim has for it would run on the wrong stack.
        if self.end_means_something || !matches!(stopped, Stopped::Done(_)) {
            self.drop_signal(victim)?;
        }
        Ok(stopped)
    }

    /// Has a thread that stands before the delivery of a signal stand still without one, at the same instruction.
    fn drop_signal(&mut self, victim: &mut Victim) -> Result<(), Error> {
        // One that was attached and not seized cannot be interrupted.
        while ptrace::interrupt(self.tid).is_ok() {
            self.resume(victim, Resume::Continue)?;
            match self.wait_shortly(victim)? {
                Change::Signal(signal) => victim.defer(self.tid, signal),
                _ => break,
            }
        }
        Ok(())
    }

    fn run_to_a_signal(&mut self, victim: &mut Victim, entry: &Entry, done: u64) -> Result<Stopped, Error> {
        let pid = victim.pid;
        let registers = self.entering(entry);
        self.go_to(victim, &registers)?;
        self.has_state = false;
        self.resume(victim, Resume::Continue)?;
        let stop_within = victim.options.stop_within;
        let end = EndSignal { process: pid, signal: self.end, stop_within };
        let mut until = Instant::now() + entry.deadline;
        let mut overdue = false;
        loop {
            let (change, sent) = self.wait(victim, until, Some(end).filter(|_| !overdue))?;
            if sent && !overdue {
                overdue = true;
                until = Instant::now() + stop_within;
            }
            let signal = match change {
                Some(Change::Signal(signal)) => signal,
                // A thread that could not be sent the signal has been interrupted instead.
                Some(Change::Event(libc::PTRACE_EVENT_STOP)) if overdue => self.end,
                Some(Change::Event(libc::PTRACE_EVENT_CLONE)) => {
                    victim.let_created_go(self.tid);
                    self.resume(victim, Resume::Continue)?;
                    continue;
                }
                Some(Change::SystemCall | Change::Event(_) | Change::JobStop | Change::Gone(_)) => {
                    self.resume(victim, Resume::Continue)?;
                    continue;
                }
                None if sent => continue,
                None if overdue => return Err(self.lost(stop_within)),
                None => {
                    // Tracing does not take the right to send signals.
                    overdue = true;
                    until = Instant::now() + stop_within;
                    ptrace::interrupt(self.tid).map_err(|source| {
                        self.lost = Some(entry.deadline);
                        Error::kernel("end the call", pid)(source)
                    })?;
                    continue;
                }
            };
            let read = Native::of(self.tid).map_err(Error::kernel("read registers", pid))?;
            let Some(registers) = read else { return Err(Error::Compat { pid }) };
            if signal == self.end && registers.place() == done {
                return Ok(Stopped::Done(registers));
            }
            self.wait_forgotten |= restart::notes_a_wait(&registers);
            if signal == self.end && overdue {
                return Ok(Stopped::Overdue(registers));
            }
            if let Some(address) = self.raised(victim, signal)? {
                return Ok(Stopped::Fault { signal, address, registers });
            }
            // Not the end: somebody else's, or one that was pending before.
            victim.defer(self.tid, signal);
            self.resume(victim, Resume::Continue)?;
        }
    }

    /// Where a fault was that the thread's own code has raised; others can only send its signal.
    fn raised(&self, victim: &Victim, signal: i32) -> Result<Option<u64>, Error> {
        if !FAULTS.contains(&signal) {
            return Ok(None);
        }
        let information =
            ptrace::signal_information(self.tid).map_err(Error::kernel("read the signal", victim.pid))?;
        // From the kernel, for what the code did.
        let own = information.si_code > 0;
        // SAFETY: for these signals the kernel fills in the address.
        Ok(own.then(|| unsafe { information.si_addr() }.addr() as u64))
    }

    fn entering(&self, entry: &Entry) -> Native {
        let call = match (self.gadgets, &self.frames) {
            (Gadgets::Pair { call, .. }, Some(_)) => call.address,
            _ => 0,
        };
        let resume =
            self.frames.as_ref().map_or(0, |frames| frames.resume_by_signal.unwrap_or(frames.resume));
        let state = self.frames.as_ref().map_or(0, |frames| frames.state);
        let &Entry { base, span, function, arguments, first, keep_from_children, .. } = entry;
        let (end, own_stack) = (self.end, self.own_stack());
        let entering = Entering {
            base,
            span,
            function,
            arguments,
            first,
            keep_from_children,
            process: self.ids.0,
            thread: self.ids.1,
            end,
            call,
            resume,
            state,
            own_stack,
        };
        self.original.entering(self.undo_or_own(), &entering)
    }

    fn resume(&self, victim: &Victim, how: Resume) -> Result<(), Error> {
        ptrace::resume(self.tid, how, 0).map_err(Error::kernel("resume it", victim.pid))
    }

    /// Waits for what becomes of the thread, `None` when nothing has by then; and says whether `end` was sent to it meanwhile.
    fn wait(
        &mut self,
        victim: &mut Victim,
        until: Instant,
        end: Option<EndSignal>,
    ) -> Result<(Option<Change>, bool), Error> {
        let waited = match victim.wait(self.tid, until, end) {
            Ok(waited) => waited,
            // Another thread, which was left running, has executed a program: this one is no more.
            Err(source) if source.raw_os_error() == Some(libc::ECHILD) => {
                // The watchdog may have taken its end before this thread waited for it.
                let ended = !victim.threads.contains(&self.tid) && victim.goes_on();
                return Err(self.forget(victim, if ended { Gone::Ended } else { Gone::Changed }));
            }
            Err(source) => return Err(Error::kernel("wait for it", victim.pid)(source)),
        };
        match waited.change {
            Some(Change::Gone(_)) => {
                let status = sys::end::status(self.tid);
                wait::take_end(self.tid);
                let alone = self.tid != victim.pid && victim.goes_on();
                Err(self.forget(victim, if alone { Gone::Ended } else { Gone::Died(status) }))
            }
            None if self.tid == victim.pid && proc::has_ended(self.tid) => Err(self.first_ended(victim)),
            // Another thread has executed a program and has this one's id now.
            None if !victim.is_ours(self.tid) => Err(self.forget(victim, Gone::Changed)),
            change => {
                self.stops += u64::from(change.is_some());
                Ok((change, waited.overdue))
            }
        }
    }

    /// The first thread has ended, which is not reported while others live: by itself, or all are killed and those end a moment
    /// later. Where one of them is another tracer's it takes as long as that one likes.
    fn first_ended(&mut self, victim: &mut Victim) -> Error {
        if victim.first_has_ended_alone() {
            return self.forget(victim, Gone::Ended);
        }
        let until = Instant::now() + victim.options.stop_within;
        let waited = victim.wait(self.tid, until, None);
        let mut status = None;
        if waited.is_ok_and(|waited| waited.change.is_some()) {
            status = sys::end::status(self.tid);
            wait::take_end(self.tid);
        }
        self.forget(victim, Gone::Died(status))
    }

    /// Waits for what becomes of the thread at once.
    fn wait_shortly(&mut self, victim: &mut Victim) -> Result<Change, Error> {
        let waited = victim.options.stop_within;
        let (change, _) = self.wait(victim, Instant::now() + waited, None)?;
        change.ok_or_else(|| self.lost(waited))
    }

    /// It runs and does not stop: nothing can be given back to it. When this thread ends it goes on by itself.
    fn lost(&mut self, waited: Duration) -> Error {
        self.lost = Some(waited);
        Error::DidNotStop { tid: self.tid, waited }
    }

    /// It is gone, and there is nothing to give back.
    fn forget(&mut self, victim: &mut Victim, gone: Gone) -> Error {
        self.changed = false;
        self.gone = Some(gone);
        victim.borrowed.retain(|tid| *tid != self.tid);
        victim.forget(self.tid);
        gone.error(victim.pid, self.tid)
    }

    fn undo_or_own(&self) -> u64 {
        self.frames.as_ref().map_or(self.own_stack(), |frames| frames.undo)
    }

    fn resume_or_own(&self) -> u64 {
        self.frames.as_ref().map_or(self.own_stack(), |frames| frames.resume)
    }

    fn own_stack(&self) -> u64 {
        self.original.stack().wrapping_sub(RED_ZONE) & !15
    }

    /// The thread's id.
    pub(crate) fn tid(&self) -> i32 {
        self.tid
    }

    /// Where the mapping's name lies in the victim, if there is a place for it.
    pub(crate) fn name(&self) -> Option<u64> {
        self.frames.as_ref().map(|frames| frames.name)
    }

    /// Whether the frames unmap nothing but what has been mapped.
    pub(crate) fn notes_what_is_mapped(&self) -> bool {
        self.frames.as_ref().is_none_or(|frames| frames.undo_by_signal.or(frames.undo_noting).is_some())
    }

    /// Whether the blob unmaps itself when it is resumed at the end of a call.
    pub(crate) fn unmaps_itself(&self) -> bool {
        self.frames.is_some()
    }

    /// Whether the thread has ended and its process goes on; an error where there is no such process any more.
    pub(crate) fn has_ended(&self, pid: i32) -> Result<bool, Error> {
        match self.gone {
            None => Ok(false),
            Some(Gone::Ended) => Ok(true),
            Some(gone) => Err(gone.error(pid, self.tid)),
        }
    }
}

/// Where and with what the blob is entered.
pub(crate) struct Entry {
    pub(crate) base: u64,
    pub(crate) span: u64,
    pub(crate) function: u64,
    pub(crate) arguments: [u64; 6],
    /// Whether the segments still want their permissions.
    pub(crate) first: bool,
    /// Whether children of the victim's are to have no copy.
    pub(crate) keep_from_children: bool,
    /// How long it may take.
    pub(crate) deadline: Duration,
}
