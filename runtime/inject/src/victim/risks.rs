//! What would keep a victim from surviving this process.

use super::Victim;
use crate::proc::{Personality, StatusFile};
use crate::{CrashRisk, Error, policy, proc};

impl Victim {
    /// Finds out what would keep it from surviving this process.
    pub(super) fn assess(&mut self) -> Result<(), Error> {
        self.check_filter(self.status.seccomp)?;
        if let Some(target) = &self.target {
            self.risks = target.risks(&self.status);
        }
        if self.job_stopped {
            self.risks.push(CrashRisk::Stopped);
        }
        if self.first_runs {
            self.risks.push(CrashRisk::FirstThreadRuns);
        }
        if self.end_signal(0).1 {
            self.risks.push(CrashRisk::SignalsCaught);
        }
        self.check_risks()
    }

    /// Looks at what is a thread's own of what `assess` looked at for the process (its filter, its shadow stack), and returns the
    /// ids of process and thread as the victim counts them.
    pub(crate) fn assess_thread(&mut self, tid: i32) -> Result<(i32, i32), Error> {
        let pid = self.pid;
        self.suspend_filter(tid)?;
        let status = if tid == self.status_of { self.status } else { StatusFile::open(tid)?.read(tid)? };
        self.check_filter(status.seccomp)?;
        if tid != self.status_of {
            if proc::is_worker(tid) {
                return Err(Error::KernelWorker { pid, tid });
            }
            self.read_implies_exec = Personality::open(tid).read_implies_exec();
        }
        if status.seccomp != 0 {
            self.add_risk(CrashRisk::Seccomp);
        }
        if status.shadow_stack {
            self.add_risk(CrashRisk::ShadowStack);
        }
        self.check_risks()?;
        Ok((status.inner_process, status.inner_thread))
    }

    fn check_filter(&self, mode: u32) -> Result<(), Error> {
        if mode != 0 && !self.suspends_filters {
            return Err(Error::Seccomp { pid: self.pid, mode, reason: policy::NOT_IN_THIS_KERNEL });
        }
        Ok(())
    }

    /// Notes a risk, once.
    pub(crate) fn add_risk(&mut self, risk: CrashRisk) {
        if !self.risks.contains(&risk) {
            self.risks.push(risk);
        }
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
}
