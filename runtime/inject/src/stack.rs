//! Memory in which no thread can have anything: the low end of the main stack, as far as nobody has ever touched it.
//!
//! That a thread's stack pointer lies above some memory does not prove that the memory is unused: the thread may be in a handler
//! on an alternate stack or in a coroutine, and both may lie inside of the main stack itself. Nor do zeros prove it. What
//! proves it is that a page has no contents at all (`/proc/PID/pagemap`): nothing has ever been written there, so
//! nothing is lost. A stack has such pages at its low end from the start, and a write below that end adds fresh ones, as a push
//! would.
//!
//! Frames that were taken back leave zeros behind. That page serves again as long as it is the lowest, still has nothing but
//! zeros, and no page of a stretch above it has been touched: a stack that has come down to it since would have gone
//! through them.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::Error;
use crate::areas::{Area, MapsFile};
use crate::sys::maps::Found;
use crate::sys::memory::Memory;
use crate::sys::pagemap::Pagemap;
use crate::target::{PAGE, PAGE_LEN};

/// What the kernel leaves free below a stack (`stack_guard_gap`). Into a neighbour that nobody may access it would grow
/// without it, and the next write would be to that neighbour.
const GUARD_GAP: u64 = 256 * PAGE;

/// How many pages above the frames nobody may have touched while the stack's own thread is stopped, and while it runs.
const APART: u64 = 16;
const APART_FROM_RUNNING: u64 = 256;

/// The main stack of a process.
#[derive(Debug)]
pub(crate) struct Stack {
    end: u64,
    /// Where it began when it was looked at last.
    low: AtomicU64,
    pagemap: Pagemap,
    claimed: AtomicBool,
}

/// A place for frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unused {
    pub(crate) start: u64,
    /// Whether writing there makes the stack longer first.
    pub(crate) below: bool,
}

impl Stack {
    /// Among the areas of a process; `None` where it has none, or the kernel says nothing about its pages.
    pub(crate) fn among(areas: &[Area], tid: i32) -> Option<Self> {
        let stack = areas.iter().find(|area| area.is_stack())?;
        let (low, end) = (AtomicU64::new(stack.range.start), stack.range.end);
        Some(Self { end, low, pagemap: Pagemap::open(tid).ok()?, claimed: AtomicBool::new(false) })
    }

    /// Claims the room below what is used for this host; `false` where another host has it. Looking for room and laying frames
    /// there are two steps, and where not all threads are stopped another host may take them at the same time, in another
    /// thread: it would find the same room.
    pub(crate) fn claim(&self) -> bool {
        let claimed = self.claimed.load(Ordering::Relaxed) || self.pagemap.claim();
        self.claimed.store(claimed, Ordering::Relaxed);
        claimed
    }

    /// Gives the claim up, if there is one.
    pub(crate) fn give_up(&self) {
        if self.claimed.swap(false, Ordering::Relaxed) {
            self.pagemap.give_up();
        }
    }

    /// Finds `len` bytes (whole pages) in which nobody can have anything. `pointers` are the stack pointers of the threads that
    /// are stopped.
    pub(crate) fn unused(
        &self,
        maps: &MapsFile,
        memory: &Memory,
        len: u64,
        its_thread_runs: bool,
        pointers: &[u64],
    ) -> Result<Option<Unused>, Error> {
        let apart = PAGE * if its_thread_runs { APART_FROM_RUNNING } else { APART };
        let Some((stack, room_below)) = self.now(maps, len + apart)? else { return Ok(None) };
        // A thread whose stack ends near could come down to the frames before another has gone back through them.
        let near = |pointer: &u64| (stack.start..stack.start + len + apart).contains(pointer);
        if len + apart <= stack.end - stack.start
            && !pointers.iter().any(near)
            && self.is_untouched(memory, stack.start, len, apart)
        {
            return Ok(Some(Unused { start: stack.start, below: false }));
        }
        Ok(room_below.then(|| Unused { start: stack.start - apart - len, below: true }))
    }

    /// The lowest page of the stack.
    pub(crate) fn lowest(&self, maps: &MapsFile) -> Result<Option<u64>, Error> {
        Ok(self.now(maps, 0)?.map(|(stack, _)| stack.start))
    }

    /// Whether a page has been touched.
    pub(crate) fn is_used(&self, page: u64) -> bool {
        self.pagemap.used(page / PAGE, 1).is_ok_and(|used| used.contains(&true))
    }

    /// Where the stack lies now, and whether it could grow by so many bytes.
    fn now(&self, maps: &MapsFile, by: u64) -> Result<Option<(Range<u64>, bool)>, Error> {
        loop {
            let low = self.low.load(Ordering::Relaxed);
            // One question answers both: the first area above there is the stack itself if nothing lies in between.
            let free_from = low.saturating_sub(GUARD_GAP + by).max(PAGE);
            let first = maps.at_or_above(free_from)?;
            let (found, room_below) = match first {
                Some(found) if found.range.end == self.end => (found, true),
                _ => match maps.area(self.end - 1)? {
                    Some(found) => (found, false),
                    None => return Ok(None),
                },
            };
            let Found { range, writable, .. } = found;
            if !writable || range.end != self.end {
                return Ok(None);
            }
            self.low.store(range.start, Ordering::Relaxed);
            // It has grown since: there is something else below it.
            if range.start >= low || !room_below {
                return Ok(Some((range, room_below)));
            }
        }
    }

    /// Whether nothing but zeros lies in the pages from `start` on, and nobody has touched those above.
    fn is_untouched(&self, memory: &Memory, start: u64, len: u64, apart: u64) -> bool {
        let pages = |bytes: u64| usize::try_from(bytes / PAGE).unwrap_or(0);
        let Ok(used) = self.pagemap.used(start / PAGE, pages(len + apart)) else { return false };
        let (ours, above) = used.split_at(pages(len));
        if above.contains(&true) {
            return false;
        }
        if !ours.contains(&true) {
            return true;
        }
        // Reading a page that nobody has touched would touch it.
        let mut contents = [0; PAGE_LEN];
        let addresses = (start..).step_by(PAGE_LEN);
        ours.iter().zip(addresses).all(|(used, address)| {
            !used || memory.read(address, &mut contents).is_ok() && contents.iter().all(|byte| *byte == 0)
        })
    }
}
