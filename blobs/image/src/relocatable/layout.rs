//! Sections to offsets, and offsets to segments.
//!
//! The rule is the one of compel and its linker script, so that offsets agree with what it prints: sections in the order of
//! their headers, each at the next offset that its alignment allows. One thing is added: a section begins a new page where
//! a writable and an executable one would otherwise share one. Everything else may share pages, which then allow what any
//! section in them wants.

use crate::fault::Fault;
use crate::faults::Faults;
use crate::image::{Permissions, Segment};

/// What has been placed so far.
pub(crate) struct Placement {
    page: u64,
    limit: u64,
    end: u64,
    align: u64,
    /// How far bytes lie that the object or a table initialises.
    initialised: u64,
    /// Where the last writable and the last executable section end.
    writable: u64,
    executable: u64,
    /// Runs of whole pages that allow the same.
    runs: Vec<Run>,
}

struct Run {
    start: u64,
    /// A multiple of the page size.
    end: u64,
    permissions: Permissions,
}

/// What is to be placed.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) size: u64,
    /// A power of two.
    pub(crate) align: u64,
    pub(crate) permissions: Permissions,
    pub(crate) initialised: bool,
}

impl Placement {
    /// With pages of one byte, every section has its own.
    pub(crate) fn new(page: u64, limit: u64) -> Self {
        Self {
            page,
            limit,
            end: 0,
            align: page,
            initialised: 0,
            writable: 0,
            executable: 0,
            runs: Vec::new(),
        }
    }

    /// The size of what has been placed.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Gives a piece its offset. `None` if it does not fit the limit, which is then reported.
    pub(crate) fn place(&mut self, piece: Piece, faults: &mut Faults) -> Option<u64> {
        let Permissions { write, execute, .. } = piece.permissions;
        let offset = self.end.checked_next_multiple_of(piece.align.max(1)).and_then(|offset| {
            let page_start = offset & !(self.page - 1);
            let shares = |other: u64| self.page > 1 && other > page_start;
            let meets = write && shares(self.executable) || execute && shares(self.writable);
            if meets && piece.size > 0 {
                offset.checked_next_multiple_of(self.page)?.checked_next_multiple_of(piece.align.max(1))
            } else {
                Some(offset)
            }
        });
        let end = offset.and_then(|offset| offset.checked_add(piece.size));
        let (Some(offset), Some(end)) = (offset, end.filter(|&end| end <= self.limit)) else {
            faults.add(|| Fault::TooLarge { size: end.unwrap_or(u64::MAX), limit: self.limit });
            return None;
        };
        self.align = self.align.max(piece.align);
        self.end = end;
        if piece.size > 0 {
            if piece.initialised {
                self.initialised = end;
            }
            if write {
                self.writable = end;
            }
            if execute {
                self.executable = end;
            }
            self.cover(offset & !(self.page - 1), end.next_multiple_of(self.page), piece.permissions);
        }
        Some(offset)
    }

    /// Notes that pages allow something. They begin at the last page that is covered already, or behind it.
    fn cover(&mut self, mut start: u64, end: u64, permissions: Permissions) {
        if let Some(last) = self.runs.last_mut().filter(|last| last.end > start) {
            let shared = union(last.permissions, permissions);
            let (first, shared_end) = (last.start, last.end);
            if first == start {
                last.permissions = shared;
            } else {
                last.end = start;
                self.run(start, shared_end, shared);
            }
            start = shared_end;
        }
        if start < end {
            self.run(start, end, permissions);
        }
    }

    fn run(&mut self, start: u64, end: u64, permissions: Permissions) {
        self.runs.push(Run { start, end, permissions });
    }

    /// The segments, the number of initialised bytes, and the alignment that a base must have.
    pub(crate) fn finish(self) -> (Vec<Segment>, u64, u64) {
        let mut segments: Vec<Segment> = Vec::new();
        for run in self.runs {
            let end = run.end.min(self.end);
            match segments.last_mut() {
                Some(before)
                    if before.permissions == run.permissions
                        && before.offset.saturating_add(before.size) == run.start =>
                {
                    before.size = end.saturating_sub(before.offset);
                }
                _ => segments.push(Segment {
                    offset: run.start,
                    size: end.saturating_sub(run.start),
                    initialised: 0,
                    permissions: run.permissions,
                }),
            }
        }
        // An empty section behind the last one may have a symbol, whose address is the image's too.
        if let Some(last) = segments.last_mut() {
            last.size = self.end.saturating_sub(last.offset);
        }
        for segment in &mut segments {
            segment.initialised = self.initialised.saturating_sub(segment.offset).min(segment.size);
        }
        (segments, self.initialised, self.align)
    }
}

fn union(a: Permissions, b: Permissions) -> Permissions {
    Permissions { read: a.read || b.read, write: a.write || b.write, execute: a.execute || b.execute }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const TEXT: Permissions = Permissions { read: true, write: false, execute: true };
    const CONSTANTS: Permissions = Permissions { read: true, write: false, execute: false };
    const DATA: Permissions = Permissions { read: true, write: true, execute: false };

    fn layout(pieces: &[(u64, u64, Permissions)]) -> (Vec<u64>, Vec<(u64, u64, String)>) {
        let (mut placement, mut faults) = (Placement::new(0x1000, 1 << 20), Faults::default());
        let mut place = |&(size, align, permissions): &(u64, u64, Permissions)| {
            placement.place(Piece { size, align, permissions, initialised: true }, &mut faults).unwrap()
        };
        let offsets = pieces.iter().map(&mut place).collect();
        let segments = placement.finish().0;
        let show = |s: &Segment| (s.offset, s.offset + s.size, s.permissions.to_string());
        (offsets, segments.iter().map(show).collect())
    }

    #[test]
    fn writable_and_executable_sections_alone_begin_pages() {
        let (offsets, segments) = layout(&[
            (0x24, 1, TEXT),
            (0x30, 32, CONSTANTS),
            (0x10, 8, DATA),
            (0x10, 8, CONSTANTS),
            (0x2000, 8, CONSTANTS),
            (0x10, 8, TEXT),
        ]);
        assert_eq!(offsets, [0, 0x40, 0x1000, 0x1010, 0x1020, 0x3020]);
        let shown: Vec<_> = segments.iter().map(|(start, end, what)| (*start, *end, what.as_str())).collect();
        assert_eq!(
            shown,
            [(0, 0x1000, "R-X"), (0x1000, 0x2000, "RW-"), (0x2000, 0x3000, "R--"), (0x3000, 0x3030, "R-X")]
        );
    }

    #[test]
    fn what_is_empty_shares_nothing() {
        assert_eq!(layout(&[(0x24, 1, TEXT), (0, 16, DATA), (8, 4, TEXT)]).0, [0, 0x30, 0x30]);
    }

    #[test]
    fn an_empty_section_at_the_end_is_part_of_the_image() {
        let (offsets, segments) = layout(&[(8, 8, DATA), (0, 0x4000, CONSTANTS)]);
        assert_eq!(offsets, [0, 0x4000]);
        assert_eq!(segments, [(0, 0x4000, "RW-".to_owned())]);
    }

    #[test]
    fn beyond_the_limit_nothing_is_placed() {
        let (mut placement, mut faults) = (Placement::new(0x1000, 0x1000), Faults::default());
        let piece = Piece { size: 0x800, align: 1, permissions: DATA, initialised: false };
        assert!(placement.place(piece, &mut faults).is_some());
        assert!(placement.place(Piece { size: u64::MAX, ..piece }, &mut faults).is_none());
        assert!(placement.place(Piece { align: 1 << 63, ..piece }, &mut faults).is_none());
        assert_eq!(faults.as_slice().len(), 2);
    }
}
