//! `PT_LOAD`s to segments and bytes.

use object::elf;

use crate::fault::{Fault, SegmentFault};
use crate::faults::Faults;
use crate::image::{Permissions, Segment};
use crate::read::{Object, ProgramHeader};

/// Where everything lies.
pub(crate) struct Layout {
    pub(crate) segments: Vec<Segment>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) align: u64,
}

impl Layout {
    /// The segment in which `width` bytes at `offset` lie as a whole.
    pub(crate) fn segment_at(&self, offset: u64, width: u64) -> Option<&Segment> {
        let behind = self.segments.partition_point(|segment| segment.offset <= offset);
        let segment = self.segments.get(behind.checked_sub(1)?)?;
        let end = offset.checked_add(width)?;
        (end <= segment.offset.checked_add(segment.size)?).then_some(segment)
    }
}

/// What the object's own symbols say about its layout.
pub(crate) struct Marks {
    /// `__pie_blob_end`: what lies at or behind it does not belong to the image.
    pub(crate) end: Option<u64>,
    /// `__pie_blob_packed`: one segment may have all permissions, and pages mean nothing.
    pub(crate) packed: bool,
}

/// Flattens the loaded segments. Nothing is allocated before every size has been checked.
pub(crate) fn layout(object: &Object<'_>, marks: &Marks, limit: u64, faults: &mut Faults) -> Option<Layout> {
    let mut loads: Vec<&ProgramHeader<'_>> =
        object.segments.iter().filter(|segment| segment.kind == elf::PT_LOAD && segment.size > 0).collect();
    loads.sort_by_key(|load| load.address);
    let mut sound = true;
    let mut report = |load: &ProgramHeader<'_>, problem| {
        sound = false;
        faults.add(|| Fault::Segment { address: load.address, size: load.size, problem });
    };
    for load in &loads {
        check(load, marks, limit, &mut report);
    }
    for (before, load) in loads.iter().zip(loads.iter().skip(1)) {
        if end(before) > load.address {
            report(load, SegmentFault::Overlap { other: before.address });
        }
    }
    loads.retain(|load| marks.end.is_none_or(|end| load.address < end));
    if let Some(lowest) = loads.first().filter(|lowest| lowest.address != 0) {
        report(lowest, SegmentFault::NotAtZero);
    }

    let page = if marks.packed { 1 } else { object.architecture.page_size() };
    let mut segments: Vec<Segment> = Vec::with_capacity(loads.len());
    for load in &loads {
        let page_start = load.address & !(page - 1);
        let mut offset = page_start;
        if let Some(before) = segments.last() {
            let taken = before.offset.saturating_add(before.size);
            let shared = taken.checked_next_multiple_of(page).is_none_or(|taken| taken > page_start);
            if shared && before.permissions != permissions(load) {
                report(load, SegmentFault::SharedPage { other: before.offset });
            }
            offset = offset.max(taken);
        }
        // The page that a segment begins in is its own, and what precedes it there is zero.
        let ahead = load.address.saturating_sub(offset);
        segments.push(Segment {
            offset,
            size: load.size.saturating_add(ahead),
            initialised: if load.file_size == 0 { 0 } else { load.file_size.saturating_add(ahead) },
            permissions: permissions(load),
        });
    }

    let Some(size) = loads.last().map(|last| end(last)) else {
        faults.add(|| Fault::NoSegments);
        return None;
    };
    if size > limit {
        faults.add(|| Fault::TooLarge { size, limit });
        return None;
    }
    if !sound {
        return None;
    }
    // Permissions are given page by page, so that a base must be one of a page even where no segment asks for it.
    let least = page.max(object.architecture.code_alignment());
    let align = loads.iter().map(|load| load.align).fold(least, u64::max);
    let initialised = loads.iter().filter(|load| load.file_size > 0);
    let ends = initialised.map(|load| load.address.saturating_add(load.file_size));
    let mut bytes = vec![0; usize::try_from(ends.max().unwrap_or(0)).ok()?];
    // What will be no image needs no bytes, unless reasons are to be found in them. Zeros cost nothing until they are written to.
    if faults.is_empty() || reads_bytes(object) {
        flatten(&loads, &mut bytes)?;
    }
    Some(Layout { bytes, segments, size, align })
}

/// Whether relocations are read out of the bytes that they are for.
fn reads_bytes(object: &Object<'_>) -> bool {
    let dynamic = &object.dynamic;
    object.fixed
        || !dynamic.relr.is_empty()
        || dynamic.got.is_some()
        || dynamic.relocations.iter().any(|entry| entry.addend.is_none())
}

/// What is wrong with one segment by itself.
fn check(
    load: &ProgramHeader<'_>,
    marks: &Marks,
    limit: u64,
    report: &mut impl FnMut(&ProgramHeader<'_>, SegmentFault),
) {
    if load.file_size > load.size {
        report(load, SegmentFault::FileLargerThanMemory);
    }
    if load.data.is_none() {
        report(load, SegmentFault::OutsideFile);
    }
    if load.address.checked_add(load.size).is_none() {
        report(load, SegmentFault::AddressSpace);
    }
    let align = load.align.max(1);
    if !align.is_power_of_two() || align > limit.max(1) {
        report(load, SegmentFault::Alignment { align });
    } else if load.file_size > 0 && load.address % align != load.file_offset % align {
        report(load, SegmentFault::Incongruent);
    }
    let behind_end = marks.end.is_some_and(|mark| load.address >= mark);
    if let Some(mark) = marks.end.filter(|&mark| load.address < mark && mark < end(load)) {
        report(load, SegmentFault::CutByEnd { end: mark });
    }
    let Permissions { write, execute, .. } = permissions(load);
    if write && execute && !marks.packed && !behind_end {
        report(load, SegmentFault::WritableCode);
    }
}

fn end(load: &ProgramHeader<'_>) -> u64 {
    load.address.saturating_add(load.size)
}

fn permissions(load: &ProgramHeader<'_>) -> Permissions {
    let has = |flag: elf::ProgramFlags| load.flags.0 & flag.0 != 0;
    Permissions { read: has(elf::PF_R), write: has(elf::PF_W), execute: has(elf::PF_X) }
}

/// The initialised bytes from address 0; gaps and zero-filled memory between them are zeros.
fn flatten(loads: &[&ProgramHeader<'_>], bytes: &mut [u8]) -> Option<()> {
    for load in loads.iter().filter(|load| load.file_size > 0) {
        let data = load.data?;
        let start = usize::try_from(load.address).ok()?;
        bytes.get_mut(start..start.checked_add(data.len())?)?.copy_from_slice(data);
    }
    Some(())
}
