//! One stopped thread, borrowed to run code in its process, and given back as it was.
//!
//! The order of every step here is what makes a tracer's death harmless: frames first, then registers, then the mask;
//! back the other way round. At every moment in between, a thread that is suddenly on its own
//! runs into the frames and from there into its own state.

mod back;
mod lay;
mod watched;

use std::time::{Duration, Instant};

use crate::machine::{Entering, Frames, Gadgets, Machine, Native};
use crate::sys::ptrace::{self, Resume};
use crate::sys::wait::{self, Change};
use crate::system_call::{self, SystemCall};
use crate::target::Target;
use crate::victim::Victim;
use crate::{CrashRisk, Error, proc, restart, sys};

pub(crate) use lay::Spot;
use watched::Watched;

/// What the ABI lets a thread use below its stack pointer.
const RED_ZONE: u64 = 128;

/// Signals that code raises by itself.
const FAULTS: [i32; 6] =
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
    /// The signal that ends calls.
    end: i32,
    /// Whether the victim catches it or waits for it: none was free of that.
    end_means_something: bool,
    gadgets: Gadgets,
    frames: Option<Frames>,
    /// The bytes that the frames lie on.
    covered: Vec<u8>,
    /// Whether anything has been changed that must be given back.
    changed: bool,
    /// Whether the blob has waited itself: the kernel has one place to note how a wait goes on, and it may no longer hold
    /// the victim's.
    wait_forgotten: bool,
    /// How often it has stopped since it was borrowed.
    stops: u64,
    /// How often it had given its processor up when it was seized, where that is known.
    switches: Option<u64>,
    /// How long it was waited for in vain: it runs, and cannot be given anything back.
    lost: Option<Duration>,
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
    /// Saves the state of a thread and writes the frames that lead back to it, the first of which makes the system call
    /// `undo`.
    pub(crate) fn take(
        victim: &mut Victim,
        target: &Target,
        tid: i32,
        spot: &Spot,
        undo: &SystemCall,
    ) -> Result<Self, Error> {
        let pid = victim.pid;
        let kernel = |action| Error::kernel(action, pid);
        victim.assess_thread(tid)?;
        let Some(original) = Native::of(tid).map_err(kernel("read registers"))? else {
            return Err(Error::Compat { pid });
        };
        let state = Native::state_of(tid).map_err(kernel("read the extended state"))?;
        let mask = ptrace::get_signal_mask(tid).map_err(kernel("read the signal mask"))?;
        let resume_at = original.resume_at(tid).map_err(kernel("read the restartable sequence"))?;
        let (mut end, mut end_means_something) = victim.end_signal(mask);
        if end_means_something {
            // A thread blocks everything for a moment when it begins, ends or starts another.
            (end, end_means_something) = victim.end_signal(mask & proc::blocked_by_all(pid));
        }
        if end_means_something {
            victim.add_risk(CrashRisk::SignalsCaught);
            victim.check_risks()?;
        }
        let mut borrowed = Self {
            tid,
            original,
            resume_at,
            state,
            mask,
            end,
            end_means_something,
            gadgets: target.gadgets,
            frames: None,
            covered: Vec::new(),
            changed: false,
            wait_forgotten: false,
            stops: 0,
            switches: None,
            lost: None,
        };
        borrowed.lay_frames(victim, target, spot, undo)?;
        victim.borrowed.push((tid, borrowed.original.stack()));
        Ok(borrowed)
    }

    /// Says that it has not run since its process was seized.
    pub(crate) fn seized_just_now(self, victim: &Victim) -> Self {
        let known = victim.is_seized() && victim.pid == self.tid;
        Self { switches: victim.switches.filter(|_| known), ..self }
    }

    /// Makes one system call in the victim's name and returns what it answered.
    pub(crate) fn system_call(&mut self, victim: &mut Victim, call: &SystemCall) -> Result<u64, Error> {
        self.start_system_call(victim, call, self.undo_or_own())?;
        self.finish_system_call(victim, call)
    }

    /// Makes a system call after which nothing is left to undo.
    pub(crate) fn last_system_call(&mut self, victim: &mut Victim, call: &SystemCall) -> Result<u64, Error> {
        self.start_system_call(victim, call, self.resume_or_own())?;
        self.finish_system_call(victim, call)
    }

    /// Has the thread stand before the system call after which nothing is left to undo, without making it: the state in
    /// which it undoes everything if it is left alone. Nothing where it has no frames to go back through.
    pub(crate) fn stand_by(&mut self, victim: &Victim, last: &SystemCall) -> Result<(), Error> {
        match &self.frames {
            Some(frames) => self.start_system_call(victim, last, frames.resume),
            None => Ok(()),
        }
    }

    fn start_system_call(&mut self, victim: &Victim, call: &SystemCall, rsp: u64) -> Result<(), Error> {
        let registers = self.original.calling(self.gadgets.call().address, rsp, call);
        self.go_to(victim, &registers)
    }

    /// Sets registers, and the mask where it is still the thread's own: in this order.
    fn go_to(&mut self, victim: &Victim, registers: &Native) -> Result<(), Error> {
        registers.set(self.tid).map_err(Error::kernel("set registers", victim.pid))?;
        if !self.changed {
            self.changed = true;
            ptrace::set_signal_mask(self.tid, self.running_mask())
                .map_err(Error::kernel("set the signal mask", victim.pid))?;
        }
        Ok(())
    }

    /// Everything is blocked while code is borrowed but the end signal and what code raises by itself: a blocked fault
    /// would delete the victim's handler.
    fn running_mask(&self) -> u64 {
        FAULTS.iter().chain([&self.end]).fold(u64::MAX, |mask, signal| mask & !(1 << (signal - 1)))
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
                    // It would be raised for ever.
                    Change::Signal(libc::SIGSYS) if self.raised(victim, libc::SIGSYS)?.is_some() => {
                        let source = std::io::Error::from_raw_os_error(libc::EPERM);
                        return Err(Error::Refused { pid, call: call.name, source });
                    }
                    // So would this: its code is no longer what it was.
                    Change::Signal(signal) if self.raised(victim, signal)?.is_some() => {
                        return Err(Error::Changed { pid });
                    }
                    Change::Signal(signal) => {
                        self.put_off(victim, signal);
                        self.resume(victim, Resume::ToSystemCall)?;
                    }
                    Change::Event(_) | Change::JobStop | Change::Gone(_) => {
                        self.resume(victim, Resume::ToSystemCall)?;
                    }
                }
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
        let pid = victim.pid;
        let registers = self.entering(entry);
        self.go_to(victim, &registers)?;
        self.resume(victim, Resume::Continue)?;
        let mut until = Instant::now() + entry.deadline;
        let mut overdue = false;
        loop {
            let signal = match self.wait(victim, until)? {
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
                None if overdue => return Err(self.lost(victim.options.stop_within)),
                None => {
                    overdue = true;
                    until = Instant::now() + victim.options.stop_within;
                    // The thread is traced and not yet waited for: its id names nobody else.
                    if let Err(source) = sys::tgkill(pid, self.tid, self.end) {
                        // Tracing does not take the right to send signals.
                        ptrace::interrupt(self.tid).map_err(|_| {
                            self.lost = Some(entry.deadline);
                            Error::kernel("end the call", pid)(source)
                        })?;
                    }
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
        let resume = self.frames.as_ref().map_or(0, |frames| frames.resume);
        let &Entry { base, span, function, arguments, first, .. } = entry;
        let (end, own_stack) = (self.end, self.own_stack());
        let entering = Entering { base, span, function, arguments, first, end, call, resume, own_stack };
        self.original.entering(self.undo_or_own(), &entering)
    }

    /// A signal that came while the thread was not its own: sent again at the end, but for the end signal where it means
    /// nothing to the victim.
    fn put_off(&self, victim: &mut Victim, signal: i32) {
        if signal != self.end || self.end_means_something {
            victim.defer(self.tid, signal);
        }
    }

    fn resume(&self, victim: &Victim, how: Resume) -> Result<(), Error> {
        ptrace::resume(self.tid, how, 0).map_err(Error::kernel("resume it", victim.pid))
    }

    /// Waits for what becomes of the thread; `None` when nothing has by then.
    fn wait(&mut self, victim: &mut Victim, until: Instant) -> Result<Option<Change>, Error> {
        /// After what time without news it is asked whether the whole process is ending.
        const QUIET: Duration = Duration::from_millis(20);
        loop {
            let next_look = until.min(Instant::now() + QUIET);
            let change = wait::change(self.tid, next_look).map_err(|source| match source.raw_os_error() {
                // Another thread, which was left running, has executed a program: this one is no more.
                Some(libc::ECHILD) => {
                    self.forget(victim);
                    Error::Changed { pid: victim.pid }
                }
                _ => Error::kernel("wait for it", victim.pid)(source),
            });
            match change? {
                Some(Change::Gone(_)) => {
                    let died = Error::died(victim.pid, self.tid);
                    wait::take_end(self.tid);
                    self.forget(victim);
                    return Err(died);
                }
                Some(change) => {
                    self.stops += 1;
                    return Ok(Some(change));
                }
                None if Instant::now() >= until => return Ok(None),
                None => victim.take_ended(self.tid),
            }
        }
    }

    /// Waits for what becomes of the thread at once.
    fn wait_shortly(&mut self, victim: &mut Victim) -> Result<Change, Error> {
        let waited = victim.options.stop_within;
        let change = self.wait(victim, Instant::now() + waited)?;
        change.ok_or_else(|| self.lost(waited))
    }

    /// It runs and does not stop: nothing can be given back to it. When this thread ends it goes on by itself.
    fn lost(&mut self, waited: Duration) -> Error {
        self.lost = Some(waited);
        Error::DidNotStop { tid: self.tid, waited }
    }

    /// It is gone, and there is nothing to give back.
    fn forget(&mut self, victim: &mut Victim) {
        self.changed = false;
        self.frames = None;
        victim.threads.retain(|tid| *tid != self.tid);
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

    /// Whether the blob unmaps itself when it is resumed at the end of a call.
    pub(crate) fn unmaps_itself(&self) -> bool {
        self.frames.is_some()
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
    /// How long it may take.
    pub(crate) deadline: Duration,
}
