//! Processes frozen to a folder and thawed from there: the same result, whatever the moment; refused untouched, whatever
//! cannot be held; a whole image or a running process, whoever is killed.
//!
//! Thawing takes `CAP_CHECKPOINT_RESTORE` (or root), for the ids. Wants cc, musl-gcc, python3, sqlite3 and strace.
//! `PIE_BLOB_CRASH=all` tries every system call and every byte region where the ordinary run takes samples.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "freeze/support.rs"]
mod support;

#[path = "freeze/attended.rs"]
mod attended;
#[path = "freeze/damaged.rs"]
mod damaged;
#[path = "freeze/forged.rs"]
mod forged;
#[path = "freeze/kept.rs"]
mod kept;
#[path = "freeze/killed.rs"]
mod killed;
#[path = "freeze/places.rs"]
mod places;
#[path = "freeze/refused.rs"]
mod refused;
#[path = "freeze/same.rs"]
mod same;
