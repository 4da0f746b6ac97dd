//! Victims that cannot survive the death of their host: it is said which and why, they are refused untouched where survival is
//! required, and an undisturbed cycle harms them as little as any other.
//!
//! A user shadow stack is not among them: no kernel that these tests have run on gives one.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pie_blob_inject::{CrashRisk, Error, MappingName, Target};
use pie_blob_parasite::parasite;
use pie_blob_tests::victim::Running;

use crate::kills::Trial;
use crate::own;
use crate::state::{check, names, read, settled};

/// Everything that a refused victim must have as before: the memory map to the byte, and what lies on the stack's low end,
/// where the signal frames would have been.
fn untouched(pid: i32) -> Vec<String> {
    let maps = read(pid, "maps");
    let stack = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
    let low = u64::from_str_radix(stack.split('-').next().unwrap(), 16).unwrap();
    let mut frames = vec![0; 32 * 1024];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&memory, &mut frames, low).unwrap();
    let mut state = vec![maps.clone(), format!("{frames:?}")];
    let fields = ["State", "Threads", "Sig", "Shd", "Seccomp", "NoNewPrivs", "TracerPid", "CoreDumping"];
    let status = read(pid, "status");
    // A victim that computes and sleeps in turn is R or S; only a job-control stop is a state of its own.
    let status = status.replace("R (running)", "S (sleeping)");
    state.extend(status.lines().filter(|line| fields.iter().any(|f| line.starts_with(f))).map(str::to_owned));
    state.extend(names(pid, "fd"));
    state.extend(names(pid, "task"));
    state
}

fn infect(target: Target) -> Result<Vec<CrashRisk>, Error> {
    let mut infected = target.prepare(&parasite::BLOB)?.seize()?.infect(&parasite::BLOB)?;
    let risks = infected.crash_risks().to_vec();
    assert_eq!(infected.call(parasite::PING, ())?, 42);
    infected.cure()?.release()?;
    Ok(risks)
}

/// Refuses, cures, and checks after both.
fn risky(victim: Running, risk: CrashRisk, open: impl Fn(i32) -> Target, afterwards: Option<fn(&Running)>) {
    let pid = victim.pid();
    let settled = settled(pid);
    let before = untouched(pid);
    match infect(open(pid).require_crash_safe()) {
        Err(Error::NotCrashSafe { pid: refused, risks }) => assert_eq!((refused, risks), (pid, vec![risk])),
        other => panic!("{risk:?} is not refused: {other:?}"),
    }
    // Its threads run again a moment after they are let go.
    let begin = Instant::now();
    while untouched(pid) != before {
        assert!(begin.elapsed() < Duration::from_secs(5), "{before:#?}\nhas become\n{:#?}", untouched(pid));
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..20 {
        assert_eq!(infect(open(pid)).unwrap(), [risk]);
        std::thread::sleep(Duration::from_millis(7));
    }
    if let Some(afterwards) = afterwards {
        afterwards(&victim);
    }
    check(victim, &settled, &format!("{risk:?}"));
}

fn open(pid: i32) -> Target {
    Target::open(pid).unwrap()
}

#[test]
fn a_seccomp_filter() {
    risky(own(&["filtered"])(false), CrashRisk::Seccomp, open, None);
}

#[test]
fn every_meaningless_signal_caught() {
    risky(own(&["catching"])(false), CrashRisk::SignalsCaught, open, None);
}

#[test]
fn every_meaningless_signal_waited_for() {
    risky(own(&["blocking"])(false), CrashRisk::SignalsCaught, open, None);
}

/// SIGURG would end the calls, were it not waited for by the victim: one that came meanwhile would be lost.
#[test]
fn a_signal_that_is_waited_for_is_not_lost() {
    let mut victim = own(&["latch"])(false);
    for _ in 0..500 {
        assert_eq!(infect(open(victim.pid()).require_crash_safe()).unwrap(), []);
    }
    victim.end();
}

/// The frames lie below it.
#[test]
fn a_thread_at_the_low_end_of_the_main_stack() {
    Trial { points: 10, ..Trial::new(&own(&["at-the-low-end"])) }.run("at the low end");
}

#[test]
fn a_main_stack_that_is_in_use_while_its_thread_is_elsewhere() {
    Trial { points: 10, ..Trial::new(&own(&["elsewhere"])) }.run("elsewhere");
}

/// Below a stack that is in use to its end lies somebody else's memory, which it may not grow into.
#[test]
fn a_main_stack_that_cannot_grow() {
    for wall in ["none", "read"] {
        let victim = Running::start(env!("CARGO_BIN_EXE_victim"), &["walled", wall]);
        risky(victim, CrashRisk::NoRoomForFrames, open, None);
    }
}

#[test]
fn a_mapping_that_must_have_a_name() {
    let named = |pid| Target::open(pid).unwrap().mapping_name(MappingName::Required);
    risky(own(&["nanosleep"])(false), CrashRisk::Descriptor, named, None);
}

#[test]
fn a_program_without_libc() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("victims/alone.c");
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("alone");
    let flags = ["-O1", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-o"];
    let built = Command::new("cc").args(flags).arg(&program).arg(source).status();
    assert!(built.expect("a C compiler is installed (apt-get install gcc)").success());
    risky(Running::start(program.to_str().unwrap(), &[]), CrashRisk::NoWayBack, open, None);
}

/// Stopped as by Ctrl-Z.
fn stopped(host_dies: bool) -> Running {
    let victim = own(&["registers"])(host_dies);
    victim.signal(libc::SIGSTOP);
    victim.wait_until_stopped();
    victim
}

/// Nobody else has continued it.
fn continued(victim: &Running) {
    victim.wait_until_stopped();
    victim.signal(libc::SIGCONT);
}

#[test]
fn a_stopped_victim() {
    risky(stopped(false), CrashRisk::Stopped, open, Some(continued));
}

/// It cannot undo anything while it is stopped; continued, it is whole again.
#[test]
fn a_stopped_victim_is_healed_when_it_is_continued() {
    Trial { afterwards: Some(continued), points: 20, ..Trial::new(&stopped) }.run("stopped");
}
