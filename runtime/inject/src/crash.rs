//! What stands in the way of a victim that survives the death of its tracer.

use std::fmt;

/// Why a victim would not go on unharmed if this process were killed in the middle of an injection.
///
/// Listed by [`Infected::crash_risks`](crate::Infected::crash_risks), and an error with
/// [`Target::require_crash_safe`](crate::Target::require_crash_safe).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashRisk {
    /// A seccomp filter is suspended only while the tracer lives, and then judges the blob's system calls.
    Seccomp,
    /// The program has no `syscall; ret` or no `rt_sigreturn` of its own that it could go back through.
    NoWayBack,
    /// Its main stack has no unused pages for the signal frames, or its extended state fits into none.
    NoRoomForFrames,
    /// A user shadow stack refuses signal frames that the kernel has not written.
    ShadowStack,
    /// It catches or blocks every signal that means nothing by default: its handler for SIGURG would be called once, or one
    /// that it waits for be lost. Some programs block all signals for a moment only, as when they start another: the next try
    /// finds them otherwise.
    SignalsCaught,
    /// It is stopped by job control: it is whole again when it is continued, not before.
    Stopped,
    /// The mapping must have a name, which takes a descriptor for a moment: it would stay open.
    Descriptor,
    /// Other threads run while one that is not the first runs the blob: the pages with its way back would stay mapped.
    PageStays,
}

impl fmt::Display for CrashRisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seccomp => "it has a seccomp filter, which sleeps only while its tracer lives",
            Self::NoWayBack => "its code has no `syscall; ret` or no `rt_sigreturn` to go back through",
            Self::NoRoomForFrames => "its main stack has no unused pages for the signal frames",
            Self::ShadowStack => "it has a user shadow stack",
            Self::SignalsCaught => {
                "it catches or blocks SIGURG, SIGWINCH and SIGCHLD: it would see one, or miss one"
            }
            Self::Descriptor => "a mapping that must have a name takes a descriptor, which would stay open",
            Self::PageStays => "its other threads run meanwhile: a few pages would stay mapped",
            Self::Stopped => "it is stopped by job control: it is whole again only when continued",
        })
    }
}
