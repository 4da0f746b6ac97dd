//! Starting the program `victim` and asking it how it fared.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A running victim; killed when dropped.
pub struct Running {
    child: Child,
    said: BufReader<ChildStdout>,
    first_line: String,
}

impl Running {
    /// Starts `program` (the path of the `victim` binary) in a mode and waits for its first line.
    ///
    /// # Panics
    ///
    /// When it cannot be started or says nothing.
    #[must_use]
    pub fn start(program: &str, mode: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(mode).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the victim starts");
        let said = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut running = Self { child, said, first_line: String::new() };
        running.first_line = running.line();
        assert!(!running.first_line.is_empty(), "the victim says nothing");
        running
    }

    /// The first line that it printed.
    #[must_use]
    pub fn first_line(&self) -> &str {
        &self.first_line
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// Never: ids are positive ints.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// The next line that it prints; empty at the end.
    ///
    /// # Panics
    ///
    /// When its output cannot be read.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("its output is text");
        line.trim_end().to_owned()
    }

    /// Waits until the kernel has it sleeping in a system call.
    ///
    /// # Panics
    ///
    /// When it does not sleep within five seconds.
    pub fn wait_until_asleep(&self) {
        let begin = Instant::now();
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
            if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S')) {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(5), "it does not sleep: {stat}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Closes its input, which ends it, and returns its last line.
    ///
    /// # Panics
    ///
    /// When it does not end well: it noticed damage.
    pub fn end(&mut self) -> String {
        drop(self.child.stdin.take());
        let mut last = String::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            last = line;
        }
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "the victim ended with {status}: {last}");
        last
    }

    /// How it ended.
    ///
    /// # Panics
    ///
    /// When it cannot be waited for.
    pub fn status(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
