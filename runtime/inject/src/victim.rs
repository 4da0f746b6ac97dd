//! A process whose threads are all stopped.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pie_blob::Loadable;

use crate::cpu::Beside;
use crate::infected::Infected;
use crate::machine::{Machine, Native};
use crate::proc::{self, RunsFile, Status, StatusFile};
use crate::sys::ptrace::{self, Resume};
use crate::sys::wait::{self, Change};
use crate::target::{Options, Target};
use crate::{CrashRisk, Error, policy, restart, sys};

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
    pub(crate) deferred: Vec<i32>,
    /// How often its first thread had given its processor up when it had stopped.
    pub(crate) switches: Option<u64>,
    /// Whether job control had stopped it before.
    job_stopped: bool,
    stopped_since: Instant,
    _beside: Option<Beside>,
    _bound: PhantomData<*mut ()>,
}

/// What became of a thread that was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Halt {
    Stopped,
    /// Its process is stopped by job control as well.
    JobStopped,
    Ended,
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
        let pid = target.pid;
        let beside = if target.alone { None } else { Beside::thread(pid) };
        let mut victim = Self {
            pid,
            threads: Vec::new(),
            held: Held::Seized,
            options: target.options,
            status_file: Arc::clone(&target.status),
            runs_file: Arc::clone(&target.runs),
            suspends_filters: target.suspends_filters,
            status: Status::default(),
            risks: Vec::new(),
            deferred: Vec::new(),
            switches: None,
            job_stopped: false,
            stopped_since: Instant::now(),
            _beside: beside,
            _bound: PhantomData,
            target: Some(target),
        };
        victim.stop_threads()?;
        if !victim.suspends_filters {
            // A filter that came after the look could end the victim for what it will be made to do.
            victim.read_status()?;
        }
        victim.assess()?;
        Ok(victim)
    }

    /// Takes over threads that the calling thread traces and holds stopped already, as a debugger does.
    ///
    /// `threads` are all the threads of `pid`, each in a ptrace-stop that is not the entry of a system call and no event
    /// but `PTRACE_EVENT_STOP`: at the others a thread is within a call whose answer is still to come. A signal that a
    /// thread stands before (a signal-delivery-stop) is the caller's to send again;
    /// `options` are the ptrace options that the caller has set, and has again when the victim is dropped or
    /// released. The threads stay stopped then. The one that ran the blob was resumed in between and is
    /// afterwards at a `PTRACE_EVENT_STOP` where it was seized (wait for it as for any stop), or at a
    /// system-call stop where it was attached.
    ///
    /// # Errors
    ///
    /// [`Error::NotAdoptable`] for a thread that is not held so.
    pub fn adopt(target: Target, threads: &[i32], options: i32) -> Result<Self, Error> {
        let pid = target.pid;
        for tid in threads.iter().copied() {
            let refused = |reason| Error::NotAdoptable { tid, reason };
            match ptrace::at_system_call_entry(tid) {
                Ok(false) => {}
                Ok(true) => {
                    return Err(refused(
                        "it stands at the entry of a system call: resume it to the next stop first",
                    ));
                }
                Err(_) => return Err(refused("it is not in a ptrace-stop of the calling thread's")),
            }
            if ptrace::at_event(tid) {
                return Err(refused("it stands at an event within a call: resume it to the next stop first"));
            }
        }
        if threads.is_empty() {
            return Err(Error::NotAdoptable { tid: pid, reason: "no threads were given" });
        }
        let mut victim = Self {
            pid,
            threads: threads.to_vec(),
            held: Held::Adopted { options },
            options: target.options,
            status_file: Arc::clone(&target.status),
            runs_file: Arc::clone(&target.runs),
            suspends_filters: target.suspends_filters,
            status: Status::default(),
            risks: Vec::new(),
            deferred: Vec::new(),
            switches: None,
            job_stopped: false,
            stopped_since: Instant::now(),
            _beside: None,
            _bound: PhantomData,
            target: Some(target),
        };
        victim.read_status()?;
        for tid in victim.threads.iter().copied() {
            let wanted = options | ptrace::TRACESYSGOOD;
            if ptrace::set_options(tid, wanted | ptrace::SUSPEND_SECCOMP).is_err() {
                victim.suspends_filters = false;
                ptrace::set_options(tid, wanted).map_err(Error::kernel("set options", pid))?;
            }
        }
        victim.assess()?;
        Ok(victim)
    }

    /// Seizes and stops threads until none is missing: threads that are stopped create none.
    ///
    /// The status is read while the threads still run, because that takes as long as ten other requests. It says how many
    /// they are, and whoever creates another from then on stops with an event that says so.
    pub(crate) fn stop_threads(&mut self) -> Result<(), Error> {
        let pid = self.pid;
        let limit = self.options.stop_within;
        let begin = Instant::now();
        let mut found = match self.threads.as_slice() {
            [] => vec![pid],
            held => proc::threads(pid)?.into_iter().filter(|tid| !held.contains(tid)).collect(),
        };
        let mut first = true;
        loop {
            let mut stopping = Vec::new();
            let mut ended = Vec::new();
            for tid in found {
                match self.seize_thread(tid) {
                    Ok(()) => stopping.push(tid),
                    // It ended between the look and the seizure, or is the first thread and ended before the others.
                    Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH)) || self.is_dead(tid) => {
                        ended.push(tid);
                    }
                    // The child of a traced thread, traced from its start.
                    Err(_) if !self.threads.is_empty() && self.is_ours(tid) => stopping.push(tid),
                    Err(source) => return Err(self.seizure_refused(source)),
                }
            }
            // Known from here on, so that each is let go whatever fails.
            self.threads.extend(&stopping);
            if std::mem::take(&mut first) {
                self.read_status()?;
                // Stopping is one more.
                self.switches = self.status.switches.map(|switches| switches + 1);
            }
            for tid in stopping.iter().copied() {
                // Where this fails the thread has ended; the wait below will say so.
                let _ = ptrace::interrupt(tid);
            }
            let mut created = Vec::new();
            // This thread is on the victim's processor: all of them stop as soon as they may run there.
            wait::yield_now();
            for tid in stopping {
                match self.wait_for_stop(tid, &mut created)? {
                    Halt::Stopped => {}
                    Halt::JobStopped => self.job_stopped = true,
                    Halt::Ended => self.threads.retain(|thread| *thread != tid),
                }
            }
            let all = match created.is_empty() {
                // The only one, and whoever had created another since would have said so.
                true if self.status.threads == 1 && self.threads.len() == 1 => true,
                true if self.threads.len() > 1 => self.holds_all()?,
                _ => false,
            };
            if all {
                return Ok(());
            }
            let listed = proc::threads(pid)?;
            for stranger in created.into_iter().filter(|tid| !listed.contains(tid)) {
                self.let_stranger_go(stranger);
            }
            // One that has ended stays listed for a while, the first until all have.
            found = listed
                .into_iter()
                .filter(|tid| !self.threads.contains(tid) && !ended.contains(tid))
                .collect();
            if found.is_empty() && self.holds_all()? {
                return if self.threads.is_empty() { Err(Error::Zombie { pid }) } else { Ok(()) };
            }
            if begin.elapsed() > limit {
                return Err(Error::DidNotStop { tid: found.first().copied().unwrap_or(pid), waited: limit });
            }
            wait::yield_now();
        }
    }

    /// Whether no thread is missing. The list alone does not say: the kernel ends it early when the thread that it
    /// has come to ends meanwhile. The number of threads is exact, and has those in it that are ending.
    fn holds_all(&mut self) -> Result<bool, Error> {
        self.read_status()?;
        self.switches = self.status.switches;
        // The first thread stays until the last has ended.
        let ended = usize::from(!self.threads.contains(&self.pid));
        Ok(self.status.threads <= self.threads.len() + ended)
    }

    /// Seizes a thread, with its seccomp filter asleep where the kernel lets us.
    fn seize_thread(&mut self, tid: i32) -> std::io::Result<()> {
        match ptrace::seize(tid, self.ptrace_options()) {
            Err(error)
                if self.suspends_filters
                    && matches!(error.raw_os_error(), Some(libc::EPERM | libc::EINVAL)) =>
            {
                self.suspends_filters = false;
                let second = ptrace::seize(tid, self.ptrace_options());
                // Where that fails too, it was not the option.
                self.suspends_filters = second.is_err();
                second
            }
            first => first,
        }
    }

    /// The ptrace options that an injection needs.
    fn ptrace_options(&self) -> i32 {
        let suspend = if self.suspends_filters { ptrace::SUSPEND_SECCOMP } else { 0 };
        ptrace::TRACESYSGOOD | ptrace::TRACECLONE | suspend
    }

    /// Lets a process go that a thread created as no thread of its own (clone without `CLONE_THREAD`): the option that
    /// traces new threads traces it as well.
    fn let_stranger_go(&self, stranger: i32) {
        if self.wait_for_stop(stranger, &mut Vec::new()).is_ok_and(|halt| halt != Halt::Ended) {
            // Where this fails it has ended.
            let _ = ptrace::detach(stranger);
        }
    }

    /// Lets a thread go that the blob has created: the option that shows new threads while they are seized traces it.
    pub(crate) fn let_created_go(&self, creator: i32) {
        if self.is_seized() {
            if let Ok(created) = ptrace::event_message(creator) {
                self.let_stranger_go(created);
            }
        }
    }

    /// Whether this thread traces it already.
    fn is_ours(&self, tid: i32) -> bool {
        let status = proc::StatusFile::open(tid).and_then(|file| file.read(tid));
        status.is_ok_and(|status| status.tracer == sys::gettid())
    }

    fn is_dead(&self, tid: i32) -> bool {
        match proc::StatusFile::open(tid).and_then(|file| file.read(tid)) {
            Ok(status) => matches!(status.state, b'Z' | b'X') || status.process != self.pid,
            Err(_) => true,
        }
    }

    /// Says why the kernel would not let a thread be seized.
    fn seizure_refused(&self, source: std::io::Error) -> Error {
        let pid = self.pid;
        match self.status_file.read(pid) {
            // Once it is seized, this one's.
            Ok(status)
                if status.tracer != 0 && (self.threads.is_empty() || status.tracer != sys::gettid()) =>
            {
                Error::AlreadyTraced { pid, tracer: status.tracer }
            }
            Err(error) => error,
            _ => policy::not_permitted(pid, "trace it", source),
        }
    }

    /// Waits until a thread that was interrupted has stopped or ended.
    ///
    /// Polls, because a thread may take long to notice (a page being read from a slow disk) and the kernel offers no
    /// wait with a time-out. A signal that arrives first is let through: its handler's frame is written, and
    /// the thread stops before it runs.
    fn wait_for_stop(&self, tid: i32, created: &mut Vec<i32>) -> Result<Halt, Error> {
        let limit = self.options.stop_within;
        let begin = Instant::now();
        let mut polls = 0_u32;
        loop {
            match wait::poll(tid) {
                Ok(Some(Change::Event(libc::PTRACE_EVENT_CLONE))) => {
                    let new = ptrace::event_message(tid);
                    created.push(new.map_err(Error::kernel("ask for the new thread", tid))?);
                    self.go_on_to_the_stop(tid, 0)?;
                }
                Ok(Some(Change::Event(_))) => return Ok(Halt::Stopped),
                Ok(Some(Change::JobStop)) => return Ok(Halt::JobStopped),
                Ok(Some(Change::Signal(signal))) => self.go_on_to_the_stop(tid, signal)?,
                Ok(Some(Change::SystemCall)) => self.go_on_to_the_stop(tid, 0)?,
                Ok(Some(Change::Gone(status))) => {
                    wait::take_end(tid);
                    return if self.threads.len() > 1 {
                        Ok(Halt::Ended)
                    } else {
                        Err(Error::Died { pid: self.pid, status })
                    };
                }
                Ok(None) => match polls {
                    // On another processor it takes a few microseconds.
                    0..=15 => wait::yield_now(),
                    _ if begin.elapsed() > limit => return Err(Error::DidNotStop { tid, waited: limit }),
                    _ => std::thread::sleep(Duration::from_micros(20 << polls.saturating_sub(16).min(7))),
                },
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(Halt::Ended),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Error::Kernel { action: "wait for it to stop", pid: self.pid, source });
                }
            }
            polls += 1;
        }
    }

    /// Lets a thread that stopped for something else go on, delivering `signal`. Every stop uses up the request to stop, so
    /// it is made again first.
    fn go_on_to_the_stop(&self, tid: i32, signal: i32) -> Result<(), Error> {
        ptrace::interrupt(tid).map_err(Error::kernel("stop it", self.pid))?;
        ptrace::resume(tid, Resume::Continue, signal).map_err(Error::kernel("let a signal through", self.pid))
    }

    fn read_status(&mut self) -> Result<(), Error> {
        self.status = self.status_file.read(self.pid)?;
        Ok(())
    }

    /// Finds out what would keep it from surviving this process.
    fn assess(&mut self) -> Result<(), Error> {
        if self.status.seccomp != 0 && !self.suspends_filters {
            let (mode, reason) = (self.status.seccomp, policy::NOT_IN_THIS_KERNEL);
            return Err(Error::Seccomp { pid: self.pid, mode, reason });
        }
        if let Some(target) = &self.target {
            self.risks = target.risks(&self.status);
        }
        if self.job_stopped {
            self.risks.push(CrashRisk::Stopped);
        }
        if self.end_signal(0).1 {
            self.risks.push(CrashRisk::SignalsCaught);
        }
        self.check_risks()
    }

    /// Looks at what is a thread's own of what `assess` looked at for the first: its filter, its shadow stack.
    pub(crate) fn assess_thread(&mut self, tid: i32) -> Result<(), Error> {
        if tid == self.pid {
            return Ok(());
        }
        let status = StatusFile::open(tid)?.read(tid)?;
        if status.seccomp != 0 && !self.suspends_filters {
            let (mode, reason) = (status.seccomp, policy::NOT_IN_THIS_KERNEL);
            return Err(Error::Seccomp { pid: self.pid, mode, reason });
        }
        if status.seccomp != 0 {
            self.add_risk(CrashRisk::Seccomp);
        }
        if status.shadow_stack {
            self.add_risk(CrashRisk::ShadowStack);
        }
        self.check_risks()
    }

    /// Notes a risk, once.
    pub(crate) fn add_risk(&mut self, risk: CrashRisk) {
        if !self.risks.contains(&risk) {
            self.risks.push(risk);
        }
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

    /// Lets every thread go on but one.
    pub(crate) fn let_others_run(&mut self, tid: i32) -> Result<(), Error> {
        let others: Vec<i32> = self.threads.iter().copied().filter(|thread| *thread != tid).collect();
        self.threads.retain(|thread| *thread == tid);
        let mut result = Ok(());
        for thread in others {
            // One that cannot be let go has ended.
            if let Err(error) = self.detach(thread) {
                result = result.and(Err(Error::kernel("let a thread run", self.pid)(error)));
            }
        }
        result
    }

    pub(crate) fn check_risks(&self) -> Result<(), Error> {
        if self.options.require_crash_safe && !self.risks.is_empty() {
            return Err(Error::NotCrashSafe { pid: self.pid, risks: self.risks.clone() });
        }
        Ok(())
    }

    /// The signal that ends a call: one whose default is to do nothing, which the victim neither catches nor has pending, and
    /// which is not among those that are blocked. A blocked one may be waited for with `signalfd` or `sigwait`, and would be
    /// lost if it came while a call has it unblocked.
    ///
    /// The second value says that there is none such: the victim would see it, or miss one, if the tracer died.
    pub(crate) fn end_signal(&self, blocked: u64) -> (i32, bool) {
        let quiet = [libc::SIGURG, libc::SIGWINCH, libc::SIGCHLD];
        let has = |set: u64, signal: i32| set >> (signal - 1) & 1 == 1;
        let free = |signal: &i32| !has(self.status.pending, *signal);
        let wanted = self.status.caught | blocked;
        let silent = quiet.iter().filter(|signal| free(signal)).find(|signal| !has(wanted, **signal));
        // Where it means something in any case, not SIGURG: Go's runtime sends that to its own threads all the time.
        let last = [libc::SIGWINCH, libc::SIGCHLD, libc::SIGURG];
        match silent.or_else(|| last.iter().find(|signal| free(signal))) {
            Some(signal) => (*signal, has(wanted, *signal)),
            None => (libc::SIGURG, true),
        }
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

    /// Takes the ends of threads that were killed, but for `tid`'s: a process's first thread is not said to have ended before
    /// all others are taken, each by its tracer.
    pub(crate) fn take_ended(&mut self, tid: i32) {
        self.threads.retain(|thread| {
            let ended = *thread != tid && matches!(wait::poll(*thread), Ok(Some(Change::Gone(_))));
            if ended {
                wait::take_end(*thread);
            }
            !ended
        });
    }

    /// Detaches a thread. One that has not stopped yet, because something failed in between, is waited for; one that was killed
    /// meanwhile is taken, because nobody else learns of its end before its tracer has.
    fn detach(&self, tid: i32) -> std::io::Result<()> {
        self.take_up(tid);
        match ptrace::detach(tid) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                // Where this fails it has ended.
                let _ = ptrace::interrupt(tid);
                match self.wait_for_stop(tid, &mut Vec::new()) {
                    Ok(Halt::Stopped | Halt::JobStopped) => {
                        self.take_up(tid);
                        ptrace::detach(tid)
                    }
                    _ => Err(error),
                }
            }
            left => left,
        }
    }

    /// Has a thread take its system call up again that a mere stop has ended. Whoever ran the blob does already.
    fn take_up(&self, tid: i32) {
        // What job control has ended would have ended without a tracer as well.
        if self.job_stopped {
            return;
        }
        if let Ok(Some(stopped)) = Native::of(tid) {
            let cured = restart::cured(&stopped);
            if cured.answer() != stopped.answer() {
                // It may have been killed.
                let _ = cured.set(tid);
            }
        }
    }

    /// Sends the signals again that came meanwhile: they are pending again before the threads run.
    fn send_deferred(&mut self) {
        let deferred = std::mem::take(&mut self.deferred);
        // A stop takes a pending SIGCONT back, as SIGCONT does with a pending stop: one that is pending now came later.
        let continued = deferred.contains(&libc::SIGSTOP)
            && self.read_status().is_ok()
            && self.status.pending >> (libc::SIGCONT - 1) & 1 == 1;
        for signal in deferred.into_iter().filter(|signal| !(continued && *signal == libc::SIGSTOP)) {
            // Where this fails it has died.
            let _ = sys::kill(self.pid, signal);
        }
    }

    fn let_go(&mut self) -> Result<(), Error> {
        self.send_deferred();
        let mut result = Ok(());
        // The first thread last: it has not ended before the others are taken.
        for tid in std::mem::take(&mut self.threads).into_iter().rev() {
            let left = match self.held {
                Held::Seized => self.detach(tid),
                Held::Adopted { options } => ptrace::set_options(tid, options),
            };
            if let Err(error) = left {
                result = result.and(Err(Error::kernel("let it go", self.pid)(error)));
            }
        }
        result
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Nobody is left to hear of it: a thread that cannot be let go has died.
        let _ = self.let_go();
    }
}
