//! Everything of a stopped victim that an injection could disturb, to be compared before and after.

use std::collections::BTreeMap;
use std::fmt;

use crate::areas::{Area, MapsFile};
use crate::machine::{Machine, Native};
use crate::sys::ptrace;
use crate::victim::Victim;
use crate::{Error, proc, restart};

/// What a stopped victim is: registers, extended state and mask of every thread, areas, signal dispositions and
/// pending signals, descriptors.
///
/// Taken once after seizing and once after curing, the two say whether the victim goes on as if nothing had been. Taking one
/// is work that the victim waits for; comparing them is work that it need not wait for ([`Victim::release`] it before).
///
/// What others do to a stopped victim is no difference: a signal that has become pending (a timer's, a child's end). One that
/// was pending and is no longer is one. Neither is a difference that the area of the main stack reaches further down than it
/// did, as after a push: an injection may need pages there that the victim has not come to yet. Areas of files are told apart
/// by device, inode and offset, not by names.
///
/// While other threads of the victim run ([`Stop`](crate::Stop)), its areas, descriptors and pending signals are theirs to
/// change: only what is the stopped thread's own is taken and compared then.
#[derive(Clone, Debug)]
pub struct Snapshot {
    threads: BTreeMap<i32, Thread>,
    /// What the threads share; none while some of them run.
    process: Option<Process>,
}

/// What the threads of a process share.
#[derive(Clone, Debug)]
struct Process {
    areas: Vec<Area>,
    /// The names of the first of them, by address: for messages.
    names: BTreeMap<u64, String>,
    signals: Signals,
    descriptors: BTreeMap<i32, u64>,
}

/// Sets of signals; bit 0 is signal 1.
#[derive(Clone, Copy, Debug)]
struct Signals {
    pending: u64,
    ignored: u64,
    caught: u64,
}

impl Signals {
    /// Whether an injection must have changed something between these and later ones.
    fn differ(self, later: Self) -> bool {
        self.pending & !later.pending != 0 || (self.ignored, self.caught) != (later.ignored, later.caught)
    }
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
    /// A line of the memory map that only one of them has: range, permissions, and the name where that is known, else
    /// device, inode and offset of the file. Names are known of the first few hundred areas.
    Area(String),
    /// Ignored or caught signals, or one that is no longer pending.
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
            Self::Signals => f.write_str("ignored or caught signals, or a pending one that is lost"),
            Self::Descriptor(descriptor) => write!(f, "descriptor {descriptor}"),
        }
    }
}

impl Victim {
    /// Takes down what the victim is now.
    ///
    /// # Errors
    ///
    /// [`Error::Died`], [`Error::Proc`]; [`Error::TooMuch`] for a victim with more areas or descriptors than can be compared.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let kernel = |action| Error::kernel(action, self.pid);
        let mut threads = BTreeMap::new();
        for tid in self.threads.iter().copied() {
            let read = Native::of(tid).map_err(kernel("read registers"))?;
            let Some(stopped) = read else { return Err(Error::Compat { pid: self.pid }) };
            // As it will go on: with its system call started again and out of a restartable sequence.
            let place = stopped.resume_at(tid).map_err(kernel("read the restartable sequence"))?;
            let registers = restart::cured(&stopped).going_on_at(place);
            let state = Native::state_of(tid).map_err(kernel("read the extended state"))?;
            let mask = ptrace::get_signal_mask(tid).map_err(kernel("read the signal mask"))?;
            threads.insert(tid, Thread { registers, state, mask });
        }
        let process = if self.others_run() { None } else { Some(self.shared()?) };
        Ok(Snapshot { threads, process })
    }

    fn shared(&self) -> Result<Process, Error> {
        let status = proc::StatusFile::open(self.pid)?.read(self.pid)?;
        // The files of the first thread are empty when it has ended.
        let living = self.first_thread()?;
        let maps = MapsFile::open(living)?;
        let areas = maps.all()?;
        Ok(Process {
            names: maps.names(&areas),
            areas,
            signals: Signals { pending: status.pending, ignored: status.ignored, caught: status.caught },
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
        if let (Some(before), Some(after)) = (&self.process, &later.process) {
            found.extend(before.differences(after));
        }
        found
    }

    /// Whether what its threads share was taken as well: not while some of them ran.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.process.is_some()
    }
}

impl Process {
    fn differences(&self, later: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let (gone, new) = one_sided(&self.areas, &later.areas);
        found.extend(gone.into_iter().map(|area| Difference::Area(self.described(area))));
        found.extend(new.into_iter().map(|area| Difference::Area(later.described(area))));
        if self.signals.differ(later.signals) {
            found.push(Difference::Signals);
        }
        let changed = |fd: &&i32| self.descriptors.get(fd) != later.descriptors.get(fd);
        let new = later.descriptors.keys().filter(|fd| !self.descriptors.contains_key(fd));
        found.extend(self.descriptors.keys().chain(new).filter(changed).copied().map(Difference::Descriptor));
        found
    }

    fn described(&self, area: &Area) -> String {
        match (self.names.get(&area.range.start), area.device, area.inode) {
            (Some(name), ..) => format!("{area} {name}"),
            (None, [0, 0], 0) => area.to_string(),
            (None, [major, minor], inode) => {
                format!("{area} (device {major:x}:{minor:x}, inode {inode}, offset {:#x})", area.offset)
            }
        }
    }
}

/// The areas that only one of two lists has, each sorted by address.
fn one_sided<'a>(before: &'a [Area], later: &'a [Area]) -> (Vec<&'a Area>, Vec<&'a Area>) {
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    let (mut before, mut later) = (before.iter().peekable(), later.iter().peekable());
    loop {
        // By their ends: the start of the stack's may lie lower.
        match (before.peek(), later.peek()) {
            (Some(one), Some(other)) if one.range.end == other.range.end => {
                if !same(one, other) {
                    gone.push(*one);
                    new.push(*other);
                }
                before.next();
                later.next();
            }
            (Some(one), other) if other.is_none_or(|other| one.range.end < other.range.end) => {
                gone.push(*one);
                before.next();
            }
            (_, Some(other)) => {
                new.push(*other);
                later.next();
            }
            (_, None) => return (gone, new),
        }
    }
}

/// Whether an area is as it was, but for a stack that reaches further down.
fn same(before: &Area, later: &Area) -> bool {
    if !(before.is_stack() && later.is_stack()) {
        return before == later;
    }
    let permissions = |area: &Area| [area.readable, area.writable, area.executable, area.shared];
    before.range.end == later.range.end
        && before.range.start >= later.range.start
        && permissions(before) == permissions(later)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::areas::Kind;
    use std::ops::Range;
    use std::time::{Duration, Instant};

    fn of(areas: Vec<Area>) -> Snapshot {
        let signals = Signals { pending: 0, ignored: 0, caught: 0 };
        let (threads, names, descriptors) = Default::default();
        Snapshot { threads, process: Some(Process { areas, names, signals, descriptors }) }
    }

    fn stack(range: Range<u64>) -> Area {
        Area { kind: Kind::Stack, ..Area::anonymous(range) }
    }

    #[test]
    fn areas_of_one_side_are_differences() {
        let one = |start: u64| Area::anonymous(start..start + 0x1000);
        let before = of(vec![one(0x1000), one(0x3000), one(0x8000)]);
        let mut changed = one(0x8000);
        changed.inode = 7;
        let later = of(vec![one(0x2000), one(0x3000), changed, one(0x9000)]);
        let area = |text: &str| Difference::Area(text.to_owned());
        assert_eq!(
            before.differences(&later),
            [
                area("1000-2000 rw-p"),
                area("8000-9000 rw-p"),
                area("2000-3000 rw-p"),
                area("8000-9000 rw-p (device 0:0, inode 7, offset 0x0)"),
                area("9000-a000 rw-p"),
            ]
        );
        assert_eq!(before.differences(&before), []);
        assert_eq!(of(vec![]).differences(&before).len(), 3);
        assert_eq!(before.differences(&of(vec![])).len(), 3);
    }

    #[test]
    fn a_stack_may_reach_further_down() {
        let before = of(vec![stack(0x5000..0x9000)]);
        assert_eq!(before.differences(&of(vec![stack(0x4000..0x9000)])), []);
        assert_eq!(before.differences(&of(vec![stack(0x6000..0x9000)])).len(), 2);
        assert_eq!(before.differences(&of(vec![stack(0x5000..0xa000)])).len(), 2);
        let executable = Area { executable: true, ..stack(0x4000..0x9000) };
        assert_eq!(before.differences(&of(vec![executable])).len(), 2);
        assert_eq!(before.differences(&of(vec![Area::anonymous(0x4000..0x9000)])).len(), 2);
    }

    #[test]
    fn comparing_takes_as_long_as_there_are_areas() {
        let many = |step: u64| -> Snapshot {
            of((1..200_000).map(|n| Area::anonymous(n * 0x3000..n * 0x3000 + step)).collect())
        };
        let (before, later) = (many(0x1000), many(0x2000));
        let begin = Instant::now();
        assert_eq!(before.differences(&before), []);
        assert_eq!(before.differences(&later).len(), 2 * 199_999);
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    }

    #[test]
    fn a_signal_that_comes_is_no_difference_and_a_lost_one_is() {
        let with = |pending, ignored, caught| {
            let mut snapshot = of(vec![]);
            snapshot.process.as_mut().unwrap().signals = Signals { pending, ignored, caught };
            snapshot
        };
        assert_eq!(with(0b01, 1, 2).differences(&with(0b11, 1, 2)), []);
        for later in [with(0b10, 1, 2), with(0b01, 3, 2), with(0b01, 1, 0)] {
            assert_eq!(with(0b01, 1, 2).differences(&later), [Difference::Signals]);
        }
    }

    #[test]
    fn descriptors_that_changed_are_named_once() {
        let with = |descriptors: &[(i32, u64)]| {
            let mut snapshot = of(vec![]);
            snapshot.process.as_mut().unwrap().descriptors = descriptors.iter().copied().collect();
            snapshot
        };
        let found = with(&[(0, 1), (1, 2), (2, 3)]).differences(&with(&[(0, 1), (1, 7), (5, 3)]));
        assert_eq!(found, [1, 2, 5].map(Difference::Descriptor));
    }
}
