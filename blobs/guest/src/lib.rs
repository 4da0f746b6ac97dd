//! A blob that is all the code of a virtual machine: no loader, no kernel, no firmware.
//!
//! Its layout is packed (one segment, no page borders), and the macro relocates it while the host compiles: `BYTES` are
//! the image as it stands at [`BASE`], and nothing is left to do but to copy them there.
//!
//! # What the machine must be like
//!
//! | | |
//! |---|---|
//! | processor | x86-64 in 64-bit mode, SSE enabled, interrupts off |
//! | memory | the image and its zero tail at [`BASE`], mapped to the same virtual address, writable and executable |
//! | start | at [`BASE`] with any registers: the stack is the blob's own |
//! | output | a byte at a time to the port [`PORT`] |
//! | end | the processor halts; an exception (a panic ends in one) finds no handler and shuts the machine down |
#![no_std]

mod report;

#[cfg(all(pie_blob, target_arch = "x86_64"))]
mod start;

pub use report::{QUESTIONS, Question, report};

// Links the panic handler into the blob.
use pie_blob_std as _;

/// Where the image lies in the machine's memory: above the first pages, which a host has other uses for.
pub const BASE: u64 = 0x8000;

/// The port that the report goes to: the one that emulators agree to print what is written to.
pub const PORT: u16 = 0xe9;

#[cfg(feature = "embed")]
pie_blob::pie_blob! {
    /// The blob at [`BASE`](crate::BASE).
    pub mod guest = "guest", base = 0x8000;
    unsafe extern "C" {
        /// How many questions the guest has answered.
        static mut ANSWERED: u64;
    }
}

#[cfg(feature = "embed")]
const _: () = assert!(matches!(guest::BLOB.fixed_base(), Some(BASE)));
