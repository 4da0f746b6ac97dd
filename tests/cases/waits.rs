//! Every system call that waits, and what an injection makes of it: cured, left alone by a host that died, with a caught
//! signal in between.
//!
//! The list is that of signal(7). What is promised stands in `runtime/inject/docs/waits.md`; `PIE_BLOB_BLESS=1` writes
//! what was found there.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pie_blob_inject::Target;
use pie_blob_parasite::parasite;

/// How long a call waits that has a time-out, in the victim.
const TIMEOUT: Duration = Duration::from_millis(500);
/// When it is interrupted.
const INTERRUPTED: Duration = Duration::from_millis(80);

/// A program that waits in a call.
struct Waiting {
    child: Child,
    said: BufReader<ChildStdout>,
    number: String,
    timed: bool,
    /// The thread that waits.
    tid: i32,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    answer: i64,
    error: i32,
    signals: u64,
    took: Duration,
}

impl Outcome {
    fn is_interrupted(&self) -> bool {
        self.error == libc::EINTR
    }

    /// The same but for ids and descriptors, of which each program has its own, and for time.
    fn is_as(&self, other: &Self) -> bool {
        (self.answer == -1) == (other.answer == -1)
            && (self.error, self.signals) == (other.error, other.signals)
    }
}

impl Waiting {
    fn start(call: &str, handler: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waits"));
        command.args([call, handler]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut waiting = Self { child, said, number: String::new(), timed: false, tid: 0 };
        let line = waiting.line();
        let fields: Vec<&str> = line.split(' ').collect();
        let ["waiting", number, timed, tid] = fields[..] else { panic!("{line}") };
        (waiting.number, waiting.timed, waiting.tid) =
            (number.to_owned(), timed == "true", tid.parse().unwrap());
        waiting.settle(false);
        waiting
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Waits until it waits in its call, or has come back from it; where a signal was sent, until that has been delivered. Says
    /// whether it still waits.
    fn settle(&self, signalled: bool) -> bool {
        // `restart_syscall`, by which the kernel takes up a wait for time.
        const RESTARTED: &str = "219";
        // Where it goes when its call has come back.
        const SPLICE: &str = "275";
        let begin = Instant::now();
        loop {
            let read = |file: &str| {
                std::fs::read_to_string(format!("/proc/{}/task/{}/{file}", self.pid(), self.tid))
                    .unwrap_or_default()
            };
            let call = read("syscall");
            let call = call.split(' ').next().unwrap_or_default();
            let status = read("status");
            let traced = !status.contains("TracerPid:\t0\n");
            let pending =
                signalled && status.lines().any(|line| line.starts_with("SigPnd") && !line.ends_with("0000"));
            let over = call == SPLICE;
            if !traced && !pending && (over || call == self.number || call == RESTARTED) {
                return !over;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "in call {call}, not {}: {status}",
                self.number
            );
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Makes what it waits for happen, where that is not time, and says what came of it.
    fn outcome(mut self) -> Outcome {
        while self.timed && self.settle(false) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        let line = self.line();
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {line}");
        let fields: Vec<i64> = line.split(' ').map(|field| field.parse().unwrap()).collect();
        let [answer, error, signals, took] = fields[..] else { panic!("{line}") };
        Outcome {
            answer,
            error: i32::try_from(error).unwrap(),
            signals: u64::try_from(signals).unwrap(),
            took: Duration::from_micros(u64::try_from(took).unwrap()),
        }
    }

    fn signal(&self) {
        // SAFETY: takes three numbers.
        assert_eq!(unsafe { libc::syscall(libc::SYS_tgkill, self.pid(), self.pid(), libc::SIGUSR1) }, 0);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Left in peace, with a signal or without.
fn undisturbed(call: &str, handler: &str, signalled: bool) -> Outcome {
    let waiting = Waiting::start(call, handler);
    std::thread::sleep(INTERRUPTED);
    if signalled {
        waiting.signal();
        waiting.settle(true);
    }
    waiting.outcome()
}

/// What is done to a call that waits. On a busy machine the wait may be over before anything is done to it: then another is
/// begun.
fn while_it_waits(call: &str, handler: &str, done: impl Fn(Waiting) -> Outcome) -> Outcome {
    for _ in 0..50 {
        let waiting = Waiting::start(call, handler);
        let begun = Instant::now();
        std::thread::sleep(INTERRUPTED);
        if !waiting.timed || waiting.settle(false) && begun.elapsed() < TIMEOUT / 2 {
            return done(waiting);
        }
    }
    panic!("{call}: its wait is always over before it is looked at");
}

/// Injected and cured three times, with a signal in between or without.
fn injected(call: &str, handler: &str, signalled: bool) -> Outcome {
    while_it_waits(call, handler, |waiting| inject(waiting, signalled))
}

fn inject(waiting: Waiting, signalled: bool) -> Outcome {
    let mut target = Target::open(waiting.pid()).unwrap().require_crash_safe();
    // Once with the signal, and otherwise again as long as the call has not come back.
    for _ in 0..if signalled { 1 } else { 3 } {
        let mut infected =
            target.prepare(&parasite::BLOB).unwrap().seize().unwrap().infect(&parasite::BLOB).unwrap();
        assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
        if signalled {
            waiting.signal();
            assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
        }
        target = infected.cure().unwrap().release().unwrap();
        if !waiting.settle(signalled) {
            break;
        }
    }
    waiting.outcome()
}

/// Injected by a host that is killed after a call.
fn left_alone(call: &str) -> Outcome {
    while_it_waits(call, "plain", leave_alone)
}

fn leave_alone(waiting: Waiting) -> Outcome {
    let code = || {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", waiting.pid())).unwrap();
        maps.lines().filter(|line| line.contains(" r-xp ")).count()
    };
    let before = code();
    let mut host = Command::new(env!("CARGO_BIN_EXE_killed"));
    let died = host.arg(waiting.pid().to_string()).stdout(Stdio::null()).status().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&died), Some(libc::SIGKILL), "{died}");
    waiting.settle(false);
    assert_eq!(code(), before, "no code is left behind");
    waiting.outcome()
}

/// What an outcome is, beside the one of a program that was left in peace.
fn word(outcome: &Outcome, peaceful: &Outcome, timed: bool) -> &'static str {
    if outcome.is_interrupted() && !peaceful.is_interrupted() {
        return "`EINTR`";
    }
    assert!(outcome.is_as(peaceful), "{outcome:?}, and in peace {peaceful:?}");
    if !timed {
        return "goes on";
    }
    // A clock of the kernel's may be a tick early.
    let early = Duration::from_millis(4);
    assert!(outcome.took + early >= TIMEOUT, "{outcome:?} is too early");
    if outcome.took + early >= TIMEOUT + INTERRUPTED { "starts again" } else { "goes on" }
}

/// A machine that is busy can only make a wait longer, and a signal come too late: what is found in one of a few tries
/// is there to be found.
fn tried<T>(mut found: impl FnMut() -> T, enough: impl Fn(&T) -> bool) -> T {
    let mut last = found();
    for _ in 0..5 {
        if enough(&last) {
            break;
        }
        last = found();
    }
    last
}

/// What a signal makes of a call: the same with an injection and without.
fn signalled(call: &str, handler: &str) -> Outcome {
    let both = || (undisturbed(call, handler, true), injected(call, handler, true));
    let (peaceful, disturbed) = tried(both, |(peaceful, disturbed)| disturbed.is_as(peaceful));
    assert!(disturbed.is_as(&peaceful), "{call}, {handler}: {disturbed:?}, and in peace {peaceful:?}");
    assert_eq!(disturbed.signals, 1, "{call}, {handler}");
    peaceful
}

/// The columns of one call.
fn row(call: &str) -> [&'static str; 3] {
    let timed = Waiting::start(call, "plain").timed;
    let peaceful = undisturbed(call, "plain", false);
    let steady = |word: &&str| *word != "starts again";
    let cured = tried(|| word(&injected(call, "plain", false), &peaceful, timed), steady);
    let died = tried(|| word(&left_alone(call), &peaceful, timed), steady);
    assert!(signalled(call, "plain").is_interrupted(), "{call}");
    let restarted = !signalled(call, "restart").is_interrupted();
    [cured, died, if restarted { "goes on" } else { "`EINTR`" }]
}

/// What becomes of a call in a thread that is merely stopped while another one runs the blob.
fn beside(call: &str) -> &'static str {
    let timed = Waiting::start(call, "second").timed;
    let peaceful = undisturbed(call, "second", false);
    let steady = |word: &&str| *word == "goes on";
    tried(|| word(&injected(call, "second", false), &peaceful, timed), steady)
}

/// Does something for every call, many at once: they mostly sleep.
fn of_all<T: Send>(names: &[String], of_one: impl Fn(&str) -> T + Sync) -> BTreeMap<String, T> {
    let left = Mutex::new(names.iter().cloned().collect::<VecDeque<_>>());
    let found = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some(name) = { left.lock().unwrap().pop_front() } {
                    let one = of_one(&name);
                    found.lock().unwrap().insert(name, one);
                }
            });
        }
    });
    found.into_inner().unwrap()
}

fn names() -> Vec<String> {
    let names = Command::new(env!("CARGO_BIN_EXE_waits")).output().unwrap().stdout;
    let names: Vec<String> = String::from_utf8(names).unwrap().lines().map(str::to_owned).collect();
    assert!(names.len() >= 70);
    names
}

/// Whether a call may end with `EINTR`: where to begin anew would do harm.
fn may_end(call: &str) -> bool {
    call == "connect, SO_SNDTIMEO"
}

/// No worse than in the thread that runs the blob.
#[test]
fn every_call_goes_on_in_a_thread_that_is_merely_stopped() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    for (name, word) in of_all(&names(), beside) {
        let (call, rest) = name.split_once(", ").map_or((name.as_str(), ""), |(call, rest)| (call, rest));
        let start = if rest.is_empty() { format!("| `{call}` | ") } else { format!("| `{call}`, {rest} | ") };
        let row = page.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
        let promised = row.split(" | ").next().unwrap();
        assert!(word == "goes on" || word == promised, "{name}: {word}, and {promised} on the page");
        assert!(word != "`EINTR`" || may_end(&name), "{name}");
    }
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime/inject/docs/waits.md");

#[test]
fn every_call_that_waits_is_on_its_page() {
    let names = names();
    let found = of_all(&names, row);
    let mut table = String::new();
    for name in &names {
        let [cured, died, signalled] = found[name];
        let (call, rest) = name
            .split_once(", ")
            .map_or((name.as_str(), String::new()), |(call, rest)| (call, format!(", {rest}")));
        writeln!(table, "| `{call}`{rest} | {cured} | {died} | {signalled} |").unwrap();
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    let head = page.split_inclusive("|---|---|---|---|\n").next().unwrap();
    let wanted = format!("{head}{table}");
    if std::env::var_os("PIE_BLOB_BLESS").is_some() {
        std::fs::write(PAGE, wanted).unwrap();
    } else {
        assert_eq!(page, wanted);
    }
    // What no page may take back: a cured wait is not ended, but where to begin anew would do harm.
    for (name, [cured, ..]) in &found {
        assert!(*cured != "`EINTR`" || may_end(name), "{name}");
    }
}
