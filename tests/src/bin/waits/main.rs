//! A victim that makes one system call that waits, and says what came of it.
//!
//! `waits CALL HANDLER` prints `waiting NUMBER TIMED TID` and makes the call named so (`waits list` prints the names); HANDLER
//! says what SIGUSR1 does: `plain` and `restart` (`SA_RESTART`) count it; `second` makes the call in a second thread. A byte from its input makes what the call waits
//! for happen. Then it prints `ANSWER ERROR SIGNALS MICROSECONDS`, waits in `splice`, and ends with its input.

mod clocks;
mod descriptors;
mod locks;
mod processes;
mod queues;
mod sockets;

use std::io::Read;
use std::process::exit;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pie_blob_tests::raw::{at, holding, kernel, leak, must};

/// How long a call waits that has a time-out.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A call that waits.
struct Wait {
    number: i64,
    arguments: [i64; 6],
    /// Whether it ends by itself.
    timed: bool,
    /// Makes what it waits for happen.
    happen: Box<dyn FnOnce() + Send>,
}

impl Wait {
    fn new(number: i64, arguments: [i64; 6], happen: impl FnOnce() + Send + 'static) -> Self {
        Self { number, arguments, timed: false, happen: Box::new(happen) }
    }

    /// One that ends by itself.
    fn timed(number: i64, arguments: [i64; 6]) -> Self {
        Self { timed: true, ..Self::new(number, arguments, || ()) }
    }
}

/// A name of a call and what makes everything ready for it.
type Row = (&'static str, fn() -> Wait);

fn rows() -> impl Iterator<Item = &'static Row> {
    [clocks::ROWS, descriptors::ROWS, locks::ROWS, processes::ROWS, queues::ROWS, sockets::ROWS]
        .into_iter()
        .flatten()
}

/// System calls that leave nothing behind, made at the end.
static AT_END: Mutex<Vec<(i64, [i64; 6])>> = Mutex::new(Vec::new());

fn at_end(number: i64, arguments: [i64; 6]) {
    AT_END.lock().expect("no panic").push((number, arguments));
}

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn nothing(_: libc::c_int) {}

fn main() {
    let mode: Vec<String> = std::env::args().skip(1).collect();
    let [name, handler] = mode.as_slice() else {
        rows().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let Some((_, prepare)) = rows().find(|(row, _)| row == name) else {
        eprintln!("no call {name}");
        exit(2);
    };
    handle(libc::SIGUSR1, count, handler == "restart");
    handle(libc::SIGUSR2, nothing, false);
    if handler == "second" {
        std::thread::spawn(|| make(*prepare));
        // The first thread takes no signal away from the one that waits.
        let _ = mask_all();
        nowhere()
    }
    make(*prepare)
}

/// Makes the call in this thread.
fn make(prepare: fn() -> Wait) -> ! {
    let (tid, _) = kernel(libc::SYS_gettid, [0; 6]);
    WAITER.store(tid, Ordering::Relaxed);
    // Moments are reckoned from here.
    let begin = Instant::now();
    let wait = prepare();
    // The other thread takes no signal away from the one that waits.
    let mask = mask_all();
    let happen = wait.happen;
    std::thread::spawn(move || {
        let mut byte = [0];
        if std::io::stdin().read_exact(&mut byte).is_err() {
            exit(0);
        }
        happen();
        // Until the end of the input, however that is told.
        let _ = std::io::stdin().read(&mut byte);
        for (number, arguments) in AT_END.lock().expect("no panic").drain(..) {
            must(number, arguments);
        }
        exit(0);
    });
    unmask(mask);
    println!("waiting {} {} {tid}", wait.number, wait.timed);
    let (answer, error) = kernel(wait.number, wait.arguments);
    let took = begin.elapsed().as_micros();
    println!("{answer} {error} {} {took}", SIGNALS.load(Ordering::Relaxed));
    nowhere()
}

/// A wait of no row's, so that whoever looks sees that the call has come back.
fn nowhere() -> ! {
    let ([from, _keeps], [_keeps_too, to]) = (pipe(), pipe());
    loop {
        let _ = kernel(libc::SYS_splice, [from, 0, to, 0, 1, 0]);
    }
}

/// Has a signal handled, which for SIGUSR2 only means that it ends what can be ended.
fn handle(signal: i32, handler: extern "C" fn(libc::c_int), restarts: bool) {
    // SAFETY: a sigaction is plain numbers, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = if restarts { libc::SA_RESTART } else { 0 };
    // SAFETY: the handlers do nothing but add to an atomic.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }, 0);
}

/// Blocks every signal, for the thread and those that it creates; returns the mask before.
fn mask_all() -> &'static mut u64 {
    let before = leak(0_u64);
    let all = holding(u64::MAX);
    let block = [libc::SIG_BLOCK.into(), all, at(before), 8, 0, 0];
    must(libc::SYS_rt_sigprocmask, block);
    before
}

fn unmask(mask: &mut u64) {
    must(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK.into(), at(mask), 0, 8, 0, 0]);
}

/// Blocks SIGUSR2 in this thread.
fn block_usr2() {
    let mask = holding(1_u64 << (libc::SIGUSR2 - 1));
    must(libc::SYS_rt_sigprocmask, [libc::SIG_BLOCK.into(), mask, 0, 8, 0, 0]);
}

/// The thread that waits.
static WAITER: AtomicI64 = AtomicI64::new(0);

/// Sends SIGUSR2 to the thread that waits.
fn send_usr2() {
    let (pid, tid) = (i64::from(std::process::id()), WAITER.load(Ordering::Relaxed));
    must(libc::SYS_tgkill, [pid, tid, libc::SIGUSR2.into(), 0, 0, 0]);
}

/// The time-out, from now.
fn relative() -> i64 {
    let nanoseconds = i64::try_from(TIMEOUT.as_nanos()).unwrap_or(0);
    holding([0_i64, nanoseconds])
}

/// The time-out as a moment of a clock.
fn absolute(clock: libc::clockid_t) -> i64 {
    let now = leak([0_i64; 2]);
    must(libc::SYS_clock_gettime, [clock.into(), at(now), 0, 0, 0, 0]);
    let nanoseconds = now[1] + i64::try_from(TIMEOUT.as_nanos()).unwrap_or(0);
    holding([now[0] + nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000])
}

/// Both ends of a pipe: read, write.
fn pipe() -> [i64; 2] {
    let ends = leak([0_i32; 2]);
    must(libc::SYS_pipe2, [at(ends), 0, 0, 0, 0, 0]);
    ends.map(i64::from)
}

/// Writes a byte.
fn write_byte(descriptor: i64) {
    must(libc::SYS_write, [descriptor, holding(b'x'), 1, 0, 0, 0]);
}
