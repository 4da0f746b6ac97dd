//! The tracing thread beside its victim: on the same processor a stop is a context switch, across it is an
//! interrupt and a wake-up of an idle processor, ten times as long.

use crate::proc;
use crate::sys::cpu;

/// Keeps this thread on the victim's processor and lets it go where it could before when dropped.
#[derive(Debug)]
pub(crate) struct Beside {
    before: cpu::Set,
}

impl Beside {
    /// Moves to the processor that the thread `tid` ran on last; `None` where there is nothing to move or no right to.
    pub(crate) fn thread(tid: i32) -> Option<Self> {
        let before = cpu::allowed().ok()?;
        let there = proc::processor(tid)?;
        if !cpu::contains(&before, there) {
            return None;
        }
        cpu::allow(&cpu::only(there)?).ok()?;
        Some(Self { before })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Fails only when the administrator has taken those processors away meanwhile; the kernel has then moved us.
        let _ = cpu::allow(&self.before);
    }
}
