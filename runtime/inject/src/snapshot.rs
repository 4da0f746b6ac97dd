//! Everything of a stopped victim that an injection could disturb, to be compared before and after.

use std::collections::BTreeMap;
use std::fmt;

use crate::machine::{Machine, Native};
use crate::sys::ptrace;
use crate::victim::Victim;
use crate::{Error, areas, proc, restart};

/// What a stopped victim is: registers, extended state and mask of every thread, areas, signal dispositions and
/// pending signals, descriptors.
///
/// Taken once after seizing and once after curing, the two say whether the victim goes on as if nothing had been.
#[derive(Clone, Debug)]
pub struct Snapshot {
    threads: BTreeMap<i32, Thread>,
    areas: Vec<String>,
    signals: [u64; 3],
    descriptors: BTreeMap<i32, String>,
}

#[derive(Clone, Debug)]
struct Thread {
    registers: Native,
    state: <Native as Machine>::State,
    mask: u64,
}

/// Something that two snapshots do not agree on.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A thread that only one of them has.
    Thread(i32),
    /// A thread's general registers.
    Registers(i32),
    /// A thread's extended state: x87, SSE, AVX and what else XSAVE keeps.
    ExtendedState(i32),
    /// A thread's signal mask.
    SignalMask(i32),
    /// A line of the memory map that only one of them has.
    Area(String),
    /// Pending, ignored or caught signals.
    Signals,
    /// A file descriptor.
    Descriptor(i32),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread(tid) => write!(f, "thread {tid}"),
            Self::Registers(tid) => write!(f, "the registers of thread {tid}"),
            Self::ExtendedState(tid) => write!(f, "the extended state of thread {tid}"),
            Self::SignalMask(tid) => write!(f, "the signal mask of thread {tid}"),
            Self::Area(area) => write!(f, "the area {area}"),
            Self::Signals => f.write_str("pending, ignored or caught signals"),
            Self::Descriptor(descriptor) => write!(f, "descriptor {descriptor}"),
        }
    }
}

impl Victim {
    /// Takes down what the victim is now.
    ///
    /// # Errors
    ///
    /// [`Error::Died`], [`Error::Proc`].
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let kernel = |action| Error::kernel(action, self.pid);
        let mut threads = BTreeMap::new();
        for tid in self.threads.iter().copied() {
            let read = Native::of(tid).map_err(kernel("read registers"))?;
            let Some(stopped) = read else { return Err(Error::Compat { pid: self.pid }) };
            // As it will go on: with its system call started again and out of a restartable sequence.
            let place = stopped.resume_at(tid).map_err(kernel("read the restartable sequence"))?;
            let registers = restart::compared(&stopped).going_on_at(place);
            let state = Native::state_of(tid).map_err(kernel("read the extended state"))?;
            let mask = ptrace::get_signal_mask(tid).map_err(kernel("read the signal mask"))?;
            threads.insert(tid, Thread { registers, state, mask });
        }
        let status = proc::StatusFile::open(self.pid)?.read(self.pid)?;
        // The files of the first thread are empty when it has ended.
        let living = self.first_thread()?;
        let areas = areas::areas(living)?.iter().map(ToString::to_string).collect();
        Ok(Snapshot {
            threads,
            areas,
            signals: [status.pending, status.ignored, status.caught],
            descriptors: proc::descriptors(living)?,
        })
    }
}

impl Snapshot {
    /// What this one and a later one do not agree on; nothing, after a cure.
    #[must_use]
    pub fn differences(&self, later: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        for tid in
            self.threads.keys().chain(later.threads.keys().filter(|tid| !self.threads.contains_key(tid)))
        {
            let (Some(before), Some(after)) = (self.threads.get(tid), later.threads.get(tid)) else {
                found.push(Difference::Thread(*tid));
                continue;
            };
            if before.registers != after.registers {
                found.push(Difference::Registers(*tid));
            }
            if before.state != after.state {
                found.push(Difference::ExtendedState(*tid));
            }
            if before.mask != after.mask {
                found.push(Difference::SignalMask(*tid));
            }
        }
        let one_sided = |these: &[String], those: &[String]| {
            these
                .iter()
                .filter(|area| !those.contains(area))
                .cloned()
                .map(Difference::Area)
                .collect::<Vec<_>>()
        };
        found.extend(one_sided(&self.areas, &later.areas));
        found.extend(one_sided(&later.areas, &self.areas));
        if self.signals != later.signals {
            found.push(Difference::Signals);
        }
        let numbers = self.descriptors.keys().chain(later.descriptors.keys());
        let mut changed: Vec<i32> =
            numbers.filter(|fd| self.descriptors.get(fd) != later.descriptors.get(fd)).copied().collect();
        changed.dedup();
        found.extend(changed.into_iter().map(Difference::Descriptor));
        found
    }
}
