//! Relocations to bytes: what can be calculated now is written, what depends on the base stays for the loader.

use std::ops::Range as Bytes;

use object::elf;

use super::got::{self, Got, Relaxed};
use super::read::{Contents, Table, is_allocated};
use super::table::{Range, Rule, Value, is_thread_local, rule};
use crate::dynamic::Entry;
use crate::fault::{Fault, RelocationFault};
use crate::faults::Faults;
use crate::narrow::{Abs32, Narrow};
use crate::read::{ElfSymbol, Object, Place, text};
use crate::relocation::{Relocation, RelocationKind};

/// From here on distances may not fit their fields, and nothing is relaxed.
const FAR: u64 = 1 << 31;

/// An address that a relocation refers to.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) value: u64,
    /// Whether the base is added to it.
    pub(super) moves: bool,
    /// Whether its symbol is weak and not defined.
    pub(super) missing: bool,
}

/// A field that has been written.
pub(crate) struct Field {
    pub(super) place: Bytes<u64>,
    pub(super) entry: Entry,
    /// What is left to do when the base is known.
    pub(super) relocation: Option<RelocationKind>,
}

/// Finds out what the global offset table has to hold. `end` is how long the sections are together.
pub(crate) fn wanted(object: &Object<'_>, contents: &[Contents<'_>], tables: &[Table], end: u64) -> Got {
    let mut got = Got::default();
    for table in tables {
        let code = contents.get(table.section).map(|contents| contents.data).unwrap_or_default();
        for entry in &table.entries {
            let Some(rule) = rule(object.architecture, entry.kind) else { continue };
            got.addressed |= symbol_at(object, entry.symbol).is_some_and(|symbol| symbol.name == got::NAME);
            let relaxed = relaxed(object, rule, entry, code, end);
            match rule.value {
                Value::Table | Value::InTable | Value::BranchInTable | Value::Slot => got.addressed = true,
                Value::BasedSlot | Value::RelaxableBasedSlot => got.addressed |= !is_absolute(entry, code),
                _ => {}
            }
            if rule.value.wants_slot() && relaxed.is_none() {
                got.want(entry.symbol);
            }
        }
    }
    got
}

/// Whether the field is the displacement of a call or of a jump.
fn is_branch(code: &[u8], offset: usize) -> bool {
    const CALL: u8 = 0xe8;
    const JUMP: u8 = 0xe9;
    offset
        .checked_sub(1)
        .and_then(|before| code.get(before))
        .is_some_and(|opcode| matches!(*opcode, CALL | JUMP))
}

/// Whether the instruction in front of a field has no base register.
fn is_absolute(entry: &Entry, code: &[u8]) -> bool {
    let before = usize::try_from(entry.offset).ok().and_then(|offset| code.get(offset.checked_sub(1)?));
    before.is_some_and(|&modrm| got::is_absolute(modrm))
}

/// What becomes of an instruction that reaches a symbol of the image through its slot.
fn relaxed(object: &Object<'_>, rule: &Rule, entry: &Entry, code: &[u8], end: u64) -> Option<Relaxed> {
    let symbol = symbol_at(object, entry.symbol)?;
    let here = matches!(symbol.place, Place::Section(_) | Place::Common) && symbol.kind != elf::STT_GNU_IFUNC;
    if !here || end >= FAR {
        return None;
    }
    let offset = usize::try_from(entry.offset).ok()?;
    let addend = addend(entry, code, offset, rule.size)?;
    match rule.value {
        Value::Relaxable(prefix) if addend == -4 => Relaxed::of(code, offset, prefix),
        Value::RelaxableBasedSlot if addend == 0 => Relaxed::of_based(code, offset),
        _ => None,
    }
}

/// Everything that relocating looks at. Sections and symbols have their places in the image already.
pub(crate) struct Linker<'a, 'data> {
    pub(crate) object: &'a Object<'data>,
    pub(crate) abs32: Option<Abs32>,
    pub(crate) faults: &'a mut Faults,
    pub(crate) got: Got,
    /// How long the sections were together when the global offset table was made.
    pub(crate) sections_end: u64,
    /// The size of the image.
    pub(crate) size: u64,
    pub(crate) narrow: Narrow,
    pub(crate) fields: Vec<Field>,
}

impl Linker<'_, '_> {
    fn width(&self) -> u64 {
        u64::from(self.object.architecture.pointer_width())
    }

    /// Writes every field and the global offset table.
    pub(crate) fn apply(&mut self, tables: &[Table], bytes: &mut [u8]) {
        for table in tables {
            let Some(section) = self.object.sections.get(table.section) else { continue };
            let (address, zero_filled) = (section.address, section.kind == elf::SHT_NOBITS);
            let range = address..address.saturating_add(section.size);
            for entry in &table.entries {
                let problem = if zero_filled && entry.kind.0 != 0 {
                    Err(RelocationFault::Uninitialised)
                } else {
                    self.entry(entry, &range, bytes)
                };
                if let Err(problem) = problem {
                    self.report(entry, address, problem);
                }
            }
        }
        for symbol in self.got.symbols() {
            self.slot(symbol, bytes);
        }
    }

    pub(super) fn report(&mut self, entry: &Entry, address: u64, problem: RelocationFault) {
        let object = self.object;
        let offset = address.saturating_add(entry.offset);
        self.faults.add(|| Fault::Relocation {
            name: object.architecture.relocation_name(entry.kind),
            offset,
            section: object.section_at(offset).or_else(|| object.section_at(address)),
            symbol: symbol_at(object, entry.symbol)
                .map(|symbol| name(object, symbol))
                .filter(|name| !name.is_empty()),
            problem,
        });
    }

    /// Calculates and writes one field.
    fn entry(
        &mut self,
        entry: &Entry,
        section: &Bytes<u64>,
        bytes: &mut [u8],
    ) -> Result<(), RelocationFault> {
        let Some(rule) = rule(self.object.architecture, entry.kind) else {
            return Err(if is_thread_local(self.object.architecture, entry.kind) {
                RelocationFault::ThreadLocal
            } else {
                RelocationFault::Unknown
            });
        };
        if rule.value == Value::Nothing {
            return Ok(());
        }
        let place = section.start.checked_add(entry.offset).ok_or(RelocationFault::OutsideSection)?;
        let end = place.checked_add(rule.size.into()).filter(|&end| end <= section.end);
        let end = end.ok_or(RelocationFault::OutsideSection)?;
        if place % u64::from(rule.align.max(1)) != 0 {
            return Err(RelocationFault::Misaligned { align: rule.align });
        }
        let range = index(section, bytes.len()).ok_or(RelocationFault::Uninitialised)?;
        let code = bytes.get_mut(range).ok_or(RelocationFault::Uninitialised)?;
        let offset = usize::try_from(entry.offset).map_err(|_| RelocationFault::OutsideSection)?;
        let addend = addend(entry, code, offset, rule.size).ok_or(RelocationFault::OutsideSection)?;
        let target = self.target(entry.symbol)?;
        let (mut place, mut value, mut moves, mut offset) = (place, 0_i128, false, offset);
        let sum = i128::from(target.value) + i128::from(addend);
        let table = i128::from(self.got.offset);
        match rule.value {
            Value::Nothing => {}
            Value::Absolute => (value, moves) = (sum, target.moves),
            // Older assemblers, and those of i386, have no type of its own for a branch.
            Value::Distance if !(target.moves || target.missing && is_branch(code, offset)) => {
                return Err(RelocationFault::Distance);
            }
            // A call of what is not there is guarded by a test of its address; like every linker of a static-PIE this
            // one lets it lead to address 0 of the image.
            Value::Branch | Value::BranchInTable if !target.moves && !target.missing => {
                return Err(RelocationFault::Distance);
            }
            Value::Distance | Value::Branch => value = sum - i128::from(place),
            Value::InTable if !target.moves => return Err(RelocationFault::Distance),
            Value::InTable | Value::BranchInTable => value = sum - table,
            Value::Table => value = table + i128::from(addend) - i128::from(place),
            Value::Size => {
                let size = symbol_at(self.object, entry.symbol).map_or(0, |symbol| symbol.size);
                value = i128::from(size) + i128::from(addend);
            }
            Value::Slot
            | Value::SlotDistance
            | Value::Relaxable(_)
            | Value::BasedSlot
            | Value::RelaxableBasedSlot => match relaxed(self.object, rule, entry, code, self.sections_end) {
                Some(relaxed) => {
                    let back = relaxed.rewrite(code, offset).ok_or(RelocationFault::OutsideSection)?;
                    place = place.saturating_sub(back.into());
                    offset = offset.saturating_sub(back.into());
                    let symbol = i128::from(target.value);
                    (value, moves) = match relaxed {
                        Relaxed::LoadBased => (symbol - table, false),
                        Relaxed::LoadAbsolute => (symbol, target.moves),
                        Relaxed::Load | Relaxed::Call | Relaxed::Jump => {
                            (symbol - 4 - i128::from(place), false)
                        }
                    };
                }
                None => {
                    let slot = self.got.slot(entry.symbol, self.width()).ok_or(RelocationFault::NoSymbol)?;
                    let in_table = i128::from(slot) + i128::from(addend);
                    (value, moves) = match rule.value {
                        Value::Slot => (in_table, false),
                        Value::BasedSlot | Value::RelaxableBasedSlot if is_absolute(entry, code) => {
                            (table + in_table, true)
                        }
                        Value::BasedSlot | Value::RelaxableBasedSlot => (in_table, false),
                        _ => (table + in_table - i128::from(place), false),
                    };
                }
            },
        }
        let relocation = if moves { self.moving(rule.size, rule.range, value)? } else { None };
        let (least, most) = rule.range.bounds(rule.size);
        let cut = moves && self.abs32 == Some(Abs32::Truncate);
        if !(least..=most).contains(&value) && !cut {
            return Err(RelocationFault::OutOfRange { value: i64::try_from(value).unwrap_or(i64::MAX) });
        }
        store(code, offset, rule.size, value).ok_or(RelocationFault::OutsideSection)?;
        self.fields.push(Field { place: place..end, entry: *entry, relocation });
        Ok(())
    }

    /// What is left to do for a word that holds an address of the image.
    pub(super) fn moving(
        &mut self,
        width: u8,
        range: Range,
        value: i128,
    ) -> Result<Option<RelocationKind>, RelocationFault> {
        // One past the end is an address too.
        if !(0..=i128::from(self.size)).contains(&value) {
            return Err(RelocationFault::Target { value: address(value) });
        }
        let architecture = self.object.architecture;
        if width == architecture.pointer_width() && range == Range::Any {
            return Ok(Some(architecture.word()));
        }
        match self.abs32 {
            None => return Err(RelocationFault::Abs32),
            Some(Abs32::Checked) => self.narrow.restrict(range.bounds(width), value),
            Some(Abs32::Truncate) => {}
        }
        RelocationKind::narrow(width, architecture.little_endian()).map(Some).ok_or(RelocationFault::Narrow)
    }

    /// The address of a symbol, as far as it is known.
    pub(super) fn target(&self, index: u32) -> Result<Target, RelocationFault> {
        let object = self.object;
        let Some(symbol) = symbol_at(object, index) else {
            // Number 0 stands for the value 0.
            let nothing = Target { value: 0, moves: false, missing: false };
            return if index == 0 { Ok(nothing) } else { Err(RelocationFault::NoSymbol) };
        };
        let known = |value, moves| Ok(Target { value, moves, missing: false });
        match (symbol.kind, symbol.place) {
            (elf::STT_GNU_IFUNC, _) => Err(RelocationFault::Ifunc),
            (elf::STT_TLS, _) => Err(RelocationFault::ThreadLocal),
            (_, Place::Section(_)) => match object.section_of(symbol) {
                Some(section) if is_allocated(section) => known(symbol.value, true),
                Some(section) => Err(RelocationFault::Unallocated { section: text(section.name) }),
                None => Err(RelocationFault::NoSymbol),
            },
            (_, Place::Absolute) => known(symbol.value, false),
            (_, Place::Undefined) if symbol.name == got::NAME => known(self.got.offset, true),
            (_, Place::Undefined) if symbol.binding == elf::STB_WEAK => {
                Ok(Target { value: 0, moves: false, missing: true })
            }
            (_, Place::Undefined | Place::Common) => Err(RelocationFault::Undefined),
        }
    }

    /// Writes the slot of a symbol.
    fn slot(&mut self, index: u32, bytes: &mut [u8]) {
        let width = self.object.architecture.pointer_width();
        // Where the symbol has no address, the relocation that wants the slot says so.
        let Ok(target) = self.target(index) else { return };
        let Some(slot) = self.got.slot(index, width.into()) else { return };
        let place = self.got.offset.saturating_add(slot);
        let Ok(offset) = usize::try_from(place) else { return };
        if store(bytes, offset, width, target.value.into()).is_none() {
            return;
        }
        let entry = Entry { offset: place, kind: elf::RelocationType(0), symbol: index, addend: None };
        let relocation = target.moves.then(|| self.object.architecture.word());
        self.fields.push(Field { place: place..place.saturating_add(width.into()), entry, relocation });
    }

    /// The relocations that are left, sorted; fields that overlap are reported.
    pub(crate) fn finish(mut self) -> (Vec<Relocation>, Narrow) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.sort_unstable_by_key(|field| field.place.start);
        let mut relocations = Vec::new();
        let mut before: Option<Bytes<u64>> = None;
        for field in fields {
            if let Some(other) = before.filter(|before| before.end > field.place.start) {
                let address = field.place.start.saturating_sub(field.entry.offset);
                self.report(&field.entry, address, RelocationFault::Overlap { other: other.start });
            }
            if let (Some(kind), Ok(offset)) = (field.relocation, u32::try_from(field.place.start)) {
                relocations.push(Relocation { offset, kind });
            }
            before = Some(field.place);
        }
        (relocations, self.narrow)
    }
}

pub(super) fn symbol_at<'a, 'data>(object: &'a Object<'data>, index: u32) -> Option<&'a ElfSymbol<'data>> {
    if index == 0 { None } else { object.symbols.get(usize::try_from(index).ok()?) }
}

/// What a symbol is called in a message: a section's has the section's name.
fn name(object: &Object<'_>, symbol: &ElfSymbol<'_>) -> String {
    match object.section_of(symbol) {
        Some(section) if symbol.kind == elf::STT_SECTION => text(section.name),
        _ => text(symbol.name),
    }
}

/// A range of the image as one of a slice of `length`.
pub(super) fn index(range: &Bytes<u64>, length: usize) -> Option<Bytes<usize>> {
    let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
    (end <= length).then_some(start..end)
}

/// A value as an address: of 64 bits, the negative ones at their end.
fn address(value: i128) -> u64 {
    u64::try_from(value.rem_euclid(1 << 64)).unwrap_or(u64::MAX)
}

/// The addend of an entry: its own, or the one in its field.
fn addend(entry: &Entry, code: &[u8], offset: usize, size: u8) -> Option<i64> {
    entry.addend.or_else(|| load(code, offset, size))
}

/// The addend that a field holds: a signed number.
pub(super) fn load(code: &[u8], offset: usize, size: u8) -> Option<i64> {
    let field = code.get(offset..offset.checked_add(size.into())?)?;
    let sign = if field.last()? & 0x80 == 0 { 0 } else { u8::MAX };
    let mut bytes = [sign; 8];
    bytes.iter_mut().zip(field).for_each(|(to, byte)| *to = *byte);
    Some(i64::from_le_bytes(bytes))
}

/// Writes the low bytes of a value, least significant first: both architectures are little-endian.
pub(super) fn store(code: &mut [u8], offset: usize, size: u8, value: i128) -> Option<()> {
    let field = code.get_mut(offset..offset.checked_add(size.into())?)?;
    field.iter_mut().zip(value.to_le_bytes()).for_each(|(to, byte)| *to = byte);
    Some(())
}
