//! What the dynamic section leads to: relocation tables, and things that a blob must not ask for.
//!
//! The section headers are not believed here: what a loader follows is `PT_DYNAMIC` and its addresses.

use std::ops::Range;

use object::Endianness;
use object::elf;
use object::read::elf::{Dyn as _, FileHeader, Rel as _, Rela as _, Relr as _};

use crate::Architecture;
use crate::fault::Fault;
use crate::faults::Faults;
use crate::read::{ProgramHeader, text};

/// The dynamic section, decoded.
#[derive(Default)]
pub(crate) struct Dynamic {
    /// The entries of the tables at `DT_REL`, `DT_RELA` and `DT_JMPREL`.
    pub(crate) relocations: Vec<Entry>,
    /// The words of the table at `DT_RELR`.
    pub(crate) relr: Vec<u64>,
    /// The address ranges of all relocation tables.
    pub(crate) tables: Vec<Range<u64>>,
    /// `DT_SYMTAB`.
    pub(crate) symbols: Option<u64>,
    /// The GOT that is relocated without a relocation for it.
    pub(crate) got: Option<ImplicitGot>,
}

/// The GOT of the MIPS psABI. A loader adds the base to its local entries, and writes the symbols' addresses into those that
/// follow, one for each symbol from `first_symbol` on.
#[derive(Clone, Copy)]
pub(crate) struct ImplicitGot {
    /// `DT_PLTGOT`.
    pub(crate) address: u64,
    /// `DT_MIPS_LOCAL_GOTNO`; the first one or two are a loader's own.
    pub(crate) locals: u64,
    /// `DT_MIPS_GOTSYM`.
    pub(crate) first_symbol: u64,
    /// `DT_MIPS_SYMTABNO`.
    pub(crate) symbols: u64,
}

/// A relocation.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) offset: u64,
    pub(crate) kind: elf::RelocationType,
    /// An index into the dynamic symbol table; 0 for none.
    pub(crate) symbol: u32,
    /// `None` where it lies in the word (REL).
    pub(crate) addend: Option<i64>,
}

/// Where a table keeps its addends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// In the words.
    Rel,
    /// In its entries.
    Rela,
}

/// Tags whose mere presence (with a value other than 0) is a fault.
const REFUSED: &[(elf::DynamicTag, &str, Refusal)] = &[
    (elf::DT_INIT, "DT_INIT", Refusal::Constructors),
    (elf::DT_FINI, "DT_FINI", Refusal::Constructors),
    (elf::DT_INIT_ARRAYSZ, "DT_INIT_ARRAY", Refusal::Constructors),
    (elf::DT_FINI_ARRAYSZ, "DT_FINI_ARRAY", Refusal::Constructors),
    (elf::DT_PREINIT_ARRAYSZ, "DT_PREINIT_ARRAY", Refusal::Constructors),
    (elf::DT_ANDROID_REL, "DT_ANDROID_REL", Refusal::Format),
    (elf::DT_ANDROID_RELA, "DT_ANDROID_RELA", Refusal::Format),
    (elf::DT_ANDROID_RELR, "DT_ANDROID_RELR", Refusal::Format),
    (DT_CREL, "DT_CREL", Refusal::Format),
];

/// The compact relocations of the generic ABI's proposal, as LLVM numbers them.
const DT_CREL: elf::DynamicTag = elf::DynamicTag(0x4000_0026);

enum Refusal {
    Constructors,
    Format,
}

/// Reads the dynamic section and the tables that it leads to.
pub(crate) fn read<Elf: FileHeader<Endian = Endianness>>(
    architecture: Architecture,
    endian: Endianness,
    segments: &[ProgramHeader<'_>],
    faults: &mut Faults,
) -> Dynamic {
    let Some(header) = segments.iter().find(|segment| segment.kind == elf::PT_DYNAMIC) else {
        return Dynamic::default();
    };
    let entries = header.data.and_then(|data| object::pod::slice_from_all_bytes::<Elf::Dyn>(data).ok());
    let Some(entries) = entries else {
        faults.add(|| malformed("PT_DYNAMIC", "it lies outside of the file or is no table"));
        return Dynamic::default();
    };
    let end = entries.iter().position(|entry| entry.tag(endian) == elf::DT_NULL).unwrap_or(entries.len());
    let reader = Reader {
        architecture,
        segments,
        entries: entries.iter().take(end).map(|entry| (entry.tag(endian), entry.val(endian))).collect(),
    };
    reader.refuse(faults);
    let mut dynamic =
        Dynamic { symbols: reader.value(elf::DT_SYMTAB), got: reader.implicit_got(), ..Dynamic::default() };
    for format in [Format::Rel, Format::Rela] {
        reader.relocations::<Elf>(format, endian, &mut dynamic, faults);
    }
    reader.relr::<Elf>(endian, &mut dynamic, faults);
    dynamic
}

struct Reader<'a, 'data> {
    architecture: Architecture,
    segments: &'a [ProgramHeader<'data>],
    entries: Vec<(elf::DynamicTag, u64)>,
}

impl<'data> Reader<'_, 'data> {
    /// The last value of a tag, which is the one that loaders take.
    fn value(&self, tag: elf::DynamicTag) -> Option<u64> {
        self.entries.iter().rev().find(|entry| entry.0 == tag).map(|entry| entry.1)
    }

    fn implicit_got(&self) -> Option<ImplicitGot> {
        if !matches!(self.architecture, Architecture::Mips | Architecture::Mips64) {
            return None;
        }
        let first_symbol = self.value(elf::DT_MIPS_GOTSYM).unwrap_or(0);
        Some(ImplicitGot {
            address: self.value(elf::DT_PLTGOT)?,
            locals: self.value(elf::DT_MIPS_LOCAL_GOTNO).unwrap_or(0),
            first_symbol,
            symbols: self.value(elf::DT_MIPS_SYMTABNO).unwrap_or(first_symbol),
        })
    }

    /// The bytes in the file that a range of addresses is loaded from.
    fn bytes(&self, range: &Range<u64>) -> Option<&'data [u8]> {
        self.segments.iter().filter(|segment| segment.kind == elf::PT_LOAD).find_map(|segment| {
            let start = usize::try_from(range.start.checked_sub(segment.address)?).ok()?;
            let end = usize::try_from(range.end.checked_sub(segment.address)?).ok()?;
            segment.data?.get(start..end)
        })
    }

    fn refuse(&self, faults: &mut Faults) {
        for (tag, name, refusal) in REFUSED {
            if self.value(*tag).is_some_and(|value| value != 0) {
                faults.add(|| match refusal {
                    Refusal::Constructors => Fault::Constructors { place: (*name).to_owned() },
                    Refusal::Format => Fault::RelocationTable { place: (*name).to_owned() },
                });
            }
        }
        let formats = [elf::DT_REL, elf::DT_RELA].map(|format| Some(tag(format)));
        if self.value(elf::DT_JMPREL).is_some() && !formats.contains(&self.value(elf::DT_PLTREL)) {
            faults.add(|| malformed("DT_JMPREL", "DT_PLTREL does not say whether it is REL or RELA"));
        }
        let flags = self.value(elf::DT_FLAGS).unwrap_or(0);
        if self.value(elf::DT_TEXTREL).is_some() || flags & elf::DF_TEXTREL.0 != 0 {
            faults.add(|| Fault::TextRelocations);
        }
        for (_, offset) in self.entries.iter().filter(|entry| entry.0 == elf::DT_NEEDED) {
            faults.add(|| Fault::Needed { library: self.string(*offset) });
        }
    }

    /// A string of the dynamic string table, for a message.
    fn string(&self, offset: u64) -> String {
        let table = || {
            let (start, size) = (self.value(elf::DT_STRTAB)?, self.value(elf::DT_STRSZ)?);
            let rest = self.bytes(&(start.checked_add(offset)?..start.checked_add(size)?))?;
            rest.split(|&byte| byte == 0).next()
        };
        table().map_or_else(|| format!("name {offset:#x}"), text)
    }

    /// Where a table lies, and its bytes, if there is one.
    fn table(
        &self,
        [address, size, entry]: [elf::DynamicTag; 3],
        entry_size: usize,
        what: &str,
        faults: &mut Faults,
    ) -> Option<(Range<u64>, &'data [u8])> {
        let (Some(start), size) = (self.value(address), self.value(size).unwrap_or(0)) else {
            if self.value(size).is_some_and(|size| size != 0) {
                faults.add(|| malformed(what, "it has a size and no address"));
            }
            return None;
        };
        if size == 0 {
            return None;
        }
        if u64::try_from(entry_size).ok() != Some(self.value(entry).unwrap_or(0)) {
            faults.add(|| malformed(what, "its entries have a wrong size"));
            return None;
        }
        let range = start..start.saturating_add(size);
        let bytes = self.bytes(&range);
        if bytes.is_none() {
            faults.add(|| malformed(what, "it lies outside of the loaded bytes"));
        }
        Some((range, bytes?))
    }

    fn relocations<Elf: FileHeader<Endian = Endianness>>(
        &self,
        format: Format,
        endian: Endianness,
        into: &mut Dynamic,
        faults: &mut Faults,
    ) {
        let (tags, entry_size, what) = match format {
            Format::Rel => ([elf::DT_REL, elf::DT_RELSZ, elf::DT_RELENT], size_of::<Elf::Rel>(), "DT_REL"),
            Format::Rela => {
                ([elf::DT_RELA, elf::DT_RELASZ, elf::DT_RELAENT], size_of::<Elf::Rela>(), "DT_RELA")
            }
        };
        let mut tables = Vec::new();
        tables.extend(self.table(tags, entry_size, what, faults));
        let [own, ..] = tags;
        if self.value(elf::DT_PLTREL) == Some(tag(own)) {
            // Its entry size is that of the table, which need not be there: DT_PLTREL says it all.
            let start = self.value(elf::DT_JMPREL).unwrap_or(0);
            let range = start..start.saturating_add(self.value(elf::DT_PLTRELSZ).unwrap_or(0));
            // In one output section, linkers count the second table within the first one or the first within the second.
            let within =
                |inner: &Range<u64>, outer: &Range<u64>| outer.start <= inner.start && inner.end <= outer.end;
            let counted = tables.iter().any(|(table, _)| within(&range, table));
            tables.retain(|(table, _)| counted || !within(table, &range));
            if !range.is_empty() && !counted {
                match self.bytes(&range) {
                    Some(bytes) => tables.push((range, bytes)),
                    None => faults.add(|| malformed("DT_JMPREL", "it lies outside of the loaded bytes")),
                }
            }
        }
        for (range, bytes) in tables {
            let entries = match format {
                Format::Rel => rel::<Elf>(self.architecture, bytes, endian),
                Format::Rela => rela::<Elf>(self.architecture, bytes, endian),
            };
            let Some(entries) = entries else {
                faults.add(|| malformed("relocation table", "its size is no multiple of an entry's"));
                continue;
            };
            into.tables.push(range);
            into.relocations.extend(entries);
        }
    }

    fn relr<Elf: FileHeader<Endian = Endianness>>(
        &self,
        endian: Endianness,
        into: &mut Dynamic,
        faults: &mut Faults,
    ) {
        let tags = [elf::DT_RELR, elf::DT_RELRSZ, elf::DT_RELRENT];
        let Some((range, bytes)) = self.table(tags, size_of::<Elf::Relr>(), "DT_RELR", faults) else {
            return;
        };
        let Ok(words) = object::pod::slice_from_all_bytes::<Elf::Relr>(bytes) else {
            faults.add(|| malformed("DT_RELR", "its size is no multiple of an entry's"));
            return;
        };
        into.tables.push(range);
        into.relr.extend(words.iter().map(|word| word.get(endian).into()));
    }
}

/// An entry of a table that keeps its addends in the words.
pub(crate) fn rel_entry<Elf: FileHeader<Endian = Endianness>>(
    architecture: Architecture,
    entry: &Elf::Rel,
    endian: Endianness,
) -> Entry {
    let (symbol, kind) = info(architecture, entry.r_info(endian).into());
    Entry { offset: entry.r_offset(endian).into(), kind, symbol, addend: None }
}

/// An entry of a table that keeps its addends itself.
pub(crate) fn rela_entry<Elf: FileHeader<Endian = Endianness>>(
    architecture: Architecture,
    entry: &Elf::Rela,
    endian: Endianness,
) -> Entry {
    let (symbol, kind) = info(architecture, entry.r_info(endian, false).into());
    let addend = Some(entry.r_addend(endian).into());
    Entry { offset: entry.r_offset(endian).into(), kind, symbol, addend }
}

fn rel<Elf: FileHeader<Endian = Endianness>>(
    architecture: Architecture,
    bytes: &[u8],
    endian: Endianness,
) -> Option<Vec<Entry>> {
    let entries = object::pod::slice_from_all_bytes::<Elf::Rel>(bytes).ok()?;
    Some(entries.iter().map(|entry| rel_entry::<Elf>(architecture, entry, endian)).collect())
}

fn rela<Elf: FileHeader<Endian = Endianness>>(
    architecture: Architecture,
    bytes: &[u8],
    endian: Endianness,
) -> Option<Vec<Entry>> {
    let entries = object::pod::slice_from_all_bytes::<Elf::Rela>(bytes).ok()?;
    Some(entries.iter().map(|entry| rela_entry::<Elf>(architecture, entry, endian)).collect())
}

/// The symbol and the type of `r_info`.
fn info(architecture: Architecture, info: u64) -> (u32, elf::RelocationType) {
    let half = |shift: u32| u32::try_from(info >> shift & u64::from(u32::MAX)).unwrap_or(0);
    let (symbol, kind) = match (architecture, architecture.pointer_width()) {
        // Not a number but a structure: symbol, special symbol, third, second and first type.
        (Architecture::Mips64, _) => (half(0), half(32).swap_bytes()),
        (_, 4) => (half(8), half(0) & 0xff),
        _ => (half(32), half(0)),
    };
    (symbol, elf::RelocationType(kind))
}

/// A tag as the value of another entry (`DT_PLTREL`).
fn tag(tag: elf::DynamicTag) -> u64 {
    tag.0.unsigned_abs()
}

fn malformed(what: &str, problem: &'static str) -> Fault {
    Fault::Malformed { what: what.to_owned(), problem }
}
