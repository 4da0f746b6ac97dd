//! What a child process cost: wall time, and the most memory that it or a child of its own had at once.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time and memory.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    /// Peak resident set, in KiB.
    pub(crate) memory: u64,
}

impl Spent {
    /// Runs a program to its end, which must be a good one.
    pub(crate) fn by(command: &mut Command) -> io::Result<Self> {
        let begin = Instant::now();
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let mut status = 0;
        // SAFETY: a rusage is plain numbers, for which zeros are a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one int and one rusage. Nobody else waits for the child: its handle is only dropped.
        let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        let wall = begin.elapsed();
        if waited != pid {
            return Err(io::Error::last_os_error());
        }
        if status != 0 {
            return Err(io::Error::other(format!("{command:?} ended with status {status:#x}")));
        }
        Ok(Self { wall, memory: u64::try_from(usage.ru_maxrss).unwrap_or_default() })
    }

    /// One after the other.
    pub(crate) fn then(self, next: Self) -> Self {
        Self { wall: self.wall + next.wall, memory: self.memory.max(next.memory) }
    }
}
