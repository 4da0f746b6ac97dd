//! Whoever is killed: there is a running process or a complete image, never neither; and an image can be thawed again.
//!
//! strace delivers SIGKILL to the command at the n-th of its system calls. Samples of them in the ordinary run, all with
//! `PIE_BLOB_CRASH=all`.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{FREEZER, Place, Victim, all, compile, text};

fn computing(place: &Place) -> Victim {
    let program = compile("cc", "threads.c", &[]);
    place.start(&[program.to_str().unwrap(), "6000"])
}

fn strace(options: &[&str], arguments: &[&str]) -> std::process::ExitStatus {
    let mut command = Command::new("strace");
    command.args(options).arg(FREEZER).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("strace is installed (.ci/tools)")
}

/// The command's system calls in their order, each with how often it was made until then.
fn calls(log: &str) -> Vec<(String, usize)> {
    let mut counts = BTreeMap::new();
    let names = log.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name.to_owned());
    let names = names.filter(|name| {
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

/// Which of so many calls are tried.
fn step(calls: usize) -> usize {
    if all() { 1 } else { (calls / 40).max(1) }
}

fn wanted() -> String {
    let place = Place::new();
    assert!(computing(&place).bury().success());
    place.said()
}

#[test]
fn the_freezing_command_at_its_system_calls() {
    let wanted = wanted();
    let place = Place::new();
    let log = place.path("log");
    let victim = computing(&place);
    let (pid, image) = (victim.pid().to_string(), place.image());
    let status = strace(&["-o", log.to_str().unwrap()], &["freeze", &pid, image.to_str().unwrap()]);
    assert!(status.success(), "an undisturbed run fails");
    victim.bury();
    let calls = calls(&std::fs::read_to_string(log).unwrap());
    assert!(calls.len() > 200, "{calls:?}");
    let (mut tried, mut complete, mut missed) = (0, 0, 0);
    for (name, nth) in calls.iter().rev().step_by(step(calls.len())) {
        let place = Place::new();
        let mut victim = computing(&place);
        let inject = format!("inject={name}:signal=SIGKILL:when={nth}");
        let trace = format!("trace={name}");
        let (pid, image) = (victim.pid().to_string(), place.image());
        let status =
            strace(&["-qq", "-e", &trace, "-e", &inject], &["freeze", &pid, image.to_str().unwrap()]);
        tried += 1;
        missed += usize::from(status.signal() != Some(libc::SIGKILL));
        // It goes on: to its very end, whatever has become of an image.
        let begin = Instant::now();
        let ended = loop {
            if let Some(status) = victim.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "{inject}: it neither goes on nor ends");
            std::thread::sleep(Duration::from_millis(5));
        };
        if ended.success() {
            assert_eq!(place.said(), wanted, "{inject}");
            continue;
        }
        // Or it was ended, and then the image is complete.
        assert_eq!(ended.signal(), Some(libc::SIGKILL), "{inject}: {}", place.said());
        let thawed = place.thaw();
        assert!(thawed.status.success(), "{inject}: neither running nor complete: {}", text(&thawed));
        assert_eq!(place.said(), wanted, "{inject}");
        complete += 1;
    }
    println!("{tried} of {} calls, {complete} images of ended processes, {missed} missed", calls.len());
    assert!(missed * 5 <= tried, "{missed} of {tried} kills never came");
}

#[test]
fn the_thawing_command_at_its_system_calls() {
    let wanted = wanted();
    let place = Place::new();
    let victim = computing(&place);
    let pid = victim.pid();
    assert!(place.freeze(pid).status.success());
    victim.bury();
    // The program goes on writing where it was, so each attempt begins with the file as it was.
    let said = std::fs::read(place.path("said")).unwrap();
    let modified = place.path("said").metadata().unwrap().modified().unwrap();
    let reset = || {
        let file = std::fs::File::options().write(true).open(place.path("said")).unwrap();
        file.set_len(said.len() as u64).unwrap();
        file.set_modified(modified).unwrap();
    };
    let image = place.image();
    let log = place.path("log");
    assert!(strace(&["-o", log.to_str().unwrap()], &["thaw", image.to_str().unwrap()]).success());
    assert_eq!(place.said(), wanted);
    let calls = calls(&std::fs::read_to_string(log).unwrap());
    let (mut tried, mut finished) = (0, 0);
    for (name, nth) in calls.iter().rev().step_by(step(calls.len())) {
        reset();
        let inject = format!("inject={name}:signal=SIGKILL:when={nth}");
        let trace = format!("trace={name}");
        let _ = strace(&["-qq", "-e", &trace, "-e", &inject], &["thaw", image.to_str().unwrap()]);
        tried += 1;
        // Either it had become the program, which then goes on without the command, or nothing is left of it.
        let begin = Instant::now();
        while std::path::Path::new(&format!("/proc/{pid}/exe")).exists() {
            assert!(begin.elapsed() < Duration::from_secs(20), "{inject}: it neither goes on nor ends");
            std::thread::sleep(Duration::from_millis(2));
        }
        if place.said() == wanted {
            finished += 1;
            continue;
        }
        assert_eq!(place.said().as_bytes(), said, "{inject}: it ran by half");
        let thawed = place.thaw();
        assert!(thawed.status.success(), "{inject}: {}", text(&thawed));
        assert_eq!(place.said(), wanted, "{inject}");
    }
    println!("{tried} of {} calls, {finished} had become the program", calls.len());
}

#[test]
fn the_copy_that_becomes_the_program_at_random_moments() {
    let wanted = wanted();
    let place = Place::new();
    let victim = computing(&place);
    let pid = victim.pid();
    assert!(place.freeze(pid).status.success());
    victim.bury();
    let said = std::fs::read(place.path("said")).unwrap();
    for moment in 0..25_u64 {
        let mut thawing =
            Command::new(FREEZER).args(["thaw", place.image().to_str().unwrap()]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(moment * moment * 60));
        // SAFETY: takes two numbers.
        let killed = unsafe { libc::kill(pid, libc::SIGKILL) } == 0;
        if !killed {
            // It was not there yet.
            thawing.kill().unwrap();
        }
        thawing.wait().unwrap();
        while std::path::Path::new(&format!("/proc/{pid}/exe")).exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(std::fs::read(place.path("said")).unwrap(), said, "moment {moment}");
    }
    assert!(place.thaw().status.success());
    assert_eq!(place.said(), wanted);
}
