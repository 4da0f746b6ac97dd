//! Injections into one process by this crate and by compel, in blocks that take turns.
//!
//! A cycle is: stop, infect, one call, cure, resume. What counts is for how long the victim stands still.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use pie_blob_inject::Target;
use pie_blob_parasite::parasite;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A process that runs until this is dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Sleeps in one system call.
    pub(crate) fn sleeping() -> Result<Self> {
        Ok(Self(Command::new("sleep").arg("3600").spawn()?))
    }

    /// Computes, and makes no system call at all.
    pub(crate) fn computing() -> Result<Self> {
        Ok(Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn()?))
    }

    pub(crate) fn pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.0.id())?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Injects from this thread.
pub(crate) struct Ours {
    /// `None` only while a cycle runs.
    target: Option<Target>,
}

impl Ours {
    pub(crate) fn new(pid: i32) -> Result<Self> {
        Ok(Self { target: Some(Target::open(pid)?) })
    }

    /// One cycle; for how long the victim was stopped.
    pub(crate) fn cycle(&mut self) -> Result<Duration> {
        let target = self.target.take().ok_or("an earlier cycle failed")?;
        let victim = target.prepare(&parasite::BLOB)?.seize()?;
        let since = victim.stopped_since();
        let mut infected = victim.infect(&parasite::BLOB)?;
        let answer = infected.call(parasite::PING, ())?;
        self.target = Some(infected.cure()?.release()?);
        let stopped = since.elapsed();
        if answer == 42 { Ok(stopped) } else { Err(format!("ping answered {answer}").into()) }
    }

    /// Cycles in a row; how long each was, in microseconds.
    pub(crate) fn block(&mut self, cycles: u64) -> Result<Vec<f64>> {
        (0..cycles).map(|_| Ok(self.cycle()?.as_secs_f64() * 1e6)).collect()
    }
}

/// Injects from a process of its own, by compel's library.
pub(crate) struct Theirs {
    process: Child,
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Theirs {
    fn start(program: &Path, pid: i32) -> Result<Self> {
        let mut command = Command::new(program);
        let mut process =
            command.arg(pid.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (asked, answers) = (process.stdin.take(), process.stdout.take());
        let (Some(asked), Some(answers)) = (asked, answers) else { return Err("no pipes".into()) };
        Ok(Self { process, asked, answers: BufReader::new(answers) })
    }

    fn block(&mut self, cycles: u64) -> Result<Vec<f64>> {
        writeln!(self.asked, "{cycles}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let stopped: Vec<f64> =
            line.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
        if stopped.len() as u64 == cycles { Ok(stopped) } else { Err("compel_cycle has failed".into()) }
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // Between two blocks it has nothing in the victim.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Both, with one victim.
pub(crate) struct Contest {
    ours: Ours,
    theirs: Option<Theirs>,
    /// Ends after what works on it.
    _victim: Process,
}

impl Contest {
    /// `peer` is the program that injects by compel's library; it may run where this thread may.
    pub(crate) fn new(victim: Process, peer: Option<&Path>) -> Result<Self> {
        let pid = victim.pid()?;
        let theirs = peer.map(|program| Theirs::start(program, pid)).transpose()?;
        Ok(Self { ours: Ours::new(pid)?, theirs, _victim: victim })
    }

    /// A block of ours, then one of theirs: for how long the victim was stopped in each cycle, in microseconds.
    pub(crate) fn turn(&mut self, cycles: u64) -> Result<(Vec<f64>, Option<Vec<f64>>)> {
        let ours = self.ours.block(cycles)?;
        let theirs = self.theirs.as_mut().map(|theirs| theirs.block(cycles)).transpose()?;
        Ok((ours, theirs))
    }
}
