//! Relocations that the executables of other architectures than x86 have kept: each is held against the bytes, words that hold
//! addresses of the image become relocations, and what cannot be moved is refused.
//!
//! | module | does |
//! |---|---|
//! | `table` | relocation types, one row each |
//! | `field` | where instructions have their values |
//! | `slots` | the global offset table, whose words have no relocations |

mod field;
mod slots;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use super::apply::{Field, Linker, Target, index, symbol_at};
use super::read::Table;
use super::table::{Range, is_thread_local};
use crate::Architecture;
use crate::dynamic::Entry;
use crate::fault::RelocationFault;
use crate::layout::Layout;
use crate::read::Place;
use crate::relocation::RelocationKind;
use crate::word;
use slots::Slots;
use table::{Meaning, Value, Way};

pub(in crate::relocatable) use table::{GP_DISTANCE, is_linkers};

/// What code counts in that is written in pages.
const PAGE: u64 = 0x1000;

/// What is known of an executable while its relocations are looked at.
struct Kept<'a, 'linker, 'data> {
    linker: &'a mut Linker<'linker, 'data>,
    bytes: &'a [u8],
    /// What it was linked for.
    base: u64,
    /// The address that distances are counted from.
    anchor: Option<u64>,
    slots: Slots,
    /// By place: how many addresses are added there, and what is the last of the relocations.
    sums: BTreeMap<u64, (i64, Entry)>,
    /// By place, for RISC-V: what the upper half is of.
    calculated: BTreeMap<u64, Vec<i128>>,
    /// Symbols of which the upper halves come out of the global offset table.
    halves: BTreeSet<u32>,
}

impl Linker<'_, '_> {
    /// Takes the address that the object was linked for, `base`, out of every word that holds one of the image.
    pub(super) fn keep(&mut self, tables: &[Table], base: u64, layout: &mut Layout) {
        let object = self.object;
        let moved = |entry: &Entry| Entry { offset: entry.offset.wrapping_sub(base), ..*entry };
        let entries = || tables.iter().flat_map(|table| &table.entries).map(moved);
        let anchor = table::anchor(object.architecture);
        let anchor = object.symbols.iter().find(|symbol| {
            symbol.name == anchor && !matches!(symbol.place, Place::Undefined | Place::Common)
        });
        let anchor = anchor.map(|symbol| symbol.value);
        let mut kept = Kept {
            linker: self,
            bytes: &layout.bytes,
            base,
            anchor,
            slots: Slots::default(),
            sums: BTreeMap::new(),
            calculated: BTreeMap::new(),
            halves: BTreeSet::new(),
        };
        kept.find_tables();
        entries().for_each(|entry| kept.first_look(&entry));
        kept.find_slots();
        // Lower halves come after the upper ones, wherever they stand.
        let mut late = Vec::new();
        for entry in entries() {
            if matches!(kept.meaning(&entry), Some(Meaning::Held([Way { value: Value::AsAtSymbol, .. }]))) {
                late.push(entry);
            } else {
                kept.hold(&entry);
            }
        }
        late.iter().for_each(|entry| kept.hold(entry));
        for (_, entry) in std::mem::take(&mut kept.sums).into_values().filter(|sum| sum.0 != 0) {
            kept.linker.report(&entry, 0, RelocationFault::Distance);
        }
        self.take_out(base, &mut layout.bytes);
    }

    /// Takes the base out of every word that it is to be added to.
    fn take_out(&self, base: u64, bytes: &mut [u8]) {
        let little_endian = self.object.architecture.little_endian();
        for field in self.fields.iter().filter(|field| field.relocation.is_some()) {
            if let Some(word) = index(&field.place, bytes.len()).and_then(|range| bytes.get_mut(range)) {
                let value = word::load(word, little_endian).wrapping_sub(base);
                word::store(word, value, little_endian);
            }
        }
    }
}

impl Kept<'_, '_, '_> {
    fn architecture(&self) -> Architecture {
        self.linker.object.architecture
    }

    fn symbol_name(&self, entry: &Entry) -> &[u8] {
        symbol_at(self.linker.object, entry.symbol).map_or(&[], |symbol| symbol.name)
    }

    fn meaning(&self, entry: &Entry) -> Option<Meaning> {
        table::meaning(self.architecture(), entry.kind, self.symbol_name(entry))
    }

    /// What a relocation refers to.
    fn target(&self, entry: &Entry) -> Result<Target, RelocationFault> {
        if self.symbol_name(entry) == GP_DISTANCE {
            // A distance, whatever the linker has made of its symbol.
            return Ok(Target { value: 0, moves: true, missing: false });
        }
        let target = self.linker.target(entry.symbol)?;
        // Some linkers make their own symbols absolute.
        Ok(Target { moves: target.moves || is_linkers(self.symbol_name(entry)) && !target.missing, ..target })
    }

    /// What has to be known of all relocations before any of them is held against the bytes.
    fn first_look(&mut self, entry: &Entry) {
        let meaning = self.meaning(entry);
        let ways = match meaning {
            Some(Meaning::Held(ways)) => ways,
            Some(Meaning::Slot) => &[],
            Some(Meaning::Word(_) | Meaning::Anchor) => return self.slots.is_relocated(entry.offset),
            _ => return,
        };
        let Ok(target) = self.target(entry) else { return };
        let addend = entry.addend.unwrap_or(0);
        // Where linkers shorten code they give its relocations other types, and leave the slot that it does not read any more.
        let shortened = matches!(self.architecture(), Architecture::Riscv64 | Architecture::LoongArch64)
            && ways.iter().any(|way| way.value == Value::Distance);
        let wants_slot = ways.iter().any(|way| way.value.wants_slot());
        if matches!(meaning, Some(Meaning::Slot)) || wants_slot || shortened {
            self.slots.want(target.value, target.moves);
        }
        if ways.iter().any(|way| way.value == Value::SumSlotFromAnchor) {
            self.slots.want(target.value.wrapping_add_signed(addend), target.moves);
        }
        if ways.iter().any(|way| way.value == Value::PageSlotFromAnchor) {
            self.halves.insert(entry.symbol);
            self.slots.want_pages();
        }
    }

    /// Holds one relocation against the bytes.
    fn hold(&mut self, entry: &Entry) {
        if let Err(problem) = self.entry(entry) {
            self.linker.report(entry, 0, problem);
        }
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), RelocationFault> {
        let architecture = self.architecture();
        let Some(meaning) = self.meaning(entry) else {
            return Err(if is_thread_local(architecture, entry.kind) {
                RelocationFault::ThreadLocal
            } else {
                RelocationFault::Unknown
            });
        };
        if matches!(meaning, Meaning::Nothing) {
            return Ok(());
        }
        let target = self.target(entry)?;
        match meaning {
            Meaning::Nothing => Ok(()),
            Meaning::Word(width) if target.moves => self.word(entry, width, target.value),
            Meaning::Anchor => {
                let anchor = self.anchor.ok_or(RelocationFault::NoSymbol)?;
                self.word(entry, architecture.pointer_width(), anchor)
            }
            Meaning::Instruction if target.moves => Err(RelocationFault::Instruction),
            Meaning::Low if target.moves && !self.halves.contains(&entry.symbol) => {
                Err(RelocationFault::Instruction)
            }
            Meaning::Distance if !target.moves => Err(RelocationFault::Distance),
            Meaning::Slot if self.slots.of(target.value, target.moves).is_empty() => {
                Err(RelocationFault::Slot)
            }
            Meaning::Plus | Meaning::Minus if target.moves => {
                let sum = self.sums.entry(entry.offset).or_insert((0, *entry));
                let step = if matches!(meaning, Meaning::Plus) { 1 } else { -1 };
                *sum = (sum.0.saturating_add(step), *entry);
                Ok(())
            }
            // A call of what is absent is guarded by a test of its address: it does not matter where it would lead.
            Meaning::Held(ways) if target.missing && ways.iter().any(|way| way.value.is_branch()) => Ok(()),
            Meaning::Held(ways) => self.held(entry, &target, ways),
            Meaning::Word(_)
            | Meaning::Instruction
            | Meaning::Low
            | Meaning::Distance
            | Meaning::Slot
            | Meaning::Plus
            | Meaning::Minus => Ok(()),
        }
    }

    /// The bytes of a word, as a number.
    fn load(&self, place: u64, width: u8) -> Option<u64> {
        let range = index(&(place..place.checked_add(width.into())?), self.bytes.len())?;
        Some(word::load(self.bytes.get(range)?, self.architecture().little_endian()))
    }

    /// A word that holds an address of the image.
    fn word(&mut self, entry: &Entry, width: u8, target: u64) -> Result<(), RelocationFault> {
        let found = self.load(entry.offset, width).ok_or(RelocationFault::OutsideImage)?;
        let mask = u64::MAX >> (64 - 8 * u32::from(width));
        let value = match entry.addend {
            Some(addend) => {
                let value = target.wrapping_add_signed(addend);
                if found != value.wrapping_add(self.base) & mask {
                    return Err(RelocationFault::Changed);
                }
                i128::from(target) + i128::from(addend)
            }
            // The addend is gone: what the linker has written is the sum.
            None => i128::from(found) - i128::from(self.base),
        };
        let whole = width == self.architecture().pointer_width();
        let range = if whole { Range::Any } else { Range::Either };
        // What counts from the anchor may lie behind the image: it is in the middle of what is reached from it.
        let anchor = self.anchor.is_some_and(|anchor| i128::from(anchor) == value);
        let relocation = if anchor && whole {
            Some(self.architecture().word())
        } else {
            self.linker.moving(width, range, value)?
        };
        self.take(*entry, width, relocation);
        Ok(())
    }

    /// Notes a word that holds an address of the image.
    fn take(&mut self, entry: Entry, width: u8, relocation: Option<RelocationKind>) {
        let place = entry.offset..entry.offset.saturating_add(width.into());
        self.linker.fields.push(Field { place, entry, relocation });
    }

    /// A field that holds a value in one of several ways.
    fn held(&mut self, entry: &Entry, target: &Target, ways: &[Way]) -> Result<(), RelocationFault> {
        let offset = usize::try_from(entry.offset).map_err(|_| RelocationFault::OutsideImage)?;
        let little_endian = self.architecture().little_endian();
        let mut values = Vec::new();
        let mut problem = RelocationFault::Changed;
        for way in ways {
            match self.values(entry, target, way.value) {
                Ok(calculated) => {
                    let holds = |value: &i128| way.field.holds(self.bytes, offset, *value, little_endian);
                    values.extend(calculated.into_iter().filter(holds));
                }
                Err(other) => problem = other,
            }
        }
        if values.is_empty() {
            return Err(problem);
        }
        if self.architecture() == Architecture::Riscv64 {
            self.calculated.insert(entry.offset, values);
        }
        Ok(())
    }

    /// What a field may hold: nothing where the value is not known.
    fn values(&self, entry: &Entry, target: &Target, value: Value) -> Result<Vec<i128>, RelocationFault> {
        let place = i128::from(entry.offset);
        let addend = i128::from(entry.addend.unwrap_or(0));
        let sum = i128::from(target.value) + addend;
        let page = |value: i128| value & !i128::from(PAGE - 1);
        let base = i128::from(self.base);
        let in_image = || if target.moves { Ok(()) } else { Err(RelocationFault::Distance) };
        let anchor = || self.anchor.map(i128::from).ok_or(RelocationFault::NoSymbol);
        let slots = |value: u64| {
            let slots = self.slots.of(value, target.moves);
            if slots.is_empty() {
                Err(RelocationFault::Slot)
            } else {
                Ok(slots.iter().map(|slot| i128::from(*slot)))
            }
        };
        let own = || slots(target.value);
        Ok(match value {
            Value::Replaced => vec![0],
            Value::Distance => in_image().map(|()| vec![sum - place])?,
            Value::Branch => in_image().map(|()| {
                let local = i128::from(self.local_entry(entry.symbol));
                vec![sum - place, sum + local - place]
            })?,
            Value::FromBehind(bytes) => {
                in_image().map(|()| vec![i128::from(target.value) - place - i128::from(bytes)])?
            }
            Value::Ahead(bytes) => {
                in_image().map(|()| vec![i128::from(target.value & !1) - place - i128::from(bytes)])?
            }
            Value::AheadOfWord(bytes) => {
                in_image().map(|()| vec![i128::from(target.value & !1) - (place & !3) - i128::from(bytes)])?
            }
            Value::PageDistance(more) => {
                in_image().map(|()| vec![page(sum + i128::from(more)) - page(place)])?
            }
            // Of what does not move the bits are what they are, too.
            Value::PageOffset => vec![if target.moves { sum + base } else { sum }],
            Value::SlotDistance => own()?.map(|slot| slot + addend - place).collect(),
            Value::SlotPageDistance(more) => {
                own()?.map(|slot| page(slot + addend + i128::from(more)) - page(place)).collect()
            }
            Value::SlotPageOffset => own()?.map(|slot| slot + addend + base).collect(),
            Value::SlotFromTablePage => {
                let anchor = anchor()?;
                own()?.map(|slot| slot + addend - page(anchor)).collect()
            }
            Value::AsAtSymbol => self.calculated.get(&target.value).cloned().unwrap_or_default(),
            Value::FromAnchor => {
                in_image()?;
                vec![sum - anchor()?]
            }
            Value::ToAnchor => {
                in_image()?;
                vec![anchor()? - sum]
            }
            Value::AddendFromAnchor | Value::AddendToAnchor => {
                in_image()?;
                if !(0..=i128::from(self.linker.size)).contains(&(sum + base + anchor()?)) {
                    return Err(RelocationFault::Changed);
                }
                vec![if value == Value::AddendFromAnchor { sum + base } else { -(sum + base) }]
            }
            Value::AnchorDistance(more) => vec![anchor()? + addend - place + i128::from(more)],
            Value::HeldFromAnchor => {
                let held = u64::try_from(sum).ok().and_then(|place| self.load(place, 8));
                let held = held.ok_or(RelocationFault::Changed)?;
                vec![i128::from(held) - base - anchor()?]
            }
            Value::SlotFromAnchor => {
                let anchor = anchor()?;
                own()?.map(|slot| slot - anchor).collect()
            }
            Value::SumSlotFromAnchor => {
                let anchor = anchor()?;
                let sum = target.value.wrapping_add_signed(entry.addend.unwrap_or(0));
                slots(sum)?.map(|slot| slot - anchor).collect()
            }
            Value::PageSlotFromAnchor => {
                let anchor = anchor()?;
                in_image()?;
                let field = self.load(entry.offset, 2).ok_or(RelocationFault::OutsideImage)?;
                let field = u16::try_from(field).unwrap_or(0);
                let field = i128::from(i16::from_ne_bytes(field.to_ne_bytes()));
                let slot = u64::try_from(anchor + field).ok();
                let held = slot.and_then(|slot| self.slots.page(slot)).ok_or(RelocationFault::Slot)?;
                // Without its addend, which page of the section it is cannot be told.
                let page = entry.addend.map(|_| (sum + base + 0x8000) & !0xffff);
                if page.is_none_or(|page| page == i128::from(held)) { vec![field] } else { Vec::new() }
            }
        })
    }

    /// How far behind its beginning a function is entered from code that has the same table of contents: PowerPC.
    fn local_entry(&self, symbol: u32) -> u64 {
        let symbol = symbol_at(self.linker.object, symbol);
        match symbol {
            Some(symbol) if self.architecture() == Architecture::PowerPc64 => {
                let power = u32::from(symbol.other >> 5);
                (1_u64 << power) >> 2 << 2
            }
            _ => 0,
        }
    }
}
