//! Bringing threads home that an earlier host has left.
//!
//! A thread whose host dies goes back by itself as soon as it can. A blob that never returns keeps it for ever, with its signals
//! blocked; a process that job control has stopped goes back when it is continued. The frames stay where they were in
//! both cases, with a [note](crate::note) in front. Whoever opens such a process next finds it and finishes what was begun.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::areas::Area;
use crate::borrowed::{Borrowed, Mapping, Spot};
use crate::machine::{Gadgets, Left, Machine, Native};
use crate::options::Stop;
use crate::proc::StatusFile;
use crate::sys::ptrace::{self, Resume};
use crate::sys::wait::Change;
use crate::system_call::SystemCall;
use crate::target::{PAGE, PAGE_LEN, SPARE, Target};
use crate::victim::Victim;
use crate::{Error, borrowed};

/// How many pages at the low end of a stack may have frames: two places of the largest size.
const PAGES: u64 = 8;

/// The most frames that are looked after: a host leaves those of two threads.
const MOST: usize = 16;

/// How long a handler may take that runs while the thread is on its way.
const HANDLED_WITHIN: Duration = Duration::from_secs(1);

/// What a thread in a blob may not block: what its code raises, what ends its calls, and what nobody can block.
const NEVER_BLOCKED: u64 = {
    let mut mask = 0;
    let mut at = 0;
    while at < borrowed::FAULTS.len() {
        mask |= 1 << (borrowed::FAULTS[at] - 1);
        at += 1;
    }
    mask | 1 << (libc::SIGURG - 1)
        | 1 << (libc::SIGWINCH - 1)
        | 1 << (libc::SIGCHLD - 1)
        | 1 << (libc::SIGKILL - 1)
        | 1 << (libc::SIGSTOP - 1)
};

/// Where a thread is that an earlier host has borrowed.
enum Whereabouts {
    /// It runs its own code.
    Home,
    /// In the blob, or in front of the frames.
    Astray,
    /// In a handler of its own, which comes back to the blob or the frames.
    InHandler,
}

/// Frames that are still there.
#[derive(Clone, Debug)]
struct Found {
    left: Left,
    address: u64,
    /// The rest of a mapping that they lie in, where that is not the stack.
    mapping: Option<Range<u64>>,
}

impl Target {
    /// Finishes what hosts have begun in a process and died over, and returns how many threads or remains of theirs were
    /// found: 0 for a process that nobody has left so.
    ///
    /// [`open`](Self::open) does so too, before anything else. The process is stopped for it only where something was found.
    ///
    /// ```no_run
    /// let found = pie_blob_inject::Target::heal(4711)?;
    /// println!("{found} left by hosts that have died");
    /// # Ok::<(), pie_blob_inject::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`seize`](Self::seize): [`Error::AlreadyTraced`] where the host is still at work.
    pub fn heal(pid: i32) -> Result<usize, Error> {
        Self::look(pid)?.healed().map(|(_, found)| found)
    }

    /// This process without anything that an earlier host has left in it, and how much was found.
    pub(crate) fn healed(self) -> Result<(Self, usize), Error> {
        let found = self.left()?;
        if found.is_empty() {
            return Ok((self, 0));
        }
        let (pid, options) = (self.pid, self.options);
        let mut target = self;
        target.options.stop = Stop::All;
        target.options.require_crash_safe = false;
        let mut victim = target.seize()?;
        for one in &found {
            victim.clear(one)?;
        }
        victim.release()?;
        // Its memory map is another now.
        let mut target = Self::look(pid)?;
        target.options = options;
        Ok((target, found.len()))
    }

    /// The frames that lie in the process.
    fn left(&self) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        if let Some((stack, low)) = self.stack.as_ref().zip(self.lowest_of_stack()?) {
            for address in (low..).step_by(PAGE_LEN).take(usize::try_from(PAGES).unwrap_or(0)) {
                if stack.is_used(address) {
                    found.extend(self.frames_at(address).map(|left| Found { left, address, mapping: None }));
                }
            }
        }
        // They may also lie in the last pages of a blob's own mapping.
        let may_be_blob =
            |area: &&Area| area.is_blob() || !area.shared && !area.is_file() && !area.is_stack();
        for area in self.areas.iter().filter(may_be_blob) {
            let address = area.range.end.saturating_sub(SPARE);
            if address < area.range.start || !self.stack.as_ref().is_some_and(|stack| stack.is_used(address))
            {
                continue;
            }
            let mapping = Some(address..area.range.end);
            found.extend(self.frames_at(address).map(|left| Found {
                left,
                address,
                mapping: mapping.clone(),
            }));
        }
        // A process that has more of them has made them itself, to keep whoever opens it.
        found.truncate(MOST);
        Ok(found)
    }

    fn lowest_of_stack(&self) -> Result<Option<u64>, Error> {
        match &self.stack {
            Some(stack) => stack.lowest(&self.maps),
            None => Ok(None),
        }
    }

    /// Frames that lie at an address, as they were written.
    fn frames_at(&self, address: u64) -> Option<Left> {
        let mut begin = [0; 64];
        self.memory.read(address, &mut begin).ok()?;
        crate::note::Note::read(&begin, address)?;
        // Reading a page that nobody has touched would touch it, and frames have no such pages.
        let stack = self.stack.as_ref()?;
        let pages = (address..).step_by(PAGE_LEN).take_while(|page| stack.is_used(*page));
        let pages = pages.take(usize::try_from(Native::LONGEST_FRAMES / PAGE).unwrap_or(0)).count();
        let mut bytes = vec![0; pages * PAGE_LEN];
        self.memory.read(address, &mut bytes).ok()?;
        Native::left(&bytes, address)
    }
}

impl Victim {
    /// Brings the thread home that frames belong to, and takes them away.
    fn clear(&mut self, found: &Found) -> Result<(), Error> {
        let pid = self.pid;
        let frames = found.address..found.address + found.left.len as u64;
        let Some(target) = self.target.take() else { return Err(Error::NoSuchProcess { pid }) };
        // The process ran on when they were found: they may have been taken back, and what lies there now be its own.
        if target.frames_at(found.address) != Some(found.left) {
            self.target = Some(target);
            return Ok(());
        }
        let cleared = self.bring_home(&target, found, &frames).and_then(|()| match &found.mapping {
            Some(rest) => self.unmap(&target, rest),
            None => {
                let zeros = vec![0; found.left.len];
                let write = target.memory.write(frames.start, &zeros);
                write.map_err(Error::kernel("take away what a host has left", pid))
            }
        });
        self.target = Some(target);
        cleared
    }

    /// Leads the thread that the frames belong to through them, if it is still on its way.
    fn bring_home(&mut self, target: &Target, found: &Found, frames: &Range<u64>) -> Result<(), Error> {
        let pid = self.pid;
        let note = found.left.note;
        let Gadgets::Pair { call, sigreturn, .. } = target.gadgets else { return Ok(()) };
        let Some(tid) = self.threads.iter().copied().find(|tid| inner_thread(*tid) == Some(note.thread))
        else {
            return Ok(());
        };
        let kernel = |action| Error::kernel(action, pid);
        let begin = Instant::now();
        let (registers, mapped) = loop {
            let Some(registers) = Native::of(tid).map_err(kernel("read registers"))? else { return Ok(()) };
            let mapped = target.maps.area(note.base)?.is_some_and(|area| area.range.start == note.base);
            match self.whereabouts(tid, &registers, mapped, &found.left, frames)? {
                Whereabouts::Home => return Ok(()),
                Whereabouts::Astray => break (registers, mapped),
                // It comes back from there by itself. What it interrupts is not to be taken away from under it.
                Whereabouts::InHandler if begin.elapsed() < HANDLED_WITHIN => self.go_to_system_call(tid)?,
                Whereabouts::InHandler => return Err(Error::StillLeaving { pid, tid }),
            }
        };
        if found.left.sigreturn != sigreturn.address {
            return Ok(());
        }
        self.suspend_filter(tid)?;
        let (next, calls) = if mapped {
            let unmap = SystemCall::munmap(note.base, note.span);
            (registers.calling(call.address, found.left.resume, &unmap), 2)
        } else {
            // The word at the frame's start has been taken from the stack when its code runs.
            let none = SystemCall { name: "rt_sigreturn", number: 0, arguments: [0; 6] };
            (registers.calling(sigreturn.address, found.left.resume + 8, &none), 1)
        };
        next.set(tid).map_err(kernel("set registers"))?;
        let mask = borrowed::FAULTS.iter().fold(u64::MAX, |mask, signal| mask & !(1 << (signal - 1)));
        ptrace::set_signal_mask(tid, mask).map_err(kernel("set the signal mask"))?;
        // The entry and the exit of each call; behind the last the thread is its own.
        for _ in 0..2 * calls {
            self.go_to_system_call(tid)?;
        }
        Ok(())
    }

    /// Where the thread is that frames belong to.
    fn whereabouts(
        &self,
        tid: i32,
        registers: &Native,
        mapped: bool,
        left: &Left,
        frames: &Range<u64>,
    ) -> Result<Whereabouts, Error> {
        let blob = left.note.base..left.note.base + left.note.span;
        let (place, stack) = (registers.place(), registers.stack());
        if blob.contains(&place) || blob.contains(&stack) || frames.contains(&stack) {
            return Ok(Whereabouts::Astray);
        }
        let mask = ptrace::get_signal_mask(tid).map_err(Error::kernel("read the signal mask", self.pid))?;
        // While a blob runs everything else is blocked, also in the handler of the signal that has ended its call.
        let blocks_all = |mask: u64| mask | NEVER_BLOCKED == u64::MAX;
        // A thread that blocks all signals itself is home once it has unmapped the blob.
        let in_handler = blocks_all(mask) && (mapped || mask != left.mask);
        Ok(if in_handler { Whereabouts::InHandler } else { Whereabouts::Home })
    }

    /// Lets a thread run to the next entry or exit of a system call.
    fn go_to_system_call(&mut self, tid: i32) -> Result<(), Error> {
        let pid = self.pid;
        let limit = self.options.stop_within;
        let until = Instant::now() + limit;
        loop {
            ptrace::resume(tid, Resume::ToSystemCall, 0).map_err(Error::kernel("resume it", pid))?;
            let waited = self.wait(tid, until, None).map_err(Error::kernel("wait for it", pid))?;
            match waited.change {
                Some(Change::SystemCall) => return Ok(()),
                Some(Change::Signal(signal)) => self.defer(tid, signal),
                Some(Change::Gone(_)) => return Err(Error::died(pid, tid)),
                Some(Change::Event(_) | Change::JobStop) => {}
                None => return Err(Error::DidNotStop { tid, waited: limit }),
            }
        }
    }

    /// Unmaps what is left of a blob's mapping.
    fn unmap(&mut self, target: &Target, rest: &Range<u64>) -> Result<(), Error> {
        let tid = self.first_thread()?;
        let mapping = Mapping { base: rest.start, span: rest.end - rest.start, done: true };
        let mut thread = Borrowed::take(self, target, tid, &Spot::Stack { second: false }, &mapping)?;
        let call = SystemCall::munmap(mapping.base, mapping.span);
        let unmapped = thread.last_system_call(self, target, &call);
        thread.give_back(self, target)?;
        unmapped.map(drop)
    }
}

/// The id of a thread in the pid namespace that it lives in.
fn inner_thread(tid: i32) -> Option<i32> {
    let status = StatusFile::open(tid).and_then(|file| file.read(tid)).ok()?;
    Some(status.inner_thread)
}
