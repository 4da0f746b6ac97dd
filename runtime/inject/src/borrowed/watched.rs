//! Whether a blob has waited, and with that taken away what the kernel had noted of a wait of the victim's.
//!
//! A `nanosleep` of the blob's does so even when nothing interrupts it. It gives the processor up; a blob that did so no more
//! often than it stopped has not slept.

use super::Borrowed;
use crate::proc;
use crate::victim::Victim;

/// A thread as it was before the blob ran in it.
pub(super) struct Watched {
    /// How often it had been given a processor: cheap to ask, and more than its stops where it was merely preempted.
    runs: Option<u64>,
    /// How often it had given its processor up.
    switches: Option<u64>,
    stops: u64,
}

impl Watched {
    pub(super) fn begin(victim: &Victim, borrowed: &Borrowed) -> Self {
        let tid = borrowed.tid;
        let runs = victim.runs(tid);
        // What was read before the stop holds if the thread has not run in between.
        let slept_on = borrowed.runs.is_some_and(|before| runs == Some(before + borrowed.stops));
        let known = borrowed.switches.filter(|_| slept_on).map(|switches| switches + borrowed.stops);
        let switches = known.or_else(|| proc::voluntary_switches(tid));
        Self { runs, switches, stops: borrowed.stops }
    }

    /// Whether it may have waited since; yes where the kernel does not say.
    pub(super) fn has_waited(&self, victim: &Victim, borrowed: &Borrowed) -> bool {
        let stops = borrowed.stops - self.stops;
        let same = |before: Option<u64>, after: Option<u64>| {
            before.zip(after).is_some_and(|(before, after)| before + stops == after)
        };
        !same(self.runs, victim.runs(borrowed.tid))
            && !same(self.switches, proc::voluntary_switches(borrowed.tid))
    }
}
