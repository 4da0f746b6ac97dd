//! One thread per host that ends calls which take too long.
//!
//! A tracer waits in the kernel for its blob and cannot look at a clock meanwhile. The watchdog sends the call's own end
//! signal to the thread when its time is over: the tracer wakes up with the blob stopped wherever it was.
//!
//! It wakes up when the earliest deadline passes, not when a call begins: a call's deadline usually lies behind
//! the one that the watchdog sleeps for already, so that guarding a call costs no system call.

use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::sys;

/// How long it stays when there is nothing to watch.
const IDLE: Duration = Duration::from_secs(10);

struct Watched {
    id: u64,
    pid: i32,
    tid: i32,
    signal: i32,
    deadline: Instant,
    fired: bool,
}

#[derive(Default)]
struct State {
    watched: Vec<Watched>,
    next_id: u64,
    running: bool,
    /// When the watchdog wakes up next.
    wakes: Option<Instant>,
}

#[derive(Default)]
struct Watchdog {
    state: Mutex<State>,
    earlier: Condvar,
}

static WATCHDOG: OnceLock<Watchdog> = OnceLock::new();

/// A call that is being watched; dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct Watch {
    id: u64,
}

impl Watch {
    /// Sends `signal` to the thread once, at the deadline, unless the watch has ended by then.
    pub(crate) fn start(pid: i32, tid: i32, signal: i32, deadline: Instant) -> Self {
        let watchdog = WATCHDOG.get_or_init(Watchdog::default);
        let mut state = watchdog.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.watched.push(Watched { id, pid, tid, signal, deadline, fired: false });
        if !state.running {
            // Without a thread (the host is at its limit of threads) calls are not watched, as documented.
            state.running = std::thread::Builder::new()
                .name("pie_blob watchdog".to_owned())
                .spawn(|| WATCHDOG.get_or_init(Watchdog::default).run())
                .is_ok();
        } else if state.wakes.is_none_or(|wakes| wakes > deadline) {
            watchdog.earlier.notify_one();
        }
        Self { id }
    }

    /// Whether the deadline has passed and the signal was sent.
    pub(crate) fn fired(&self) -> bool {
        let Some(watchdog) = WATCHDOG.get() else { return false };
        watchdog.lock().watched.iter().any(|watched| watched.id == self.id && watched.fired)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(watchdog) = WATCHDOG.get() {
            // Under the lock: once this returns, the watchdog never signals that thread again.
            watchdog.lock().watched.retain(|watched| watched.id != self.id);
        }
    }
}

impl Watchdog {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        let mut idle_since = Instant::now();
        loop {
            let now = Instant::now();
            for watched in &mut state.watched {
                if !watched.fired && watched.deadline <= now {
                    watched.fired = true;
                    // The thread is traced by the host and not yet waited for: its id names nobody else.
                    let _ = sys::tgkill(watched.pid, watched.tid, watched.signal);
                }
            }
            let waiting = state.watched.iter().filter(|watched| !watched.fired);
            let next = waiting.map(|watched| watched.deadline).min();
            if next.is_some() {
                idle_since = now;
            } else if now.duration_since(idle_since) >= IDLE {
                state.running = false;
                state.wakes = None;
                return;
            }
            let wakes = next.unwrap_or(now + IDLE);
            state.wakes = Some(wakes);
            let wait = wakes.saturating_duration_since(now);
            state = self.earlier.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
