//! The host is killed at every moment, and the victim goes on.
//!
//! strace delivers SIGKILL to the host at the n-th of its system calls, each time with a fresh victim. Afterwards the
//! victim must get on with its rounds, find itself undamaged, and have the areas, signal masks, dispositions and
//! descriptors that it had before. The host is also killed after random times, which hits while code runs in the victim.
//!
//! Tries about forty calls of each victim; all of them with `PIE_BLOB_CRASH=all`. Wants strace and Debian's golang.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pie_blob_tests::victim::Running;

/// What an untouched victim does not change: areas without the heap, masks and dispositions, descriptors.
fn state(pid: i32) -> Vec<String> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let mut state: Vec<String> = read("maps")
        .lines()
        .filter(|line| !line.ends_with("[heap]"))
        .map(|line| {
            line.split_whitespace().enumerate().filter(|(n, _)| matches!(n, 1 | 5)).map(|(_, s)| s).collect()
        })
        .collect();
    state.sort();
    let fields = ["SigBlk", "SigIgn", "SigCgt", "TracerPid"];
    state.extend(
        read("status").lines().filter(|line| fields.iter().any(|f| line.starts_with(f))).map(str::to_owned),
    );
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    let mut descriptors: Vec<String> =
        descriptors.filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.to_owned())).collect();
    descriptors.sort();
    state.extend(descriptors);
    state
}

/// The victim gets on and is as it was.
fn check(mut victim: Running, before: &[String], moment: &str) {
    for _ in 0..3 {
        let line = victim.line();
        assert!(line.parse::<u64>().is_ok(), "{moment}: the victim says {line:?}");
    }
    let begin = Instant::now();
    loop {
        let after = state(victim.pid());
        if after == before {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(1), "{moment}: {before:#?}\nhas become\n{after:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    victim.end();
}

fn strace(arguments: &[&str], pid: i32) -> std::process::ExitStatus {
    let mut command = Command::new("strace");
    command.args(arguments).arg(env!("CARGO_BIN_EXE_host")).arg(pid.to_string()).stdout(Stdio::null());
    command.stderr(Stdio::null());
    command.status().expect("strace is installed (apt-get install strace)")
}

/// The host's system calls in their order, each with how often it was made until then.
fn calls(start: &dyn Fn() -> Running) -> Vec<(String, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut victim = start();
    assert!(strace(&["-f", "-o", log.to_str().unwrap()], victim.pid()).success(), "an undisturbed run fails");
    victim.end();
    let log = std::fs::read_to_string(log).unwrap();
    let main = log.split_whitespace().next().unwrap().to_owned();
    let mut counts = BTreeMap::new();
    let lines = log.lines().filter_map(|line| line.strip_prefix(&main)?.trim_start().split_once('('));
    let names = lines.map(|(name, _)| name.to_owned()).filter(|name| {
        name != "execve" && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    names
        .map(|name| {
            let count = counts.entry(name.clone()).or_insert(0);
            *count += 1;
            (name, *count)
        })
        .collect()
}

fn killed_at_every_call(start: &dyn Fn() -> Running) {
    let calls = calls(start);
    assert!(calls.len() > 60, "{calls:?}");
    let step =
        if std::env::var_os("PIE_BLOB_CRASH").is_some_and(|all| all == "all") { 1 } else { calls.len() / 40 };
    let mut tried = 0;
    let mut missed = 0;
    for (name, nth) in calls.iter().rev().step_by(step.max(1)) {
        let victim = start();
        let before = state(victim.pid());
        let inject = format!("{name}:signal=SIGKILL:when={nth}");
        let status =
            strace(&["-qq", "-e", &format!("trace={name}"), "-e", &format!("inject={inject}")], victim.pid());
        tried += 1;
        missed += usize::from(status.signal() != Some(libc::SIGKILL));
        check(victim, &before, &inject);
    }
    // A run may make a call less often than the first did: it polls.
    assert!(missed * 20 <= tried, "{missed} of {tried} kills never came");
    for microseconds in (0..20_u64).map(|n| n * n * 10) {
        let victim = start();
        let before = state(victim.pid());
        let mut host = Command::new(env!("CARGO_BIN_EXE_host"))
            .arg(victim.pid().to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(microseconds));
        host.kill().unwrap();
        host.wait().unwrap();
        check(victim, &before, &format!("after {microseconds} us"));
    }
    println!("{tried} calls of {} and 20 moments, {missed} missed", calls.len());
}

fn own(mode: &'static str) -> impl Fn() -> Running {
    move || Running::start(env!("CARGO_BIN_EXE_victim"), &[mode])
}

#[test]
fn a_computing_victim_survives() {
    killed_at_every_call(&own("registers"));
}

#[test]
fn a_sleeping_victim_survives() {
    killed_at_every_call(&own("nanosleep"));
}

#[test]
fn a_go_program_survives() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("victims/grow.go");
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("grow");
    let built = Command::new("go").arg("build").arg("-o").arg(&program).arg(source).status();
    assert!(built.expect("Go is installed (apt-get install golang-go)").success());
    killed_at_every_call(&|| Running::start(program.to_str().unwrap(), &[]));
}

#[test]
fn a_kernel_that_lets_nobody_write_over_permissions_is_worked_with() {
    let victim = Running::start(env!("CARGO_BIN_EXE_victim"), &["registers"]);
    let before = state(victim.pid());
    let status = strace(&["-qq", "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=EIO"], victim.pid());
    assert!(status.success(), "{status}");
    check(victim, &before, "every write to its memory refused");
}
