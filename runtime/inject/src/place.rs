//! Where in the victim's address space the blob goes.
//!
//! The kernel gives areas out from the top of the largest hole downwards and the heap grows into it from below; a
//! random place in its middle half is one that nobody else comes near between the look and the mapping.
//! That matters: a victim whose tracer dies unmaps that place, so it must be the blob's and no one else's.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use crate::areas::Area;

/// The lowest address that is ever used: below lies what protects null pointers.
const LOWEST: u64 = 0x1_0000;
/// The end of user addresses with four-level page tables, which every machine has.
const HIGHEST: u64 = 0x7fff_ffff_f000;

/// Chooses a base for `span` bytes, aligned to `align` (a power of two of at least a page).
pub(crate) fn choose(areas: &[Area], span: u64, align: u64) -> Option<u64> {
    let mut end = LOWEST;
    let mut largest = 0..0;
    let bounds = areas.iter().map(|area| (area.range.start, area.range.end)).chain([(HIGHEST, HIGHEST)]);
    for (area_start, area_end) in bounds {
        let hole = end..area_start.min(HIGHEST);
        if hole.end.saturating_sub(hole.start) > largest.end - largest.start {
            largest = hole;
        }
        end = end.max(area_end);
    }
    let quarter = (largest.end - largest.start) / 4;
    let (first, last) = (largest.start + quarter, (largest.end - quarter).checked_sub(span)?);
    let places = last.checked_sub(first)? / align;
    // Keyed afresh from the kernel's randomness: enough to be unlikely to meet.
    let random = RandomState::new().build_hasher().finish();
    let base = first.next_multiple_of(align) + align * (random % places.max(1));
    (base <= last).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(start: u64, end: u64) -> Area {
        Area::anonymous(start..end)
    }

    #[test]
    fn the_place_lies_in_the_largest_hole_away_from_its_ends() {
        let areas = [
            area(0x40_0000, 0x50_0000),
            area(0x7000_0000_0000, 0x7000_0010_0000),
            area(0x7fff_0000_0000, HIGHEST),
        ];
        for _ in 0..1000 {
            let base = choose(&areas, 0x10_0000, 0x1000).unwrap();
            assert!(
                base % 0x1000 == 0 && base > 0x1000_0000_0000 && base + 0x10_0000 < 0x6000_0000_0000,
                "{base:#x}"
            );
        }
    }

    #[test]
    fn a_full_address_space_has_no_place() {
        assert_eq!(choose(&[area(0, HIGHEST)], 0x1000, 0x1000), None);
        assert_eq!(choose(&[area(0, HIGHEST - 0x3000)], 0x2000, 0x1000), None);
        assert_eq!(choose(&[], u64::MAX, 0x1000), None);
    }
}
