//! What the restorer says, and the end of a process that could not be restored.

use core::ptr;

use pie_blob_std::sys::{Errno, Sysno, sign_extended, write};
use pie_blob_std::syscalls::syscall1;
use zerocopy::IntoBytes;

use crate::plan::{List, Plan, Report, Step};

/// The exit status of a process that could not be restored.
pub const FAILED: usize = 70;

/// A step that failed, with the kernel's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was being done.
    pub step: Step,
    /// To what.
    pub subject: u64,
    /// Why not.
    pub errno: i32,
}

/// Puts an answer of the kernel's into words that the host understands.
///
/// # Errors
///
/// When the answer is one.
pub fn check(step: Step, subject: u64, answer: Result<usize, Errno>) -> Result<usize, Failure> {
    answer.map_err(|errno| Failure { step, subject, errno: errno.into_raw() })
}

/// Tells the host, once.
pub fn say(plan: &Plan, step: Step, subject: u64, errno: i32) {
    let report = Report { step: step as u32, errno, subject };
    // Nobody is left to hear of a failure to tell.
    let _ = write(plan.report, report.as_bytes());
}

/// Tells the host what failed and ends the process: nothing half-restored ever runs.
pub fn fail(plan: &Plan, failure: &Failure) -> ! {
    say(plan, failure.step, failure.subject, failure.errno);
    loop {
        // SAFETY: ends the process.
        let _ = unsafe { syscall1(Sysno::exit_group, FAILED) };
    }
}

/// Closes the way to the host.
pub fn close(plan: &Plan) {
    // SAFETY: the descriptor is the restorer's own, and nothing uses it afterwards.
    let _ = unsafe { syscall1(Sysno::close, sign_extended(plan.report)) };
}

/// The items of a list of the plan's.
///
/// # Safety
///
/// The list is one of `T`, and lies in memory that stays as long as the plan.
#[must_use]
pub unsafe fn items<T>(list: &List) -> &[T] {
    if list.count == 0 {
        return &[];
    }
    let start = ptr::with_exposed_provenance::<T>(word(list.address));
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(start, word(list.count)) }
}

/// An address or a length of this very process.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the blob runs where addresses have 64 bits")]
pub const fn word(value: u64) -> usize {
    value as usize
}
