//! Programs that other people wrote, injected again and again while they work: no request fails, no result changes, nothing is
//! left behind. And one victim a hundred thousand times.
//!
//! Every test prints one line of figures. Run one after the other by `.ci/soak`, which installs the programs from Debian; they listen
//! on ports and sockets of their own and end with the test, however that ends.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "soak/chromium.rs"]
mod chromium;
#[path = "soak/computing.rs"]
mod computing;
#[path = "soak/cycles.rs"]
mod cycles;
#[path = "soak/figures.rs"]
mod figures;
#[path = "soak/flat.rs"]
mod flat;
#[path = "soak/java.rs"]
mod java;
#[path = "soak/nginx.rs"]
mod nginx;
#[path = "soak/postgres.rs"]
mod postgres;
#[path = "soak/program.rs"]
mod program;
#[path = "soak/redis.rs"]
mod redis;
