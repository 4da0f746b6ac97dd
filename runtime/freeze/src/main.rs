//! `pie-blob-freeze`: freezes a process to a folder, thaws it from there, shows what is in the folder.

use std::error::Error as _;
use std::io::{IsTerminal, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use pie_blob_freeze::show::{Plain, Show};
use pie_blob_freeze::{Error, Options, Thawed, freeze, read, thaw_telling};

/// Freezes a process to a folder and thaws it from there
///
/// What an image cannot hold is refused with the reasons: before anything is touched where it can be seen from outside, else
/// when the process has been asked, and it goes on. Errors end with status 1, mistakes in the arguments with status 2.
#[derive(Parser)]
#[command(name = "pie-blob-freeze", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Freeze a process to a folder; it ends when the image is safe on the disk
    Freeze {
        /// The process
        pid: i32,
        /// The folder: not there yet, or empty
        folder: PathBuf,
        /// Let the process go on when it has been copied
        #[arg(long)]
        leave_running: bool,
    },
    /// Thaw a process: it goes on with this command's standard streams, and this command ends as it does
    Thaw {
        /// The folder of its image
        folder: PathBuf,
    },
    /// Show what an image holds
    Show {
        /// The folder of the image
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            let mut text = format!("pie-blob-freeze: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            // Names and paths are others', the ends of the lines are this program's.
            let text: Vec<String> = text.lines().map(|line| Plain(line).to_string()).collect();
            let text = text.join("\n");
            // Where there is no standard error either, the status has to do.
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode, Error> {
    match task {
        Task::Freeze { pid, folder, leave_running } => {
            let mut bar = Bar::new();
            let mut progress = |done, total| bar.draw(done, total);
            let options = Options::new().leave_running(leave_running).progress(&mut progress);
            let frozen = freeze(pid, &folder, options);
            bar.clear();
            let frozen = frozen?;
            let stopped = frozen.stopped.as_secs_f64() * 1e3;
            say(&format!(
                "{}: {} thread{}, {} bytes, stopped for {stopped:.1} ms, in {}",
                frozen.pid,
                frozen.threads,
                if frozen.threads == 1 { "" } else { "s" },
                frozen.bytes,
                folder.display()
            ));
            Ok(ExitCode::SUCCESS)
        }
        Task::Thaw { folder } => {
            // What comes while the program is not there yet is for the program.
            let mask = hold_signals();
            let mut bar = Bar::new();
            let mut progress = |done, total| {
                bar.draw(done, total);
                if done == total {
                    bar.clear();
                }
            };
            let ended = thaw_telling(&folder, &mut progress).and_then(Thawed::attend);
            release_signals(&mask);
            let status = ended?;
            if let Some(signal) = status.signal() {
                die_of(signal);
            }
            Ok(status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .map_or(ExitCode::FAILURE, ExitCode::from))
        }
        Task::Show { folder } => {
            let state = read(&folder)?;
            say(Show(&state).to_string().trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn say(text: &str) {
    // A reader that has gone wants to hear no more.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Blocks all signals and gives what was blocked.
fn hold_signals() -> libc::sigset_t {
    // SAFETY: a set of signals is plain numbers, for which zeros are a value.
    let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    // SAFETY: writes one set.
    let _ = unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: reads one set and writes the other.
    let _ = unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
    before
}

/// Blocks what was blocked before, and nothing else.
fn release_signals(before: &libc::sigset_t) {
    // SAFETY: reads one set.
    let _ = unsafe { libc::sigprocmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
}

/// Ends as the program ended, so that whoever waits sees no difference.
fn die_of(signal: i32) {
    // SAFETY: takes numbers; the default action of a signal that ended a program ends this one.
    let _ = unsafe { libc::signal(signal, libc::SIG_DFL) };
    // One core is enough: the program's own.
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel reads one structure.
    let _ = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    // SAFETY: takes a number.
    let _ = unsafe { libc::raise(signal) };
}

/// A bar on standard error for what takes more than a second.
struct Bar {
    begin: Instant,
    drawn: Option<Instant>,
    visible: bool,
}

impl Bar {
    fn new() -> Self {
        Self { begin: Instant::now(), drawn: None, visible: std::io::stderr().is_terminal() }
    }

    fn draw(&mut self, done: u64, total: u64) {
        const WIDTH: u64 = 40;
        let late = self.begin.elapsed() > Duration::from_secs(1);
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() > Duration::from_millis(100));
        if !self.visible || !late || !due || total == 0 {
            return;
        }
        self.drawn = Some(Instant::now());
        let full = usize::try_from(done.min(total) * WIDTH / total).unwrap_or(0);
        let bar = format!("{:<40}", "#".repeat(full));
        let _ = write!(std::io::stderr(), "\r[{bar}] {} of {} MiB", done >> 20, total >> 20);
    }

    fn clear(&self) {
        if self.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
    }
}
