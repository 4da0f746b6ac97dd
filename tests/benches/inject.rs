//! One injection into a sleeping process, beside the same by compel: stop, infect, one call, cure, resume.
//!
//! What counts is how long the victim stands still. Both run on the victim's processor, then both on another one, in
//! blocks that take turns; the ratio is taken block by block. How many system calls a cycle takes is counted by strace
//! for both, as the difference between many cycles and one.

mod support;

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use criterion::Criterion;
use pie_blob_inject::tracer_calls;

use support::contest::{Contest, Ours, Process};
use support::pairs::{Pairs, quartiles};
use support::{compel, processors};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many cycles in a row before it is the other's turn.
const BLOCK: u64 = 20;
/// `CYCLES PID`: what this program is asked by itself, to be looked at by strace.
const VARIABLE: &str = "PIE_BLOB_BENCH_CYCLES";

/// Both, with one sleeping victim, on processors of their own.
struct Placed {
    contest: Contest,
    blocks: Pairs,
    alone: Vec<f64>,
}

impl Placed {
    fn new(peer: Option<&Path>, victim_on: usize, tracer_on: usize) -> Result<Self> {
        let victim = Process::sleeping()?;
        processors::pin(victim.pid()?, &[victim_on])?;
        // A child inherits where its parent may run.
        processors::pin(0, &[tracer_on])?;
        let contest = Contest::new(victim, peer)?;
        let mut placed = Self { contest, blocks: Pairs::default(), alone: Vec::new() };
        // The first cycles fault pages in, here and there.
        placed.cycles(BLOCK)?;
        placed.blocks = Pairs::default();
        placed.alone = Vec::new();
        Ok(placed)
    }

    /// Runs so many cycles of both, block by block; what ours and theirs took, in microseconds.
    fn cycles(&mut self, cycles: u64) -> Result<[f64; 2]> {
        let mut sums = [0.0; 2];
        let mut left = cycles;
        while left > 0 {
            let block = left.min(BLOCK);
            left -= block;
            let (ours, theirs) = self.contest.turn(block)?;
            sums[0] += ours.iter().sum::<f64>();
            let Some(theirs) = theirs else {
                self.alone.extend(ours);
                continue;
            };
            sums[1] += theirs.iter().sum::<f64>();
            if let (Some([_, ours, _]), Some([_, theirs, _])) = (quartiles(ours), quartiles(theirs)) {
                self.blocks.add(ours, theirs);
            }
        }
        Ok(sums)
    }

    fn line(&self) -> String {
        match self.blocks.summary() {
            Some(summary) => format!("ours : compel = {summary}"),
            None => match quartiles(self.alone.clone()) {
                Some([low, median, high]) => {
                    format!("ours {median:.1} us (quartiles {low:.1} to {high:.1})")
                }
                None => "not measured".to_owned(),
            },
        }
    }
}

/// System calls of one cycle: many cycles less one, counted by strace. `None` without strace.
fn system_calls(run: impl Fn(&mut Command, u64) -> Result<()>) -> Result<Option<f64>> {
    const MANY: u64 = 101;
    let folder = tempfile::tempdir()?;
    let total = |cycles: u64| -> Result<Option<f64>> {
        let summary = folder.path().join("summary");
        let mut strace = Command::new("strace");
        if strace.arg("-V").output().is_err() {
            return Ok(None);
        }
        let mut strace = Command::new("strace");
        strace.args(["-c", "-f", "-o"]).arg(&summary);
        run(&mut strace, cycles)?;
        let text = std::fs::read_to_string(&summary)?;
        let total = text.lines().find(|line| line.ends_with(" total")).ok_or("strace counted nothing")?;
        Ok(Some(total.split_whitespace().nth(3).ok_or("strace says it differently now")?.parse()?))
    };
    let (Some(many), Some(one)) = (total(MANY)?, total(1)?) else { return Ok(None) };
    Ok(Some((many - one) / (MANY - 1) as f64))
}

fn our_system_calls(pid: i32) -> Result<Option<f64>> {
    system_calls(|strace, cycles| {
        let status = strace
            .arg(std::env::current_exe()?)
            .env(VARIABLE, format!("{cycles} {pid}"))
            .stdout(Stdio::null())
            .status()?;
        if status.success() { Ok(()) } else { Err("strace of our own cycles failed".into()) }
    })
}

fn their_system_calls(program: &Path, pid: i32) -> Result<Option<f64>> {
    system_calls(|strace, cycles| {
        let mut process =
            strace.arg(program).arg(pid.to_string()).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        writeln!(process.stdin.take().ok_or("no pipe")?, "{cycles}")?;
        if process.wait()?.success() { Ok(()) } else { Err("strace of compel_cycle failed".into()) }
    })
}

/// What a cycle costs in system calls: with the tracer where its victim is, and with one that goes there each time.
fn count_calls(peer: Option<&Path>, cpus: &[usize]) -> Result<Vec<String>> {
    let victim = Process::sleeping()?;
    let pid = victim.pid()?;
    processors::pin(pid, cpus.get(..1).unwrap_or_default())?;
    let mut lines = Vec::new();
    for (place, tracer_on) in [("one processor", cpus.get(..1).unwrap_or_default()), ("unpinned", cpus)] {
        processors::pin(0, tracer_on)?;
        let mut ours = Ours::new(pid)?;
        ours.cycle()?;
        let before = tracer_calls();
        ours.cycle()?;
        let mut line =
            format!("{place}, system calls of a cycle: ours {} by its own count", tracer_calls() - before);
        if let Some(by_strace) = our_system_calls(pid)? {
            line += &format!(", {by_strace:.1} by strace's");
            if let Some(theirs) = peer.map(|program| their_system_calls(program, pid)).transpose()?.flatten()
            {
                line += &format!("; compel {theirs:.1}; ratio {:.3}", by_strace / theirs);
            }
        } else {
            line += "; install strace for the other counts";
        }
        lines.push(line);
    }
    Ok(lines)
}

fn measure(criterion: &mut Criterion) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let peer = compel::injector(folder.path());
    let cpus = processors::allowed()?;
    let mut places = Vec::new();
    if let [first, rest @ ..] = &*cpus {
        places.push(("one processor", *first, *first));
        places.extend(rest.first().map(|second| ("two processors", *first, *second)));
    }
    let mut lines = Vec::new();
    for (name, victim_on, tracer_on) in places {
        let mut placed = Placed::new(peer.as_deref(), victim_on, tracer_on)?;
        for (index, who) in ["pie_blob", "compel"].iter().enumerate().take(1 + usize::from(peer.is_some())) {
            criterion.bench_function(&format!("{name}/{who}"), |bencher| {
                bencher.iter_custom(|iterations| {
                    let sums = placed.cycles(iterations).expect("a cycle failed");
                    Duration::from_secs_f64(sums[index] / 1e6)
                });
            });
        }
        lines.push(format!("{name}, victim stopped: {}", placed.line()));
    }
    lines.extend(count_calls(peer.as_deref(), &cpus)?);
    if peer.is_none() {
        lines.push(compel::MISSING.to_owned());
    }
    println!("an injection into a sleeping process:");
    for line in lines {
        println!("  {line}");
    }
    Ok(())
}

/// What strace looks at: cycles and nothing else.
fn cycles_only(asked: &str) -> Result<()> {
    let (cycles, pid) = asked.split_once(' ').ok_or("CYCLES PID")?;
    Ours::new(pid.parse()?)?.block(cycles.parse()?)?;
    Ok(())
}

fn main() -> ExitCode {
    let result = match std::env::var(VARIABLE) {
        Ok(asked) => cycles_only(&asked),
        Err(_) => {
            let configuration = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
            measure(&mut configuration.configure_from_args())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("inject: {error}");
            ExitCode::FAILURE
        }
    }
}
