//! Executables for a fixed address (`ET_EXEC`) that have kept their relocations (`--emit-relocs`): the linker has applied all of
//! them, and what the base is to be added to is found out again. Those of x86 are read here, by the table that relocatable
//! objects have; all others by [`kept`](super::kept).
//!
//! A relocation is believed only if the bytes are what it says: linkers change instructions and leave the relocation as it
//! was. Slots of the global offset table have no relocations; they are found through the code that reads them.

use std::collections::BTreeMap;

use object::elf;

use super::apply::{Field, Linker, Target, index, load, store};
use super::kept::{GP_DISTANCE, is_linkers};
use super::read::{Table, is_allocated};
use super::table::{Range, Rule, Value, is_thread_local, rule};
use crate::Architecture;
use crate::dynamic::Entry;
use crate::fault::{Fault, RelocationFault};
use crate::image::RESERVED;
use crate::read::{Object, Place, Section, text};

/// Moves everything that the object says of addresses to where it is at base 0; returns the address that it was linked for.
pub(crate) fn rebase(object: &mut Object<'_>) -> u64 {
    let loads = object.segments.iter().filter(|segment| segment.kind == elf::PT_LOAD && segment.size > 0);
    let base = loads.map(|load| load.address).min().unwrap_or(0);
    for segment in &mut object.segments {
        segment.address = segment.address.wrapping_sub(base);
    }
    for section in object.sections.iter_mut().filter(|section| is_allocated(section)) {
        section.address = section.address.wrapping_sub(base);
    }
    for symbol in &mut object.symbols {
        let moves = match symbol.place {
            Place::Section(index) => object.sections.get(index).is_some_and(is_allocated),
            // What scripts and linkers define outside of sections.
            Place::Absolute => symbol.name.starts_with(RESERVED.as_bytes()) || is_linkers(symbol.name),
            Place::Undefined | Place::Common => false,
        };
        if moves {
            symbol.value = symbol.value.wrapping_sub(base);
        }
        // No address, so that nobody has to define it.
        if symbol.name == GP_DISTANCE && object.architecture == Architecture::Mips {
            symbol.place = Place::Absolute;
        }
    }
    object.entry = object.entry.wrapping_sub(base);
    base
}

/// What linkers make by themselves, and leave no relocations for.
const STUBS: [&[u8]; 8] =
    [b".plt", b".iplt", b".plt.got", b".plt.sec", b".glink", b".branch_lt", b".MIPS.stubs", b".igot.plt"];

impl Linker<'_, '_> {
    /// Refuses what cannot be moved because nothing tells what is in it.
    pub(crate) fn refuse_stubs(&mut self) {
        let stubs = |section: &&Section<'_>| section.size > 0 && STUBS.contains(&section.name);
        for section in self.object.sections.iter().filter(stubs) {
            let (section, address) = (text(section.name), section.address);
            self.faults.add(|| Fault::Unexplained { section, address });
        }
    }

    /// Takes the address that the object was linked for, `base`, out of every word that holds one of the image.
    pub(crate) fn unapply(&mut self, tables: &[Table], base: u64, bytes: &mut [u8]) {
        let mut slots = BTreeMap::new();
        for entry in tables.iter().flat_map(|table| &table.entries) {
            let entry = &Entry { offset: entry.offset.wrapping_sub(base), ..*entry };
            if let Err(problem) = self.executed(entry, base, bytes, &mut slots) {
                self.report(entry, 0, problem);
            }
        }
        let width = self.object.architecture.pointer_width();
        for (place, (entry, value)) in slots {
            let stored = usize::try_from(place).ok().and_then(|at| store(bytes, at, width, value.into()));
            if stored.is_some() {
                let relocation = Some(self.object.architecture.word());
                self.fields.push(Field {
                    place: place..place.saturating_add(width.into()),
                    entry,
                    relocation,
                });
            }
        }
    }

    /// Holds one relocation against its field, and takes the base out of it.
    fn executed(
        &mut self,
        entry: &Entry,
        base: u64,
        bytes: &mut [u8],
        slots: &mut BTreeMap<u64, (Entry, u64)>,
    ) -> Result<(), RelocationFault> {
        let architecture = self.object.architecture;
        let Some(rule) = rule(architecture, entry.kind) else {
            return Err(if is_thread_local(architecture, entry.kind) {
                RelocationFault::ThreadLocal
            } else {
                RelocationFault::Unknown
            });
        };
        if rule.value == Value::Nothing {
            return Ok(());
        }
        let place = entry.offset..entry.offset.saturating_add(rule.size.into());
        let offset = index(&place, bytes.len()).ok_or(RelocationFault::OutsideImage)?.start;
        let target = self.target(entry.symbol)?;
        let mut relocation = None;
        match rule.value {
            Value::Absolute => {
                if target.moves {
                    let value = linked(rule, entry, &target, base, bytes, offset)?;
                    relocation = self.moving(rule.size, rule.range, value)?;
                    store(bytes, offset, rule.size, value).ok_or(RelocationFault::OutsideImage)?;
                }
            }
            Value::Distance | Value::Branch if target.moves => {
                if let Some(addend) = entry.addend {
                    let distance = i128::from(target.value) + i128::from(addend) - i128::from(place.start);
                    same(bytes, offset, rule.size, distance)?;
                }
            }
            Value::Distance | Value::Branch => return Err(RelocationFault::Distance),
            Value::SlotDistance | Value::Relaxable(_) => {
                let field = load(bytes, offset, rule.size).ok_or(RelocationFault::OutsideImage)?;
                let addend = entry.addend.ok_or(RelocationFault::Changed)?;
                let reached = i128::from(place.start) + i128::from(field) - i128::from(addend);
                let reached = u64::try_from(reached).map_err(|_| RelocationFault::Changed)?;
                // Where the instruction has been changed, it reaches the symbol itself.
                if !(target.moves && reached == target.value) {
                    self.read_slot(entry, &target, base, reached, bytes, slots)?;
                }
            }
            Value::Size => {}
            // Through registers, where nothing says what the code finds there.
            _ => return Err(RelocationFault::Changed),
        }
        self.fields.push(Field { place, entry: *entry, relocation });
        Ok(())
    }

    /// Notes a slot that code reads the symbol's address from.
    fn read_slot(
        &self,
        entry: &Entry,
        target: &Target,
        base: u64,
        slot: u64,
        bytes: &[u8],
        slots: &mut BTreeMap<u64, (Entry, u64)>,
    ) -> Result<(), RelocationFault> {
        let width = self.object.architecture.pointer_width();
        let at = usize::try_from(slot).map_err(|_| RelocationFault::Changed)?;
        let moved = if target.moves { base } else { 0 };
        same(bytes, at, width, i128::from(target.value.wrapping_add(moved)))?;
        if target.moves {
            let entry = Entry { offset: slot, kind: elf::RelocationType(0), addend: None, ..*entry };
            slots.insert(slot, (entry, target.value));
        }
        Ok(())
    }
}

/// What a word that holds an address of the image holds at base 0.
fn linked(
    rule: &Rule,
    entry: &Entry,
    target: &Target,
    base: u64,
    bytes: &[u8],
    offset: usize,
) -> Result<i128, RelocationFault> {
    if let Some(addend) = entry.addend {
        let value = i128::from(target.value) + i128::from(addend);
        same(bytes, offset, rule.size, value + i128::from(base))?;
        return Ok(value);
    }
    // The addend is gone: what the linker has written is the sum.
    let field = load(bytes, offset, rule.size).ok_or(RelocationFault::OutsideImage)?;
    let bits = u32::from(rule.size) * 8;
    let sum = match rule.range {
        Range::Signed => i128::from(field),
        _ => i128::from(field).rem_euclid(1 << bits),
    };
    Ok(sum - i128::from(base))
}

/// Whether a field holds a value, as far as it has room for it.
fn same(bytes: &[u8], offset: usize, size: u8, value: i128) -> Result<(), RelocationFault> {
    let field = load(bytes, offset, size).ok_or(RelocationFault::Changed)?;
    let bits = u32::from(size) * 8;
    if (i128::from(field) - value).rem_euclid(1 << bits) == 0 {
        Ok(())
    } else {
        Err(RelocationFault::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_what_was_written_cut_to_its_size() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x80];
        assert_eq!(same(&bytes, 0, 4, -1), Ok(()));
        assert_eq!(same(&bytes, 0, 4, 0xffff_ffff), Ok(()));
        assert_eq!(same(&bytes, 0, 4, 0x1_ffff_ffff), Ok(()));
        assert_eq!(same(&bytes, 0, 8, -1), Err(RelocationFault::Changed));
        assert_eq!(same(&bytes, 6, 4, 0), Err(RelocationFault::Changed));
    }
}
