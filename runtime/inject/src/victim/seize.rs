//! Seizing threads: all until none is missing, or one.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Victim;
use super::stop::Halt;
use crate::stack::Stack;
use crate::sys::ptrace;
use crate::{Error, policy, proc, sys};

impl Victim {
    /// Stops the threads that are to be stopped.
    pub(crate) fn stop_threads(&mut self) -> Result<(), Error> {
        let stopped = match self.chosen {
            Some(tid) => self.stop_one(tid),
            None => self.stop_all(),
        };
        self.watch.set_threads(&self.threads);
        stopped
    }

    /// Seizes and stops one thread; the others run on.
    fn stop_one(&mut self, tid: i32) -> Result<(), Error> {
        let pid = self.pid;
        if self.threads.contains(&tid) {
            return Ok(());
        }
        match self.seize_thread(tid) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) || self.is_dead(tid) => {
                return Err(Error::NoSuchThread { pid, tid });
            }
            Err(source) => return Err(self.seizure_refused(tid, source)),
        }
        self.threads.push(tid);
        self.look_at_seized(tid)?;
        self.told_to_stop(tid);
        match self.wait_for_stop(tid, &mut Vec::new())? {
            Halt::Stopped => {}
            Halt::JobStopped => self.job_stopped = true,
            Halt::Ended => {
                self.forget(tid);
                return Err(Error::NoSuchThread { pid, tid });
            }
        }
        // Any of them may have executed a program or ended meanwhile: that is seen by whoever waits next.
        self.others_run = self.status.threads > 1;
        if self.others_run {
            self.claim_stack(self.target.as_ref().and_then(|target| target.stack.as_ref()))?;
        }
        self.first_runs = tid != pid && !proc::has_ended(pid);
        Ok(())
    }

    /// Makes sure that no other host lays frames while threads run that it may have stopped.
    pub(crate) fn claim_stack(&self, stack: Option<&Stack>) -> Result<(), Error> {
        /// How long another host may take to give its claim up once it has let its thread go.
        const GIVEN_UP_WITHIN: Duration = Duration::from_millis(5);
        let begin = Instant::now();
        while stack.is_some_and(|stack| !stack.claim()) {
            let tracer = self.other_tracer();
            if tracer.is_some() || begin.elapsed() > GIVEN_UP_WITHIN {
                return Err(Error::AlreadyTraced { pid: self.pid, tracer: tracer.unwrap_or(0) });
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(())
    }

    /// Somebody else who traces a thread of the process.
    fn other_tracer(&self) -> Option<i32> {
        let mut tracers = proc::threads(self.pid).ok()?.into_iter().filter_map(proc::tracer_of);
        tracers.find(|tracer| *tracer != 0 && *tracer != self.watch.tracer())
    }

    /// Looks at a thread that has just been seized and still runs, because that takes as long as ten other requests.
    ///
    /// An id may have been given to somebody else since it was read. From the seizure on it cannot be.
    fn look_at_seized(&mut self, tid: i32) -> Result<(), Error> {
        let (pid, ours) = (self.pid, self.watch.tracer());
        let looked = self.read_status();
        let is_ours = looked.is_ok() && self.status.tracer == ours && self.is_thread(tid);
        if !is_ours {
            self.forget(tid);
            // It cannot be let go before it has stopped.
            let _ = ptrace::interrupt(tid);
            self.let_stranger_go(tid);
            looked?;
            return Err(if tid == pid { Error::Changed { pid } } else { Error::NoSuchThread { pid, tid } });
        }
        // Stopping is one more. Where it runs in between there are more, and what is known is of no use.
        self.switches = self.status.switches.map(|switches| switches + 1);
        self.runs_at_stop = self.runs_file.read().map(|runs| runs + 1);
        Ok(())
    }

    /// Whether a thread is one of the process's.
    fn is_thread(&self, tid: i32) -> bool {
        // Signal 0 is none; whoever may not send it is told so after the thread was found.
        let found = sys::tgkill(self.pid, tid, 0);
        !found.is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH))
    }

    fn told_to_stop(&mut self, tid: i32) {
        if self.stopped_since.is_none() {
            self.stopped_since = Some(Instant::now());
        }
        // Where this fails the thread has ended; the wait will say so.
        let _ = ptrace::interrupt(tid);
    }

    /// Seizes and stops threads until none is missing: threads that are stopped create none.
    ///
    /// The status is read while the threads still run. It says how many they are, and whoever creates another from then on
    /// stops with an event that says so.
    fn stop_all(&mut self) -> Result<(), Error> {
        let pid = self.pid;
        let limit = self.options.stop_within;
        let begin = Instant::now();
        let mut found = match self.threads.as_slice() {
            [] => vec![pid],
            _ => self.missing(proc::threads(pid)?, &[]),
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
                    Err(source) => return Err(self.seizure_refused(tid, source)),
                }
            }
            // Known from here on, so that each is let go whatever fails.
            self.threads.extend(&stopping);
            if std::mem::take(&mut first) && stopping == [pid] {
                self.look_at_seized(pid)?;
            } else {
                self.let_others_threads_go(&mut stopping);
            }
            stopping.iter().for_each(|tid| self.told_to_stop(*tid));
            self.watch.set_threads(&self.threads);
            let mut created = Vec::new();
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
                break;
            }
            let listed = proc::threads(pid)?;
            for stranger in created.into_iter().filter(|tid| !listed.contains(tid)) {
                self.let_stranger_go(stranger);
            }
            found = self.missing(listed, &ended);
            if found.is_empty() && self.holds_all()? {
                if self.threads.is_empty() {
                    return Err(Error::Zombie { pid });
                }
                break;
            }
            if begin.elapsed() > limit {
                return Err(Error::DidNotStop { tid: found.first().copied().unwrap_or(pid), waited: limit });
            }
        }
        (self.others_run, self.first_runs) = (false, false);
        Ok(())
    }

    /// The threads among those listed that are still to be stopped. One that has ended stays listed for a while, the first until
    /// all have. Workers of the kernel's run no code of the program's, and what one waits for would end if it was stopped.
    fn missing(&mut self, listed: Vec<i32>, ended: &[i32]) -> Vec<i32> {
        let held: HashSet<i32> = self.threads.iter().chain(ended).copied().collect();
        let others = listed.into_iter().filter(|tid| !held.contains(tid));
        let (workers, missing): (Vec<i32>, Vec<i32>) = others.partition(|tid| proc::is_worker(*tid));
        self.workers = workers.len();
        missing
    }

    /// Lets threads go that are none of the process's: their ids were given to somebody else since they were listed.
    fn let_others_threads_go(&mut self, seized: &mut Vec<i32>) {
        let strangers: Vec<i32> = seized.iter().copied().filter(|tid| !self.is_thread(*tid)).collect();
        for tid in strangers {
            seized.retain(|other| *other != tid);
            self.threads.retain(|other| *other != tid);
            let _ = ptrace::interrupt(tid);
            self.let_stranger_go(tid);
        }
    }

    /// Whether no thread is missing. The list alone does not say: the kernel ends it early when the thread that it
    /// has come to ends meanwhile. The number of threads is exact, and has those in it that are ending.
    pub(super) fn holds_all(&mut self) -> Result<bool, Error> {
        self.read_status()?;
        self.switches = self.status.switches;
        // The first thread stays until the last has ended.
        let ended = usize::from(!self.threads.contains(&self.pid));
        Ok(self.status.threads <= self.threads.len() + ended + self.workers)
    }

    /// Seizes a thread.
    fn seize_thread(&mut self, tid: i32) -> std::io::Result<()> {
        ptrace::seize(tid, self.ptrace_options())
    }

    /// The ptrace options of a seized thread. Its filter sleeps only while it is stopped and runs our code: one that runs its
    /// own may rely on it.
    fn ptrace_options(&self) -> i32 {
        match self.chosen {
            None => ptrace::TRACESYSGOOD | ptrace::TRACECLONE,
            Some(_) => ptrace::TRACESYSGOOD,
        }
    }

    /// Puts the seccomp filter of a stopped thread to sleep, if it has one, where the kernel lets us.
    pub(crate) fn suspend_filter(&mut self, tid: i32) -> Result<(), Error> {
        if !self.is_seized() || !self.suspends_filters {
            return Ok(());
        }
        match ptrace::set_options(tid, self.ptrace_options() | ptrace::SUSPEND_SECCOMP) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EINVAL)) => {
                self.suspends_filters = false;
                // A filter that came after the look could end the victim for what it will be made to do.
                if tid == self.status_of { self.read_status() } else { Ok(()) }
            }
            set => set.map_err(Error::kernel("put its seccomp filter to sleep", self.pid)),
        }
    }

    /// Whether this thread traces it already.
    pub(crate) fn is_ours(&self, tid: i32) -> bool {
        let status = proc::StatusFile::open(tid).and_then(|file| file.read(tid));
        status.is_ok_and(|status| status.tracer == self.watch.tracer())
    }

    pub(super) fn is_dead(&self, tid: i32) -> bool {
        match proc::StatusFile::open(tid).and_then(|file| file.read(tid)) {
            Ok(status) => matches!(status.state, b'Z' | b'X') || status.process != self.pid,
            Err(_) => true,
        }
    }

    /// Says why the kernel would not let a thread be seized.
    pub(super) fn seizure_refused(&self, tid: i32, source: std::io::Error) -> Error {
        let pid = self.pid;
        // A thread that was seized already is this tracer's own, unless that was by another victim of its.
        let others =
            |tracer: &i32| *tracer != 0 && (self.threads.is_empty() || *tracer != self.watch.tracer());
        match proc::tracer_of(tid).filter(others) {
            Some(tracer) => Error::AlreadyTraced { pid, tracer },
            None => policy::not_permitted(pid, "trace it", source),
        }
    }
}
