//! Interrupting a thread of this process in a system call: by a signal whose handler does nothing.
//!
//! A signal's disposition belongs to the whole process. So this is done only when nothing else ends a wait, with a real-time
//! signal that nobody handles, and only for as long as it takes.

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{check, count, tgkill};

/// How long a thread may take to run the handler once the signal has been sent.
const HANDLED_WITHIN: Duration = Duration::from_secs(1);

/// How many of the signals have been handled.
static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn handle(_: libc::c_int) {
    // All that is done here is async-signal-safe.
    HANDLED.fetch_add(1, Ordering::Release);
}

/// Whether this thread lets any real-time signal through.
pub(crate) fn is_possible() -> bool {
    let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
    count();
    // SAFETY: with no new set, the call only writes the thread's mask to the last argument.
    if unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call above has written the whole set.
    let mask = unsafe { mask.assume_init() };
    // SAFETY: the set is initialised, and the numbers are those of signals.
    signals().any(|signal| unsafe { libc::sigismember(&raw const mask, signal) } == 0)
}

/// The real-time signals that the C library leaves to programs, last first: programs take them from the front.
fn signals() -> impl Iterator<Item = libc::c_int> {
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev()
}

/// Signals that the kernel sends without queueing them, and whose default is to do nothing.
const UNQUEUED: [libc::c_int; 2] = [libc::SIGURG, libc::SIGWINCH];

/// A thread that is being interrupted.
pub(crate) struct Interrupting {
    thread: i32,
    /// The signal, and its disposition before; `None` where every signal is taken.
    signal: Option<(libc::c_int, libc::sigaction)>,
    sent: u32,
    handled_before: u32,
}

impl Interrupting {
    /// Chooses a signal that `thread` of this process does not block and nobody handles, and installs the handler.
    pub(crate) fn new(thread: i32) -> Self {
        let blocked = blocked(thread);
        let open = |signal: &libc::c_int| blocked >> (signal - 1) & 1 == 0;
        let signal = signals().filter(open).find_map(install);
        Self { thread, signal, sent: 0, handled_before: HANDLED.load(Ordering::Acquire) }
    }

    /// Interrupts it, if it is in a system call; to be repeated until it says that it was.
    pub(crate) fn send(&mut self) {
        let Some((signal, _)) = self.signal else { return };
        let process = i32::try_from(std::process::id()).unwrap_or_default();
        match tgkill(process, self.thread, signal) {
            Ok(()) => self.sent += 1,
            // As many signals are queued for this user as may be (RLIMIT_SIGPENDING), or the limit is 0.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.take_unqueued(),
            Err(_) => {}
        }
    }

    /// Takes a signal that is never queued instead: one whose default is to do nothing.
    fn take_unqueued(&mut self) {
        let blocked = blocked(self.thread);
        let open = |signal: &libc::c_int| blocked >> (signal - 1) & 1 == 0;
        if let Some(unqueued) = UNQUEUED.into_iter().filter(open).find_map(install) {
            let queued = self.signal.replace(unqueued);
            let handled_before = HANDLED.load(Ordering::Acquire);
            Self { thread: self.thread, signal: queued, ..*self }.end();
            (self.sent, self.handled_before) = (0, handled_before);
        }
    }

    /// Restores the signal's disposition, once every signal has been handled: by default it ends the process.
    pub(crate) fn end(self) {
        let Some((signal, before)) = self.signal else { return };
        let begin = Instant::now();
        // One that is not queued may be handled less often than it was sent, and by default does nothing.
        while signal >= libc::SIGRTMIN()
            && HANDLED.load(Ordering::Acquire).wrapping_sub(self.handled_before) < self.sent
        {
            if begin.elapsed() > HANDLED_WITHIN {
                // The thread has blocked it since. The handler stays: it does nothing.
                return;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        // Unless the program has installed a handler of its own since.
        if action_of(signal).is_some_and(|now| now.sa_sigaction == handler()) {
            count();
            // SAFETY: gives back what the kernel has given out for the same signal.
            unsafe { libc::sigaction(signal, &raw const before, std::ptr::null_mut()) };
        }
    }
}

/// Installs the handler where the signal has its default disposition, and returns that.
fn install(signal: libc::c_int) -> Option<(libc::c_int, libc::sigaction)> {
    let before = action_of(signal)?;
    if before.sa_sigaction != libc::SIG_DFL {
        return None;
    }
    // SAFETY: a sigaction is plain numbers, for which zeros are a value: no flags, so that calls end with EINTR.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler();
    count();
    // SAFETY: the handler is a function of the right type that does nothing but count.
    let installed = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    check(libc::c_long::from(installed)).ok().map(|_| (signal, before))
}

/// What this process does about a signal.
fn action_of(signal: libc::c_int) -> Option<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    count();
    // SAFETY: with no new action, the call only writes the present one.
    let known = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    check(libc::c_long::from(known)).ok()?;
    // SAFETY: the call above has written the whole structure.
    Some(unsafe { action.assume_init() })
}

/// The address of [`handle`].
fn handler() -> libc::sighandler_t {
    handle as extern "C" fn(libc::c_int) as libc::sighandler_t
}

/// The signals that a thread of this process blocks; all of them where `/proc` does not say.
fn blocked(thread: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(u64::MAX)
}
