//! What is done to every victim.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pie_blob_inject::{CrashRisk, Error, Stop, Target};
use pie_blob_parasite::{Misc, parasite};
use pie_blob_tests::victim::Running;

use crate::kills::{Trial, all, random};
use crate::program::Program;
use crate::state::{check, read, settled};

/// Cycles on one victim.
const CYCLES: usize = 100;
const ALL_CYCLES: usize = 2000;
/// Where it gets on between two cycles: up to so long.
const BETWEEN: Duration = Duration::from_millis(6);
/// Calls of the host's at which it is killed, unless all are asked for.
const POINTS: usize = 12;
/// Victims that are stopped, each with hosts that die beside it.
const STOPS: usize = 5;
const ALL_STOPS: usize = 50;
const HOSTS: usize = 3;
/// About as long as a host takes for its two cycles, on a machine with something else to do.
const TAKES: Duration = Duration::from_millis(20);

/// A victim, and what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Tried {
    pub(crate) source: &'static str,
    pub(crate) arguments: &'static [&'static str],
    /// Whether it is told when its host will die, and then allows one wait to end as SIGSTOP and SIGCONT end it.
    pub(crate) told: bool,
    /// The only risks that may be named.
    pub(crate) risks: &'static [CrashRisk],
    /// Whether any risk may be named: those of its moment, or one that says just what is tried here.
    pub(crate) any_risk: bool,
    /// Whether a cycle may be refused like this, with nothing done.
    pub(crate) refused: fn(&Error) -> bool,
}

impl Tried {
    /// One that is never refused and survives its host.
    pub(crate) const fn new(source: &'static str, arguments: &'static [&'static str]) -> Self {
        Self { source, arguments, told: false, risks: &[], any_risk: false, refused: |_| false }
    }

    fn name(&self) -> String {
        [&[self.source], self.arguments].concat().join(" ")
    }

    fn start(&self, program: &Program, host_dies: bool) -> Running {
        let told: &[&str] = if host_dies && self.told { &["host-dies"] } else { &[] };
        program.start(&[self.arguments, told].concat())
    }

    /// Cycle after cycle, half of which stop one thread only, and it is as before.
    pub(crate) fn injected(&self) {
        let program = Program::of(self.source);
        let mut victim = self.start(&program, false);
        let pid = victim.pid();
        let before = settled(pid);
        let cycles = if all() { ALL_CYCLES } else { CYCLES };
        let mut refused = 0;
        for cycle in 1..=cycles {
            let stop = if cycle % 2 == 0 { Stop::One } else { Stop::All };
            match self.cycle(pid, stop) {
                Err(error) if (self.refused)(&error) => refused += 1,
                Err(error) => panic!(
                    "{}, cycle {cycle}: {error} ({:?}); {}",
                    self.name(),
                    std::error::Error::source(&error),
                    last_words(&mut victim)
                ),
                Ok(()) => {}
            }
            assert!(!has_ended(pid), "{}, cycle {cycle}: {}", self.name(), last_words(&mut victim));
            victim.listen_anew();
            std::thread::sleep(random(BETWEEN));
        }
        check(victim, &before, &self.name());
        println!("{}: {cycles} cycles, {refused} of them refused", self.name());
    }

    fn cycle(&self, pid: i32, stop: Stop) -> Result<(), Error> {
        let target = Target::open(pid)?.stop(stop).prepare(&parasite::BLOB)?;
        let mut infected = target.seize()?.infect(&parasite::BLOB)?;
        let named = infected.crash_risks();
        let known = |risk: &CrashRisk| self.any_risk || self.risks.contains(risk);
        assert!(named.iter().all(known), "{}: {named:?} is named", self.name());
        assert_eq!(infected.call(parasite::PING, ())?, 42);
        let mut misc = Misc::default();
        infected.call(parasite::DUMP_MISC, (&mut misc,))?;
        assert_eq!(misc.pid, pid, "another process has answered");
        assert_eq!(writable_code(pid, infected.base()), [""; 0], "{}", self.name());
        infected.cure()?.release()?;
        Ok(())
    }

    /// At calls and moments of theirs.
    pub(crate) fn hosts_killed(&self) {
        let program = Program::of(self.source);
        let start = |host_dies| self.start(&program, host_dies);
        Trial { points: POINTS, ..Trial::new(&start) }.run(&self.name());
    }

    /// As [`Self::hosts_killed`], with hosts that stop one thread only.
    pub(crate) fn hosts_of_one_thread_killed(&self) {
        let program = Program::of(self.source);
        let start = |host_dies| self.start(&program, host_dies);
        Trial { points: POINTS, told: &["one"], ..Trial::new(&start) }
            .run(&format!("{}, one thread", self.name()));
    }

    /// Hosts die one after the other beside a victim that is stopped by job control and can undo nothing; continued, it is as
    /// before.
    pub(crate) fn stopped(&self) {
        let program = Program::of(self.source);
        for _ in 0..if all() { ALL_STOPS } else { STOPS } {
            let victim = self.start(&program, true);
            let before = settled(victim.pid());
            std::thread::sleep(random(BETWEEN));
            victim.signal(libc::SIGSTOP);
            victim.wait_until_stopped();
            for nth in 0..HOSTS {
                die_beside(victim.pid(), nth % 2 == 1);
                victim.wait_until_stopped();
            }
            victim.signal(libc::SIGCONT);
            check(victim, &before, &format!("{}, continued", self.name()));
        }
    }
}

/// A host that dies at some moment of its cycles, or in a long call of its second one.
fn die_beside(pid: i32, in_a_long_call: bool) {
    let mut host = Command::new(env!("CARGO_BIN_EXE_host"));
    let mut host = host.arg(pid.to_string()).stdout(Stdio::piped()).spawn().unwrap();
    if in_a_long_call {
        // A host that fails says something else, and is as dead.
        let _ = BufReader::new(host.stdout.take().unwrap()).read_line(&mut String::new());
    }
    std::thread::sleep(random(TAKES));
    host.kill().unwrap();
    host.wait().unwrap();
}

fn has_ended(pid: i32) -> bool {
    let status = read(pid, "status");
    status.is_empty() || status.contains("State:\tZ") || status.contains("State:\tX")
}

/// What a victim says that has just failed a cycle, and how it ended if it did.
fn last_words(victim: &mut Running) -> String {
    let begin = Instant::now();
    while !has_ended(victim.pid()) {
        if begin.elapsed() > Duration::from_secs(1) {
            return "the victim goes on".to_owned();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut last = String::new();
    loop {
        let line = victim.line();
        if line.is_empty() {
            return format!("the victim ended with {}: {last:?}", victim.status());
        }
        last = line;
    }
}

/// The areas of a blob at this base that may be written and executed.
fn writable_code(pid: i32, base: u64) -> Vec<String> {
    let mut next = base;
    let maps = read(pid, "maps");
    let areas = maps.lines().filter(|line| {
        let Some((range, _)) = line.split_once(' ') else { return false };
        let Some((start, end)) = range.split_once('-') else { return false };
        let is_next = u64::from_str_radix(start, 16) == Ok(next);
        if is_next {
            next = u64::from_str_radix(end, 16).unwrap_or(0);
        }
        is_next
    });
    areas.filter(|line| line.contains("wx")).map(str::to_owned).collect()
}
