//! A victim of signals: checks that each arrives once, in order, on a stack of its own, and that no tick is lost.
//!
//! `signals MODE` prints a line a round and ends with its input; with 3 when it finds itself damaged.
//!
//! - `numbered`: SIGRTMIN+1 carries the numbers from 0 on, and is handled on an alternate stack.
//! - `ticks`: a timer sends SIGRTMIN+2 every millisecond; signals and overruns are as many as milliseconds have passed.
//! - `continued`: SIGCONT is handled; a line says how often.
//! - `inside`: spends its time in a handler on its alternate stack, from which it must find back; catches what could end a call.
//! - `sequence`: spends its time in a restartable sequence, and prints first where the word lies that it watches.

use std::io::Write;
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use pie_blob_tests::raw::{at, holding, kernel, leak, must};
use pie_blob_tests::sequence;

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    match mode.as_str() {
        "numbered" => numbered(),
        "ticks" => ticks(),
        "continued" => continued(),
        "inside" => inside(),
        "sequence" => sequence::run(|line| say(&line)),
        _ => exit(2),
    }
}

/// Prints a line and ends with the input.
fn say(line: &str) {
    let input = leak(libc::pollfd { fd: 0, events: 0, revents: 0 });
    let ended =
        kernel(libc::SYS_poll, [at(input), 1, 0, 0, 0, 0]).0 > 0 && input.revents & libc::POLLHUP != 0;
    let mut out = std::io::stdout();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    if ended || written.is_err() {
        exit(0);
    }
}

fn damaged(what: &str) -> ! {
    println!("DAMAGED: {what}");
    exit(3)
}

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn handle(signal: i32, handler: Handler) {
    // SAFETY: a sigaction is plain numbers, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: the handlers of this file do nothing but use atomics.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }, 0);
}

/// How many have arrived, which is the number that the next must carry.
static ARRIVED: AtomicI64 = AtomicI64::new(0);
/// Whether one carried another number.
static OUT_OF_ORDER: AtomicBool = AtomicBool::new(false);
/// Whether one was handled elsewhere than on the alternate stack.
static ELSEWHERE: AtomicBool = AtomicBool::new(false);
static STACK: AtomicU64 = AtomicU64::new(0);
const STACK_SIZE: u32 = 256 * 1024;

extern "C" fn number(_: libc::c_int, information: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a siginfo_t that lives as long as the handler runs.
    let information = unsafe { &*information };
    // SAFETY: the sender of this signal puts a number into its value.
    let number = unsafe { information.si_value() }.sival_ptr.addr();
    let expected = ARRIVED.fetch_add(1, SeqCst);
    if i64::try_from(number) != Ok(expected) {
        OUT_OF_ORDER.store(true, SeqCst);
    }
    let here = (&raw const number).addr() as u64;
    if here.wrapping_sub(STACK.load(SeqCst)) >= u64::from(STACK_SIZE) {
        ELSEWHERE.store(true, SeqCst);
    }
}

fn use_alternate_stack() {
    let stack = holding([0_u8; STACK_SIZE as usize]);
    STACK.store(stack.unsigned_abs(), SeqCst);
    // struct stack_t: address, flags, size.
    must(libc::SYS_sigaltstack, [holding([stack, 0, STACK_SIZE.into()]), 0, 0, 0, 0, 0]);
}

fn numbered() -> ! {
    use_alternate_stack();
    handle(libc::SIGRTMIN() + 1, number);
    loop {
        if OUT_OF_ORDER.load(SeqCst) {
            damaged("a signal was lost, doubled or overtaken");
        }
        if ELSEWHERE.load(SeqCst) {
            damaged("a signal was handled on another stack");
        }
        say(&ARRIVED.load(SeqCst).to_string());
        std::thread::sleep(Duration::from_millis(1));
    }
}

static TICKS: AtomicI64 = AtomicI64::new(0);
static BEGIN: AtomicI64 = AtomicI64::new(0);
/// The smallest distance between ticks and milliseconds since the last line.
static OFF: AtomicI64 = AtomicI64::new(i64::MAX);
/// Whether there ever were more ticks than milliseconds.
static TOO_MANY: AtomicBool = AtomicBool::new(false);

fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

extern "C" fn tick(_: libc::c_int, information: *mut libc::siginfo_t, _: *mut libc::c_void) {
    /// Where `si_overrun` lies in a `siginfo_t`.
    const OVERRUN_AT: usize = 20;
    // SAFETY: the kernel gives a siginfo_t, which is longer than that.
    let place = unsafe { information.byte_add(OVERRUN_AT) };
    // SAFETY: that of a timer has an int there.
    let overruns = unsafe { place.cast::<i32>().read() };
    let ticks = TICKS.fetch_add(1 + i64::from(overruns), SeqCst) + 1 + i64::from(overruns);
    let passed = (now() - BEGIN.load(SeqCst)) / 1_000_000;
    if ticks > passed {
        TOO_MANY.store(true, SeqCst);
    }
    OFF.fetch_min(passed - ticks, SeqCst);
}

fn ticks() -> ! {
    let signal = libc::SIGRTMIN() + 2;
    handle(signal, tick);
    // struct sigevent: value, signal, notification (0: SIGEV_SIGNAL).
    let event = holding([0_i64, i64::from(signal), 0, 0, 0, 0, 0, 0]);
    let timer = leak(0_i32);
    must(libc::SYS_timer_create, [libc::CLOCK_MONOTONIC.into(), event, at(timer), 0, 0, 0]);
    let begin = now() + 1_000_000;
    BEGIN.store(begin - 1_000_000, SeqCst);
    let times = holding([0_i64, 1_000_000, begin / 1_000_000_000, begin % 1_000_000_000]);
    must(libc::SYS_timer_settime, [i64::from(*timer), libc::TIMER_ABSTIME.into(), times, 0, 0, 0]);
    loop {
        // Not one sleep: each tick ends it.
        let until = now() + 50_000_000;
        while now() < until {
            std::hint::spin_loop();
        }
        if TOO_MANY.load(SeqCst) {
            damaged("more ticks than milliseconds");
        }
        let off = OFF.swap(i64::MAX, SeqCst);
        // Between a tick and the look at the clock the thread may wait for its processor, but not each time.
        if off > 1 {
            damaged(&format!("{off} ticks are missing"));
        }
        say(&TICKS.load(SeqCst).to_string());
    }
}

static CONTINUED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    CONTINUED.fetch_add(1, SeqCst);
}

fn continued() -> ! {
    handle(libc::SIGCONT, count);
    loop {
        say(&CONTINUED.load(SeqCst).to_string());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Computes for a while where it was called, on the alternate stack.
extern "C" fn stay(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let numbers = std::hint::black_box([0x5a5a_u64; 64]);
    let until = now() + 20_000_000;
    while now() < until {
        if std::hint::black_box(&numbers).iter().any(|number| *number != 0x5a5a) {
            damaged("the handler's own memory");
        }
    }
}

fn inside() -> ! {
    use_alternate_stack();
    for signal in [libc::SIGURG, libc::SIGWINCH, libc::SIGCHLD] {
        handle(signal, count);
    }
    handle(libc::SIGUSR1, stay);
    let pid = i64::from(std::process::id());
    let mut rounds = 0_u64;
    loop {
        must(libc::SYS_tgkill, [pid, pid, libc::SIGUSR1.into(), 0, 0, 0]);
        rounds += 1;
        say(&rounds.to_string());
    }
}
