//! Victims that cannot survive the death of their tracer, each for a reason of its own; with a living one they must.

use std::arch::asm;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{WAIT, WAIT_MS, at, kernel, leak};

/// A filter that ends the program for a call which it never makes and an injection does: `mprotect`.
pub(crate) fn filtered() -> impl FnMut() -> Result<(), String> {
    const LOAD_NUMBER: (u16, u8, u8, u32) = (0x20, 0, 0, 0);
    const ALLOW: (u16, u8, u8, u32) = (0x06, 0, 0, libc::SECCOMP_RET_ALLOW);
    const KILL: (u16, u8, u8, u32) = (0x06, 0, 0, libc::SECCOMP_RET_KILL_PROCESS);
    const JUMP_IF_EQUAL: u16 = 0x15;
    let number = |call: i64| u32::try_from(call).unwrap_or(u32::MAX);
    let program = [LOAD_NUMBER, (JUMP_IF_EQUAL, 1, 0, number(libc::SYS_mprotect)), ALLOW, KILL];
    let program = leak(program.map(|(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k }));
    let program = leak(libc::sock_fprog { len: 4, filter: program.as_mut_ptr() });
    kernel(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS.into(), 1, 0, 0, 0, 0]);
    let (_, refused) =
        kernel(libc::SYS_seccomp, [libc::SECCOMP_SET_MODE_FILTER.into(), 0, at(program), 0, 0, 0]);
    let time = at(leak([0_i64, i64::from(WAIT_MS) * 1_000_000]));
    move || {
        let answer = kernel(libc::SYS_nanosleep, [time, 0, 0, 0, 0, 0]);
        match (refused, answer) {
            (0, (0, _)) => Ok(()),
            _ => Err(format!("no filter ({refused}) or no sleep ({answer:?})")),
        }
    }
}

/// A second thread with such a filter, which the first has not.
pub(crate) fn filtered_thread() -> impl FnMut() -> Result<(), String> {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    std::thread::spawn(|| {
        let mut round = filtered();
        while round().is_ok() {
            ROUNDS.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut last = 0;
    move || {
        let begin = Instant::now();
        while ROUNDS.load(Ordering::Relaxed) == last {
            if begin.elapsed() > Duration::from_secs(30) {
                return Err("the thread with the filter stands still".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        last = ROUNDS.load(Ordering::Relaxed);
        Ok(())
    }
}

/// A second thread, and a handler that notes which of the two it runs in. Damaged when that was the first.
pub(crate) fn notes() -> impl FnMut() -> Result<(), String> {
    static NOTED: AtomicI64 = AtomicI64::new(0);
    extern "C" fn note(_: libc::c_int) {
        NOTED.store(kernel(libc::SYS_gettid, [0; 6]).0, Ordering::Relaxed);
    }
    let handler: extern "C" fn(libc::c_int) = note;
    // SAFETY: the handler does nothing but store in an atomic.
    unsafe { libc::signal(libc::SIGSEGV, handler as libc::sighandler_t) };
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(WAIT);
        }
    });
    let own = kernel(libc::SYS_gettid, [0; 6]).0;
    move || {
        std::thread::sleep(WAIT);
        if NOTED.load(Ordering::Relaxed) == own {
            Err("a signal for the other thread".to_owned())
        } else {
            Ok(())
        }
    }
}

/// Catches every signal that means nothing by default, and is damaged when one comes.
pub(crate) fn catching() -> impl FnMut() -> Result<(), String> {
    static CAUGHT: AtomicU64 = AtomicU64::new(0);
    extern "C" fn caught(_: libc::c_int) {
        CAUGHT.fetch_add(1, Ordering::Relaxed);
    }
    for signal in [libc::SIGURG, libc::SIGWINCH, libc::SIGCHLD] {
        let handler: extern "C" fn(libc::c_int) = caught;
        // SAFETY: the handler does nothing but count in an atomic.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
    let time = at(leak([0_i64, i64::from(WAIT_MS) * 1_000_000]));
    move || {
        let (answer, errno) = kernel(libc::SYS_nanosleep, [time, 0, 0, 0, 0, 0]);
        match (answer, CAUGHT.load(Ordering::Relaxed)) {
            (0, 0) => Ok(()),
            (_, caught) => Err(format!("{caught} signals caught, answer {answer}, error {errno}")),
        }
    }
}

/// A descriptor that says when one of these signals is pending, and the signals blocked for it.
fn waited_for(signals: &[libc::c_int]) -> i64 {
    let mask = signals.iter().fold(0_u64, |mask, signal| mask | 1 << (signal - 1));
    let mask = at(leak(mask));
    kernel(libc::SYS_rt_sigprocmask, [libc::SIG_BLOCK.into(), mask, 0, 8, 0, 0]);
    kernel(libc::SYS_signalfd4, [-1, mask, 8, 0, 0, 0]).0
}

/// Waits for every signal that means nothing by default, and is damaged when one comes: nobody sends any.
pub(crate) fn blocking() -> impl FnMut() -> Result<(), String> {
    let descriptor = i32::try_from(waited_for(&[libc::SIGURG, libc::SIGWINCH, libc::SIGCHLD])).unwrap_or(-1);
    let input = at(leak(libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 }));
    move || match kernel(libc::SYS_poll, [input, 1, WAIT_MS.into(), 0, 0, 0]) {
        (0, _) => Ok(()),
        answer => Err(format!("a signal that nobody has sent: {answer:?}")),
    }
}

/// Waits for SIGURG as a database's processes do for each other: another process sends one, waits until this one has seen
/// it and sends the next, so that one that is lost is missed for ever.
pub(crate) fn latch() -> impl FnMut() -> Result<(), String> {
    let signals = waited_for(&[libc::SIGURG]);
    let pipe = leak([0_i32; 2]);
    kernel(libc::SYS_pipe2, [at(pipe), 0, 0, 0, 0, 0]);
    let [seen, see] = pipe.map(i64::from);
    let byte = at(leak(0_u8));
    let own = kernel(libc::SYS_getpid, [0; 6]).0;
    // SAFETY: the child makes system calls and nothing else.
    if unsafe { libc::fork() } == 0 {
        kernel(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG.into(), libc::SIGKILL.into(), 0, 0, 0, 0]);
        kernel(libc::SYS_close, [see, 0, 0, 0, 0, 0]);
        loop {
            kernel(libc::SYS_kill, [own, libc::SIGURG.into(), 0, 0, 0, 0]);
            if kernel(libc::SYS_read, [seen, byte, 1, 0, 0, 0]).0 != 1 {
                std::process::exit(0);
            }
        }
    }
    let input =
        at(leak(libc::pollfd { fd: i32::try_from(signals).unwrap_or(-1), events: libc::POLLIN, revents: 0 }));
    let information = at(leak([0_u8; 128]));
    move || {
        for _ in 0..1000 {
            // Not for ever, so that a lost one is told.
            let (ready, _) = kernel(libc::SYS_poll, [input, 1, 5000, 0, 0, 0]);
            if ready != 1 {
                return Err(format!("a signal is lost: {ready}"));
            }
            kernel(libc::SYS_read, [signals, information, 128, 0, 0, 0]);
            kernel(libc::SYS_write, [see, byte, 1, 0, 0, 0]);
        }
        Ok(())
    }
}

/// A thread whose stack pointer is at the low end of the main stack for good: it sleeps there again and again.
pub(crate) fn at_the_low_end() -> impl FnMut() -> Result<(), String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let stack = maps.lines().find(|line| line.ends_with("[stack]")).and_then(|line| line.split('-').next());
    let low = stack.and_then(|start| i64::from_str_radix(start, 16).ok()).map_or(0, |start| start + 1024);
    let turns: &'static AtomicU64 = leak(AtomicU64::new(0));
    let damage: &'static AtomicI64 = leak(AtomicI64::new(0));
    let time = at(leak([0_i64, i64::from(WAIT_MS) * 1_000_000]));
    std::thread::spawn(move || {
        // SAFETY: nothing is pushed on the borrowed stack: the loop makes system calls only, and writes to two leaked
        // atomics. It ends by sleeping for ever; no signal is caught.
        unsafe {
            asm!(
                "mov rsp, r12",
                "2: mov eax, 35",
                "mov rdi, r13",
                "xor esi, esi",
                "syscall",
                "test rax, rax",
                "jnz 3f",
                "lock inc qword ptr [r14]",
                "jmp 2b",
                "3: mov [r15], rax",
                "4: mov eax, 34",
                "syscall",
                "jmp 4b",
                in("r12") low,
                in("r13") time,
                in("r14") turns,
                in("r15") damage,
                options(noreturn),
            );
        }
    });
    let mut before = 0;
    move || {
        let begin = Instant::now();
        while turns.load(Ordering::Relaxed) == before {
            let damage = damage.load(Ordering::Relaxed);
            if damage != 0 || begin.elapsed() > Duration::from_secs(10) {
                return Err(format!(
                    "the thread at the low end does not get on: its sleep answered {damage}"
                ));
            }
            std::thread::sleep(WAIT / 20);
        }
        before = turns.load(Ordering::Relaxed);
        Ok(())
    }
}

/// Meets a breakpoint of its own again and again, and counts how often its handler has seen one.
pub(crate) fn faults() -> impl FnMut() -> Result<(), String> {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    extern "C" fn handler(_: libc::c_int) {
        SEEN.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: a sigaction is plain numbers, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    // SAFETY: the handler does nothing but count.
    assert_eq!(unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, std::ptr::null_mut()) }, 0);
    let mut met = 0;
    move || {
        for _ in 0..1000 {
            // SAFETY: the handler comes back to the next instruction.
            unsafe { asm!("int3") };
            met += 1;
            let seen = SEEN.load(Ordering::Relaxed);
            if seen != met {
                return Err(format!("{seen} of {met} breakpoints seen"));
            }
        }
        Ok(())
    }
}
