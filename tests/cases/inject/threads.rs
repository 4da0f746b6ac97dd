//! Which thread runs the blob, what the others do meanwhile, and many of all.

use std::time::Duration;

use pie_blob_inject::{CrashRisk, Error, Others, Target, Victim};
use pie_blob_parasite::{Misc, parasite};
use pie_blob_tests::victim::Running;
use pie_blob_wild::wild;

use crate::{cycle, start};

/// The threads that `/proc` lists and that have not ended.
fn listed(pid: i32) -> Vec<i32> {
    let ended = |tid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_none_or(|rest| {
            rest.is_empty() || rest.starts_with([' ']) && rest[1..].starts_with(['Z', 'X'])
        })
    };
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let tids = entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
    let mut tids: Vec<i32> = tids.filter(|tid| !ended(*tid)).collect();
    tids.sort_unstable();
    tids
}

#[test]
fn every_thread_can_run_an_export() {
    let mut victim = start(&["threads", "6"]);
    for _ in 0..20 {
        let held = Victim::seize(victim.pid()).unwrap();
        let before = held.snapshot().unwrap();
        let threads = held.threads().to_vec();
        assert!(threads.len() > 6);
        let mut infected = held.infect(&parasite::BLOB).unwrap();
        for tid in threads.iter().chain(&threads[..2]) {
            let mut misc = Misc::default();
            infected.call_in(*tid, Others::Stopped, parasite::DUMP_MISC, (&mut misc,)).unwrap();
            assert_eq!((misc.pid, misc.tid), (victim.pid(), *tid));
        }
        assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
        // A thread that is creating another has every signal blocked meanwhile.
        assert!(infected.crash_risks().iter().all(|risk| *risk == CrashRisk::SignalsCaught));
        let cured = infected.cure().unwrap();
        assert_eq!(before.differences(&cured.snapshot().unwrap()), []);
        cured.release().unwrap();
        victim.line();
    }
    victim.end();
}

/// How often a thread has gone to sleep since it began.
fn sleeps(pid: i32, tid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn the_others_run_on_while_one_runs_an_export() {
    // The first thread looks after the others every millisecond; the second runs the export.
    let mut victim = start(&["threads", "4"]);
    let pid = victim.pid();
    for _ in 0..5 {
        let held = Victim::seize(pid).unwrap();
        // Those that stay are the oldest; the first of all only waits for them.
        let tid = held.threads().iter().copied().filter(|tid| *tid != pid).min().unwrap();
        let mut infected = held.infect(&wild::BLOB).unwrap();
        for (tid, others, looked_after) in
            [(tid, Others::Running, true), (tid, Others::Stopped, false), (pid, Others::Running, false)]
        {
            let before = sleeps(pid, pid);
            assert_eq!(infected.call_in(tid, others, wild::SLEEPS, (200,)).unwrap(), 0);
            // A call in the first thread is a sleep of its own.
            let slept = sleeps(pid, pid) - before;
            assert_eq!(slept > 10, looked_after, "{slept} sleeps in 200 ms, {others:?} in {tid}");
        }
        let base = infected.base();
        let target = infected.cure().unwrap().release().unwrap();
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        assert!(!maps.contains(&format!("{base:x}-")), "{maps}");
        cycle(target);
        victim.line();
    }
    victim.end();
}

#[test]
fn a_fault_in_any_thread_is_cured_with_the_others_running() {
    let mut victim = start(&["threads", "4"]);
    for _ in 0..10 {
        let held = Victim::seize(victim.pid()).unwrap();
        let tid = *held.threads().last().unwrap();
        let mut infected = held.infect(&wild::BLOB).unwrap();
        let error = infected.call_in(tid, Others::Running, wild::READ_NOTHING, ()).unwrap_err();
        assert!(matches!(error, Error::Fault { signal: libc::SIGSEGV, .. }), "{error}");
        infected.cure().unwrap().release().unwrap();
        victim.line();
    }
    victim.end();
}

#[test]
fn only_the_first_thread_is_crash_safe_while_others_run() {
    let mut victim = start(&["threads", "2"]);
    let held = Target::open(victim.pid()).unwrap().require_crash_safe().seize().unwrap();
    let tid = *held.threads().iter().find(|tid| **tid != victim.pid()).unwrap();
    let mut infected = held.infect(&wild::BLOB).unwrap();
    let error = infected.call_in(tid, Others::Running, wild::TABLE, (0,)).unwrap_err();
    assert!(
        matches!(&error, Error::NotCrashSafe { risks, .. } if *risks == [CrashRisk::PageStays]),
        "{error}"
    );
    assert_eq!(infected.call_in(victim.pid(), Others::Running, wild::TABLE, (0,)).unwrap(), 7);
    match infected.call_in(tid, Others::Stopped, wild::TABLE, (1,)) {
        Ok(answer) => assert_eq!(answer, 5),
        // It is creating another, with every signal blocked.
        Err(Error::NotCrashSafe { risks, .. }) => assert_eq!(risks, [CrashRisk::SignalsCaught]),
        Err(error) => panic!("{error}"),
    }
    infected.cure().unwrap().release().unwrap();
    victim.end();
}

#[test]
fn a_thread_of_another_process_is_none() {
    let (mut victim, mut other) = (start(&["nanosleep"]), start(&["nanosleep"]));
    let mut infected = Victim::seize(victim.pid()).unwrap().infect(&parasite::BLOB).unwrap();
    for others in [Others::Stopped, Others::Running] {
        let error = infected.call_in(other.pid(), others, parasite::PING, ()).unwrap_err();
        assert!(matches!(error, Error::NoSuchThread { tid, .. } if tid == other.pid()), "{error}");
    }
    assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
    infected.cure().unwrap().release().unwrap();
    victim.end();
    other.end();
}

#[test]
fn all_threads_are_held_while_they_come_and_go() {
    let mut victim = start(&["threads", "64"]);
    let pid = victim.pid();
    let mut target = Target::open(pid).unwrap();
    for _ in 0..200 {
        let held = target.seize().unwrap();
        let mut threads = held.threads().to_vec();
        threads.sort_unstable();
        // A thread that has ended but is not gone yet is listed and cannot be held.
        assert_eq!(threads, listed(pid));
        target = held.release().unwrap();
    }
    cycle(target);
    victim.end();
}

#[test]
fn one_host_infects_many_victims_at_once() {
    // As many again are the host's own children, ended by it: no tracer takes another's stop or a child's end.
    let victims: Vec<Running> = (0..8).map(|_| start(&["nanosleep"])).collect();
    let threads: Vec<_> = victims
        .into_iter()
        .map(|mut victim| {
            std::thread::spawn(move || {
                let mut target = Target::open(victim.pid()).unwrap();
                for _ in 0..100 {
                    target = cycle(target);
                    let ended = std::process::Command::new("true").status().unwrap();
                    assert!(ended.success());
                }
                std::thread::sleep(Duration::from_millis(50));
                victim.end();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_process_whose_first_thread_has_ended() {
    let mut victim = start(&["first-thread-ends"]);
    for _ in 0..20 {
        cycle(Target::open(victim.pid()).unwrap());
        victim.line();
    }
    victim.end();
}

/// It is traced from its start, because new threads are while all are being seized.
#[test]
fn a_thread_that_the_blob_creates_runs() {
    let mut victim = start(&["busy", "2"]);
    let held = Victim::seize(victim.pid()).unwrap();
    let tid = held.threads().iter().copied().find(|tid| *tid != victim.pid()).unwrap();
    let mut infected = held.infect(&wild::BLOB).unwrap();
    for _ in 0..3 {
        assert_eq!(infected.call(wild::CREATES, ()).unwrap(), 0);
    }
    for others in [Others::Stopped, Others::Running] {
        assert_eq!(infected.call_in(tid, others, wild::CREATES, ()).unwrap(), 0);
    }
    infected.cure().unwrap().release().unwrap();
    victim.end();
}

/// A filter is a thread's own, and so is what it means.
#[test]
fn a_filter_of_another_thread_is_seen() {
    let mut victim = start(&["filtered-thread"]);
    let target = Target::open(victim.pid()).unwrap().require_crash_safe();
    let victim_held = target.seize().unwrap();
    let tid = victim_held.threads().iter().copied().find(|tid| *tid != victim.pid()).unwrap();
    let mut infected = victim_held.infect(&parasite::BLOB).unwrap();
    assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
    let error = infected.call_in(tid, Others::Stopped, parasite::PING, ()).unwrap_err();
    match &error {
        Error::NotCrashSafe { risks, .. } => assert_eq!(*risks, [CrashRisk::Seccomp]),
        // Whoever may not put it to sleep.
        Error::Seccomp { .. } => {}
        _ => panic!("{error}"),
    }
    infected.cure().unwrap().release().unwrap();
    victim.end();
}

#[test]
fn a_victim_is_not_seized_twice() {
    let mut victim = start(&["nanosleep"]);
    let held = Victim::seize(victim.pid()).unwrap();
    let error = Victim::seize(victim.pid()).unwrap_err();
    assert!(matches!(error, Error::AlreadyTraced { .. }), "{error}");
    assert_eq!(held.threads(), [victim.pid()]);
    held.release().unwrap();
    victim.end();
}

#[test]
fn times_may_be_as_long_as_they_like() {
    let mut victim = start(&["nanosleep"]);
    let target = Target::open(victim.pid()).unwrap().deadline(Duration::MAX).stop_within(Duration::MAX);
    cycle(target);
    victim.end();
}

/// Where this thread may run.
fn processors() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    status.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap().to_owned()
}

#[test]
fn the_host_may_run_where_it_could_before_whoever_is_released_first() {
    let before = processors();
    let (mut one, mut other) = (start(&["nanosleep"]), start(&["nanosleep"]));
    let first = Victim::seize(one.pid()).unwrap();
    let second = Victim::seize(other.pid()).unwrap();
    first.release().unwrap();
    second.release().unwrap();
    assert_eq!(processors(), before);
    one.end();
    other.end();
}

/// Its status is its own, and the process's is asked for.
#[test]
fn a_process_is_found_by_any_of_its_threads() {
    let mut victim = start(&["busy", "2"]);
    let tid = listed(victim.pid()).into_iter().find(|tid| *tid != victim.pid()).unwrap();
    let target = Target::open(tid).unwrap();
    assert_eq!(target.pid(), victim.pid());
    cycle(target);
    victim.end();
}

/// No signal of the faults can be blocked: one that somebody sends meanwhile is sent again to whom it was meant for.
#[test]
fn a_signal_for_one_thread_goes_to_that_thread() {
    let mut victim = start(&["notes"]);
    let pid = victim.pid();
    let held = Victim::seize(pid).unwrap();
    let tid = held.threads().iter().copied().find(|tid| *tid != pid).unwrap();
    let mut infected = held.infect(&wild::BLOB).unwrap();
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        // SAFETY: takes three numbers.
        unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, libc::SIGSEGV) }
    });
    // Ended by the signal, or not yet begun when it came.
    let slept = infected.call_in(tid, Others::Stopped, wild::SLEEPS, (60,)).unwrap();
    assert!([0, -libc::EINTR].contains(&slept), "{slept}");
    assert_eq!(sender.join().unwrap(), 0);
    infected.cure().unwrap().release().unwrap();
    victim.listen_anew();
    for _ in 0..3 {
        assert!(victim.line().parse::<u64>().is_ok());
    }
    victim.end();
}
