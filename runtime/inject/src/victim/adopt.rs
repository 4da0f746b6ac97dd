//! Taking over a process that its tracer holds stopped already.

use std::collections::HashSet;

use super::{Held, Victim};
use crate::Error;
use crate::proc::StatusFile;
use crate::sys::ptrace;
use crate::target::Target;
use crate::watch::Watch;

impl Victim {
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
    /// [`Error::NotAdoptable`] for a thread that is not held so, is given twice or belongs to another process.
    pub fn adopt(target: Target, threads: &[i32], options: i32) -> Result<Self, Error> {
        let pid = target.pid;
        let mut given = HashSet::new();
        for tid in threads.iter().copied() {
            let refused = |reason| Error::NotAdoptable { tid, reason };
            let status = StatusFile::open(tid).and_then(|file| file.read(tid));
            // What is done to it would be done in other memory than what was looked at.
            if !status.is_ok_and(|status| status.process == pid) {
                return Err(refused(
                    "it is no thread of this process: give the ids in its folder /proc/PID/task",
                ));
            }
            if !given.insert(tid) {
                return Err(refused("it was given twice: give each thread once"));
            }
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
        let mut victim = Self::new(target, Held::Adopted { options }, threads.to_vec(), Watch::new(pid));
        victim.look_for = super::stop::LOOK_FOR;
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
}
