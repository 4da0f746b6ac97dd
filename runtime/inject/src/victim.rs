//! A process whose threads are all stopped.

mod adopt;
mod leave;
mod risks;
mod seize;
mod stop;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use pie_blob::Loadable;

use crate::cpu::Beside;
use crate::infected::Infected;
use crate::proc::{RunsFile, Status, StatusFile};
use crate::target::{Options, Target};
use crate::{CrashRisk, Error};

/// A process with every thread stopped, traced by the calling thread.
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
    pub(crate) risks: Vec<CrashRisk>,
    /// Signals that cannot be blocked and came while remote code ran: sent again at the end.
    deferred: Vec<leave::Deferred>,
    /// The threads that are borrowed, and where the stack of each is its own.
    pub(crate) borrowed: Vec<(i32, u64)>,
    /// How often its first thread had given its processor up when it had stopped.
    pub(crate) switches: Option<u64>,
    /// Whether job control had stopped it before.
    job_stopped: bool,
    stopped_since: Instant,
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
        let beside = if target.alone { None } else { Beside::thread(target.pid) };
        let mut victim = Self::new(target, Held::Seized, Vec::new(), beside);
        victim.stop_threads()?;
        if !victim.suspends_filters {
            // A filter that came after the look could end the victim for what it will be made to do.
            victim.read_status()?;
        }
        victim.assess()?;
        Ok(victim)
    }

    fn new(target: Target, held: Held, threads: Vec<i32>, beside: Option<Beside>) -> Self {
        Self {
            pid: target.pid,
            threads,
            held,
            options: target.options,
            status_file: Arc::clone(&target.status),
            runs_file: Arc::clone(&target.runs),
            suspends_filters: target.suspends_filters,
            status: Status::default(),
            risks: Vec::new(),
            deferred: Vec::new(),
            borrowed: Vec::new(),
            switches: None,
            job_stopped: false,
            stopped_since: Instant::now(),
            _beside: beside,
            _bound: PhantomData,
            target: Some(target),
        }
    }

    fn read_status(&mut self) -> Result<(), Error> {
        self.status = self.status_file.read(self.pid)?;
        Ok(())
    }

    /// The first thread where it lives, because the main stack is its own; else any.
    pub(crate) fn first_thread(&self) -> Result<i32, Error> {
        let first = self.threads.iter().find(|tid| **tid == self.pid).or_else(|| self.threads.first());
        first.copied().ok_or(Error::Zombie { pid: self.pid })
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

    /// The ids of its threads, all stopped.
    #[must_use]
    pub fn threads(&self) -> &[i32] {
        &self.threads
    }

    /// When the first thread was told to stop.
    #[must_use]
    pub fn stopped_since(&self) -> Instant {
        self.stopped_since
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
