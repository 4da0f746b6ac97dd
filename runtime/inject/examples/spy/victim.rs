//! The victim that `spy` starts when it is given none: computes with every vector register loaded, counts its rounds,
//! checks itself and notes the longest time that it was not running.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::registers::best_round;

/// The argument that makes this program a victim.
pub(crate) const MODE: &str = "be-the-victim";

/// What the victim says of itself at the end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Rounds of loading, spinning and checking.
    pub(crate) rounds: u64,
    /// Rounds after which a register was not what it had been.
    pub(crate) damaged: u64,
    /// The longest time between two rounds, in microseconds.
    pub(crate) largest_gap_us: u64,
    /// Which registers were loaded.
    pub(crate) registers: String,
}

/// A victim of our own, and the pipe that keeps it going.
pub(crate) struct Own {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Own {
    pub(crate) fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(format!("--{MODE}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stdout.take().ok_or("the victim has no output")?);
        // Its first line says that it is computing.
        said.read_line(&mut String::new())?;
        Ok(Self { child, said })
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or_default()
    }

    /// Lets it run a little longer, ends it and returns its account.
    pub(crate) fn stop(mut self) -> Result<Account> {
        std::thread::sleep(std::time::Duration::from_millis(50));
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("the victim ended with {status}").into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

/// Runs until the standard input ends.
pub(crate) fn main() -> Result<ExitCode> {
    let (registers, round) = best_round();
    println!("computing");
    std::io::stdout().flush()?;
    let mut account = Account { rounds: 0, damaged: 0, largest_gap_us: 0, registers: registers.to_owned() };
    let mut last = Instant::now();
    while !input_ended() {
        account.rounds += 1;
        if !round() {
            account.damaged += 1;
        }
        let now = Instant::now();
        let gap = u64::try_from(now.duration_since(last).as_micros())?;
        account.largest_gap_us = account.largest_gap_us.max(gap);
        last = now;
    }
    println!("{}", serde_json::to_string(&account)?);
    Ok(if account.damaged == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn input_ended() -> bool {
    let mut descriptor = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor, borrowed for the call.
    let ready = unsafe { libc::poll(&raw mut descriptor, 1, 0) };
    ready > 0
}
