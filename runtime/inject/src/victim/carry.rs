//! Waits that start again, in a victim that is stopped again and again.
//!
//! Some waits with a time-out begin anew whenever their thread is stopped ([`waits`](crate::waits)). A victim that is stopped more
//! often than the time-out would never get to its end. So it is noted when such a wait was seen first; once its time has passed
//! since, the call answers what it answers then. It takes three times its time-out at most: before the first stop, until
//! the last, and after it.
//!
//! That it is the same wait, and not the next one of the same kind, is known from how often the thread has gone to
//! sleep: once for the wait, once for the stop.

use std::time::{Duration, Instant};

use super::Victim;
use crate::machine::{Machine, Native};
use crate::sys::memory;
use crate::{proc, restart};

/// A wait that starts again.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    /// The thread's registers, as they were when it was stopped.
    registers: Native,
    since: Instant,
    /// How often the thread had gone to sleep when it was let go.
    sleeps: u64,
}

impl Victim {
    /// How often a thread has gone to sleep, where it is stopped in a wait that starts again and was seen in one before.
    pub(crate) fn sleeps_at_stop(&self, tid: i32, stopped: &Native) -> Option<u64> {
        restart::time_out(stopped)?;
        self.waits.get(&tid).filter(|wait| wait.registers == *stopped)?;
        proc::voluntary_switches(tid)
    }

    /// The registers with which a cured thread goes on that was stopped with `stopped`. `sleeps` is what
    /// [`sleeps_at_stop`](Self::sleeps_at_stop) has said.
    pub(crate) fn resumed(&mut self, tid: i32, stopped: &Native, sleeps: Option<u64>) -> Native {
        let cured = restart::cured(stopped);
        let Some(time_out) = restart::time_out(stopped) else {
            self.waits.remove(&tid);
            return cured;
        };
        let known = self.waits.get(&tid).filter(|wait| wait.registers == *stopped);
        let same = known.filter(|wait| sleeps == Some(wait.sleeps + 2));
        let since = same.map_or_else(|| self.stopped_since(), |wait| wait.since);
        let over = self.length(tid, time_out.time).is_some_and(|length| since.elapsed() >= length);
        if same.is_some() && over {
            self.waits.remove(&tid);
            return stopped.answering(time_out.answer);
        }
        match proc::voluntary_switches(tid) {
            Some(sleeps) => self.waits.insert(tid, Wait { registers: *stopped, since, sleeps }),
            None => self.waits.remove(&tid),
        };
        cured
    }

    /// How long a wait takes.
    fn length(&self, tid: i32, time: restart::Time) -> Option<Duration> {
        match time {
            restart::Time::Milliseconds(milliseconds) => Some(Duration::from_millis(milliseconds)),
            restart::Time::At(address) => {
                let mut words = [[0; 8]; 2];
                let [seconds, nanoseconds] = &mut words;
                memory::read(tid, &mut [(address, seconds), (address.wrapping_add(8), nanoseconds)]).ok()?;
                let [seconds, nanoseconds] = words.map(u64::from_ne_bytes);
                Some(Duration::new(seconds, u32::try_from(nanoseconds).ok().filter(|n| *n < 1_000_000_000)?))
            }
        }
    }
}
