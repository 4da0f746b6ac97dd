//! The debugging information of an object, asked about a few symbols of it.
//!
//! Nothing here is ever a fault: what is missing, damaged or of a kind that is not known leaves a symbol without a
//! description. Units are read until every symbol is found, and no more of them than a macro can wait for.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use gimli::{
    Abbreviations, AttributeValue, DwAt, DwTag, EndianSlice, Reader as _, Section as _, UnitOffset,
    UnitSectionOffset, constants,
};

use crate::description::{Described, Description, Parameter, Value};
use crate::dwarf::{Bytes, Debugging};
use crate::read::text;
use crate::{Symbol, SymbolKind};

pub(crate) type Entry<'a, 'data> = gimli::DebuggingInformationEntry<'a, 'a, Bytes<'data>>;

/// How many entries are looked at: beyond, symbols stay without a description.
const MOST_ENTRIES: u32 = 1 << 20;
/// How many units an object may have: a large blob's has some hundreds.
const MOST_UNITS: usize = 4096;
/// How far an entry may lead from one to another.
const DEEPEST: u32 = 16;
/// How many parameters or members are read.
pub(crate) const MOST_CHILDREN: usize = 1024;

/// What the debugging information says of each symbol, in their order.
#[must_use]
pub fn describe(object: &[u8], symbols: &[&Symbol]) -> Vec<Option<Description>> {
    let nothing = || symbols.iter().map(|_| None).collect();
    let Some(information) = Information::read(object) else { return nothing() };
    let mut found: Vec<Option<Description>> = nothing();
    for unit in 0..information.headers.len() {
        if found.iter().all(Option::is_some) {
            break;
        }
        information.search(unit, symbols, &mut found);
    }
    found
}

/// Whether a unit was written in assembler: what assemblers say of a function is where it lies, never what it takes.
fn is_assembler(unit: &gimli::Unit<Bytes<'_>>) -> bool {
    let mut entries = unit.entries();
    let Ok(Some((_, root))) = entries.next_dfs() else { return false };
    let language = root.attr_value(constants::DW_AT_language);
    matches!(language, Ok(Some(AttributeValue::Language(constants::DW_LANG_Mips_Assembler))))
}

/// The debugging information of one object.
pub(crate) struct Information<'data> {
    dwarf: gimli::Dwarf<Bytes<'data>>,
    headers: Vec<gimli::UnitHeader<Bytes<'data>>>,
    units: Vec<OnceCell<Option<gimli::Unit<Bytes<'data>>>>>,
    /// Tables of abbreviations, by where they begin.
    tables: Vec<(usize, OnceCell<Option<Arc<Abbreviations>>>)>,
    entries: Cell<u32>,
}

/// An entry's place: the number of its unit, and where it is in that.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    unit: usize,
    offset: UnitOffset,
}

impl<'data> Information<'data> {
    fn read(object: &'data [u8]) -> Option<Self> {
        let Debugging { dwarf, .. } = Debugging::read(object).ok()?;
        let mut headers = Vec::new();
        let mut units = dwarf.units();
        while let Ok(Some(header)) = units.next() {
            headers.push(header);
            if headers.len() > MOST_UNITS {
                return None;
            }
        }
        let units = headers.iter().map(|_| OnceCell::new()).collect();
        let starts: BTreeSet<usize> = headers.iter().map(|header| header.debug_abbrev_offset().0).collect();
        let tables = starts.into_iter().map(|start| (start, OnceCell::new())).collect();
        Some(Self { dwarf, headers, units, tables, entries: Cell::new(0) })
    }

    fn unit(&self, number: usize) -> Option<&gimli::Unit<Bytes<'data>>> {
        let header = self.headers.get(number)?;
        let parse = || {
            let abbreviations = self.abbreviations(header)?;
            let mut unit = gimli::Unit::new_with_abbreviations(&self.dwarf, *header, abbreviations).ok()?;
            // Many units may share a long one; whoever asks for a line reads it again.
            unit.line_program = None;
            Some(unit)
        };
        self.units.get(number)?.get_or_init(parse).as_ref()
    }

    /// The abbreviations of a unit: those up to the next unit's, so that no two units read the same bytes.
    fn abbreviations(&self, header: &gimli::UnitHeader<Bytes<'data>>) -> Option<Arc<Abbreviations>> {
        let start = header.debug_abbrev_offset().0;
        let index = self.tables.binary_search_by_key(&start, |table| table.0).ok()?;
        let section = self.dwarf.debug_abbrev.reader();
        let end = self.tables.get(index.checked_add(1)?).map_or(section.len(), |next| next.0);
        let parse = || {
            let table = gimli::DebugAbbrev::from(EndianSlice::new(
                section.slice().get(start..end)?,
                section.endian(),
            ));
            table.abbreviations(gimli::DebugAbbrevOffset(0)).ok().map(Arc::new)
        };
        self.tables.get(index)?.1.get_or_init(parse).clone()
    }

    /// Takes one step, as long as there are steps left.
    pub(crate) fn step(&self) -> Option<()> {
        self.entries.set(self.entries.get().saturating_add(1));
        (self.entries.get() <= MOST_ENTRIES).then_some(())
    }

    /// Looks for the symbols among the entries of a unit.
    fn search(&self, number: usize, symbols: &[&Symbol], found: &mut [Option<Description>]) -> Option<()> {
        let unit = self.unit(number)?;
        if is_assembler(unit) {
            return None;
        }
        let only_code = symbols.iter().zip(&*found).all(|(s, f)| f.is_some() || s.kind() == SymbolKind::Code);
        if only_code && !self.has_any(unit, symbols) {
            return None;
        }
        let mut entries = unit.entries_raw(None).ok()?;
        while !entries.is_empty() {
            self.step()?;
            let offset = entries.next_offset();
            let Some(abbreviation) = entries.read_abbreviation().ok()? else { continue };
            let tag = abbreviation.tag();
            entries.skip_attributes(abbreviation.attributes()).ok()?;
            let placed = match tag {
                constants::DW_TAG_subprogram => constants::DW_AT_low_pc,
                constants::DW_TAG_variable => constants::DW_AT_location,
                _ => continue,
            };
            if !abbreviation.attributes().iter().any(|attribute| attribute.name() == placed) {
                continue;
            }
            let place = Place { unit: number, offset };
            let Some(address) = self.entry(place).and_then(|entry| self.address(unit, &entry, tag)) else {
                continue;
            };
            for (symbol, found) in symbols.iter().zip(&mut *found) {
                let is_code = tag == constants::DW_TAG_subprogram;
                if found.is_none()
                    && u64::from(symbol.offset()) == address
                    && is_code == (symbol.kind() == SymbolKind::Code)
                    && self.is_called(place, symbol.name())
                {
                    *found = self.description(place, symbol.name(), is_code);
                }
            }
        }
        Some(())
    }

    /// Whether a unit has code where one of the symbols is, or does not say where it has code.
    fn has_any(&self, unit: &gimli::Unit<Bytes<'data>>, symbols: &[&Symbol]) -> bool {
        let Ok(mut ranges) = self.dwarf.unit_ranges(unit) else { return true };
        let mut none = true;
        while let Ok(Some(range)) = ranges.next() {
            none = false;
            if symbols.iter().any(|s| (range.begin..range.end).contains(&u64::from(s.offset()))) {
                return true;
            }
        }
        none
    }

    pub(crate) fn entry(&self, place: Place) -> Option<Entry<'_, 'data>> {
        self.step()?;
        self.unit(place.unit)?.entry(place.offset).ok()
    }

    /// The address that an entry stands for.
    fn address(&self, unit: &gimli::Unit<Bytes<'data>>, entry: &Entry<'_, 'data>, tag: DwTag) -> Option<u64> {
        if tag == constants::DW_TAG_subprogram {
            let value = entry.attr_value(constants::DW_AT_low_pc).ok()??;
            return self.dwarf.attr_address(unit, value).ok()?;
        }
        let location = entry.attr_value(constants::DW_AT_location).ok()??.exprloc_value()?;
        match location.operations(unit.encoding()).next().ok()?? {
            gimli::Operation::Address { address } => Some(address),
            gimli::Operation::AddressIndex { index } => self.dwarf.address(unit, index).ok(),
            _ => None,
        }
    }

    /// Whether an entry is that of a symbol: the same code can stand for several functions.
    fn is_called(&self, place: Place, name: &str) -> bool {
        let linked = self.inherited(place, constants::DW_AT_linkage_name);
        let own = linked.or_else(|| self.inherited(place, constants::DW_AT_name));
        own.and_then(|(at, value)| self.string(at, value)).is_some_and(|own| own == name)
    }

    /// An attribute of an entry, or of the one that it is an instance of.
    fn inherited(&self, place: Place, name: DwAt) -> Option<(Place, AttributeValue<Bytes<'data>>)> {
        let mut place = place;
        for _ in 0..DEEPEST {
            let entry = self.entry(place)?;
            if let Ok(Some(value)) = entry.attr_value(name) {
                return Some((place, value));
            }
            let origin = self.reference(place, &entry, constants::DW_AT_abstract_origin);
            place = origin.or_else(|| self.reference(place, &entry, constants::DW_AT_specification))?;
        }
        None
    }

    /// The entry that an attribute refers to.
    pub(crate) fn reference(&self, place: Place, entry: &Entry<'_, 'data>, name: DwAt) -> Option<Place> {
        self.referred(place, &entry.attr_value(name).ok()??)
    }

    fn referred(&self, from: Place, value: &AttributeValue<Bytes<'data>>) -> Option<Place> {
        match *value {
            AttributeValue::UnitRef(offset) => Some(Place { unit: from.unit, offset }),
            AttributeValue::DebugInfoRef(offset) => {
                let start = |header: &gimli::UnitHeader<Bytes<'data>>| match header.offset() {
                    UnitSectionOffset::DebugInfoOffset(start) => start.0,
                    UnitSectionOffset::DebugTypesOffset(_) => usize::MAX,
                };
                let behind = self.headers.partition_point(|header| start(header) <= offset.0);
                let unit = behind.checked_sub(1)?;
                Some(Place { unit, offset: offset.to_unit_offset(self.headers.get(unit)?)? })
            }
            _ => None,
        }
    }

    pub(crate) fn string(&self, place: Place, value: AttributeValue<Bytes<'data>>) -> Option<String> {
        let string = self.dwarf.attr_string(self.unit(place.unit)?, value).ok()?;
        std::str::from_utf8(string.slice()).ok().map(|string| text(string.as_bytes()))
    }

    pub(crate) fn name(&self, place: Place) -> Option<String> {
        let (at, value) = self.inherited(place, constants::DW_AT_name)?;
        self.string(at, value)
    }

    /// The type of an entry; nothing where it has none.
    pub(crate) fn type_of(&self, place: Place) -> Option<Place> {
        let (at, value) = self.inherited(place, constants::DW_AT_type)?;
        self.referred(at, &value)
    }

    /// The children of an entry that have a tag that is asked for.
    pub(crate) fn children(&self, place: Place, wanted: &[DwTag]) -> Option<Vec<(DwTag, Place)>> {
        let unit = self.unit(place.unit)?;
        let mut cursor = unit.entries_at_offset(place.offset).ok()?;
        cursor.next_entry().ok()??;
        let mut children = Vec::new();
        if !cursor.current()?.has_children() {
            return Some(children);
        }
        cursor.next_entry().ok()??;
        while let Some(entry) = cursor.current() {
            self.step()?;
            if wanted.contains(&entry.tag()) {
                children.push((entry.tag(), Place { unit: place.unit, offset: entry.offset() }));
                if children.len() > MOST_CHILDREN {
                    return None;
                }
            }
            if cursor.next_sibling().ok()?.is_none() {
                break;
            }
        }
        Some(children)
    }

    fn description(&self, place: Place, name: &str, is_code: bool) -> Option<Description> {
        let value = |place| self.type_of(place).map_or_else(Value::nothing, |of| self.value(of, 0));
        let what = if is_code {
            let wanted = [constants::DW_TAG_formal_parameter, constants::DW_TAG_unspecified_parameters];
            let children = self.children(place, &wanted)?;
            let variadic = children.iter().any(|child| child.0 == constants::DW_TAG_unspecified_parameters);
            let named = children.iter().filter(|child| child.0 == constants::DW_TAG_formal_parameter);
            let parameters = named.map(|&(_, child)| {
                let value = self.type_of(child).map_or_else(Value::unknown, |of| self.value(of, 0));
                Parameter { name: self.name(child).unwrap_or_default(), value }
            });
            Described::Function { parameters: parameters.collect(), variadic, result: value(place) }
        } else {
            Described::Static(self.type_of(place).map_or_else(Value::unknown, |of| self.value(of, 0)))
        };
        Some(Description { name: name.to_owned(), source: self.source(place), what })
    }

    /// File and line of a declaration.
    fn source(&self, place: Place) -> Option<String> {
        let (at, file) = self.inherited(place, constants::DW_AT_decl_file)?;
        let (_, line) = self.inherited(place, constants::DW_AT_decl_line)?;
        let unit = self.headers.get(at.unit)?;
        let abbreviations = self.abbreviations(unit)?;
        let unit = gimli::Unit::new_with_abbreviations(&self.dwarf, *unit, abbreviations).ok()?;
        let header = unit.line_program.as_ref()?.header();
        let index = match file {
            AttributeValue::FileIndex(index) => index,
            other => other.udata_value()?,
        };
        let file = header.file(index)?;
        let name = self.string(at, file.path_name())?;
        // The first folder is the one that the compiler ran in: a path begins there.
        let folder = (file.directory_index() != 0).then(|| file.directory(header)).flatten();
        let folder = folder.and_then(|folder| self.string(at, folder)).filter(|folder| !folder.is_empty());
        let line = line.udata_value()?;
        Some(folder.map_or_else(|| format!("{name}:{line}"), |folder| format!("{folder}/{name}:{line}")))
    }
}
