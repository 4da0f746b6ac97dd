//! Where everything lies: a hole that neither address space uses, and in it the restorer, its plan, stacks, room for the
//! vDSO, and staged memory.
//!
//! Staged memory lies as its final address does within 2 MiB, so that the kernel moves whole page tables.

use pie_blob_restorer::restorer;

use super::check::END;
use super::plan;
use crate::error::Error;
use crate::numbers::PAGE;
use crate::proc;
use crate::state::{Area, Kind, State};

/// What a page of the second level of page tables maps.
const LARGE: u64 = 2 << 20;
/// A thread's stack until it leaves, and a page that catches what is below it.
pub(super) const STACK: u64 = 32 * 1024;
/// What the kernel keeps free below a stack.
const STACK_GAP: u64 = 256 * PAGE;
/// How far below the stack pointer nothing lives.
const UNUSED: u64 = 64 * 1024;

/// Every address of a thaw.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The hole.
    pub(super) start: u64,
    pub(super) len: u64,
    /// The plan and the room it has.
    pub(super) plan: u64,
    pub(super) plan_len: u64,
    /// The lowest stack.
    pub(super) stacks: u64,
    /// What is parked: from where, to where in the hole, how long, where in the end.
    pub(super) parked: Vec<[u64; 4]>,
    /// Where each area is staged; none for the kernel's.
    pub(super) staged: Vec<Option<u64>>,
    /// Where the signal frames lie, from the lowest on.
    pub(super) frames: u64,
    /// By how much the main stack is longer than it was, to have room for them.
    pub(super) longer: u64,
}

impl Layout {
    /// Finds a place for everything beside what `own` has.
    pub(super) fn of(state: &State, own: &[proc::Area]) -> Result<Self, Error> {
        let areas = &state.memory.areas;
        let (frames, longer) = frames(state)?;
        // Sizes first, from an aligned address 0 on.
        let mut at = restorer::BLOB.size().next_multiple_of(PAGE) + PAGE;
        let plan = at;
        let plan_len = plan::size(state).next_multiple_of(PAGE);
        at += plan_len + PAGE;
        let stacks = at;
        at += (STACK + PAGE) * state.threads.len() as u64;
        let mut parked = Vec::new();
        for area in areas {
            let Kind::Kernel(name) = &area.kind else { continue };
            let len = area.end.0 - area.start.0;
            let its = own.iter().find(|own| own.name == *name && own.end - own.start == len);
            let Some(its) = its else {
                return Err(Error::Foreign {
                    reasons: vec![format!("this kernel has no {name} of {len} bytes")],
                });
            };
            parked.push([its.start, at, len, area.start.0]);
            at += len + PAGE;
        }
        let mut staged = Vec::new();
        for area in areas {
            if matches!(area.kind, Kind::Kernel(_)) {
                staged.push(None);
                continue;
            }
            let (start, len) = extent(area, longer);
            at = (at + PAGE).next_multiple_of(PAGE);
            at += start.wrapping_sub(at) % LARGE;
            staged.push(Some(at));
            at += len;
        }
        let len = (at + PAGE).next_multiple_of(PAGE);
        let Some(start) = hole(areas, own, longer, len) else {
            return Err(Error::Foreign {
                reasons: vec![format!("no {len} bytes of addresses are free in both")],
            });
        };
        parked.iter_mut().for_each(|[_, park, ..]| *park += start);
        staged.iter_mut().flatten().for_each(|at| *at += start);
        let (plan, stacks) = (plan + start, stacks + start);
        Ok(Self { start, len, plan, plan_len, stacks, parked, staged, frames, longer })
    }
}

/// First address and length of an area as it is staged.
pub(super) fn extent(area: &Area, longer: u64) -> (u64, u64) {
    let longer = if area.kind == Kind::Stack { longer } else { 0 };
    (area.start.0 - longer, area.end.0 - area.start.0 + longer)
}

/// Room for the signal frames: the low end of the main stack, where nothing lives, or some pages below it, as if it had
/// grown.
fn frames(state: &State) -> Result<(u64, u64), Error> {
    let needed: u64 =
        state.threads.iter().map(|thread| plan::thread_state(thread).frame_size() as u64 + 64).sum();
    let needed = needed.next_multiple_of(PAGE);
    let areas = &state.memory.areas;
    let refused = |reason: &str| Error::Foreign { reasons: vec![reason.to_owned()] };
    let Some(at) = areas.iter().position(|area| area.kind == Kind::Stack) else {
        return Err(refused("the process has no main stack, through which its threads would continue"));
    };
    let Some(stack) = areas.get(at) else { return Err(refused("no stack")) };
    let rsp = state.threads.first().map_or(0, |thread| thread.registers.rsp.0);
    if rsp < stack.end.0 && rsp >= stack.start.0 + needed + UNUSED {
        return Ok((stack.start.0, 0));
    }
    let below = at.checked_sub(1).and_then(|before| areas.get(before)).map_or(PAGE, |before| before.end.0);
    if stack.start.0 < below + needed + STACK_GAP {
        return Err(refused("there is no room below the main stack"));
    }
    Ok((stack.start.0 - needed, needed))
}

/// The middle of the largest hole that both address spaces have.
fn hole(areas: &[Area], own: &[proc::Area], longer: u64, len: u64) -> Option<u64> {
    let mut taken: Vec<(u64, u64)> = own.iter().map(|area| (area.start, area.end)).collect();
    taken.extend(areas.iter().map(|area| {
        let (start, len) = extent(area, longer);
        (start, start + len)
    }));
    taken.push((END, END));
    taken.sort_unstable();
    let (mut end, mut largest) = (LARGE, (0, 0));
    for (start, stop) in taken {
        if start.saturating_sub(end) > largest.1 - largest.0 {
            largest = (end, start);
        }
        end = end.max(stop);
    }
    let spare = (largest.1 - largest.0).checked_sub(len)?;
    let start = (largest.0 + spare / 2).next_multiple_of(LARGE);
    (start + len <= largest.1).then_some(start)
}
