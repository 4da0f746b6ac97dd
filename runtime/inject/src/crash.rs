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
    /// No memory is certain to be unused for the signal frames: its main stack may not grow (a limit, a neighbour, a kernel that
    /// does not say which pages have contents), or its extended state fits into none.
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
    /// Another thread than the first is stopped alone: the frames lie a mebibyte below what the first one's stack has in
    /// use, which it could come down to meanwhile.
    FirstThreadRuns,
    /// It turns system calls of its own into signals (syscall user dispatch, as Wine does), which is switched off only while the
    /// tracer lives.
    UserDispatch,
    /// Other threads run while one that is not the first runs the blob: the pages with its way back would stay mapped.
    PageStays,
}

impl fmt::Display for CrashRisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seccomp => "it has a seccomp filter, which sleeps only while its tracer lives",
            Self::NoWayBack => "its code has no `syscall; ret` or no `rt_sigreturn` to go back through",
            Self::NoRoomForFrames => {
                "its main stack has no pages for the signal frames that are certain to be unused"
            }
            Self::FirstThreadRuns => {
                "its first thread runs on, and the signal frames lie below that one's stack"
            }
            Self::UserDispatch => {
                "it uses syscall user dispatch, which is switched off only while its tracer lives"
            }
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
