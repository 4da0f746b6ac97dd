//! Letting threads go on as if nothing had been.

use super::stop::Halt;
use super::{Held, Victim};
use crate::machine::{Machine, Native};
use crate::sys::ptrace;
use crate::{Error, restart, sys};

/// A signal that came while a thread was not its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deferred {
    signal: i32,
    /// The thread, where it was sent to that one and not to the process.
    thread: Option<i32>,
}

impl Victim {
    /// Lets every thread go on but one.
    pub(crate) fn let_others_run(&mut self, tid: i32) -> Result<(), Error> {
        let others: Vec<i32> = self.threads.iter().copied().filter(|thread| *thread != tid).collect();
        self.threads.retain(|thread| *thread == tid);
        self.others_run = true;
        self.first_runs = tid != self.pid;
        self.given_back.clear();
        self.registers.clear();
        self.watch.set_threads(&self.threads);
        let mut result = Ok(());
        for thread in others {
            // One that cannot be let go has ended.
            if let Err(error) = self.detach(thread) {
                result = result.and(Err(Error::kernel("let a thread run", self.pid)(error)));
            }
        }
        result
    }

    /// Notes that a thread is no more.
    pub(crate) fn forget(&mut self, tid: i32) {
        self.threads.retain(|thread| *thread != tid);
        self.watch.set_threads(&self.threads);
    }

    /// Detaches a thread. One that has not stopped yet, because something failed in between, is waited for; one that was killed
    /// meanwhile is taken, because nobody else learns of its end before its tracer has.
    pub(super) fn detach(&mut self, tid: i32) -> std::io::Result<()> {
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
    pub(super) fn take_up(&mut self, tid: i32) {
        // What job control has ended would have ended without a tracer as well.
        if self.job_stopped || self.given_back.contains(&tid) {
            return;
        }
        let known = self.registers.binary_search_by_key(&tid, |(tid, _)| *tid).ok();
        let known = known.and_then(|at| self.registers.get(at)).map(|(_, registers)| *registers);
        if let Some(stopped) = known.or_else(|| Native::of(tid).ok().flatten()) {
            let cured = restart::cured(&stopped);
            if cured.answer() != stopped.answer() {
                // It may have been killed.
                let _ = cured.set(tid);
            }
        }
    }

    /// Notes a signal that a thread has come to stand before which is not its own for now.
    pub(crate) fn defer(&mut self, tid: i32, signal: i32) {
        let information = ptrace::signal_information(tid);
        let was_meant = information.is_ok_and(|information| information.si_code == libc::SI_TKILL);
        self.deferred.push(Deferred { signal, thread: was_meant.then_some(tid) });
    }

    /// Sends the signals again that came meanwhile: they are pending again before the threads run.
    fn send_deferred(&mut self) {
        let deferred = std::mem::take(&mut self.deferred);
        // A stop takes a pending SIGCONT back, as SIGCONT does with a pending stop: one that is pending now came later.
        let continued = deferred.iter().any(|deferred| deferred.signal == libc::SIGSTOP)
            && self.read_status().is_ok()
            && self.status.pending >> (libc::SIGCONT - 1) & 1 == 1;
        for Deferred { signal, thread } in deferred {
            if continued && signal == libc::SIGSTOP {
                continue;
            }
            // Where this fails it has died.
            let _ = match thread {
                Some(tid) => sys::tgkill(self.pid, tid, signal),
                None => sys::kill(self.pid, signal),
            };
        }
    }

    pub(super) fn let_go(&mut self) -> Result<(), Error> {
        self.send_deferred();
        let mut result = Ok(());
        self.watch.set_threads(&[]);
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
        if let Some(stack) = self.target.as_ref().and_then(|target| target.stack.as_ref()) {
            stack.give_up();
        }
        result
    }
}
