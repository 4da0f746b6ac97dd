//! What can go wrong, and with what.

use std::fmt;
use std::io;

/// Why a process cannot be frozen. It goes on; what shows from outside is said before it has been touched.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The process as a whole.
    Process {
        /// Why not.
        reason: String,
    },
    /// One of its threads.
    Thread {
        /// Its id.
        tid: i32,
        /// Why not.
        reason: String,
    },
    /// One of its descriptors.
    Descriptor {
        /// Its number.
        number: i32,
        /// What `/proc/PID/fd` shows.
        target: String,
        /// Why not.
        reason: String,
    },
    /// A range of its addresses.
    Area {
        /// The line of `/proc/PID/maps`.
        area: String,
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { reason } => write!(f, "the process {reason}"),
            Self::Thread { tid, reason } => write!(f, "thread {tid} {reason}"),
            Self::Descriptor { number, target, reason } => {
                write!(f, "descriptor {number} ({target}): {reason}")
            }
            Self::Area { area, reason } => write!(f, "area {area}: {reason}"),
        }
    }
}

/// Why freezing or thawing failed.
///
/// Whatever it is: a process that was to be frozen goes on as if nothing had been, unless its image is complete, and one that was
/// to be thawed does not run at all.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process has something that an image cannot hold.
    #[error("process {pid} cannot be frozen:{}", Lines(.refusals))]
    Unsupported {
        /// The process.
        pid: i32,
        /// Every reason that this look has shown.
        refusals: Vec<Refusal>,
    },
    /// It could not be stopped, asked or let go.
    #[error(transparent)]
    Inject(#[from] pie_blob_inject::Error),
    /// The parasite got an error for an answer.
    #[error("process {pid}: {question} inside it")]
    Answer {
        /// The process.
        pid: i32,
        /// What it was asked.
        question: &'static str,
        /// What the kernel answered it.
        #[source]
        source: io::Error,
    },
    /// Something of this machine could not be read or written.
    #[error("{what}")]
    Io {
        /// What was being done to which file.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The folder is there already.
    #[error("{folder}: is there already and not empty; name another folder or remove it")]
    Exists {
        /// The folder.
        folder: String,
    },
    /// The image is not what it was when it was written.
    #[error("{path}: {reason}; the image cannot be thawed")]
    Damaged {
        /// The file.
        path: String,
        /// How that shows.
        reason: String,
    },
    /// The image cannot be thawed on this machine, as it is now.
    #[error("the image cannot be thawed here:{}", Lines(.reasons))]
    Foreign {
        /// Every reason.
        reasons: Vec<String>,
    },
    /// Thawing copies the calling process, which must have no other threads.
    #[error(
        "thawing copies the calling process, and it has {threads} threads: thaw from one that has a single thread"
    )]
    Threads {
        /// How many there are.
        threads: usize,
    },
    /// The new process could not become the frozen one, and has ended.
    #[error("the process could not be restored: {what}")]
    Restore {
        /// What was being done.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Says what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Each item on a line of its own.
struct Lines<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Lines<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|item| write!(f, "\n  {item}"))
    }
}
