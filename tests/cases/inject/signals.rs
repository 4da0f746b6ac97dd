//! Signals that arrive meanwhile: each once, in order, on the victim's own stacks, and acting afterwards.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pie_blob_inject::{Error, Infected, Target, Victim};
use pie_blob_parasite::parasite;
use pie_blob_tests::victim::Running;
use pie_blob_wild::wild;

fn start(mode: &str) -> Running {
    Running::start(env!("CARGO_BIN_EXE_signals"), &[mode])
}

fn kill(pid: i32, signal: i32) {
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// Queues a signal that carries a number; `false` when the queue is full.
fn queue(pid: i32, signal: i32, number: usize) -> bool {
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(number) };
    // SAFETY: takes two numbers and a value that nobody here dereferences.
    let queued = unsafe { libc::sigqueue(pid, signal, value) } == 0;
    assert!(queued || std::io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN));
    queued
}

fn infect(pid: i32) -> Infected {
    Victim::seize(pid).unwrap().infect(&wild::BLOB).unwrap()
}

/// The letter of its state.
fn state(pid: i32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().trim_start().chars().next().unwrap()
}

/// Waits until its state is this.
fn comes_to(pid: i32, wanted: char) {
    let begin = Instant::now();
    while state(pid) != wanted {
        assert!(begin.elapsed() < Duration::from_secs(10), "{} and not {wanted}", state(pid));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn numbered_signals_arrive_once_and_in_order() {
    let mut victim = start("numbered");
    let pid = victim.pid();
    let (over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if queue(pid, libc::SIGRTMIN() + 1, sent.load(Ordering::Relaxed)) {
                    sent.fetch_add(1, Ordering::Relaxed);
                } else {
                    std::thread::yield_now();
                }
            }
        });
        let begin = Instant::now();
        let mut target = Target::open(pid).unwrap();
        let mut cycles = 0;
        // On a busy machine the sender may come late.
        while cycles < 300 || sent.load(Ordering::Relaxed) < 1000 && begin.elapsed() < Duration::from_secs(60)
        {
            cycles += 1;
            let mut infected = target.seize().unwrap().infect(&parasite::BLOB).unwrap();
            for _ in 0..3 {
                assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
            }
            target = infected.cure().unwrap().release().unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    let sent = sent.into_inner();
    assert!(sent >= 1000, "{sent}");
    let begin = Instant::now();
    loop {
        let line = victim.line();
        if line == sent.to_string() {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(20) && line.parse::<u64>().is_ok(), "{line} of {sent}");
    }
    victim.end();
}

#[test]
fn ticks_and_overruns_are_as_many_as_time_has_passed() {
    let mut victim = start("ticks");
    let mut target = Target::open(victim.pid()).unwrap();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) {
        let mut infected = target.seize().unwrap().infect(&wild::BLOB).unwrap();
        // Longer than a tick, sometimes.
        assert_eq!(infected.call(wild::SLEEPS, (4,)).unwrap(), 0);
        assert_eq!(infected.call(wild::TABLE, (0,)).unwrap(), 7);
        target = infected.cure().unwrap().release().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    for _ in 0..5 {
        let line = victim.line();
        assert!(!line.starts_with("DAMAGED"), "{line}");
    }
    victim.end();
}

#[test]
fn a_victim_that_job_control_has_stopped_stays_stopped() {
    let mut victim = start("continued");
    let pid = victim.pid();
    kill(pid, libc::SIGSTOP);
    comes_to(pid, 'T');
    for _ in 0..10 {
        let mut infected = infect(pid);
        assert_eq!(infected.call(wild::TABLE, (0,)).unwrap(), 7);
        infected.cure().unwrap().release().unwrap();
        comes_to(pid, 'T');
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(state(pid), 'T');
    }
    kill(pid, libc::SIGCONT);
    while victim.line() != "1" {}
    victim.end();
}

#[test]
fn stopping_meanwhile_acts_afterwards() {
    for sleeping in [false, true] {
        let mut victim = start("continued");
        let pid = victim.pid();
        let mut infected = infect(pid);
        if sleeping {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(50));
                    kill(pid, libc::SIGSTOP);
                });
                // Interrupted in a wait of the blob's own, which is as long as if it had not been.
                let begin = Instant::now();
                assert_eq!(infected.call(wild::SLEEPS, (150,)).unwrap(), 0);
                assert!(begin.elapsed() >= Duration::from_millis(149));
            });
        } else {
            kill(pid, libc::SIGSTOP);
        }
        assert_eq!(infected.call(wild::TABLE, (0,)).unwrap(), 7);
        infected.cure().unwrap().release().unwrap();
        comes_to(pid, 'T');
        kill(pid, libc::SIGCONT);
        while victim.line() != "1" {}
        victim.end();
    }
}

#[test]
fn continuing_meanwhile_acts_afterwards() {
    let mut victim = start("continued");
    let pid = victim.pid();
    kill(pid, libc::SIGSTOP);
    comes_to(pid, 'T');
    let mut infected = infect(pid);
    assert_eq!(infected.call(wild::TABLE, (0,)).unwrap(), 7);
    kill(pid, libc::SIGCONT);
    assert_eq!(infected.call(wild::TABLE, (0,)).unwrap(), 7);
    infected.cure().unwrap().release().unwrap();
    while victim.line() != "1" {}
    victim.end();
}

#[test]
fn continuing_takes_back_a_stop_that_came_before() {
    for _ in 0..10 {
        let mut victim = start("continued");
        let pid = victim.pid();
        let mut infected = infect(pid);
        kill(pid, libc::SIGSTOP);
        // This one meets the stop.
        assert_eq!(infected.call(wild::TABLE, (0,)).unwrap(), 7);
        kill(pid, libc::SIGCONT);
        assert_eq!(infected.call(wild::TABLE, (0,)).unwrap(), 7);
        infected.cure().unwrap().release().unwrap();
        while victim.line() != "1" {}
        assert_ne!(state(pid), 'T');
        victim.end();
    }
}

#[test]
fn a_signal_that_ends_it_meanwhile_ends_it_afterwards() {
    for multi in [false, true] {
        let mut victim = if multi { crate::start(&["threads", "3"]) } else { start("continued") };
        let mut infected = infect(victim.pid());
        kill(victim.pid(), libc::SIGTERM);
        assert_eq!(infected.call(wild::TABLE, (0,)).unwrap(), 7);
        let cured = infected.cure().unwrap();
        // It may act before the last thread is let go.
        let released = cured.release();
        assert!(matches!(released, Ok(_) | Err(Error::Died { .. })), "{released:?}");
        let status = victim.status();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGTERM), "{status}");
    }
}

/// It says by what.
fn was_killed(error: &Error) {
    let Error::Died { status: Some(status), .. } = error else { panic!("{error:?}") };
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(status), Some(libc::SIGKILL), "{error}");
    assert!(error.to_string().ends_with("died (signal: 9 (SIGKILL))"), "{error}");
}

#[test]
fn a_victim_that_is_killed_meanwhile_has_died() {
    for multi in [false, true] {
        let mut victim = if multi { crate::start(&["threads", "3"]) } else { start("continued") };
        let pid = victim.pid();
        let mut infected = infect(pid);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                kill(pid, libc::SIGKILL);
            });
            let error = infected.call(wild::SLEEPS, (2000,)).unwrap_err();
            was_killed(&error);
        });
        let error = infected.cure().unwrap_err();
        was_killed(&error);
        let status = victim.status();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL), "{status}");

        // And between two calls.
        let mut victim = if multi { crate::start(&["threads", "3"]) } else { start("continued") };
        let mut infected = infect(victim.pid());
        kill(victim.pid(), libc::SIGKILL);
        let error = infected.call(wild::TABLE, (0,)).unwrap_err();
        was_killed(&error);
        drop(infected);
        let status = victim.status();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL), "{status}");
    }
}

/// A victim that catches every signal that could end a call sees one when the host dies at a call's end: where it would have
/// seen it if somebody had sent it, and not over the handler that it is in.
#[test]
fn a_handler_that_a_host_dies_in_is_found_back_from() {
    for _ in 0..20 {
        let mut victim = start("inside");
        let mut host = std::process::Command::new(env!("CARGO_BIN_EXE_killed"));
        let died = host.arg(victim.pid().to_string()).status().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&died), Some(libc::SIGKILL), "{died}");
        for _ in 0..3 {
            let line = victim.line();
            assert!(line.parse::<u64>().is_ok(), "the victim says {line:?}");
        }
        victim.end();
    }
}
