//! An end for waits that have none.
//!
//! The tracing thread waits for its victim in `waitid`, which blocks: a wait that polls gives the processor away each time,
//! and on a busy machine it comes back a time slice later. But the kernel has no end for such a wait, so one thread of this
//! crate, the watchdog, looks every 20 ms whether a wait is overdue. Arming it is one store; nothing of the host is touched in
//! the ordinary course.
//!
//! - A call whose deadline has passed is ended by a signal to the victim's thread, which ends the wait as well.
//! - The kernel reports the end of a process's first thread only when the tracer has taken the ends of the others. The
//!   watchdog takes them.
//! - As the last resort (a thread in uninterruptible sleep) it interrupts the tracing thread: it installs a handler
//!   that does nothing for a real-time signal that has none, sends that signal to the tracing thread alone, and restores the
//!   disposition afterwards.
//!
//! A thread that blocks every real-time signal cannot be interrupted. Its waits poll ([`Watch::blocks`]).

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::sys::interrupt::{self, Interrupting};
use crate::sys::wait::{self, Change};
use crate::{proc, sys};

/// How often the watchdog looks while there are victims.
const TICK: Duration = Duration::from_millis(20);
/// How long it goes on looking when there are none any more: the next victim often comes soon, and need not wake it.
const LINGER: u32 = 50;

/// At how many looks in a row a first thread must have ended alone before that is believed.
const ALONE_FOR: u32 = 3;
/// How long the tracing thread may take to notice that it is interrupted.
const INTERRUPTED_WITHIN: Duration = Duration::from_secs(1);

/// No wait is going on.
const IDLE: u64 = 0;
/// The watchdog acts on the wait; the tracing thread does not return before that is over.
const CLAIMED: u64 = u64::MAX;
/// The tracing thread has come back from a wait that the watchdog acts on.
const BACK: u64 = u64::MAX - 1;

/// The signal that ends a call in a victim when its deadline has passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndSignal {
    pub(crate) process: i32,
    pub(crate) signal: i32,
    /// How long the thread may take to stop once it has been sent.
    pub(crate) stop_within: Duration,
}

/// What the tracing thread and the watchdog share about one victim.
#[derive(Debug)]
struct Shared {
    /// The tracing thread.
    tracer: i32,
    /// [`IDLE`], when the wait is overdue (nanoseconds since [`start`]), [`CLAIMED`], or [`BACK`].
    wait: AtomicU64,
    /// The thread that is waited for.
    waited_for: AtomicI32,
    /// Whether the end signal has been sent in this wait.
    sent: AtomicBool,
    end: Mutex<Option<EndSignal>>,
    /// At how many looks in a row the process's first thread, which is waited for, had ended while others lived.
    alone: AtomicU32,
    /// The process, and its threads that are traced.
    process: i32,
    threads: Mutex<Vec<i32>>,
    /// Threads whose ends the watchdog has taken.
    reaped: Mutex<Vec<i32>>,
}

/// The watchdog's eye on one victim.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    /// Whether the tracing thread can be interrupted in a wait.
    blocks: bool,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waited {
    /// What became of the thread; `None` when nothing has by then.
    pub(crate) change: Option<Change>,
    /// Whether the end signal was sent meanwhile.
    pub(crate) overdue: bool,
}

impl Watch {
    /// Begins to watch over a victim of this thread.
    pub(crate) fn new(process: i32) -> Self {
        let shared = Arc::new(Shared {
            tracer: sys::gettid(),
            wait: AtomicU64::new(IDLE),
            waited_for: AtomicI32::new(0),
            sent: AtomicBool::new(false),
            end: Mutex::new(None),
            alone: AtomicU32::new(0),
            process,
            threads: Mutex::new(Vec::new()),
            reaped: Mutex::new(Vec::new()),
        });
        let blocks = interrupt::is_possible() && watch_over(&shared);
        Self { shared, blocks }
    }

    /// The tracing thread's id.
    pub(crate) fn tracer(&self) -> i32 {
        self.shared.tracer
    }

    /// Says which threads are traced.
    pub(crate) fn set_threads(&self, threads: &[i32]) {
        let mut known = lock(&self.shared.threads);
        known.clear();
        known.extend_from_slice(threads);
    }

    /// The threads whose ends have been taken since this was asked last.
    pub(crate) fn take_reaped(&self) -> Vec<i32> {
        std::mem::take(&mut *lock(&self.shared.reaped))
    }

    /// Waits until something happens to the thread `tid`, and no longer than `until`. With `end`, that signal is sent to the
    /// thread at `until`, and it then has `stop_within` to stop.
    ///
    /// `look_for` is how long is looked before this thread lets its processor go: for a victim that stops on another one.
    pub(crate) fn wait(
        &self,
        tid: i32,
        until: Instant,
        end: Option<EndSignal>,
        look_for: Duration,
    ) -> io::Result<Waited> {
        const TRIES: u32 = 3;
        if !look_for.is_zero() {
            let begin = Instant::now();
            while begin.elapsed() < look_for {
                if let Ok(Some(change)) = wait::poll(tid) {
                    return Ok(Waited { change: Some(change), overdue: false });
                }
            }
        }
        if !self.blocks {
            return self.poll(tid, until, end);
        }
        let shared = &*self.shared;
        *lock(&shared.end) = end;
        shared.sent.store(false, Ordering::Relaxed);
        shared.waited_for.store(tid, Ordering::Relaxed);
        let mut armed = nanoseconds(until);
        shared.wait.store(armed, Ordering::Release);
        let mut failed = 0;
        let change = loop {
            match wait::block(tid) {
                Ok(change) => break Ok(change),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    if shared.wait.load(Ordering::Acquire) == CLAIMED {
                        break Ok(None);
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => break Err(error),
                Err(_) if failed < TRIES => failed += 1,
                Err(error) => break Err(error),
            }
        };
        // Taken back, or the watchdog acts on it: then that must be over first.
        while let Err(now) = shared.wait.compare_exchange(armed, IDLE, Ordering::AcqRel, Ordering::Acquire) {
            match now {
                IDLE => break,
                CLAIMED => {
                    let _ = shared.wait.compare_exchange(CLAIMED, BACK, Ordering::AcqRel, Ordering::Acquire);
                }
                BACK => std::thread::sleep(Duration::from_micros(50)),
                later => armed = later,
            }
        }
        Ok(Waited { change: change?, overdue: shared.sent.load(Ordering::Acquire) })
    }

    /// The same for a thread that cannot be interrupted: looks at intervals that grow with what it has taken.
    fn poll(&self, tid: i32, until: Instant, end: Option<EndSignal>) -> io::Result<Waited> {
        let begin = Instant::now();
        let (mut until, mut overdue) = (until, false);
        loop {
            match wait::poll(tid) {
                Ok(Some(change)) => return Ok(Waited { change: Some(change), overdue }),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            if Instant::now() >= until {
                match end {
                    Some(end) if !overdue && sys::tgkill(end.process, tid, end.signal).is_ok() => {
                        overdue = true;
                        until = Instant::now() + end.stop_within;
                    }
                    _ => return Ok(Waited { change: None, overdue }),
                }
            }
            let waited = begin.elapsed();
            if waited > TICK {
                self.shared.reap(tid);
            }
            sys::count();
            std::thread::sleep((waited / 16).clamp(Duration::from_micros(5), Duration::from_millis(2)));
        }
    }
}

impl Shared {
    /// Takes the ends of traced threads, but for the process's first and for `waited_for`: nobody learns of the first one's
    /// end, and no other thread can execute a program, before that is done.
    fn reap(&self, waited_for: i32) {
        let mut threads = lock(&self.threads);
        threads.retain(|tid| {
            let others = *tid != waited_for && *tid != self.process;
            let ended = others && matches!(wait::poll(*tid), Ok(Some(Change::Gone(_))));
            if ended {
                wait::take_end(*tid);
                lock(&self.reaped).push(*tid);
            }
            !ended
        });
    }

    /// One look of the watchdog's.
    fn look(&self) {
        let armed = self.wait.load(Ordering::Acquire);
        let waited_for =
            if matches!(armed, IDLE | CLAIMED | BACK) { 0 } else { self.waited_for.load(Ordering::Relaxed) };
        self.reap(waited_for);
        if waited_for == 0 {
            return;
        }
        let overdue = armed <= nanoseconds(Instant::now());
        // A first thread that has ended by itself is not reported while others live, traced or not. Where the process is
        // killed the others end a moment later.
        let alone = waited_for == self.process && proc::first_has_ended_alone(waited_for);
        let looks = if alone { self.alone.fetch_add(1, Ordering::Relaxed) } else { 0 };
        // Nor does a wait end for a thread whose id another has taken over that has executed a program, where that is this
        // process's own child.
        let vanished = alone && looks >= ALONE_FOR
            || proc::tracer_of(waited_for).is_some_and(|tracer| tracer != self.tracer);
        if !alone {
            self.alone.store(0, Ordering::Relaxed);
        }
        if !overdue && !vanished {
            return;
        }
        // From here on the tracing thread does not leave its wait before this one has set it free.
        if self.wait.compare_exchange(armed, CLAIMED, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        let end = lock(&self.end).take();
        if let Some(end) = end.filter(|_| !vanished) {
            // The thread is traced and not yet reaped: its id names nobody else.
            if sys::tgkill(end.process, waited_for, end.signal).is_ok() {
                self.sent.store(true, Ordering::Release);
                let next = nanoseconds(Instant::now() + end.stop_within);
                if self.wait.compare_exchange(CLAIMED, next, Ordering::AcqRel, Ordering::Acquire).is_err() {
                    self.wait.store(IDLE, Ordering::Release);
                }
                return;
            }
        }
        let mut interrupting = Interrupting::new(self.tracer);
        let begin = Instant::now();
        while self.wait.load(Ordering::Acquire) != BACK {
            // It has blocked every signal since. Others wait for the watchdog, so this one is tried again later.
            let later = nanoseconds(Instant::now() + INTERRUPTED_WITHIN);
            if begin.elapsed() > INTERRUPTED_WITHIN
                && self.wait.compare_exchange(CLAIMED, later, Ordering::AcqRel, Ordering::Acquire).is_ok()
            {
                interrupting.end();
                return;
            }
            interrupting.send();
            std::thread::sleep(Duration::from_millis(2));
        }
        interrupting.end();
        self.wait.store(IDLE, Ordering::Release);
    }
}

/// The victims of this process, and the thread that watches over them.
#[derive(Default)]
struct Watchdog {
    /// The process that has started it: a child of `fork` has none.
    process: u32,
    /// Whether it sleeps until somebody wakes it.
    sleeps: bool,
    victims: Vec<Weak<Shared>>,
}

static WATCHDOG: Mutex<Option<Watchdog>> = Mutex::new(None);
static WAKE: Condvar = Condvar::new();

/// Hands a victim to the watchdog; `false` where there is none and none can be started.
fn watch_over(shared: &Arc<Shared>) -> bool {
    let mut watchdog = lock(&WATCHDOG);
    let process = std::process::id();
    if watchdog.as_ref().is_none_or(|watchdog| watchdog.process != process) {
        let started = std::thread::Builder::new().name("pie_blob watch".to_owned()).spawn(watch);
        if started.is_err() {
            return false;
        }
        *watchdog = Some(Watchdog { process, ..Watchdog::default() });
    }
    if let Some(watchdog) = &mut *watchdog {
        watchdog.victims.push(Arc::downgrade(shared));
        if std::mem::take(&mut watchdog.sleeps) {
            WAKE.notify_all();
        }
    }
    true
}

/// What the watchdog does.
fn watch() {
    let mut ticks_without = 0;
    let mut watchdog = lock(&WATCHDOG);
    loop {
        let mut victims = Vec::new();
        if let Some(watchdog) = &mut *watchdog {
            watchdog.victims.retain(|victim| victim.strong_count() > 0);
            victims.extend(watchdog.victims.iter().filter_map(Weak::upgrade));
            ticks_without = if victims.is_empty() { ticks_without + 1 } else { 0 };
            watchdog.sleeps = ticks_without > LINGER;
        }
        if ticks_without > LINGER {
            watchdog = WAKE.wait(watchdog).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        drop(watchdog);
        victims.iter().for_each(|victim| victim.look());
        drop(victims);
        std::thread::sleep(TICK);
        watchdog = lock(&WATCHDOG);
    }
}

/// What the nanoseconds of a wait count from.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// A moment in nanoseconds, never one of the values that mean something else.
fn nanoseconds(moment: Instant) -> u64 {
    let since = moment.saturating_duration_since(start()).as_nanos();
    u64::try_from(since).unwrap_or(BACK - 1).clamp(1, BACK - 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is held by these locks is left half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
