//! Waiting until a thread has stopped.

use std::time::{Duration, Instant};

use super::Victim;
use crate::Error;
use crate::borrowed::FAULTS;
use crate::sys::ptrace::{self, Resume};
use crate::sys::wait::{self, Change};
use crate::watch::{EndSignal, Waited};

/// What became of a thread that was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    Stopped,
    /// Its process is stopped by job control as well.
    JobStopped,
    Ended,
}

impl Victim {
    /// Waits for what becomes of a thread.
    pub(crate) fn wait(
        &mut self,
        tid: i32,
        until: Instant,
        end: Option<EndSignal>,
    ) -> std::io::Result<Waited> {
        let waited = self.watch.wait(tid, until, end, self.look_for);
        for ended in self.watch.take_reaped() {
            self.threads.retain(|thread| *thread != ended);
        }
        waited
    }

    /// Waits until a thread that was interrupted has stopped or ended.
    ///
    /// A signal that arrives first is let through: its handler's frame is written, and the thread stops before it runs.
    pub(super) fn wait_for_stop(&mut self, tid: i32, created: &mut Vec<i32>) -> Result<Halt, Error> {
        let limit = self.options.stop_within;
        let until = Instant::now() + limit;
        loop {
            match self.wait(tid, until, None).map(|waited| waited.change) {
                Ok(Some(Change::Event(libc::PTRACE_EVENT_CLONE))) => {
                    let new = ptrace::event_message(tid);
                    created.push(new.map_err(Error::kernel("ask for the new thread", tid))?);
                    self.go_on_to_the_stop(tid, 0)?;
                }
                Ok(Some(Change::Event(_))) => return Ok(Halt::Stopped),
                Ok(Some(Change::JobStop)) => return Ok(Halt::JobStopped),
                Ok(Some(Change::Signal(signal))) => self.go_on_to_the_stop(tid, signal)?,
                Ok(Some(Change::SystemCall)) => self.go_on_to_the_stop(tid, 0)?,
                Ok(Some(Change::Gone(_))) => {
                    let died = Error::died(self.pid, tid);
                    wait::take_end(tid);
                    return if self.threads.len() > 1 { Ok(Halt::Ended) } else { Err(died) };
                }
                Ok(None) if !self.is_ours(tid) => return Ok(Halt::Ended),
                Ok(None) => return Err(Error::DidNotStop { tid, waited: limit }),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(Halt::Ended),
                Err(source) => {
                    return Err(Error::Kernel { action: "wait for it to stop", pid: self.pid, source });
                }
            }
        }
    }

    /// Lets a thread that stopped for something else go on, delivering `signal`. Every stop uses up the request to stop, so
    /// it is made again first.
    pub(super) fn go_on_to_the_stop(&self, tid: i32, signal: i32) -> Result<(), Error> {
        ptrace::interrupt(tid).map_err(Error::kernel("stop it", self.pid))?;
        ptrace::resume(tid, Resume::Continue, signal).map_err(Error::kernel("let a signal through", self.pid))
    }

    /// Has a thread take the signals that its own code has raised before anything is done with it. The request to stop comes
    /// before them: they are still pending then, and would be taken for what the borrowed thread does.
    ///
    /// The thread then stands at its handler's first instruction. Those that it blocks stay pending: they are returned, and are to
    /// stay blocked.
    pub(crate) fn deliver_faults(&mut self, tid: i32) -> Result<u64, Error> {
        let pid = self.pid;
        loop {
            let pending = ptrace::faults_pending(tid, &FAULTS);
            let pending = pending.map_err(Error::kernel("look at its pending signals", pid))?;
            if pending == 0 {
                return Ok(0);
            }
            let mask = ptrace::get_signal_mask(tid).map_err(Error::kernel("read the signal mask", pid))?;
            if pending & !mask == 0 {
                return Ok(pending);
            }
            if !self.is_seized() {
                let reason = "a signal that its own code has raised is pending: resume it to its signal-delivery-stop first";
                return Err(Error::NotAdoptable { tid, reason });
            }
            // Without a new request to stop, which would come first again.
            ptrace::resume(tid, Resume::Continue, 0).map_err(Error::kernel("let a signal through", pid))?;
            if self.wait_for_stop(tid, &mut Vec::new())? == Halt::Ended {
                self.forget(tid);
                return Err(Error::ThreadEnded { pid, tid });
            }
        }
    }

    /// Lets a process go that a thread created as no thread of its own (clone without `CLONE_THREAD`): the option that
    /// traces new threads traces it as well.
    pub(super) fn let_stranger_go(&mut self, stranger: i32) {
        if self.wait_for_stop(stranger, &mut Vec::new()).is_ok_and(|halt| halt != Halt::Ended) {
            // Where this fails it has ended.
            let _ = ptrace::detach(stranger);
        }
    }

    /// Lets a thread go that the blob has created: the option that shows new threads while they are seized traces it.
    pub(crate) fn let_created_go(&mut self, creator: i32) {
        if self.is_seized() {
            if let Ok(created) = ptrace::event_message(creator) {
                self.let_stranger_go(created);
            }
        }
    }
}

/// How long is looked for a stop before this thread lets its processor go: about as long as a thread on another one takes.
pub(super) const LOOK_FOR: Duration = Duration::from_micros(100);
