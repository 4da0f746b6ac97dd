//! Where a borrowed thread's signal frames lie, and laying them there.

use std::io::ErrorKind;
use std::ops::Range;

use super::{Borrowed, RED_ZONE};
use crate::machine::{Gadgets, Machine, Native, Original, Way};
use crate::sys::maps::Found;
use crate::system_call::SystemCall;
use crate::target::Target;
use crate::victim::Victim;
use crate::{CrashRisk, Error};

/// Left free below the frames: where a handler would run if the tracer died before signals were blocked.
const BELOW: u64 = 16 * 1024;
/// What the frames of one thread have at most, with every extended state that there is.
const SLOT: u64 = 16 * 1024;

/// Where frames may lie.
#[derive(Clone, Debug)]
pub(crate) enum Spot {
    /// At the low end of the main stack, in one of two places: a thread lays its own before another gives back.
    Stack { second: bool },
    /// In these spare pages of the blob's own mapping: where the main stack's own thread runs and may use all of it. Reading
    /// is all that `rt_sigreturn` wants, but unmapping them is then left to the tracer.
    Mapping(Range<u64>),
}

/// A place for frames, and what must be there.
#[derive(Debug)]
struct Place {
    address: u64,
    space: u64,
    must_be_zero: bool,
}

impl Spot {
    /// The place for the frames of the thread that takes over.
    pub(crate) fn other(&self) -> Self {
        Self::Stack { second: matches!(self, Self::Stack { second: false }) }
    }
}

impl Borrowed {
    /// Checks that the program is still the one that was looked at, finds room for the frames and writes them.
    pub(super) fn lay_frames(
        &mut self,
        victim: &mut Victim,
        target: &Target,
        spot: &Spot,
        undo: &SystemCall,
    ) -> Result<(), Error> {
        let pid = victim.pid;
        let area = Native::state_in_frame(&self.state);
        let place = match (&area, self.gadgets) {
            (Some(area), Gadgets::Pair { .. }) => {
                self.room(victim, target, spot, Native::frame_space(area.len()) as u64)?
            }
            _ => None,
        };
        let call = self.gadgets.call();
        let sigreturn = match self.gadgets {
            Gadgets::Pair { sigreturn, .. } => sigreturn,
            Gadgets::CallOnly(call) => call,
        };
        // What the frames will lie on; with no place for them, the borrowed code, to see that it is still there.
        let (address, space) = match &place {
            Some(place) => (place.address, place.space),
            None => (call.address, call.code.len() as u64),
        };
        self.covered = vec![0; usize::try_from(space).unwrap_or(0)];
        target.memory.read(address, &mut self.covered).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => Error::Changed { pid },
            _ => Error::kernel("read its memory", pid)(source),
        })?;
        let in_use = |place: &Place| place.must_be_zero && self.covered.iter().any(|byte| *byte != 0);
        let place = place.filter(|place| !in_use(place));
        let (Some(Place { address, .. }), Some(area)) = (place, area) else {
            if matches!(self.gadgets, Gadgets::Pair { .. }) {
                victim.add_risk(CrashRisk::NoRoomForFrames);
            }
            return victim.check_risks();
        };
        let (resume_at, mask) = (self.resume_at, self.mask);
        let original = Original { registers: &self.original, resume_at, mask, state: &area };
        let way = Way { call: call.address, sigreturn: sigreturn.address };
        let Some(frames) = Native::frames(address, &original, &way, undo) else {
            victim.add_risk(CrashRisk::NoRoomForFrames);
            return victim.check_risks();
        };
        self.covered.truncate(if matches!(spot, Spot::Mapping(_)) { 0 } else { frames.bytes.len() });
        target.memory.write(frames.address, &frames.bytes).map_err(Error::kernel("write the frames", pid))?;
        self.frames = Some(frames);
        Ok(())
    }

    /// Lays the frames at another spot and has the thread stand by there, before the system call `undo`; `false`
    /// where there is no room: they stay where they are then.
    pub(crate) fn relay(
        &mut self,
        victim: &mut Victim,
        target: &Target,
        spot: &Spot,
        undo: &SystemCall,
    ) -> Result<bool, Error> {
        let (frames, covered) = (self.frames.take(), std::mem::take(&mut self.covered));
        let laid = self.lay_frames(victim, target, spot, undo);
        let (new, uncovered) = (self.frames.take(), std::mem::take(&mut self.covered));
        (self.frames, self.covered) = (frames, covered);
        laid?;
        let Some(new) = new else { return Ok(false) };
        self.start_system_call(victim, undo, new.resume)?;
        self.uncover(victim.pid, target)?;
        (self.frames, self.covered) = (Some(new), uncovered);
        Ok(true)
    }

    /// Finds pages at the low end of the main stack that no thread uses; never below a stack pointer's own page, and
    /// never on a stack that a program has made for itself.
    ///
    /// While the first thread is elsewhere (in a handler on its alternate stack, in a coroutine), nobody knows how much of the
    /// main stack it has left in use: then there must be nothing but zeros, as where a stack was never used.
    fn room(
        &self,
        victim: &Victim,
        target: &Target,
        spot: &Spot,
        space: u64,
    ) -> Result<Option<Place>, Error> {
        let second = match spot {
            Spot::Stack { second } => *second,
            Spot::Mapping(spare) => {
                let place = Place { address: spare.start, space, must_be_zero: false };
                return Ok((space <= spare.end - spare.start).then_some(place));
            }
        };
        // It may have grown since all areas were looked at.
        let Some(known) = target.areas.iter().find(|area| area.is_stack()) else { return Ok(None) };
        let found = target.maps.area(known.range.end - 1)?.filter(|found| found.writable);
        let Some(Found { range: stack, .. }) = found else { return Ok(None) };
        let below = if stack.end - stack.start > 4 * BELOW { BELOW } else { 0 };
        let slot = if second { SLOT } else { 0 };
        let address = (stack.start + below + slot).next_multiple_of(64);
        let end = address.saturating_add(space).saturating_add(RED_ZONE);
        if end > stack.end {
            return Ok(None);
        }
        let mut elsewhere = false;
        for tid in victim.threads.iter().copied() {
            let borrowed = victim.borrowed.iter().find(|(borrowed, _)| *borrowed == tid);
            let pointer = match borrowed {
                _ if tid == self.tid => self.original.stack(),
                // It stands somewhere else now: before its own frames, or in the blob.
                Some((_, pointer)) => *pointer,
                None => match Native::of(tid).map_err(Error::kernel("read registers", victim.pid))? {
                    Some(registers) => registers.stack(),
                    None => return Ok(None),
                },
            };
            if stack.contains(&pointer) && pointer < end {
                return Ok(None);
            }
            elsewhere |= tid == victim.pid && !stack.contains(&pointer);
        }
        Ok(Some(Place { address, space, must_be_zero: elsewhere }))
    }
}
