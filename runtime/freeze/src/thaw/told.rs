//! What a copy tells its parent: the restorer's report, or in words what failed before it was entered.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

use pie_blob_restorer::plan::{Report, Step};
use serde::{Deserialize, Serialize};
use zerocopy::FromBytes;

use crate::error::Error;

/// Stands where a report has its step, before words.
const WORDS: [u8; 4] = u32::MAX.to_ne_bytes();

/// Where the way to the parent is, once it has been moved out of the way of the program's descriptors.
static MOVED: AtomicI32 = AtomicI32::new(-1);

/// Notes that the way to the parent has moved.
pub(super) fn moved(to: i32) {
    MOVED.store(to, Ordering::Relaxed);
}

/// The way to the parent now.
pub(super) fn last(first: i32) -> i32 {
    match MOVED.load(Ordering::Relaxed) {
        -1 => first,
        moved => moved,
    }
}

/// What was told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    Done,
    Damaged {
        path: String,
        reason: String,
    },
    Foreign {
        reasons: Vec<String>,
    },
    Failed {
        what: String,
        errno: i32,
    },
    /// The same for an error that has no number.
    Refused {
        what: String,
        why: String,
    },
}

impl Told {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Damaged { path, reason } => Self::Damaged { path: path.clone(), reason: reason.clone() },
            Error::Foreign { reasons } => Self::Foreign { reasons: reasons.clone() },
            Error::Io { what, source } | Error::Restore { what, source } => match source.raw_os_error() {
                Some(errno) => Self::Failed { what: what.clone(), errno },
                None => Self::Refused { what: what.clone(), why: source.to_string() },
            },
            other => Self::Failed { what: other.to_string(), errno: libc::EIO },
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = WORDS.to_vec();
        bytes.extend(serde_json::to_vec(self).unwrap_or_default());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if let Some(words) = bytes.strip_prefix(&WORDS) {
            return serde_json::from_slice(words).ok();
        }
        // Two threads that fail at once both tell: the first one is heard.
        let (report, _) = Report::read_from_prefix(bytes).ok()?;
        let step = Step::of(report.step)?;
        let subject = report.subject;
        let what = match step {
            Step::Done => return Some(Self::Done),
            Step::HostRseq => "give up the host's restartable sequences".to_owned(),
            Step::Vdso => format!("move the vDSO to {subject:#x}"),
            Step::Unmap => format!("unmap the host from {subject:#x}"),
            Step::Move => format!("move memory to {subject:#x}"),
            Step::MemoryMap => "tell the kernel of the memory map (PR_SET_MM_MAP)".to_owned(),
            Step::Action => format!("set the action of signal {subject}"),
            Step::Thread => format!("create thread {subject}"),
            Step::Base => format!("set the thread pointer of thread {subject}"),
            Step::RobustList => format!("set the robust list of thread {subject}"),
            Step::Rseq => format!("register restartable sequences of thread {subject}"),
            Step::AlternateStack => format!("set the alternate stack of thread {subject}"),
            Step::Affinity => format!("set the processors of thread {subject}"),
            Step::Scheduling => format!("set how thread {subject} is scheduled"),
            Step::Pending => format!("make signal {subject} pending"),
            Step::IntervalTimer => format!("start interval timer {subject}"),
            Step::PosixTimer => format!("make timer {subject}"),
            Step::Limit => format!("set resource limit {subject}"),
            Step::Credentials => format!("take on the credentials of thread {subject}"),
            Step::Prctl => format!("set prctl option {subject}"),
            Step::Barrier => format!("register for memory barriers ({subject})"),
            Step::LockFuture => format!("lock memory to come ({subject})"),
        };
        Some(Self::Failed { what, errno: report.errno })
    }

    pub(super) fn into_error(self) -> Error {
        let (what, errno) = match self {
            Self::Damaged { path, reason } => return Error::Damaged { path, reason },
            Self::Foreign { reasons } => return Error::Foreign { reasons },
            Self::Refused { what, why } => return Error::Restore { what, source: io::Error::other(why) },
            Self::Failed { what, errno } => (what, errno),
            Self::Done => ("nothing failed".to_owned(), 0),
        };
        Error::Restore { what, source: io::Error::from_raw_os_error(errno) }
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes;

    use super::*;

    #[test]
    fn words_and_reports_are_told_apart() {
        let told = Told::Failed { what: "open a file".to_owned(), errno: 2 };
        match Told::read(&told.bytes()) {
            Some(Told::Failed { what, errno: 2 }) => assert_eq!(what, "open a file"),
            other => panic!("{other:?}"),
        }
        let report = Report { step: Step::Thread as u32, errno: 17, subject: 4711 };
        match Told::read(report.as_bytes()) {
            Some(Told::Failed { what, errno: 17 }) => assert_eq!(what, "create thread 4711"),
            other => panic!("{other:?}"),
        }
        let report = Report { step: 0, errno: 0, subject: 0 };
        assert!(matches!(Told::read(report.as_bytes()), Some(Told::Done)));
        let first = Report { step: Step::Rseq as u32, errno: 1, subject: 12 };
        let both = [first.as_bytes(), Report { subject: 13, ..first }.as_bytes()].concat();
        match Told::read(&both) {
            Some(Told::Failed { what, errno: 1 }) => assert!(what.ends_with("of thread 12"), "{what}"),
            other => panic!("{other:?}"),
        }
        assert!(Told::read(b"").is_none());
        assert!(Told::read(&report.as_bytes()[..15]).is_none());
    }
}
