//! The host is killed at every moment, and the victim goes on.
//!
//! strace delivers SIGKILL to the host at the n-th of its system calls, each time with a fresh victim. Afterwards the
//! victim must get on with its rounds, find itself undamaged, and have the areas, signal masks, dispositions and
//! descriptors that it had before. The host is also killed after random times, half of them while a call computes or sleeps in
//! the victim. A victim that waits may then see what SIGSTOP and SIGCONT would have shown it, and nothing else.
//!
//! Tries some forty calls with each victim; all of them with `PIE_BLOB_CRASH=all`. Wants strace, Debian's golang, a C
//! compiler.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "crash/kills.rs"]
mod kills;
#[path = "crash/risks.rs"]
mod risks;
#[path = "crash/state.rs"]
mod state;

use std::path::Path;
use std::process::Command;

use pie_blob_tests::victim::Running;

use kills::{Trial, strace};
use state::{check, settled};

/// Starts the victim in a mode, and tells it whether its host will die.
fn own(mode: &'static [&'static str]) -> impl Fn(bool) -> Running + Sync {
    move |host_dies| {
        let told: &[&str] = if host_dies { &["host-dies"] } else { &[] };
        Running::start(env!("CARGO_BIN_EXE_victim"), &[mode, told].concat())
    }
}

fn survives(mode: &'static [&'static str]) {
    Trial::new(&own(mode)).run(&mode.join(" "));
}

#[test]
fn registers() {
    survives(&["registers"]);
}

#[test]
fn nanosleep() {
    survives(&["nanosleep"]);
}

#[test]
fn poll() {
    survives(&["poll"]);
}

#[test]
fn futex() {
    survives(&["futex"]);
}

#[test]
fn read() {
    survives(&["read"]);
}

#[test]
fn epoll_wait() {
    survives(&["epoll_wait"]);
}

#[test]
fn accept() {
    survives(&["accept"]);
}

#[test]
fn accept_with_a_timeout() {
    survives(&["accept-timeout"]);
}

#[test]
fn thirty_two_busy_threads() {
    Trial { points: 10, crowded: true, ..Trial::new(&own(&["busy", "32"])) }.run("32 busy threads");
}

/// The way back of a call in another thread than the first lies in the blob's own pages: one of them stays.
#[test]
fn while_the_other_threads_run() {
    let start = own(&["busy", "2"]);
    Trial { told: &["running"], stay: 1, ..Trial::new(&start) }.run("2 busy threads, running");
}

/// The descriptor that is given stays, or nothing.
#[test]
fn while_a_descriptor_is_given() {
    let start = own(&["read"]);
    Trial { told: &["giving"], stay: 1, ..Trial::new(&start) }.run("read, given a descriptor");
}

#[test]
fn live_tiles() {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let flags = processor.lines().find(|line| line.starts_with("flags")).unwrap();
    if flags.split_whitespace().any(|flag| flag == "amx_tile") {
        survives(&["tiles"]);
    } else {
        // Tiles are then nothing that a victim could have.
        println!("tiles: not tried: this processor has no AMX (no amx_tile in /proc/cpuinfo)");
        let victim = Command::new(env!("CARGO_BIN_EXE_victim")).arg("tiles").output().unwrap();
        assert_eq!(victim.status.code(), Some(2), "{victim:?}");
        assert!(!flags.contains("amx"), "{flags}");
    }
}

#[test]
fn a_go_program() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("victims/grow.go");
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("grow");
    let built = Command::new("go").arg("build").arg("-o").arg(&program).arg(source).status();
    assert!(built.expect("Go is installed (apt-get install golang-go)").success());
    let start = |_| Running::start(program.to_str().unwrap(), &[]);
    Trial::new(&start).run("Go");
}

#[test]
fn a_kernel_that_lets_nobody_write_over_permissions_is_worked_with() {
    let victim = own(&["registers"])(false);
    let before = settled(victim.pid());
    let status =
        strace(&["-qq", "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=EIO"], victim.pid(), &[]);
    assert!(status.success(), "{status}");
    check(victim, &before, "every write to its memory refused");
}
