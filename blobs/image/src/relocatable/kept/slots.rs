//! The global offset table of an executable: its words have no relocations, because no loader would read them. What they hold is
//! told by the code that reads them: the address of a symbol, or, for MIPS, that of a page.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use object::elf;

use super::Kept;
use crate::Architecture;
use crate::dynamic::Entry;
use crate::fault::Fault;
use crate::read::text;
use crate::relocatable::read::is_allocated;

/// A linker makes one slot of a symbol, or one in each of several tables.
const MOST_SLOTS: usize = 8;

/// What MIPS counts in: an entry of the table with a page of so many bytes.
const PAGE: u64 = 0x1_0000;

/// The table, as far as it is known.
#[derive(Default)]
pub(super) struct Slots {
    /// What slots are wanted of, as far as it moves with the image: where they are.
    moving: BTreeMap<u64, Vec<u64>>,
    /// The same of what does not.
    fixed: BTreeMap<u64, Vec<u64>>,
    /// Whether pages are wanted.
    wants_pages: bool,
    /// Slots with pages, and their address in memory.
    pages: BTreeMap<u64, u64>,
    /// The sections of the table, none over another.
    tables: Vec<(&'static [u8], Range<u64>)>,
    /// Words of theirs that are relocated as any other.
    own: BTreeSet<u64>,
}

impl Slots {
    pub(super) fn want(&mut self, value: u64, moves: bool) {
        let wanted = if moves { &mut self.moving } else { &mut self.fixed };
        wanted.entry(value).or_default();
    }

    pub(super) fn want_pages(&mut self) {
        self.wants_pages = true;
    }

    /// The word at this place has a relocation of its own.
    pub(super) fn is_relocated(&mut self, place: u64) {
        let behind = self.tables.partition_point(|table| table.1.start <= place);
        let table = behind.checked_sub(1).and_then(|index| self.tables.get(index));
        if table.is_some_and(|table| table.1.contains(&place)) {
            self.own.insert(place);
        }
    }

    /// Where the slots with a value are.
    pub(super) fn of(&self, value: u64, moves: bool) -> &[u64] {
        let wanted = if moves { &self.moving } else { &self.fixed };
        wanted.get(&value).map_or(&[], Vec::as_slice)
    }

    /// The page that a slot holds, as it was linked.
    pub(super) fn page(&self, slot: u64) -> Option<u64> {
        self.pages.get(&slot).copied()
    }
}

/// What a word of the table is.
enum Found {
    /// An address of the image.
    Address,
    /// What does not change.
    Fixed,
}

impl Kept<'_, '_, '_> {
    /// Looks at every word of the table, and takes those that hold addresses of the image.
    pub(super) fn find_slots(&mut self) {
        let width = u64::from(self.architecture().pointer_width());
        for (name, range) in self.slots.tables.clone() {
            let words = (0..).map(|index| range.start + index * width);
            let words = words.take_while(|place| place.saturating_add(width) <= range.end);
            for (index, place) in words.enumerate() {
                let Some(found) = self.load(place, self.architecture().pointer_width()) else { break };
                if self.slots.own.contains(&place) {
                    continue;
                }
                match self.slot(place, index, found) {
                    Some(Found::Address) => self.take_slot(place),
                    Some(Found::Fixed) => {}
                    None => {
                        let section = text(name);
                        self.linker.faults.add(|| Fault::Unexplained { section, address: place });
                    }
                }
            }
        }
    }

    /// Finds the sections of the table.
    pub(super) fn find_tables(&mut self) {
        const NAMES: [&[u8]; 2] = [b".got", b".got.plt"];
        let sections = self.linker.object.sections.iter();
        let sections = sections.filter(|section| is_allocated(section) && section.kind != elf::SHT_NOBITS);
        let named = sections.filter_map(|section| {
            let name = NAMES.into_iter().find(|name| *name == section.name)?;
            Some((name, section.address..section.address.checked_add(section.size)?))
        });
        let mut tables: Vec<_> = named.collect();
        tables.sort_by_key(|table| table.1.start);
        let mut end = 0;
        for (_, range) in &mut tables {
            range.start = range.start.max(end);
            end = end.max(range.end);
        }
        self.slots.tables = tables;
    }

    /// What the word at `place` is, the one of number `index` in its section.
    fn slot(&mut self, place: u64, index: usize, found: u64) -> Option<Found> {
        let width = self.architecture().pointer_width();
        let bits = 8 * u32::from(width);
        let top = u64::MAX >> (64 - bits);
        let value = found.wrapping_sub(self.base) & top;
        let note = |slots: Option<&mut Vec<u64>>| {
            let noted = slots.is_some();
            slots.into_iter().filter(|slots| slots.len() < MOST_SLOTS).for_each(|slots| slots.push(place));
            noted
        };
        let moving = note(self.slots.moving.get_mut(&value));
        let fixed = note(self.slots.fixed.get_mut(&found));
        let mips = matches!(self.architecture(), Architecture::Mips | Architecture::Mips64);
        // Linkers round up, and make one more than they need.
        let near = value <= self.linker.size.saturating_add(2 * PAGE);
        let page = mips && self.slots.wants_pages && found % PAGE == 0 && near && found != 0;
        if page {
            self.slots.pages.insert(place, found);
        }
        // The first words are the loader's, and the linker's: nothing, all ones, for MIPS the highest bit, for PowerPC the
        // anchor.
        let own = found == 0 || found == top || mips && index < 2 && found == 1 << (bits - 1);
        let anchor = self.architecture() == Architecture::PowerPc64 && self.anchor == Some(value);
        match (moving || page || anchor, fixed || own) {
            (true, false) => Some(Found::Address),
            (false, true) => Some(Found::Fixed),
            // What it is of cannot be told, or could be either.
            (false, false) | (true, true) => None,
        }
    }

    fn take_slot(&mut self, place: u64) {
        let entry = Entry { offset: place, kind: elf::RelocationType(0), symbol: 0, addend: None };
        let architecture = self.architecture();
        self.take(entry, architecture.pointer_width(), Some(architecture.word()));
    }
}
