//! Waiting until a thread has stopped.

use std::time::{Duration, Instant};

use super::Victim;
use crate::Error;
use crate::sys::ptrace::{self, Resume};
use crate::sys::wait::{self, Change};

/// What became of a thread that was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    Stopped,
    /// Its process is stopped by job control as well.
    JobStopped,
    Ended,
}

impl Victim {
    /// Waits until a thread that was interrupted has stopped or ended.
    ///
    /// Polls, because a thread may take long to notice (a page being read from a slow disk) and the kernel offers no
    /// wait with a time-out. A signal that arrives first is let through: its handler's frame is written, and
    /// the thread stops before it runs.
    pub(super) fn wait_for_stop(&self, tid: i32, created: &mut Vec<i32>) -> Result<Halt, Error> {
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
                Ok(Some(Change::Gone(_))) => {
                    let died = Error::died(self.pid, tid);
                    wait::take_end(tid);
                    return if self.threads.len() > 1 { Ok(Halt::Ended) } else { Err(died) };
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
    pub(super) fn go_on_to_the_stop(&self, tid: i32, signal: i32) -> Result<(), Error> {
        ptrace::interrupt(tid).map_err(Error::kernel("stop it", self.pid))?;
        ptrace::resume(tid, Resume::Continue, signal).map_err(Error::kernel("let a signal through", self.pid))
    }

    /// Lets a process go that a thread created as no thread of its own (clone without `CLONE_THREAD`): the option that
    /// traces new threads traces it as well.
    pub(super) fn let_stranger_go(&self, stranger: i32) {
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
}
