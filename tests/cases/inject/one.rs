//! One thread is stopped, and the others do what they like meanwhile.

use std::time::{Duration, Instant};

use pie_blob_inject::{CrashRisk, Difference, Error, Infected, Others, Stop, Target, Victim};
use pie_blob_parasite::{Misc, parasite};
use pie_blob_tests::victim::Running;
use pie_blob_wild::wild;

use crate::start;

/// Long before this a hang would have been noticed.
const SOON: Duration = Duration::from_secs(10);

fn one(pid: i32) -> Victim {
    Target::open(pid).unwrap().stop(Stop::One).seize().unwrap()
}

/// Sleeps in the first thread of a victim, whose second one does what it is told meanwhile.
fn sleeping_while(what: &str) -> (Running, Infected, Result<i32, Error>) {
    let victim = start(&["others", what]);
    let mut infected = one(victim.pid()).infect(&wild::BLOB).unwrap();
    assert_eq!(infected.thread(), victim.pid());
    let pid = victim.pid();
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        // SAFETY: takes two numbers.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGUSR2) }, 0);
    });
    let slept = infected.call(wild::SLEEPS, (300,));
    sender.join().unwrap();
    (victim, infected, slept)
}

#[test]
fn the_others_run_on() {
    let mut victim = start(&["threads", "6"]);
    let held = one(victim.pid());
    assert_eq!(held.threads().len(), 1);
    let mut infected = held.infect(&wild::BLOB).unwrap();
    let before = ticks(victim.pid());
    assert_eq!(infected.call(wild::SLEEPS, (200,)).unwrap(), 0);
    assert!(ticks(victim.pid()) > before, "its threads have computed meanwhile");
    infected.cure().unwrap().release().unwrap();
    victim.end();
}

/// The processor time of a process, in ticks.
fn ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn the_thread_that_is_named_runs_the_blob() {
    let mut victim = start(&["busy", "3"]);
    let pid = victim.pid();
    let held = Victim::seize(pid).unwrap();
    let threads = held.threads().to_vec();
    held.release().unwrap();
    for tid in threads {
        let held = Target::open(pid).unwrap().stop(Stop::Thread(tid)).seize().unwrap();
        assert_eq!(held.threads(), [tid]);
        let mut infected = held.infect(&parasite::BLOB).unwrap();
        let mut misc = Misc::default();
        infected.call(parasite::DUMP_MISC, (&mut misc,)).unwrap();
        assert_eq!((misc.pid, misc.tid, infected.thread()), (pid, tid, tid));
        let risks = infected.crash_risks().to_vec();
        assert_eq!(risks.contains(&CrashRisk::FirstThreadRuns), tid != pid, "{risks:?}");
        let other = if tid == pid { tid + 1 } else { pid };
        let error = infected.call_in(other, Others::Stopped, parasite::PING, ()).unwrap_err();
        assert!(matches!(error, Error::NoSuchThread { .. }), "{error}");
        infected.cure().unwrap().release().unwrap();
        victim.listen_anew();
        victim.line();
    }
    victim.end();
}

/// What the threads share is the others' to change meanwhile.
#[test]
fn what_others_do_is_no_difference() {
    let mut victim = start(&["threads", "4"]);
    for _ in 0..20 {
        let held = one(victim.pid());
        let before = held.snapshot().unwrap();
        assert!(!before.is_whole());
        let mut infected = held.infect(&wild::BLOB).unwrap();
        infected.call(wild::COMPUTES, (3_000_000,)).unwrap();
        let cured = infected.cure().unwrap();
        // The first thread's sleep starts again where the blob has waited itself, be it for a lock of the kernel's.
        let is_sleep = |difference: &Difference| *difference == Difference::Registers(victim.pid());
        let differences = before.differences(&cured.snapshot().unwrap());
        assert!(differences.iter().all(is_sleep), "{differences:?}");
        cured.release().unwrap();
    }
    let alone = start(&["nanosleep"]);
    assert!(one(alone.pid()).snapshot().unwrap().is_whole());
    victim.end();
}

#[test]
fn where_it_must_be_crash_safe_it_is_the_first() {
    let mut victim = start(&["threads", "3"]);
    let target = Target::open(victim.pid()).unwrap().stop(Stop::One).require_crash_safe();
    let held = target.seize().unwrap();
    assert_eq!(held.threads(), [victim.pid()]);
    held.release().unwrap();
    victim.end();
}

#[test]
fn a_thread_of_another_process_is_let_go() {
    let (mut victim, mut other) = (start(&["nanosleep"]), start(&["nanosleep"]));
    let target = Target::open(victim.pid()).unwrap().stop(Stop::Thread(other.pid()));
    let error = target.seize().unwrap_err();
    assert!(matches!(error, Error::NoSuchThread { tid, .. } if tid == other.pid()), "{error}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", other.pid())).unwrap();
    assert!(status.contains("TracerPid:\t0\n"), "{status}");
    other.listen_anew();
    other.line();
    victim.end();
    other.end();
}

/// Another host holds one of its threads, and the first is traced by nobody.
#[test]
fn a_second_host_is_told_of_the_first() {
    let mut victim = start(&["busy", "2"]);
    let pid = victim.pid();
    let held = Victim::seize(pid).unwrap();
    let tid = *held.threads().iter().find(|tid| **tid != pid).unwrap();
    held.release().unwrap();
    let mut infected =
        Target::open(pid).unwrap().stop(Stop::Thread(tid)).seize().unwrap().infect(&parasite::BLOB).unwrap();
    let other = std::thread::spawn(move || {
        let error = Target::open(pid).and_then(Target::seize).map(drop).unwrap_err();
        assert!(matches!(error, Error::AlreadyTraced { .. }), "{error}");
    });
    other.join().unwrap();
    assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
    infected.cure().unwrap().release().unwrap();
    victim.listen_anew();
    victim.line();
    victim.end();
}

#[test]
fn another_thread_executes_a_program() {
    let begin = Instant::now();
    let (victim, infected, slept) = sleeping_while("executes");
    let error = slept.unwrap_err();
    assert!(
        matches!(error, Error::Changed { .. } | Error::ThreadEnded { .. } | Error::Died { .. }),
        "{error}"
    );
    infected.cure().unwrap_err();
    let name = || std::fs::read_to_string(format!("/proc/{}/comm", victim.pid())).unwrap_or_default();
    while name() != "sleep\n" {
        assert!(begin.elapsed() < SOON, "{}", name());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn another_thread_ends_the_process() {
    let (mut victim, infected, slept) = sleeping_while("exits");
    let error = slept.unwrap_err();
    assert!(matches!(error, Error::Died { .. }), "{error}");
    infected.cure().unwrap_err();
    assert_eq!(victim.status().code(), Some(7));
}

#[test]
fn another_thread_unmaps_the_blob() {
    let (mut victim, infected, slept) = sleeping_while("unmaps");
    let error = slept.unwrap_err();
    assert!(matches!(error, Error::Fault { signal: libc::SIGSEGV, .. }), "{error}");
    infected.cure().unwrap().release().unwrap();
    victim.listen_anew();
    victim.line();
    victim.end();
}

/// What lies at the chosen base since is another's, and stays.
#[test]
fn another_thread_maps_where_the_blob_was_to_go() {
    let mut victim = start(&["fills"]);
    let target = Target::open(victim.pid()).unwrap().stop(Stop::One).prepare(&parasite::BLOB).unwrap();
    victim.signal(libc::SIGUSR1);
    victim.line();
    let before = std::fs::read_to_string(format!("/proc/{}/maps", victim.pid())).unwrap();
    let mut infected = target.require_crash_safe().seize().unwrap().infect(&parasite::BLOB).unwrap();
    assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
    infected.cure().unwrap().release().unwrap();
    let after = std::fs::read_to_string(format!("/proc/{}/maps", victim.pid())).unwrap();
    let areas = |maps: &str| {
        maps.lines().filter(|line| !line.contains("[heap]") && !line.contains("[stack]")).count()
    };
    assert_eq!(areas(&after), areas(&before));
    victim.end();
}

#[test]
fn a_child_that_another_thread_makes_has_no_copy() {
    let (mut victim, infected, slept) = sleeping_while("forks");
    assert_eq!(slept.unwrap(), 0);
    let base = infected.base();
    infected.cure().unwrap().release().unwrap();
    let child = loop {
        if let Some(child) = victim.line().strip_prefix("child ") {
            break child.to_owned();
        }
    };
    let maps = std::fs::read_to_string(format!("/proc/{child}/maps")).unwrap();
    assert!(!maps.contains("pie_blob") && !maps.contains(&format!("{base:x}-")), "{maps}");
    victim.end();
}

#[test]
fn job_control_stops_it_meanwhile() {
    let mut victim = start(&["threads", "2"]);
    let pid = victim.pid();
    let mut infected = one(pid).infect(&wild::BLOB).unwrap();
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        // SAFETY: takes two numbers.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGSTOP) }, 0);
    });
    assert_eq!(infected.call(wild::SLEEPS, (300,)).unwrap(), 0);
    sender.join().unwrap();
    infected.cure().unwrap().release().unwrap();
    victim.signal(libc::SIGCONT);
    victim.listen_anew();
    victim.line();
    victim.end();
}

/// The blob's mapping does not stay, and the others are not kept.
#[test]
fn a_blob_ends_its_thread() {
    for (stop, first) in [(Stop::All, true), (Stop::All, false), (Stop::One, false)] {
        let mut victim = start(&["busy", "3"]);
        let pid = victim.pid();
        let held = Victim::seize(pid).unwrap();
        let tid = if first { pid } else { *held.threads().iter().find(|tid| **tid != pid).unwrap() };
        held.release().unwrap();
        let stop = if stop == Stop::One { Stop::Thread(tid) } else { stop };
        let mut infected =
            Target::open(pid).unwrap().stop(stop).seize().unwrap().infect(&wild::BLOB).unwrap();
        let base = infected.base();
        let begin = Instant::now();
        let ended = match stop {
            Stop::All => infected.call_in(tid, Others::Stopped, wild::ENDS_THREAD, ()),
            _ => infected.call(wild::ENDS_THREAD, ()),
        };
        let error = ended.unwrap_err();
        assert!(matches!(error, Error::ThreadEnded { tid: ended, .. } if ended == tid), "{error}");
        infected.cure().unwrap().release().unwrap();
        assert!(begin.elapsed() < Duration::from_secs(3), "the others were kept for {:?}", begin.elapsed());
        let maps = std::fs::read_to_string(format!("/proc/{}/task/{}/maps", pid, another(pid, tid))).unwrap();
        assert!(!maps.contains(&format!("{base:x}-")), "{maps}");
        // What is left of it finds that a thread does not get on any more, and ends.
        victim.signal(libc::SIGKILL);
        victim.status();
    }
}

fn another(pid: i32, tid: i32) -> i32 {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut tids = entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
    tids.find(|other| *other != tid && *other != pid).unwrap()
}
