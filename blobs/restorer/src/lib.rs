//! The last stage of a restore: a process that must become another one unmaps itself, so the code that does it lies where
//! neither the old memory is nor the new.
//!
//! A host stages everything first, with all of `std` at hand: memory filled in and mapped, files opened, what to do
//! written into one [`Plan`](plan::Plan). Whatever can fail for a reason of the world's (a file gone, no memory, a
//! damaged image) fails there, in an ordinary program. Then it maps this blob beside the plan, in a hole that both
//! address spaces have, and enters it. From there on:
//!
//! 1. vDSO and its data move into the hole, everything outside of the hole is unmapped, staged memory moves to
//!    its final addresses, the vDSO to where the program had it ([`memory`]);
//! 2. threads are created with their ids; each makes itself what it was ([`thread`]);
//! 3. signal actions, memory barriers, timers, limits, pending signals, credentials ([`process`]);
//! 4. a report goes to the host, the threads are released together, each leaves through the program's own code with
//!    `rt_sigreturn`; the first one leaves last and takes the hole away with it ([`leave`]).
//!
//! Where the parasite's bootstrap is a protocol (`head.S`), this one's is `enter.S`: a stack and a call.
#![no_std]

pub mod credentials;
pub mod leave;
pub mod memory;
pub mod plan;
pub mod process;
pub mod report;
pub mod restore;
pub mod thread;

// Links the entry and the panic handler into the blob.
use pie_blob_std as _;

#[cfg(feature = "embed")]
pie_blob::pie_blob! {
    /// The blob, ready to be entered.
    pub mod restorer = "restorer";
    unsafe extern "C" {
        /// Becomes the program that the [`Plan`](crate::plan::Plan) at the address describes.
        fn pie_blob_main(plan: u64) -> !;
    }
}
