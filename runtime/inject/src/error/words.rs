//! Parts of messages: lists, places in a blob, names of signals.

use std::fmt;
use std::process::ExitStatus;

/// The child that a thread waits for.
pub(super) struct Child(pub(super) Option<i32>);

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(child) => write!(f, "process {child}"),
            None => f.write_str("its child"),
        }
    }
}

/// How a process ended, in parentheses.
pub(super) struct How(pub(super) Option<ExitStatus>);

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => write!(f, " ({status})"),
            None => Ok(()),
        }
    }
}

/// A list, its items separated by semicolons.
pub(super) struct Listed<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

/// A place in the blob.
pub(super) struct At<'a>(pub(super) Option<u64>, pub(super) &'a Option<(String, u64)>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(offset), Some((name, within))) => write!(f, "offset {offset:#x} ({name}+{within:#x})"),
            (Some(offset), None) => write!(f, "offset {offset:#x}"),
            (None, _) => f.write_str("a place outside of the blob"),
        }
    }
}

/// Where a fault happened, and where that was called from.
pub(super) struct Fell<'a>(
    pub(super) Option<u64>,
    pub(super) Option<u64>,
    pub(super) &'a Option<(String, u64)>,
);

impl fmt::Display for Fell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        At(self.0, self.2).fmt(f)?;
        match (self.0, self.1) {
            (None, Some(_)) => write!(f, ", called from {}", At(self.1, self.2)),
            _ => Ok(()),
        }
    }
}

/// The signals that code raises by itself, by name.
pub(super) struct SignalName(pub(super) i32);

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            libc::SIGSEGV => f.write_str("SIGSEGV"),
            libc::SIGBUS => f.write_str("SIGBUS"),
            libc::SIGILL => f.write_str("SIGILL"),
            libc::SIGFPE => f.write_str("SIGFPE"),
            libc::SIGTRAP => f.write_str("SIGTRAP"),
            libc::SIGSYS => f.write_str("SIGSYS"),
            other => write!(f, "signal {other}"),
        }
    }
}
