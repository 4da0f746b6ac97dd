//! Seizing threads until none is missing.

use std::time::Instant;

use super::Victim;
use super::stop::Halt;
use crate::sys::ptrace;
use crate::sys::wait;
use crate::{Error, policy, proc, sys};

impl Victim {
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
    pub(super) fn holds_all(&mut self) -> Result<bool, Error> {
        self.read_status()?;
        self.switches = self.status.switches;
        // The first thread stays until the last has ended.
        let ended = usize::from(!self.threads.contains(&self.pid));
        Ok(self.status.threads <= self.threads.len() + ended)
    }

    /// Seizes a thread, with its seccomp filter asleep where the kernel lets us.
    pub(super) fn seize_thread(&mut self, tid: i32) -> std::io::Result<()> {
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
    pub(super) fn ptrace_options(&self) -> i32 {
        let suspend = if self.suspends_filters { ptrace::SUSPEND_SECCOMP } else { 0 };
        ptrace::TRACESYSGOOD | ptrace::TRACECLONE | suspend
    }

    /// Whether this thread traces it already.
    pub(super) fn is_ours(&self, tid: i32) -> bool {
        let status = proc::StatusFile::open(tid).and_then(|file| file.read(tid));
        status.is_ok_and(|status| status.tracer == sys::gettid())
    }

    pub(super) fn is_dead(&self, tid: i32) -> bool {
        match proc::StatusFile::open(tid).and_then(|file| file.read(tid)) {
            Ok(status) => matches!(status.state, b'Z' | b'X') || status.process != self.pid,
            Err(_) => true,
        }
    }

    /// Says why the kernel would not let a thread be seized.
    pub(super) fn seizure_refused(&self, source: std::io::Error) -> Error {
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
}
