//! Whatever fails is rolled back: the victim is as it was while its host still lives, and the host says what failed.
//!
//! strace lets each of the host's system calls fail in turn. In the victim, mapping fails by a limit and by a filter. Tries
//! all calls of one cycle; every error number of a few with `PIE_BLOB_CRASH=all`. Wants strace.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "crash/state.rs"]
mod state;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use pie_blob_inject::{Error, Victim};
use pie_blob_parasite::parasite;
use pie_blob_tests::victim::Running;

use state::{check, settled};

fn start(mode: &str) -> Running {
    Running::start(env!("CARGO_BIN_EXE_victim"), &[mode])
}

/// The host under strace, with what it is to do to the host's calls; says what the host said.
fn host(arguments: &[&str], pid: i32, meanwhile: impl FnOnce()) -> String {
    let mut command = Command::new("strace");
    command.args(arguments).arg(env!("CARGO_BIN_EXE_lingers")).arg(pid.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut strace = command.spawn().expect("strace is installed (apt-get install strace)");
    let mut said = BufReader::new(strace.stdout.take().unwrap());
    let (mut begin, mut end) = (String::new(), String::new());
    said.read_line(&mut begin).unwrap();
    said.read_line(&mut end).unwrap();
    meanwhile();
    drop(strace.stdin.take());
    said.read_to_string(&mut String::new()).unwrap();
    strace.wait().unwrap();
    end.trim_end().to_owned()
}

/// The calls of the host's cycle, each with how often it was made until then from the host's start on.
fn calls() -> Vec<(String, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut victim = start("read");
    let said = host(&["-o", log.to_str().unwrap()], victim.pid(), || ());
    assert_eq!(said, "done");
    victim.end();
    let log = std::fs::read_to_string(log).unwrap();
    let mut counts = BTreeMap::new();
    let mut within = false;
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((name, _)) = line.split_once('(') else { continue };
        let count = counts.entry(name.to_owned()).or_insert(0);
        *count += 1;
        if line.starts_with("write(1, \"") {
            within = line.contains("begin");
        } else if within {
            calls.push((name.to_owned(), *count));
        }
    }
    calls
}

/// How a call fails, and when the victim is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fails {
    /// Once, and the host lives when the victim is looked at.
    Once,
    /// From then on: the host can give nothing back, and ends.
    FromThenOn,
}

/// Lets each of the host's calls fail with each of these errors, each time beside a fresh victim.
fn fail_in_turn(fails: Fails, errors: &[&str]) {
    let calls = calls();
    assert!(calls.len() > 60, "{calls:?}");
    let tries = calls.iter().flat_map(|call| errors.iter().map(move |error| (call, *error)));
    let left = Mutex::new(tries);
    let said = Mutex::new(BTreeMap::<String, usize>::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(((call, nth), error)) = { left.lock().unwrap().next() } {
                    let mode = if nth % 2 == 0 { "registers" } else { "read" };
                    let mut victim = Some(start(mode));
                    let pid = victim.as_ref().map_or(0, Running::pid);
                    let before = settled(pid);
                    let more = if fails == Fails::FromThenOn { "+" } else { "" };
                    let inject = format!("inject={call}:error={error}:when={nth}{more}");
                    let moment = format!("{mode}, {inject}");
                    let mut look = || check(victim.take().unwrap(), &before, &moment);
                    let end = host(&["-qq", "-e", &format!("trace={call}"), "-e", &inject], pid, || {
                        if fails == Fails::Once {
                            look();
                        }
                    });
                    if fails == Fails::FromThenOn {
                        look();
                    }
                    // A host that could not go on at all, having no memory, says nothing.
                    let kind = end.split([' ', '{', '(']).next().unwrap_or_default().to_owned();
                    *said.lock().unwrap().entry(kind).or_default() += 1;
                }
            });
        }
    });
    println!("{} calls: {:?}", calls.len(), said.into_inner().unwrap());
}

#[test]
fn each_call_of_the_hosts_fails_in_turn() {
    let all = std::env::var("PIE_BLOB_CRASH").is_ok_and(|all| all == "all");
    let errors = ["EIO", "EPERM", "ENOMEM", "ESRCH", "EINTR", "EBADF"];
    fail_in_turn(Fails::Once, if all { &errors } else { &errors[..1] });
}

#[test]
fn each_call_of_the_hosts_fails_from_some_time_on() {
    fail_in_turn(Fails::FromThenOn, &["EIO"]);
}

/// A victim in which mapping fails: refused with the call's name, and nothing is changed.
fn refused(mode: &str, limit: impl Fn(i32)) {
    let victim = start(mode);
    let pid = victim.pid();
    limit(pid);
    let before = settled(pid);
    let seized = Victim::seize(pid).unwrap();
    let whole = seized.snapshot().unwrap();
    let error = seized.infect(&parasite::BLOB).unwrap_err();
    let Error::Refused { call: "mmap", source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.raw_os_error(), Some(libc::ENOMEM), "{error}");
    drop(whole);
    check(victim, &before, mode);
}

#[test]
fn a_limit_of_the_victims_forbids_mapping() {
    for mode in ["registers", "read", "nanosleep"] {
        refused(mode, |pid| {
            // What it has, and not a page more.
            let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
            let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
            let limit = libc::rlimit { rlim_cur: pages * 4096, rlim_max: pages * 4096 };
            // SAFETY: reads one limit.
            let set = unsafe { libc::prlimit(pid, libc::RLIMIT_AS, &raw const limit, std::ptr::null_mut()) };
            assert_eq!(set, 0);
        });
    }
}
