//! Where a borrowed thread's signal frames lie, and laying them there.

use std::io::ErrorKind;
use std::ops::Range;

use super::Borrowed;
use crate::machine::{Gadgets, Machine, Native, Original, Way};
use crate::note::NO_ANSWER;
use crate::system_call::SystemCall;
use crate::target::{PAGE, Target};
use crate::victim::Victim;
use crate::{CrashRisk, Error};

/// Where frames may lie.
#[derive(Clone, Debug)]
pub(crate) enum Spot {
    /// Below what is used of the main stack, in one of two places: a thread lays its own before another gives back.
    Stack { second: bool },
    /// In these spare pages of the blob's own mapping: where the main stack's own thread runs and may use all of it. Reading
    /// is all that `rt_sigreturn` wants, but unmapping them is then left to the tracer.
    Mapping(Range<u64>),
}

/// What is mapped for the blob.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    pub(crate) base: u64,
    /// Bytes that are unmapped where this host dies.
    pub(crate) span: u64,
    /// Whether it has been mapped yet.
    pub(crate) done: bool,
}

/// Two places for frames below what is used of the main stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    start: u64,
    /// How many bytes each of them has.
    len: u64,
    below: bool,
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
        mapping: &Mapping,
    ) -> Result<(), Error> {
        let pid = victim.pid;
        let area = Native::state_in_frame(&self.state);
        let (Gadgets::Pair { call, sigreturn, chain }, Some(area)) = (self.gadgets, area) else {
            self.check_program(pid, target)?;
            return self.no_room(victim);
        };
        let space = Native::frame_space(area.len()) as u64;
        let Some((address, below)) = self.room(victim, target, spot, space)? else {
            self.check_program(pid, target)?;
            return self.no_room(victim);
        };
        // A chain ends in the frame behind it, which the blob's own pages do not outlive. A user shadow stack forbids it.
        let usable = matches!(spot, Spot::Stack { .. }) && !victim.status.shadow_stack;
        let chain = chain.filter(|_| usable);
        // What a chain has mapped it notes in the frame itself. Before, that unmaps nothing: it is the address of no page.
        let undone = if chain.is_some() && !mapping.done { NO_ANSWER } else { mapping.base };
        let undo = SystemCall::munmap(undone, mapping.span);
        let original =
            Original { registers: &self.original, resume_at: self.resume_at, mask: self.mask, state: &area };
        let way = Way {
            call: call.address,
            sigreturn: sigreturn.address,
            chain,
            process: self.ids.0,
            thread: self.ids.1,
            signal: Some(self.end).filter(|_| !self.end_means_something),
            mapping: (mapping.base, mapping.span),
        };
        let Some(frames) = Native::frames(address, &original, &way, &undo) else {
            return self.no_room(victim);
        };
        match target.memory.write_over(frames.address, &frames.bytes) {
            Ok(()) => self.frames = Some(frames),
            // Its memory is at its end: the program is no longer the same.
            Err(error) if matches!(error.kind(), ErrorKind::WriteZero | ErrorKind::UnexpectedEof) => {
                return Err(Error::Changed { pid });
            }
            // The stack may not grow, or this kernel lets nobody write over permissions.
            Err(_) if below => {
                victim.places = None;
                self.check_program(pid, target)?;
                return self.no_room(victim);
            }
            Err(_) => {
                let write = target.memory.write(frames.address, &frames.bytes);
                write.map_err(Error::kernel("write the frames", pid))?;
                self.frames = Some(frames);
            }
        }
        self.in_mapping = matches!(spot, Spot::Mapping(_));
        Ok(())
    }

    fn no_room(&self, victim: &mut Victim) -> Result<(), Error> {
        if matches!(self.gadgets, Gadgets::Pair { .. }) {
            victim.add_risk(CrashRisk::NoRoomForFrames);
        }
        victim.check_risks()
    }

    /// Whether the code that is borrowed is still there.
    fn check_program(&self, pid: i32, target: &Target) -> Result<(), Error> {
        let call = self.gadgets.call();
        let mut code = vec![0; call.code.len()];
        target.memory.read(call.address, &mut code).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => Error::Changed { pid },
            _ => Error::kernel("read its memory", pid)(source),
        })
    }

    /// Lays the frames at another spot and has the thread stand by there, before the system call that undoes
    /// everything; `false` where there is no room: they stay where they are then.
    pub(crate) fn relay(
        &mut self,
        victim: &mut Victim,
        target: &Target,
        spot: &Spot,
        mapping: &Mapping,
    ) -> Result<bool, Error> {
        let before = (self.frames.take(), self.in_mapping);
        let places = if before.1 { None } else { victim.places.take() };
        let laid = self.lay_frames(victim, target, spot, mapping);
        let new = (self.frames.take(), self.in_mapping);
        (self.frames, self.in_mapping) = before;
        laid?;
        let (Some(frames), in_mapping) = new else {
            victim.places = places;
            return Ok(false);
        };
        self.start_system_call(victim, &SystemCall::munmap(mapping.base, mapping.span), frames.resume)?;
        self.uncover(victim, target)?;
        (self.frames, self.in_mapping) = (Some(frames), in_mapping);
        Ok(true)
    }

    /// Finds memory that nobody uses: an address aligned to 64 bytes, and whether the stack grows by a write there.
    fn room(
        &self,
        victim: &mut Victim,
        target: &Target,
        spot: &Spot,
        space: u64,
    ) -> Result<Option<(u64, bool)>, Error> {
        let second = match spot {
            Spot::Stack { second } => *second,
            Spot::Mapping(spare) => {
                return Ok((space <= spare.end - spare.start).then_some((spare.start, false)));
            }
        };
        let len = space.next_multiple_of(PAGE);
        if victim.places.is_none_or(|places| places.len < len) {
            let Some(stack) = &target.stack else { return Ok(None) };
            let runs = victim.first_runs;
            let pointers = self.stack_pointers(victim)?;
            let unused = stack.unused(&target.maps, &target.memory, 2 * len, runs, &pointers)?;
            let Some(unused) = unused else { return Ok(None) };
            victim.places = Some(Places { start: unused.start, len, below: unused.below });
        }
        Ok(victim.places.map(|places| {
            let address = places.start + if second { places.len } else { 0 };
            (address, places.below)
        }))
    }

    /// Where the threads that are stopped have their stacks: if this host dies they run on at once.
    fn stack_pointers(&self, victim: &mut Victim) -> Result<Vec<u64>, Error> {
        let mut pointers = vec![self.original.stack()];
        if victim.threads.len() > 1 {
            victim.read_registers()?;
            pointers
                .extend(victim.registers.iter().filter(|(tid, _)| *tid != self.tid).map(|(_, r)| r.stack()));
        }
        Ok(pointers)
    }
}
