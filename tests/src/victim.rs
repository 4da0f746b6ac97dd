//! Starting the program `victim` and asking it how it fared.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long a victim may say nothing: on a busy machine, with many threads of its own.
const SILENT: Duration = Duration::from_secs(60);

/// A running victim; killed when dropped.
pub struct Running {
    child: Child,
    said: Receiver<String>,
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
        let output = child.stdout.take().expect("its output is a pipe");
        let (say, said) = mpsc::channel();
        // Reads whatever happens, so that a victim never waits for a test, and a test not for ever for a victim.
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            for line in lines {
                if say.send(line).is_err() {
                    break;
                }
            }
        });
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
    /// When it says nothing for a minute and does not end either.
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    pub fn line(&mut self) -> String {
        match self.said.recv_timeout(SILENT) {
            Ok(line) => line.trim_end().to_owned(),
            Err(RecvTimeoutError::Disconnected) => String::new(),
            Err(RecvTimeoutError::Timeout) => {
                panic!("the victim {} has said nothing for {SILENT:?}", self.pid())
            }
        }
    }

    /// Forgets what it has said until now, unless that was no number: the next line is one that it says from now on.
    ///
    /// # Panics
    ///
    /// When it has said something else than numbers: that it is damaged.
    pub fn listen_anew(&mut self) {
        for line in self.said.try_iter() {
            assert!(line.parse::<u64>().is_ok(), "the victim has said {line:?}");
        }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// When there is no such signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: takes two numbers; the id is that of a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
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

    /// Waits until it is stopped by job control, and traced by nobody.
    ///
    /// # Panics
    ///
    /// When it is not stopped within five seconds.
    pub fn wait_until_stopped(&self) {
        let begin = Instant::now();
        loop {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
            if status.contains("State:\tT (stopped)") {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(5), "it does not stop: {status}");
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
