//! One injection on a busy machine, beside the same by compel: two processes that spin for every processor, a victim that
//! sleeps and one that computes.
//!
//! Nobody is pinned anywhere. What counts is how long the victim stands still, in the middle and at worst: on such a machine
//! a tracer that gives its processor up may get it back many milliseconds later, with its victim stopped.

mod support;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::contest::{Contest, Process};
use support::pairs::tenth;
use support::{compel, processors};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many cycles in a row before it is the other's turn: few, because the load changes from second to second.
const BLOCK: u64 = 5;
/// How long each victim is measured.
const LONG: Duration = Duration::from_secs(40);
const SPINNING_PER_PROCESSOR: usize = 2;

/// The median and the ninth tenth.
fn figures(stopped: &[f64]) -> Result<[f64; 2]> {
    Ok([tenth(stopped, 5).ok_or("no cycles")?, tenth(stopped, 9).ok_or("no cycles")?])
}

fn contest(name: &str, victim: Process, peer: Option<&Path>) -> Result<()> {
    let mut contest = Contest::new(victim, peer)?;
    // The first cycles fault pages in, here and there.
    contest.turn(BLOCK)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    while begin.elapsed() < LONG {
        let turn = contest.turn(BLOCK)?;
        ours.extend(turn.0);
        theirs.extend(turn.1.into_iter().flatten());
    }
    let [median, worst] = figures(&ours)?;
    let mut line = format!("{name}: ours {median:.0} us, p90 {worst:.0} us ({} cycles)", ours.len());
    if !theirs.is_empty() {
        let [their_median, their_worst] = figures(&theirs)?;
        line += &format!(
            "; compel {their_median:.0} us, p90 {their_worst:.0} us; ratios {:.3} and {:.3}",
            median / their_median,
            worst / their_worst
        );
    }
    println!("  {line}");
    Ok(())
}

fn measure() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let peer = compel::injector(folder.path());
    let processors = processors::allowed()?.len();
    let count = processors * SPINNING_PER_PROCESSOR;
    let _spinning: Vec<Process> = (0..count).map(|_| Process::computing()).collect::<Result<_>>()?;
    println!(
        "a victim is stopped on {processors} processors, on which {count} processes spin (the goal: a median of at most 0.4 of compel's, a p90 of at most 0.2):"
    );
    contest("sleeping", Process::sleeping()?, peer.as_deref())?;
    contest("computing", Process::computing()?, peer.as_deref())?;
    if peer.is_none() {
        println!("  {}", compel::MISSING);
    }
    Ok(())
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("busy: {error}");
            ExitCode::FAILURE
        }
    }
}
