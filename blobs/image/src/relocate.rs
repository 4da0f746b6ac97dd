//! Relocation tables to addends in the words, a sorted list of what is to be added to them, and the imports.

use std::collections::{BTreeMap, BTreeSet};

use crate::architecture::Action;
use crate::dynamic::{Entry, ImplicitGot};
use crate::fault::{Fault, RelocationFault, SymbolFault};
use crate::faults::Faults;
use crate::image::{Import, RESERVED, Segment};
use crate::layout::{Layout, Marks};
use crate::read::{ElfSymbol, Object, Place, text};
use crate::relocation::Relocation;
use crate::word;
use object::elf;

/// A word to write or to relocate.
struct Word {
    offset: u64,
    /// What it holds at base 0; `None` if that lies in it already.
    value: Option<u64>,
    added: Added,
    /// How far out of the image it may refer.
    reach: u64,
    /// Where it comes from, for messages.
    kind: elf::RelocationType,
    symbol: u32,
}

/// What is added to a word when it is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Added {
    Nothing,
    Base,
    /// The address of the word's symbol, which the object does not define.
    Import,
}

/// Local entries of the MIPS GOT may hold addresses of whole pages of 64 KiB, rounded up, and linkers add one more than is
/// needed.
const TWO_PAGES: u64 = 0x2_0000;

/// How many imports a relocation can number: it has 24 bits for that.
const MOST_IMPORTS: usize = 1 << 24;

/// Writes every addend into `layout.bytes` and returns the relocations that are left for the loader, with
/// the imports that they number.
pub(crate) fn relocate(
    object: &Object<'_>,
    layout: &mut Layout,
    marks: &Marks,
    faults: &mut Faults,
) -> (Vec<Relocation>, Vec<Import>) {
    // As many as can be asked for, and no more than fit side by side: a list that grows takes up to three times as much.
    let bitmaps = object.dynamic.relr.iter().map(|entry| u64::from(entry.count_ones()));
    let asked = bitmaps.sum::<u64>().saturating_add(object.dynamic.relocations.len() as u64);
    let fit = layout.bytes.len() / usize::from(object.architecture.pointer_width()) + 1;
    let words = Vec::with_capacity(fit.min(usize::try_from(asked).unwrap_or(fit)));
    let mut table =
        Table { object, layout, marks, faults, width: u64::from(object.architecture.pointer_width()), words };
    for entry in &object.dynamic.relocations {
        table.entry(entry);
    }
    table.relr();
    if let Some(got) = object.dynamic.got {
        table.implicit_got(got);
    }
    table.finish()
}

struct Table<'a, 'data> {
    object: &'a Object<'data>,
    layout: &'a mut Layout,
    marks: &'a Marks,
    faults: &'a mut Faults,
    width: u64,
    words: Vec<Word>,
}

impl Table<'_, '_> {
    fn report(&mut self, offset: u64, kind: elf::RelocationType, symbol: u32, problem: RelocationFault) {
        let object = self.object;
        self.faults.add(|| Fault::Relocation {
            name: object.architecture.relocation_name(kind),
            offset,
            section: object.section_at(offset),
            symbol: symbol_at(object, symbol).map(|symbol| text(symbol.name)).filter(|name| !name.is_empty()),
            problem,
        });
    }

    /// Decides what one entry asks for.
    fn entry(&mut self, entry: &Entry) {
        let addend = || match entry.addend {
            Some(addend) => 0_u64.wrapping_add_signed(addend),
            None => self.addend_at(entry.offset),
        };
        let resolved = match self.object.architecture.action(entry.kind) {
            Some(Action::Skip) => return,
            Some(Action::Relative) => Ok((addend(), Added::Base)),
            Some(Action::AbsoluteOrRelative) if entry.symbol == 0 => Ok((addend(), Added::Base)),
            Some(Action::Absolute | Action::AbsoluteOrRelative) => self.symbol(entry.symbol, addend()),
            Some(Action::Slot) => self.symbol(entry.symbol, 0),
            Some(Action::Ifunc) => Err(RelocationFault::Ifunc),
            Some(Action::ThreadLocal) => Err(RelocationFault::ThreadLocal),
            Some(Action::Copy) => Err(RelocationFault::Copy),
            Some(Action::Narrow) => Err(RelocationFault::Narrow),
            None => Err(RelocationFault::LinkTime),
        };
        match resolved {
            Ok((value, added)) => self.word(Word {
                offset: entry.offset,
                value: Some(value),
                added,
                reach: 0,
                kind: entry.kind,
                symbol: entry.symbol,
            }),
            Err(problem) => self.report(entry.offset, entry.kind, entry.symbol, problem),
        }
    }

    /// What the object has put into a word of pointer width; 0 where there are no bytes, which is a fault of its own.
    fn addend_at(&self, offset: u64) -> u64 {
        let word = || {
            let start = usize::try_from(offset).ok()?;
            let end = start.checked_add(usize::try_from(self.width).ok()?)?;
            self.layout.bytes.get(start..end)
        };
        word().map_or(0, |word| word::load(word, self.object.architecture.little_endian()))
    }

    /// A symbol's address plus an addend, and what is still to be added. No loader can put another
    /// definition in front of the object's own, so that its own is the one.
    fn symbol(&self, index: u32, addend: u64) -> Result<(u64, Added), RelocationFault> {
        let Some(symbol) = symbol_at(self.object, index) else {
            // Index 0 stands for the value 0: an absolute word that does not move.
            return if index == 0 { Ok((addend, Added::Nothing)) } else { Err(RelocationFault::NoSymbol) };
        };
        let value = symbol.value.wrapping_add(addend);
        match (symbol.kind, symbol.place) {
            (elf::STT_GNU_IFUNC, _) => Err(RelocationFault::Ifunc),
            (elf::STT_TLS, _) => Err(RelocationFault::ThreadLocal),
            (_, Place::Section(_)) => Ok((value, Added::Base)),
            (_, Place::Absolute) => Ok((value, Added::Nothing)),
            (_, Place::Undefined) if symbol.binding == elf::STB_WEAK => Ok((addend, Added::Nothing)),
            (_, Place::Undefined) if importable(symbol) => Ok((addend, Added::Import)),
            (_, Place::Undefined | Place::Common) => Err(RelocationFault::Undefined),
        }
    }

    /// Walks the bitmaps of `DT_RELR`: an even word is an address, an odd one says which of the words
    /// that follow the last address are relocated too. All of them hold their addends already.
    fn relr(&mut self) {
        let kind = self.object.architecture.relative_type();
        let mut next: Option<u64> = None;
        for &entry in &self.object.dynamic.relr {
            let word = |offset| Word { offset, value: None, added: Added::Base, reach: 0, kind, symbol: 0 };
            if entry & 1 == 0 {
                self.word(word(entry));
                next = entry.checked_add(self.width);
                continue;
            }
            let Some(start) = next else {
                self.faults.add(|| Fault::Malformed {
                    what: "DT_RELR".to_owned(),
                    problem: "a bitmap without an address in front of it",
                });
                return;
            };
            let bits = self.width * 8 - 1;
            for bit in (0..bits).filter(|bit| (entry >> 1) >> bit & 1 == 1) {
                match start.checked_add(bit * self.width) {
                    Some(offset) => self.word(word(offset)),
                    None => self.report(start, kind, 0, RelocationFault::OutsideImage),
                }
            }
            next = start.checked_add(bits * self.width);
        }
    }

    /// The GOT that is relocated without a relocation for it.
    fn implicit_got(&mut self, got: ImplicitGot) {
        let globals = got.symbols.saturating_sub(got.first_symbol);
        let most = u64::try_from(self.layout.bytes.len()).unwrap_or(u64::MAX) / self.width;
        if got.locals > most || globals > most {
            self.faults.add(|| Fault::TooManyRelocations);
            return;
        }
        let kind = self.object.architecture.relative_type();
        let place = |index: u64| got.address.saturating_add(index * self.width);
        let places: Vec<u64> = (0..got.locals + globals).map(place).collect();
        let locals = usize::try_from(got.locals).unwrap_or(usize::MAX);
        let (locals, globals) = places.split_at(locals.min(places.len()));
        // Of the loader's own, the second is there only if its highest bit says so.
        let second = locals.get(1).map_or(0, |&second| self.addend_at(second));
        let own = if second >> (self.width * 8 - 1) == 1 { 2 } else { 1 };
        if locals.iter().skip(own).any(|&offset| self.addend_at(offset) == 0) {
            self.absent_in_got(got);
        }
        for &offset in locals.iter().skip(own) {
            self.word(Word { offset, value: None, added: Added::Base, reach: TWO_PAGES, kind, symbol: 0 });
        }
        for (number, &offset) in (0..).zip(globals) {
            let symbol = u32::try_from(got.first_symbol.saturating_add(number)).unwrap_or(u32::MAX);
            match self.symbol(symbol, 0) {
                Ok((value, added)) => {
                    self.word(Word { offset, value: Some(value), added, reach: 0, kind, symbol });
                }
                Err(problem) => self.report(offset, kind, symbol, problem),
            }
        }
    }

    /// Reports weak symbols that nobody defines, unless they have global entries: LLVM's linker gives them local ones of 0, which
    /// cannot be told from the address of the image's first page, and no loader leaves either alone.
    fn absent_in_got(&mut self, got: ImplicitGot) {
        let first = usize::try_from(got.first_symbol).unwrap_or(usize::MAX);
        let globals = self.object.dynamic_symbols.iter().skip(first).map(|symbol| symbol.name);
        let globals: BTreeSet<&[u8]> = globals.collect();
        let absent = |symbol: &&ElfSymbol<'_>| {
            symbol.place == Place::Undefined && symbol.binding == elf::STB_WEAK && !symbol.name.is_empty()
        };
        for symbol in
            self.object.symbols.iter().filter(absent).filter(|symbol| !globals.contains(symbol.name))
        {
            self.faults.add(|| Fault::Symbol {
                name: text(symbol.name),
                value: 0,
                section: None,
                problem: SymbolFault::AbsentInGot,
            });
        }
    }

    /// Takes a word whose place is sound, and reports one whose place is not.
    fn word(&mut self, word: Word) {
        let segment = self.layout.segment_at(word.offset, self.width);
        let problem = match segment {
            None => Some(RelocationFault::OutsideImage),
            Some(segment) if !initialised(segment, word.offset, self.width) => {
                Some(RelocationFault::Uninitialised)
            }
            Some(segment) if segment.permissions.execute && !self.marks.packed => {
                Some(RelocationFault::InCode)
            }
            Some(_) => None,
        };
        match problem {
            Some(problem) => self.report(word.offset, word.kind, word.symbol, problem),
            // More words than fit side by side overlap for certain; they must not fill the memory.
            None if self.overfull() => {}
            None => self.words.push(word),
        }
    }

    fn overfull(&self) -> bool {
        self.words.len() > self.layout.bytes.len() / usize::from(self.object.architecture.pointer_width())
    }

    /// Sorts, writes and checks the words.
    fn finish(mut self) -> (Vec<Relocation>, Vec<Import>) {
        if self.overfull() {
            self.faults.add(|| Fault::TooManyRelocations);
            return Default::default();
        }
        let mut words = std::mem::take(&mut self.words);
        let numbers = number(self.object, &words, self.faults);
        words.sort_unstable_by_key(|word| word.offset);
        let mut relocations = Vec::with_capacity(words.len());
        let mut before: Option<u64> = None;
        for word in words {
            let overlapped = before.filter(|before| before.saturating_add(self.width) > word.offset);
            before = Some(word.offset);
            if let Some(other) = overlapped {
                self.report(word.offset, word.kind, word.symbol, RelocationFault::Overlap { other });
                continue;
            }
            relocations.extend(self.write(&word, &numbers));
        }
        let import = |name: &[u8]| Import { name: String::from_utf8_lossy(name).into_owned() };
        (relocations, numbers.into_keys().map(import).collect())
    }

    /// Writes the word's value at base 0 and returns what is left to do when the base is known.
    fn write(&mut self, word: &Word, numbers: &BTreeMap<&[u8], u32>) -> Option<Relocation> {
        let architecture = self.object.architecture;
        let start = usize::try_from(word.offset).ok()?;
        let end = start.checked_add(usize::from(architecture.pointer_width()))?;
        let bytes = self.layout.bytes.get_mut(start..end)?;
        if let Some(value) = word.value {
            word::store(bytes, value, architecture.little_endian());
        }
        // As the word holds it: a narrow one has lost what lies above it.
        let value = word::load(bytes, architecture.little_endian());
        let offset = u32::try_from(word.offset).ok()?;
        match word.added {
            Added::Nothing => return None,
            Added::Base => {}
            Added::Import => {
                let number = *numbers.get(symbol_at(self.object, word.symbol)?.name)?;
                return Some(Relocation { offset, kind: architecture.import(number) });
            }
        }
        // One past the end is an address too, by the number or by the symbol that stands for it.
        let end = self.layout.size.saturating_add(word.reach);
        if value > end && Some(value) != self.marks.end {
            self.report(word.offset, word.kind, word.symbol, RelocationFault::Target { value });
            return None;
        }
        Some(Relocation { offset, kind: architecture.word() })
    }
}

fn symbol_at<'a, 'data>(object: &'a Object<'data>, index: u32) -> Option<&'a ElfSymbol<'data>> {
    if index == 0 { None } else { object.dynamic_symbols.get(usize::try_from(index).ok()?) }
}

/// Whether a symbol that is not defined can be wanted from the host: everybody may know it, and it has a name
/// that is not the project's own.
fn importable(symbol: &ElfSymbol<'_>) -> bool {
    let named =
        std::str::from_utf8(symbol.name).is_ok_and(|name| !name.is_empty() && !name.starts_with(RESERVED));
    named && symbol.binding == elf::STB_GLOBAL && symbol.visibility == elf::STV_DEFAULT
}

/// The imports of the words, numbered in the order of their names.
fn number<'data>(object: &Object<'data>, words: &[Word], faults: &mut Faults) -> BTreeMap<&'data [u8], u32> {
    let imported = words.iter().filter(|word| word.added == Added::Import);
    let names = imported.filter_map(|word| Some((symbol_at(object, word.symbol)?.name, 0)));
    let mut numbers: BTreeMap<&[u8], u32> = names.collect();
    if numbers.len() > MOST_IMPORTS {
        let count = numbers.len();
        faults.add(|| Fault::TooManyImports { count, limit: MOST_IMPORTS });
        return BTreeMap::new();
    }
    for (number, name) in (0..).zip(numbers.values_mut()) {
        *name = number;
    }
    numbers
}

fn initialised(segment: &Segment, offset: u64, width: u64) -> bool {
    offset.saturating_sub(segment.offset).saturating_add(width) <= segment.initialised
}
