//! A process whose threads are all stopped.

mod adopt;
mod choose;
mod leave;
mod risks;
mod seize;
mod stop;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pie_blob::Loadable;

use crate::borrowed::Places;
use crate::cpu::Beside;
use crate::infected::Infected;
use crate::machine::{Machine, Native};
use crate::options::{Options, Stop};
use crate::proc::{Personality, RunsFile, Status, StatusFile};
use crate::target::Target;
use crate::watch::Watch;
use crate::{CrashRisk, Error, proc};

/// A process whose threads are stopped, all or [one](Stop), traced by the calling thread.
///
/// Goes on when dropped or [released](Self::release). Bound to its thread: the kernel takes ptrace requests only from
/// the thread that seized.
#[derive(Debug)]
pub struct Victim {
    /// `None` only once it has been given back.
    pub(crate) target: Option<Target>,
    pub(crate) pid: i32,
    pub(crate) threads: Vec<i32>,
    pub(crate) held: Held,
    /// What the caller chose, and what of the target is wanted while that is elsewhere.
    pub(crate) options: Options,
    status_file: Arc<StatusFile>,
    runs_file: Arc<RunsFile>,
    /// Whether this process may put seccomp filters to sleep; assumed until the kernel says otherwise.
    suspends_filters: bool,
    pub(crate) status: Status,
    /// The thread whose status that is.
    status_of: i32,
    pub(crate) risks: Vec<CrashRisk>,
    /// Signals that cannot be blocked and came while remote code ran: sent again at the end.
    deferred: Vec<leave::Deferred>,
    /// The threads that are borrowed.
    pub(crate) borrowed: Vec<i32>,
    /// The registers of its threads, as they were stopped; of all but those that run 32-bit code, or of none.
    pub(crate) registers: Vec<(i32, Native)>,
    /// Those that were and have been given back.
    pub(crate) given_back: Vec<i32>,
    /// Where the frames of the borrowed ones lie on the main stack.
    pub(crate) places: Option<Places>,
    /// The thread that is stopped, where it is only one; and the one that is to run the blob, where that was chosen.
    chosen: Option<i32>,
    runs_blob: Option<i32>,
    /// How many of its threads are workers of the kernel's, which are left alone.
    workers: usize,
    /// Whether other threads of the process run, and whether the first is among them.
    others_run: bool,
    pub(crate) first_runs: bool,
    /// Whether its readable pages are all executable.
    pub(crate) read_implies_exec: bool,
    /// How often its first thread had given its processor up when it had stopped.
    pub(crate) switches: Option<u64>,
    /// How often that had been given one.
    pub(crate) runs_at_stop: Option<u64>,
    /// Whether job control had stopped it before.
    job_stopped: bool,
    /// When the first thread was told to stop.
    stopped_since: Option<Instant>,
    watch: Watch,
    /// How long a wait looks before it lets this thread's processor go.
    look_for: Duration,
    _beside: Option<Beside>,
    _bound: PhantomData<*mut ()>,
}

/// How the threads came to be stopped, and so how they are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Seized here: they are detached.
    Seized,
    /// Traced by the caller before: they stay stopped, with the caller's ptrace options.
    Adopted { options: i32 },
}

impl Victim {
    /// Stops every thread of the process `pid`: [`Target::open`] and [`Target::seize`] in one.
    ///
    /// # Errors
    ///
    /// As those two.
    pub fn seize(pid: i32) -> Result<Self, Error> {
        Target::open(pid)?.seize()
    }

    pub(crate) fn stop(target: Target) -> Result<Self, Error> {
        let runs_blob = match target.options.stop {
            Stop::All => None,
            Stop::Thread(tid) => Some(tid),
            Stop::One => Some(choose::least_disturbed(&target)?),
        };
        // While others run it must be noted what has been mapped, and that takes code of the program's that not all have.
        let chosen = runs_blob.filter(|_| target.gadgets.has_chain());
        // Before this thread moves: the watchdog may run anywhere.
        let watch = Watch::new(target.pid);
        let place = target.processor_of(chosen);
        let beside = match target.only_processor {
            Some(_) => None,
            None => place.and_then(Beside::processor),
        };
        let near = beside.is_some() || place.is_some() && place == target.only_processor;
        let mut victim = Self::new(target, Held::Seized, Vec::new(), watch);
        (victim.chosen, victim.runs_blob, victim._beside) = (chosen, runs_blob, beside);
        victim.look_for = if near { Duration::ZERO } else { stop::LOOK_FOR };
        if let Some(tid) = chosen.filter(|tid| *tid != victim.pid) {
            victim.status_of = tid;
            victim.status_file = Arc::new(StatusFile::open(tid)?);
            victim.read_implies_exec = Personality::open(tid).read_implies_exec();
        }
        victim.stop_threads()?;
        if let Some(tid) = runs_blob.filter(|tid| !victim.threads.contains(tid)) {
            return Err(Error::NoSuchThread { pid: victim.pid, tid });
        }
        victim.assess()?;
        Ok(victim)
    }

    fn new(target: Target, held: Held, threads: Vec<i32>, watch: Watch) -> Self {
        watch.set_threads(&threads);
        Self {
            pid: target.pid,
            threads,
            held,
            options: target.options,
            status_file: Arc::clone(&target.status),
            runs_file: Arc::clone(&target.runs),
            suspends_filters: target.suspends_filters,
            status: Status::default(),
            status_of: target.pid,
            risks: Vec::new(),
            deferred: Vec::new(),
            borrowed: Vec::new(),
            registers: Vec::new(),
            given_back: Vec::new(),
            places: None,
            chosen: None,
            runs_blob: None,
            workers: 0,
            others_run: false,
            first_runs: false,
            read_implies_exec: target.personality.read_implies_exec(),
            switches: None,
            runs_at_stop: None,
            job_stopped: false,
            stopped_since: None,
            watch,
            look_for: Duration::ZERO,
            _beside: None,
            _bound: PhantomData,
            target: Some(target),
        }
    }

    /// Reads the registers of its threads, unless that has been done since they were stopped. Those of the threads that have run
    /// the blob are no longer what they were.
    pub(crate) fn read_registers(&mut self) -> Result<(), Error> {
        if self.registers.is_empty() {
            for tid in self.threads.iter().copied() {
                let read = Native::of(tid).map_err(Error::kernel("read registers", self.pid))?;
                self.registers.extend(read.map(|registers| (tid, registers)));
            }
            self.registers.sort_unstable_by_key(|(tid, _)| *tid);
        }
        Ok(())
    }

    /// Whether other threads of the process run while this one holds what it holds.
    pub(crate) fn others_run(&self) -> bool {
        self.others_run
    }

    fn read_status(&mut self) -> Result<(), Error> {
        self.status = self.status_file.read(self.status_of)?;
        Ok(())
    }

    /// The thread that runs the blob unless another is asked for: the one that was chosen; else the first where it lives, because
    /// the main stack is its own; else any.
    pub(crate) fn first_thread(&self) -> Result<i32, Error> {
        let held = |tid: &i32| self.threads.contains(tid);
        let first = self.runs_blob.filter(held).or(Some(self.pid).filter(held));
        first.or(self.threads.first().copied()).ok_or(Error::Zombie { pid: self.pid })
    }

    /// Whether the process goes on although one of its threads, which is not the first, has ended. Where all of it ends that
    /// takes a moment.
    pub(crate) fn goes_on(&self) -> bool {
        const MOMENTS: u32 = 20;
        for _ in 0..MOMENTS {
            if proc::has_ended(self.pid) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Whether the first thread has ended and others go on.
    pub(crate) fn first_has_ended_alone(&self) -> bool {
        const MOMENTS: u32 = 20;
        (0..MOMENTS).all(|_| {
            std::thread::sleep(Duration::from_millis(1));
            proc::first_has_ended_alone(self.pid)
        })
    }

    /// A stopped thread other than one that has ended; where only that was stopped, another is.
    pub(crate) fn another_thread(&mut self) -> Result<i32, Error> {
        if let Ok(tid) = self.first_thread() {
            return Ok(tid);
        }
        let listed = proc::threads(self.pid)?;
        let lives = |tid: &i32| !proc::has_ended(*tid) && !proc::is_worker(*tid);
        let tid = listed.into_iter().find(lives).ok_or(Error::Zombie { pid: self.pid })?;
        self.chosen = Some(tid);
        (self.status_of, self.status_file) = (tid, Arc::new(StatusFile::open(tid)?));
        self.stop_threads()?;
        Ok(tid)
    }

    /// How often a thread has been given a processor.
    pub(crate) fn runs(&self, tid: i32) -> Option<u64> {
        if tid == self.pid { self.runs_file.read() } else { RunsFile::open(tid).read() }
    }

    /// Whether the threads were seized here, and not by the caller.
    pub(crate) fn is_seized(&self) -> bool {
        self.held == Held::Seized
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The ids of its threads that are stopped: all of them, or [one](Stop).
    #[must_use]
    pub fn threads(&self) -> &[i32] {
        &self.threads
    }

    /// When the first thread was told to stop; now, for a victim that its tracer had stopped before.
    #[must_use]
    pub fn stopped_since(&self) -> Instant {
        self.stopped_since.unwrap_or_else(Instant::now)
    }

    /// Maps a blob into the victim.
    ///
    /// # Errors
    ///
    /// [`Error::Unsuitable`], [`Error::NoRoom`], [`Error::Load`], [`Error::Refused`] when the victim may not map it,
    /// [`Error::Changed`] when it has executed another program since it was looked at; with
    /// [`Target::require_crash_safe`] also [`Error::NotCrashSafe`]. The victim goes on unharmed in all cases.
    pub fn infect(self, blob: impl Loadable) -> Result<Infected, Error> {
        Infected::infect(self, &blob)
    }

    /// Lets every thread go on as if nothing had been, and gives the target back for the next time.
    ///
    /// # Errors
    ///
    /// [`Error::Died`] when a thread has been killed meanwhile; the others go on.
    pub fn release(mut self) -> Result<Target, Error> {
        let released = self.let_go();
        let target = self.target.take();
        released?;
        let suspends_filters = self.suspends_filters;
        target
            .map(|target| Target { suspends_filters, ..target })
            .ok_or(Error::NoSuchProcess { pid: self.pid })
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Nobody is left to hear of it: a thread that cannot be let go has died.
        let _ = self.let_go();
    }
}
