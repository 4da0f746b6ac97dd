//! A process that is looked at again and again still gets through its waits.

use std::time::{Duration, Instant};

use pie_blob_inject::{Stop, Target};
use pie_blob_parasite::parasite;

use crate::kills::random;
use crate::program::Program;

/// How long it is injected: sixty of its waits.
const LONG: Duration = Duration::from_secs(3);
/// Much less than a wait, between two cycles.
const BETWEEN: Duration = Duration::from_millis(10);
/// What the longest wait may take beyond four times that of a process that nobody touches: a fraction of what one takes that
/// begins anew with each cycle.
const SLACK: u64 = 500;

fn gets_through(wait: &str) {
    let program = Program::of("waiting.c");
    let mut untouched = program.start(&[wait, "beside"]);
    let mut victim = program.start(&[wait, "beside"]);
    // The thread that waits is not the one that is stopped: another minds less.
    let mut target = Target::open(victim.pid()).unwrap().stop(Stop::One);
    let begin = Instant::now();
    let mut cycles = 0;
    while begin.elapsed() < LONG {
        let mut infected =
            target.prepare(&parasite::BLOB).unwrap().seize().unwrap().infect(&parasite::BLOB).unwrap();
        assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
        target = infected.cure().unwrap().release().unwrap();
        cycles += 1;
        std::thread::sleep(random(BETWEEN));
    }
    // The wait that is going on has an end now, and is counted.
    victim.listen_anew();
    let longest: u64 = victim.line().parse().unwrap();
    untouched.listen_anew();
    let usual: u64 = untouched.line().parse().unwrap();
    println!("{wait}: {cycles} cycles, the longest wait took {longest} ms, another process's {usual} ms");
    assert!(
        longest < 4 * usual + SLACK,
        "{wait} of 50 ms took {longest} ms while the process was injected {cycles} times; {usual} ms elsewhere"
    );
    victim.end();
    untouched.end();
}

/// A process of one thread has no other. Its wait starts again each time, and ends once it is left alone for as long.
#[test]
fn a_wait_ends_in_the_first_pause_that_is_long_enough() {
    const INJECTED: Duration = Duration::from_millis(500);
    let mut victim = Program::of("waiting.c").start(&["epoll_wait"]);
    let mut target = Target::open(victim.pid()).unwrap();
    let begin = Instant::now();
    while begin.elapsed() < INJECTED {
        target = target.seize().unwrap().release().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    victim.listen_anew();
    // The next line is of the wait that was started again last, or of a later one.
    let longest: u64 = victim.line().parse().unwrap();
    // It had begun before the first stop.
    assert!(u128::from(longest) < begin.elapsed().as_millis() + 500, "{longest} ms");
    victim.end();
}

#[test]
fn epoll_wait_is_not_starved() {
    gets_through("epoll_wait");
}

#[test]
fn sigtimedwait_is_not_starved() {
    gets_through("sigtimedwait");
}

#[test]
fn semtimedop_is_not_starved() {
    gets_through("semtimedop");
}

/// An event that comes while the process is stopped ends the wait at once, and the next wait is made with the same registers: it
/// is another, and its time begins with it.
#[test]
fn no_wait_is_answered_before_its_time() {
    let mut victim = Program::of("events.c").start(&[]);
    let mut target = Target::open(victim.pid()).unwrap();
    let begin = Instant::now();
    while begin.elapsed() < LONG {
        let Ok(held) = target.seize() else { break };
        // Most events come while it is stopped.
        std::thread::sleep(random(BETWEEN));
        let Ok(released) = held.release() else { break };
        target = released;
        std::thread::sleep(Duration::from_micros(200));
    }
    victim.listen_anew();
    victim.line();
    victim.end();
}
