//! A victim that is stopped inside a restartable sequence begins it anew.

use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use pie_blob_inject::{Target, Victim};
use pie_blob_parasite::parasite;
use pie_blob_tests::victim::Running;

/// A victim that spends its time in a sequence, and where the word lies that it watches there.
fn start() -> (Running, u64) {
    let victim = Running::start(env!("CARGO_BIN_EXE_signals"), &["sequence"]);
    let address = victim.first_line().parse().unwrap();
    (victim, address)
}

fn change(pid: i32, address: u64, value: u64) {
    let memory = std::fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/mem")).unwrap();
    memory.write_all_at(&value.to_ne_bytes(), address).unwrap();
}

#[test]
fn a_sequence_is_begun_anew_after_a_cure() {
    let (mut victim, address) = start();
    let mut target = Target::open(victim.pid()).unwrap();
    for value in 2..200 {
        let mut infected = target.seize().unwrap().infect(&parasite::BLOB).unwrap();
        assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
        change(victim.pid(), address, value);
        target = infected.cure().unwrap().release().unwrap();
        let line = victim.line();
        assert!(!line.starts_with("DAMAGED"), "{line}");
    }
    victim.end();
}

#[test]
fn a_sequence_is_begun_anew_when_its_thread_was_only_asked_for_a_moment() {
    let (mut victim, address) = start();
    for value in 2..50 {
        let held = Victim::seize(victim.pid()).unwrap();
        change(victim.pid(), address, value);
        drop(held);
        let line = victim.line();
        assert!(!line.starts_with("DAMAGED"), "{line}");
    }
    victim.end();
}

#[test]
fn a_sequence_is_begun_anew_when_the_host_has_died() {
    for _ in 0..30 {
        let (mut victim, address) = start();
        let mut host = Command::new(env!("CARGO_BIN_EXE_killed"));
        host.args([victim.pid().to_string(), address.to_string()]).stdout(Stdio::null());
        assert_eq!(host.status().unwrap().signal(), Some(libc::SIGKILL));
        for _ in 0..3 {
            let line = victim.line();
            assert!(!line.starts_with("DAMAGED"), "{line}");
        }
        victim.end();
    }
}
