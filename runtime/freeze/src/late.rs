//! Signals that came while the process stood still, after it had been asked for those that were pending: it will not take them
//! any more, so the image has to.

use crate::error::{Error, Refusal};
use crate::hex::Bytes;
use crate::state::State;
use crate::sys::{self, SignalInformation};

/// What has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Late {
    /// Whether the image has signals now that it had not.
    pub(crate) changed: bool,
    /// Whether SIGSTOP is among them, which no image can hold: queued, it would stop the thaw.
    pub(crate) stop: bool,
}

impl Late {
    /// Adds what has come to the image. The process is stopped, and this thread traces it.
    pub(crate) fn add(state: &mut State) -> Result<Self, Error> {
        let failed = || Error::io("look at pending signals");
        let mut late = Self::default();
        let real_timer = state.process.interval_timers[0] != [0; 4];
        let of_process = sys::pending(state.process.pid, true).map_err(failed())?;
        late.merge(&mut state.process.pending, &of_process, real_timer);
        for thread in &mut state.threads {
            let of_thread = sys::pending(thread.tid, false).map_err(failed())?;
            late.merge(&mut thread.pending, &of_thread, false);
        }
        Ok(late)
    }

    /// What a queue has that the image has not comes to its end. Signals of timers stay out: the image has the timer as it
    /// was when it had not expired, and it will.
    fn merge(&mut self, image: &mut Vec<Bytes>, queue: &[SignalInformation], real_timer: bool) {
        let mut known = image.clone();
        for signal in queue {
            if let Some(at) = known.iter().position(|known| known.0 == signal) {
                known.swap_remove(at);
            } else if number(signal) == libc::SIGSTOP {
                self.stop = true;
            } else if number(signal) != libc::SIGKILL && !of_a_timer(signal, real_timer) {
                image.push(Bytes(signal.to_vec()));
                self.changed = true;
            }
        }
    }
}

/// Refuses a process that has been stopped while it was looked at: a SIGSTOP is pending.
pub(crate) fn refuse_stop(pid: i32, state: &State) -> Result<(), Error> {
    let mut pending = state.threads.iter().flat_map(|thread| &thread.pending).chain(&state.process.pending);
    let stop = pending.any(|signal| number(&signal.0) == libc::SIGSTOP);
    if stop { Err(stopped(pid)) } else { Ok(()) }
}

/// The same, said.
pub(crate) fn stopped(pid: i32) -> Error {
    let reason = "has just been stopped by a SIGSTOP: continue it first".to_owned();
    Error::Unsupported { pid, refusals: vec![Refusal::Process { reason }] }
}

/// `si_signo`, the first word.
fn number(signal: &[u8]) -> i32 {
    signal.first_chunk().map_or(0, |word| i32::from_ne_bytes(*word))
}

/// Whether a timer sends it: a POSIX timer, or the real interval timer in the kernel's own name.
fn of_a_timer(signal: &SignalInformation, real_timer: bool) -> bool {
    const SI_KERNEL: i32 = 0x80;
    const SI_TIMER: i32 = -2;
    let code =
        signal.get(8..).and_then(|rest| rest.first_chunk()).map_or(0, |word| i32::from_ne_bytes(*word));
    code == SI_TIMER || real_timer && number(signal) == libc::SIGALRM && code == SI_KERNEL
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(number: i32, code: i32) -> SignalInformation {
        let mut signal = [0; 128];
        signal[..4].copy_from_slice(&number.to_ne_bytes());
        signal[8..12].copy_from_slice(&code.to_ne_bytes());
        signal
    }

    #[test]
    fn what_is_new_is_added_once_and_timers_stay_out() {
        let old = signal(libc::SIGUSR1, 0);
        let mut image = vec![Bytes(old.to_vec())];
        let mut late = Late::default();
        late.merge(&mut image, &[old, signal(34, -2), signal(libc::SIGALRM, 0x80)], true);
        assert_eq!((late, image.len()), (Late::default(), 1));
        // Two that are alike are two.
        let queue = [old, signal(35, -1), signal(35, -1), signal(libc::SIGSTOP, 0)];
        late.merge(&mut image, &queue, true);
        assert_eq!((late, image.len()), (Late { changed: true, stop: true }, 3));
        // Without the timer, somebody else has sent it.
        late.merge(&mut image, &[signal(libc::SIGALRM, 0x80)], false);
        assert_eq!(image.len(), 4);
    }
}
