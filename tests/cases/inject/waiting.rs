//! The tracing thread's waits: they block, and every one of them has an end.

use std::time::{Duration, Instant};

use pie_blob_inject::{Error, Target};
use pie_blob_wild::wild;

use crate::{cycle, start};

/// What every real-time signal does in this process.
fn dispositions() -> Vec<usize> {
    let all = libc::SIGRTMIN()..=libc::SIGRTMAX();
    all.map(|signal| {
        // SAFETY: a sigaction is plain numbers, for which zeros are a value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: with no new action, the call only writes the present one.
        assert_eq!(unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) }, 0);
        action.sa_sigaction
    })
    .collect()
}

/// Nothing of this process is as it was not before, although its thread had to be interrupted.
#[test]
fn an_interrupted_wait_leaves_the_hosts_signals_as_they_were() {
    let before = dispositions();
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    let tracer = std::thread::spawn(move || {
        let (deadline, grace) = (Duration::from_millis(50), Duration::from_millis(100));
        let target = Target::open(pid).unwrap().deadline(deadline).stop_within(grace);
        let mut infected = target.seize().unwrap().infect(&wild::BLOB).unwrap();
        let begin = Instant::now();
        let error = infected.call(wild::HANGS, (2000,)).unwrap_err();
        assert!(matches!(error, Error::DidNotStop { .. }), "{error}");
        assert!(begin.elapsed() < Duration::from_millis(1900), "{:?}", begin.elapsed());
    });
    tracer.join().unwrap();
    assert_eq!(dispositions(), before);
    victim.end();
}

/// Such a thread cannot be interrupted: it polls.
#[test]
fn a_host_that_blocks_every_signal_has_the_same_ends() {
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    let host = std::thread::spawn(move || {
        // SAFETY: a sigset_t is plain bits, for which zeros are a value.
        let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is this thread's own.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: reads one set, and changes this thread's mask only.
        let set = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut()) };
        assert_eq!(set, 0);
        let mut target = Target::open(pid).unwrap();
        for _ in 0..20 {
            target = cycle(target);
        }
        let target = target.deadline(Duration::from_millis(50)).stop_within(Duration::from_millis(100));
        let mut infected = target.seize().unwrap().infect(&wild::BLOB).unwrap();
        let error = infected.call(wild::ENDLESS, ()).unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error}");
        infected.cure().unwrap().release().unwrap();
        let target = Target::open(pid).unwrap().deadline(Duration::from_millis(50));
        let target = target.stop_within(Duration::from_millis(100));
        let mut infected = target.seize().unwrap().infect(&wild::BLOB).unwrap();
        let begin = Instant::now();
        let error = infected.call(wild::HANGS, (2000,)).unwrap_err();
        assert!(matches!(error, Error::DidNotStop { .. }), "{error}");
        assert!(begin.elapsed() < Duration::from_millis(1900), "{:?}", begin.elapsed());
    });
    host.join().unwrap();
    victim.line();
    victim.end();
}

/// A deadline is kept as well as the watchdog looks: to 20 ms, and what the machine adds.
#[test]
fn a_deadline_ends_a_call_about_then() {
    let mut victim = start(&["registers"]);
    let target = Target::open(victim.pid()).unwrap().deadline(Duration::from_millis(100));
    let mut infected = target.seize().unwrap().infect(&wild::BLOB).unwrap();
    let begin = Instant::now();
    let error = infected.call(wild::ENDLESS, ()).unwrap_err();
    let took = begin.elapsed();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(4), "{took:?}");
    infected.cure().unwrap().release().unwrap();
    victim.end();
}

/// The first thread's end is told only when the ends of the others have been taken.
#[test]
fn a_process_that_is_killed_does_not_keep_its_host() {
    let victim = start(&["threads", "8"]);
    let pid = victim.pid();
    let mut infected = Target::open(pid).unwrap().seize().unwrap().infect(&wild::BLOB).unwrap();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        // SAFETY: takes two numbers.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
    });
    let begin = Instant::now();
    let error = infected.call(wild::SLEEPS, (5000,)).unwrap_err();
    killer.join().unwrap();
    assert!(matches!(error, Error::Died { .. }), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}
