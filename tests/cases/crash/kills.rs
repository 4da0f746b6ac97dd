//! The host, killed at each of its system calls and at random times, each time beside a fresh victim.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pie_blob_tests::victim::Running;

use crate::state::{check_but_for, settled};

/// What the host's blob computes and sleeps takes longer than this.
const LONG_CALLS: Duration = Duration::from_millis(6);

/// What is done to a host and its victim.
pub(crate) struct Trial<'a> {
    /// Starts the victim, and tells it whether its host will die.
    pub(crate) start: &'a (dyn Fn(bool) -> Running + Sync),
    /// What is done to the victim once the host is dead, if it takes more than that to go on.
    pub(crate) afterwards: Option<fn(&Running)>,
    /// How many of the host's calls are tried, unless all are asked for.
    pub(crate) points: usize,
    /// Whether the victim has so many threads that only one is tried at a time.
    pub(crate) crowded: bool,
    /// What the host is told beside the victim.
    pub(crate) told: &'a [&'a str],
    /// How many new areas or descriptors the victim may have afterwards.
    pub(crate) stay: usize,
}

impl<'a> Trial<'a> {
    /// Of the usual size, and nothing may stay.
    pub(crate) fn new(start: &'a (dyn Fn(bool) -> Running + Sync)) -> Self {
        Self { start, afterwards: None, points: 40, crowded: false, told: &[], stay: 0 }
    }
}

/// Runs the host, told what is given, under strace.
pub(crate) fn strace(arguments: &[&str], pid: i32, told: &[&str]) -> ExitStatus {
    let mut command = Command::new("strace");
    command.args(arguments).arg(env!("CARGO_BIN_EXE_host")).arg(pid.to_string()).args(told);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("strace is installed (apt-get install strace)")
}

/// The host's system calls in their order, each with how often it was made until then.
fn calls(trial: &Trial<'_>) -> Vec<(String, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let victim = (trial.start)(false);
    let before = settled(victim.pid());
    let status = strace(&["-f", "-o", log.to_str().unwrap()], victim.pid(), trial.told);
    assert!(status.success(), "an undisturbed run fails: {status}");
    trial.check(victim, &before, "nobody killed");
    let log = std::fs::read_to_string(log).unwrap();
    let main = log.split_whitespace().next().unwrap().to_owned();
    let mut counts = BTreeMap::new();
    let lines = log.lines().filter_map(|line| line.strip_prefix(&main)?.trim_start().split_once('('));
    let names = lines.map(|(name, _)| name.to_owned()).filter(|name| {
        name != "execve" && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    names
        .map(|name| {
            let count = counts.entry(name.clone()).or_insert(0);
            *count += 1;
            (name, *count)
        })
        .collect()
}

/// Whether everything is to be tried that can be.
pub(crate) fn all() -> bool {
    std::env::var_os("PIE_BLOB_CRASH").is_some_and(|all| all == "all")
}

impl Trial<'_> {
    /// Kills the host at its calls and at random times and checks each victim.
    pub(crate) fn run(&self, name: &str) {
        let calls = calls(self);
        assert!(calls.len() > 60, "{calls:?}");
        let at_a_time = if self.crowded { 1 } else { 4 };
        let step = if all() { 1 } else { calls.len().div_ceil(self.points) };
        let first = usize::try_from(random(Duration::from_nanos(step as u64)).as_nanos()).unwrap();
        let points: Vec<_> = calls.iter().skip(first).step_by(step).collect();
        let missed = AtomicUsize::new(0);
        at_once(at_a_time, points.len(), |at| {
            let (call, nth) = points[at];
            // A run may make a call less often than the first did: it polls. Then an earlier one of the same is tried.
            let tried = (0..4).map(|quarters| (nth * (4 - quarters)).div_ceil(4));
            if !tried.into_iter().any(|nth| self.killed_at(call, nth)) {
                missed.fetch_add(1, Ordering::Relaxed);
            }
        });
        let missed = missed.into_inner();
        assert!(missed * 10 <= points.len(), "{missed} of {} kills never came", points.len());

        let moments = match (all(), self.crowded) {
            (true, false) => 100,
            (true, true) => 40,
            (false, _) => (self.points / 2).max(8),
        };
        let took = self.undisturbed();
        let within = AtomicUsize::new(0);
        at_once(at_a_time, moments, |at| {
            if at % 2 == 0 {
                self.killed_after(random(took));
            } else {
                within.fetch_add(
                    usize::from(self.killed_in_a_long_call(random(LONG_CALLS))),
                    Ordering::Relaxed,
                );
            }
        });
        let within = within.into_inner();
        assert!(within * 4 >= moments, "{within} of {moments} kills came while the blob ran long");
        println!(
            "{name}: killed at {} of {} calls ({missed} missed) and {moments} moments, {within} in a long call",
            points.len(),
            calls.len(),
        );
    }

    fn check(&self, victim: Running, before: &[String], moment: &str) {
        if let Some(afterwards) = self.afterwards {
            afterwards(&victim);
        }
        check_but_for(self.stay, victim, before, moment);
    }

    /// Whether the kill came.
    fn killed_at(&self, call: &str, nth: usize) -> bool {
        let victim = (self.start)(true);
        let before = settled(victim.pid());
        let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
        let arguments = ["-qq", "-e", &format!("trace={call}"), "-e", &inject];
        let status = strace(&arguments, victim.pid(), self.told);
        self.check(victim, &before, &inject);
        status.signal() == Some(libc::SIGKILL)
    }

    /// How long the host takes when nobody kills it.
    fn undisturbed(&self) -> Duration {
        let victim = (self.start)(false);
        let before = settled(victim.pid());
        let begin = Instant::now();
        let mut host = self.host(&victim);
        let status = host.wait().unwrap();
        let took = begin.elapsed();
        assert!(status.success(), "an undisturbed run fails: {status}");
        self.check(victim, &before, "nobody killed");
        took
    }

    fn killed_after(&self, wait: Duration) {
        let victim = (self.start)(true);
        let before = settled(victim.pid());
        let mut host = self.host(&victim);
        std::thread::sleep(wait);
        host.kill().unwrap();
        host.wait().unwrap();
        self.check(victim, &before, &format!("killed after {wait:?}"));
    }

    /// Waits until the host begins its long calls; whether it was still there to be killed.
    fn killed_in_a_long_call(&self, wait: Duration) -> bool {
        let victim = (self.start)(true);
        let before = settled(victim.pid());
        let mut host = self.host(&victim);
        let mut said = String::new();
        BufReader::new(host.stdout.take().unwrap()).read_line(&mut said).unwrap();
        std::thread::sleep(wait);
        host.kill().unwrap();
        let status = host.wait().unwrap();
        assert_eq!(said, "calling\n");
        self.check(victim, &before, &format!("killed {wait:?} into a long call"));
        status.signal() == Some(libc::SIGKILL)
    }

    fn host(&self, victim: &Running) -> std::process::Child {
        let mut host = Command::new(env!("CARGO_BIN_EXE_host"));
        host.arg(victim.pid().to_string()).args(self.told).stdout(Stdio::piped()).spawn().unwrap()
    }
}

/// Up to this long.
pub(crate) fn random(limit: Duration) -> Duration {
    let limit = u64::try_from(limit.as_nanos()).unwrap().max(1);
    Duration::from_nanos(RandomState::new().build_hasher().finish() % limit)
}

/// Does all of them, a few at a time.
fn at_once(at_a_time: usize, count: usize, one: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    one(at);
                }
            });
        }
    });
}
