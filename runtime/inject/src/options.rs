//! What a caller may choose: which threads are stopped, how long things may take, how the mapping is called.

use std::time::Duration;

use crate::target::Target;

/// Longer than anybody waits, and short enough to be added to any moment.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// How the blob's pages are called in the victim's memory map.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MappingName {
    /// `[anon:pie_blob]` where the kernel can name anonymous pages (`CONFIG_ANON_VMA_NAME`), else nothing.
    #[default]
    WhereSupported,
    /// `/memfd:pie_blob` on every kernel. Takes three more remote system calls, and a descriptor for their time
    /// ([`CrashRisk::Descriptor`](crate::CrashRisk::Descriptor)).
    Required,
}

/// Which threads of a process are stopped.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// All of them: nothing that a blob looks at changes under its eyes.
    #[default]
    All,
    /// One, which runs the blob; the others run on, so that the time for which anything stands still does not grow with their
    /// number. It is the thread that minds least: one that runs, or waits in a call that goes on where it was, before one in a
    /// call whose time-out starts again ([`waits`](crate::waits)). The first thread comes first among equals, and is the only
    /// choice with [`Target::require_crash_safe`].
    ///
    /// All are stopped all the same in a program whose own code lacks what it takes to note that the blob has been mapped (a few
    /// `pop; ret` and a store, which C libraries have; small Go programs do not).
    ///
    /// Meanwhile the others may do what they like. One that executes a program or ends the process ends the stopped
    /// thread as well ([`Error::Changed`](crate::Error::Changed), [`Error::Died`](crate::Error::Died)); one that makes a child gives it no copy of the blob once its first
    /// call has begun.
    One,
    /// As [`One`](Self::One), and it is this thread.
    Thread(i32),
}

/// What a caller may choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) require_crash_safe: bool,
    pub(crate) arguments: u64,
    pub(crate) deadline: Duration,
    pub(crate) stop_within: Duration,
    pub(crate) mapping_name: MappingName,
    pub(crate) stop: Stop,
}

impl Target {
    /// Refuses, with the victim untouched, whatever would not survive the death of this process.
    #[must_use]
    pub fn require_crash_safe(mut self) -> Self {
        self.options.require_crash_safe = true;
        self
    }

    /// Reserves room for the arguments of a call, in bytes (64 KiB unless asked for otherwise). Pages that no call uses
    /// cost nothing.
    #[must_use]
    pub fn arguments(mut self, bytes: u64) -> Self {
        self.options.arguments = bytes;
        self.prepared = None;
        self
    }

    /// Which threads are stopped: all unless asked for otherwise.
    ///
    /// ```no_run
    /// use pie_blob_inject::{Stop, Target};
    ///
    /// let victim = Target::open(4711)?.stop(Stop::One).seize()?;
    /// assert_eq!(victim.threads().len(), 1);
    /// # Ok::<(), pie_blob_inject::Error>(())
    /// ```
    #[must_use]
    pub fn stop(mut self, which: Stop) -> Self {
        self.options.stop = which;
        self
    }

    /// How the blob's pages are called in the victim's memory map.
    #[must_use]
    pub fn mapping_name(mut self, name: MappingName) -> Self {
        self.options.mapping_name = name;
        self
    }

    /// How long an export may take (5 s unless asked for otherwise, a century at most).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.options.deadline = deadline.min(LONGEST);
        self
    }

    /// How long a thread may take to stop (5 s unless asked for otherwise, a century at most).
    #[must_use]
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.options.stop_within = limit.min(LONGEST);
        self
    }
}
