//! Puts a blob into a live Linux process without harming it.
//!
//! ```no_run
//! # static BLOB: pie_blob::Blob = pie_blob::__private::blob(pie_blob::__private::Parts {
//! #     name: "", id: 0, architecture: pie_blob::Architecture::X86_64, bytes: &[], relocs: &[], imports: &[], size: 0, align: 1,
//! #     segments: &[], exports: &[], stack: None, packed: false, base: None, narrow: None, done: None, panic: None });
//! # const PING: pie_blob::Offset<unsafe extern "C" fn() -> i32> = pie_blob::Offset::__new(0, 0);
//! use pie_blob_inject::Victim;
//!
//! let victim = Victim::seize(4711)?; // every thread stopped; `Target::stop` has a choice
//! let mut spy = victim.infect(&BLOB)?; // mapped, no page writable and executable
//! assert_eq!(spy.call(PING, ())?, 42); // runs inside the process
//! spy.cure()?.release()?; // no trace left, every thread goes on
//! # Ok::<(), pie_blob_inject::Error>(())
//! ```
//!
//! What a victim can rely on, whatever happens to this process, and even if it is killed:
//!
//! - its registers, extended state, signal mask, memory map and system calls are afterwards what they were;
//! - its code is never changed, its stack only where nobody has ever used it;
//! - a system call that was interrupted is taken up again ([`waits`] says how each is);
//! - a blob that faults, panics or hangs is an error here and nothing there, as long as this process lives. One that hangs when it
//!   dies keeps its thread until somebody [opens](Target::open) the process again.
//!
//! What cannot be promised for some victims is listed by [`Infected::crash_risks`] and refused by
//! [`Target::require_crash_safe`].
//!
//! The kernel decides who may do this (ptrace(2), "Ptrace access mode checking"); this crate neither works around
//! that nor hides what it does.
//!
//! The tracer waits for its own threads only, but another thread of the host that calls `waitpid(-1)` without
//! `__WNOTHREAD`, or waits for the victim itself (`Child::wait`), can take a stop away that this crate waits for. While it
//! holds a victim, a thread stays on that victim's processor, and threads that it starts meanwhile do too. A thread of this
//! crate's own, `pie_blob watch`, gives every wait an end.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod areas;
mod arguments;
mod borrowed;
mod cpu;
mod crash;
mod descriptors;
mod error;
mod heal;
mod infected;
#[cfg(feature = "lines")]
pub mod lines;
mod machine;
mod note;
mod options;
mod place;
mod policy;
mod proc;
mod restart;
mod search;
mod snapshot;
mod stack;
mod sys;
mod system_call;
mod target;
mod thread;
mod victim;
mod watch;
mod x86_64;

pub use arguments::{Call, Pass, Returned, Room};
pub use crash::CrashRisk;
pub use error::Error;
pub use infected::{Infected, Others};
pub use options::{MappingName, Stop};
pub use policy::Rule;
pub use snapshot::{Difference, Snapshot};
pub use target::Target;
pub use thread::{ThreadState, WayBack};
pub use victim::Victim;

#[doc = include_str!("../docs/waits.md")]
pub mod waits {}

/// How many system calls this thread has made to trace since it began: what an injection costs.
///
/// Counts requests to the kernel one by one where they are made; allocations and clocks are not counted.
#[must_use]
pub fn tracer_calls() -> u64 {
    sys::calls()
}
