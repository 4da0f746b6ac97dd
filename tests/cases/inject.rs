//! Live victims: each notices damage by itself, and each is compared before and after.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "inject/afterwards.rs"]
mod afterwards;
#[path = "inject/beside.rs"]
mod beside;
#[path = "inject/blobs.rs"]
mod blobs;
#[path = "inject/descriptors.rs"]
mod descriptors;
#[path = "inject/heal.rs"]
mod heal;
#[path = "inject/held.rs"]
mod held;
#[path = "inject/hostile.rs"]
mod hostile;
#[path = "inject/lines.rs"]
mod lines;
#[path = "inject/one.rs"]
mod one;
#[path = "inject/policy.rs"]
mod policy;
#[path = "inject/refused.rs"]
mod refused;
#[path = "inject/rest.rs"]
mod rest;
#[path = "inject/sequence.rs"]
mod sequence;
#[path = "inject/signals.rs"]
mod signals;
#[path = "inject/threads.rs"]
mod threads;
#[path = "inject/unharmed.rs"]
mod unharmed;
#[path = "inject/waiting.rs"]
mod waiting;

use pie_blob_inject::{Infected, Target, Victim};
use pie_blob_parasite::parasite;
use pie_blob_tests::victim::Running;

/// Starts the victim in a mode.
fn start(mode: &[&str]) -> Running {
    Running::start(env!("CARGO_BIN_EXE_victim"), mode)
}

/// One cycle with one `ping`, with everything compared before and after.
fn cycle(target: Target) -> Target {
    let victim = target.prepare(&parasite::BLOB).unwrap().seize().unwrap();
    let before = victim.snapshot().unwrap();
    let mut infected = victim.infect(&parasite::BLOB).unwrap();
    assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
    let victim = infected.cure().unwrap();
    let differences = before.differences(&victim.snapshot().unwrap());
    assert_eq!(differences, []);
    victim.release().unwrap()
}

/// Infects with a blob, lets `work` at it, cures, and compares before and after.
fn with_blob<R>(
    running: &Running,
    blob: &'static pie_blob::Blob,
    work: impl FnOnce(&mut Infected) -> R,
) -> R {
    let victim = Victim::seize(running.pid()).unwrap();
    let before = victim.snapshot().unwrap();
    let mut infected = victim.infect(blob).unwrap();
    let result = work(&mut infected);
    let victim = infected.cure().unwrap();
    assert_eq!(before.differences(&victim.snapshot().unwrap()), []);
    victim.release().unwrap();
    result
}
