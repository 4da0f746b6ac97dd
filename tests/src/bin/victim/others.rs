//! Victims whose second thread does something when the first one receives SIGUSR2.

use std::sync::atomic::{AtomicI32, Ordering};

use crate::{WAIT_MS, at, kernel, leak, rounds};

/// The child that was made, if one was.
static CHILD: AtomicI32 = AtomicI32::new(0);

/// Sleeps and prints, while another thread waits for SIGUSR2 and then does what it is told.
pub(crate) fn when_told(what: &str) -> ! {
    let act: fn() = match what {
        "executes" => executes,
        "exits" => exits,
        "forks" => forks,
        "unmaps" => unmaps,
        _ => crate::usage(),
    };
    let set = leak(1_u64 << (libc::SIGUSR2 - 1));
    let set = at(set);
    kernel(libc::SYS_rt_sigprocmask, [libc::SIG_BLOCK.into(), set, 0, 8, 0, 0]);
    std::thread::spawn(move || {
        kernel(libc::SYS_rt_sigtimedwait, [set, 0, 0, 8, 0, 0]);
        act();
        loop {
            std::thread::park();
        }
    });
    let time = at(leak([0_i64, i64::from(WAIT_MS) * 1_000_000]));
    let mut child = 0;
    rounds(move || {
        let (slept, _) = kernel(libc::SYS_nanosleep, [time, 0, 0, 0, 0, 0]);
        let made = CHILD.load(Ordering::Relaxed);
        if std::mem::replace(&mut child, made) != made {
            println!("child {made}");
        }
        if slept == 0 { Ok(()) } else { Err("a sleep was ended".to_owned()) }
    })
}

/// Becomes another program.
fn executes() {
    let program = leak(*b"/bin/sleep\0");
    let name = leak(*b"sleep\0");
    let time = leak(*b"60\0");
    let arguments = leak([at(name), at(time), 0]);
    kernel(libc::SYS_execve, [at(program), at(arguments), at(leak(0_i64)), 0, 0, 0]);
}

/// Ends the process.
fn exits() {
    kernel(libc::SYS_exit_group, [7, 0, 0, 0, 0, 0]);
}

/// Unmaps all code that belongs to no file: a blob.
fn unmaps() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for line in
        maps.lines().filter(|line| line.contains(" r-xp 00000000 00:00 0 ") && !line.contains("[vdso]"))
    {
        let ends = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
        let number = |digits: &str| i64::from_str_radix(digits, 16).unwrap_or(0);
        if let Some((start, end)) = ends.map(|(start, end)| (number(start), number(end))) {
            kernel(libc::SYS_munmap, [start, end - start, 0, 0, 0, 0]);
        }
    }
}

/// Makes a child that waits for ever.
fn forks() {
    // SAFETY: the child makes one call again and again and nothing else.
    let child = unsafe { libc::fork() };
    if child == 0 {
        kernel(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG.into(), libc::SIGKILL.into(), 0, 0, 0, 0]);
        loop {
            kernel(libc::SYS_pause, [0; 6]);
        }
    }
    CHILD.store(child, Ordering::Relaxed);
}
