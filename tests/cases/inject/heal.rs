//! What a host has left that died while its blob ran is finished by the next one.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pie_blob_inject::Target;
use pie_blob_tests::victim::Running;

use crate::{cycle, start};

/// A host whose blob never returns, killed while it does not.
fn kill_host_of(pid: i32, way: &str) {
    let mut host = Command::new(env!("CARGO_BIN_EXE_killed"));
    let mut host: Child = host.args([&pid.to_string(), way]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "calling\n");
    std::thread::sleep(Duration::from_millis(20));
    host.kill().unwrap();
    host.wait().unwrap();
}

/// Blobs that are mapped: each has code without a file.
fn blobs(pid: i32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let code = |line: &&str| line.contains(" r-xp ") && line.split_whitespace().nth(4) == Some("0");
    maps.lines().filter(code).filter(|line| !line.contains("[vdso]")).count()
}

fn areas(pid: i32) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let lines = maps.lines().filter(|line| !line.contains("[heap]") && !line.contains("[stack]"));
    lines.map(str::to_owned).collect()
}

fn gets_on(victim: &mut Running) {
    victim.listen_anew();
    for _ in 0..3 {
        let line = victim.line();
        assert!(line.parse::<u64>().is_ok(), "the victim says {line:?}");
    }
}

#[test]
fn a_thread_that_a_blob_keeps_is_brought_home() {
    for (mode, way) in [(&["registers"][..], "spins"), (&["read"], "spins"), (&["nanosleep"], "sleeps")] {
        let mut victim = start(mode);
        let pid = victim.pid();
        kill_host_of(pid, way);
        assert_eq!(blobs(pid), 1, "{way}: it is in the blob");
        assert_eq!(Target::heal(pid).unwrap(), 1);
        assert_eq!(blobs(pid), 0);
        gets_on(&mut victim);
        assert_eq!(Target::heal(pid).unwrap(), 0);
        cycle(Target::open(pid).unwrap());
        victim.end();
    }
}

#[test]
fn opening_heals_before_anything_else() {
    let mut victim = start(&["registers"]);
    kill_host_of(victim.pid(), "spins");
    cycle(Target::open(victim.pid()).unwrap());
    gets_on(&mut victim);
    victim.end();
}

/// One layer, because the second host has healed what the first had left before it died itself.
#[test]
fn one_host_after_the_other_dies_beside_a_stopped_victim() {
    for _ in 0..5 {
        let mut victim = start(&["registers"]);
        let pid = victim.pid();
        victim.signal(libc::SIGSTOP);
        for way in ["spins", "sleeps", "spins"] {
            kill_host_of(pid, way);
        }
        assert_eq!(Target::heal(pid).unwrap(), 1);
        assert_eq!(blobs(pid), 0);
        victim.signal(libc::SIGCONT);
        gets_on(&mut victim);
        victim.end();
    }
}

/// The frames lie in the blob's own mapping then.
#[test]
fn a_thread_that_a_blob_keeps_while_the_others_run() {
    let mut victim = start(&["busy", "2"]);
    let pid = victim.pid();
    let before = areas(pid);
    kill_host_of(pid, "beside");
    assert_ne!(areas(pid), before);
    assert_eq!(Target::heal(pid).unwrap(), 1);
    assert_eq!(areas(pid), before);
    gets_on(&mut victim);
    victim.end();
}

#[test]
fn an_untouched_process_has_nothing_to_heal() {
    let mut victim = start(&["threads", "3"]);
    assert_eq!(Target::heal(victim.pid()).unwrap(), 0);
    victim.end();
}
