//! Victims that go on as if nothing had been: registers, waits, threads.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pie_blob_inject::{CrashRisk, Error, MappingName, Target, Victim};
use pie_blob_parasite::parasite;

use crate::{cycle, start};

/// Injects for half a second into a victim that checks every round, and has it end well.
fn again_and_again(mode: &[&str]) {
    let mut victim = start(mode);
    let mut target = Target::open(victim.pid()).unwrap();
    let begin = Instant::now();
    let mut cycles = 0;
    while begin.elapsed() < Duration::from_millis(500) || cycles <= 5 {
        target = cycle(target);
        cycles += 1;
        // Not so fast that a call that starts from the beginning never ends.
        std::thread::sleep(Duration::from_millis(if cycles % 2 == 0 { 45 } else { 7 }));
    }
    let rounds: u64 = victim.end().parse().unwrap();
    assert!(rounds > 1, "{rounds} rounds");
}

#[test]
fn every_vector_register_is_kept() {
    again_and_again(&["registers"]);
}

#[test]
fn a_sleep_ends_on_time_and_without_an_error() {
    again_and_again(&["nanosleep"]);
}

#[test]
fn waits_go_on() {
    for call in ["poll", "ppoll", "select", "futex", "read"] {
        again_and_again(&[call]);
    }
}

#[test]
fn waits_that_a_mere_stop_would_end_go_on() {
    for call in ["epoll_wait", "sigtimedwait", "semtimedop", "recv"] {
        again_and_again(&[call]);
    }
}

#[test]
fn a_long_sleep_takes_its_own_time_however_often_it_is_interrupted() {
    let begin = Instant::now();
    let mut sleep = std::process::Command::new("sleep").arg("1").spawn().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let mut target = Target::open(i32::try_from(sleep.id()).unwrap()).unwrap();
    let mut cycles = 0;
    // As often as a busy machine lets it, until shortly before its end.
    while begin.elapsed() < Duration::from_millis(800) {
        target = cycle(target);
        cycles += 1;
    }
    assert!(cycles >= 10, "{cycles}");
    assert!(sleep.wait().unwrap().success());
    let took = begin.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_millis(1500)).contains(&took), "{took:?}");
}

#[test]
fn a_program_that_is_only_being_started() {
    // Spawning comes back while the kernel still maps the program.
    for _ in 0..200 {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let victim = Target::open(pid).unwrap().require_crash_safe().seize().unwrap();
        let mut infected = victim.infect(&parasite::BLOB).unwrap();
        assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
        infected.cure().unwrap().release().unwrap();
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn dropping_cures_as_well() {
    let mut victim = start(&["nanosleep"]);
    let seized = Victim::seize(victim.pid()).unwrap();
    let before = seized.snapshot().unwrap();
    let mut infected = seized.infect(&parasite::BLOB).unwrap();
    infected.call(parasite::PING, ()).unwrap();
    drop(infected);
    let after = Victim::seize(victim.pid()).unwrap().snapshot().unwrap();
    // The victim has gone on, so its registers differ; nothing else may.
    let differences = before.differences(&after);
    let mere_progress = |d: &pie_blob_inject::Difference| {
        matches!(d, pie_blob_inject::Difference::Registers(_) | pie_blob_inject::Difference::ExtendedState(_))
    };
    assert!(differences.iter().all(mere_progress), "{differences:?}");
    victim.end();
}

#[test]
fn the_mapping_is_never_writable_and_executable_and_has_a_guard() {
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    let mut infected = Victim::seize(pid).unwrap().infect(&parasite::BLOB).unwrap();
    infected.call(parasite::PING, ()).unwrap();
    let base = infected.base();
    let end = base + parasite::BLOB.size();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let permissions: Vec<&str> = maps
        .lines()
        .filter(|line| {
            let start = u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
            (base..end).contains(&start)
        })
        .map(|line| line.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(permissions, ["r-xp", "r--p", "rw-p", "---p", "rw-p"]);
    infected.cure().unwrap().release().unwrap();
    assert!(!std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().contains(&format!("{base:x}-")));
    victim.end();
}

#[test]
fn a_mapping_that_must_have_a_name_has_one_and_leaves_no_descriptor() {
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    let target = Target::open(pid).unwrap().mapping_name(MappingName::Required);
    let seized = target.seize().unwrap();
    let before = seized.snapshot().unwrap();
    let mut infected = seized.infect(&parasite::BLOB).unwrap();
    assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
    assert_eq!(infected.crash_risks(), [CrashRisk::Descriptor]);
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    assert_eq!(maps.lines().filter(|line| line.contains("/memfd:pie_blob")).count(), 5, "{maps}");
    let cured = infected.cure().unwrap();
    assert_eq!(before.differences(&cured.snapshot().unwrap()), []);
    let refused = cured.release().unwrap().require_crash_safe().seize().unwrap_err();
    assert!(
        matches!(refused, Error::NotCrashSafe { ref risks, .. } if *risks == [CrashRisk::Descriptor]),
        "{refused}"
    );
    victim.end();
}
