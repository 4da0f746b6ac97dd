//! What blob code is written with: the entry, system calls, a log, a panic handler.
//!
//! A blob has no loader, no C library and no `std`. It is an ordinary `no_std` library that uses this crate; the
//! crate `pie_blob_build` compiles it once more with `--cfg pie_blob`, and only then entry and panic
//! handler exist. On the host the same library is a plain dependency: types, logic and unit tests.
//!
//! ```
//! #![cfg_attr(pie_blob, no_std)]
//! use core::ffi::c_int;
//!
//! // Links the entry and the panic handler into the blob.
//! use pie_blob_std as _;
//!
//! /// Called from the host by its offset.
//! #[cfg_attr(pie_blob, unsafe(no_mangle))]
//! pub extern "C" fn ping() -> c_int {
//!     42
//! }
//! # fn main() {}
//! ```
//!
//! | to | use |
//! |---|---|
//! | ask the kernel | [`sys`], or the `syscalls` crate that it re-exports |
//! | print | [`log`] |
//! | take a descriptor that a host gives | [`descriptors`] |
//! | know what a host must do to run a call | [`abi`] and `head.S` |
//!
//! The feature `call` (default) links `head.S`: exports are called one by one. The feature `enter` links
//! `enter.S` instead: the blob is entered once, in `pie_blob_main`, and never returns.
#![no_std]

pub mod abi;
pub mod descriptors;
mod entry;
pub mod log;
#[cfg(test)]
mod mem;
mod panic;
pub mod sources;
pub mod sys;

pub use linux_raw_sys;
pub use syscalls;
