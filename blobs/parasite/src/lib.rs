//! A blob that answers, from inside a process, what only the process itself can know.
//!
//! `/proc` shows a lot of a process from outside, but not its signal handlers' addresses, its interval timers, its
//! program break as the kernel has it, its alternate stack. The process can simply ask. This package is
//! both sides of that question: built with `--cfg pie_blob` it is the code that runs inside; on the host it is
//! the types of the answers, and with the feature `embed` the blob itself, as the module `parasite`.
//!
//! Every export takes where to put its answer and returns 0, or a negated error number.
//!
//! | export | answers |
//! |---|---|
//! | [`ping`] | 42: it lives; `PINGS` counts |
//! | [`dump_misc`] | [`Misc`]: ids as seen inside, flags, umask, program break, alternate stack, thread pointer |
//! | [`dump_signals`] | 64 times [`SignalAction`] |
//! | [`dump_timers`] | 3 times [`IntervalTimer`] |
//! | [`dump_posix_timer`] | [`PosixTimer`]: what one of them is set to |
//! | [`dump_flags`] | [`Flags`] of `prctl(2)` |
//! | [`dump_requests`] | [`Requests`]: `membarrier(2)` registrations, locking of memory to come, features of the processor |
//! | [`dump_credentials`] | [`Credentials`]: user and group ids, capability sets, securebits |
//! | [`dump_groups`] | the supplementary groups |
//! | [`receive_descriptor`] | the number of a descriptor that the host gives |
//! | [`copy_memory`] | a copy of any range of its memory, holes found, not stumbled into |
#![no_std]

pub mod credentials;
pub mod descriptors;
pub mod flags;
pub mod memory;
pub mod misc;
pub mod requests;
pub mod signals;
pub mod timers;

pub use credentials::{Credentials, dump_credentials, dump_groups};
pub use descriptors::receive_descriptor;
pub use flags::{Flags, dump_flags};
pub use memory::copy_memory;
pub use misc::{Misc, dump_misc, ping};
pub use requests::{Requests, dump_requests};
pub use signals::{SIGNALS, SignalAction, dump_signals};
pub use timers::{IntervalTimer, PosixTimer, TIMERS, dump_posix_timer, dump_timers};

// Links the entry and the panic handler into the blob.
use pie_blob_std as _;

#[cfg(feature = "embed")]
pie_blob::pie_blob! {
    /// The blob, ready to be put into a process.
    pub mod parasite = "parasite";
    unsafe extern "C" {
        /// Answers 42.
        fn ping() -> core::ffi::c_int;
        /// How often `ping` was called since the blob was mapped.
        static mut PINGS: u64;
        /// Fills in a [`Misc`](crate::Misc).
        fn dump_misc(out: *mut crate::Misc) -> core::ffi::c_int;
        /// Fills in [`SIGNALS`](crate::SIGNALS) actions.
        fn dump_signals(out: *mut crate::SignalAction) -> core::ffi::c_int;
        /// Fills in [`TIMERS`](crate::TIMERS) timers.
        fn dump_timers(out: *mut crate::IntervalTimer) -> core::ffi::c_int;
        /// Fills in what a POSIX timer is set to.
        fn dump_posix_timer(id: i32, out: *mut crate::PosixTimer) -> core::ffi::c_int;
        /// Fills in [`Flags`](crate::Flags).
        fn dump_flags(out: *mut crate::Flags) -> core::ffi::c_int;
        /// Fills in [`Requests`](crate::Requests).
        fn dump_requests(out: *mut crate::Requests) -> core::ffi::c_int;
        /// Fills in [`Credentials`](crate::Credentials).
        fn dump_credentials(out: *mut crate::Credentials) -> core::ffi::c_int;
        /// Writes at most `capacity` group ids and returns how many there are.
        fn dump_groups(out: *mut u32, capacity: usize) -> core::ffi::c_int;
        /// Receives a descriptor: what `Infected::give_descriptor` calls.
        fn receive_descriptor(end: *mut core::ffi::c_int, close_on_exec: core::ffi::c_int, microseconds: u64) -> core::ffi::c_int;
        /// Copies `len` bytes from an address of the process; returns how many were readable.
        fn copy_memory(out: *mut u8, from: pie_blob::Remote<u8>, len: usize) -> isize;
    }
}
