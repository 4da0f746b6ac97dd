//! What each relocation type of a relocatable object asks for: one table, so that a type is a row.

use object::elf;

use crate::Architecture;

/// One row: the psABI's description of a type.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) kind: elf::RelocationType,
    pub(crate) value: Value,
    /// The bytes of the field.
    pub(crate) size: u8,
    /// What the field holds; anything else is refused and never cut off.
    pub(crate) range: Range,
    /// What the field's place must be a multiple of.
    pub(crate) align: u8,
}

/// How the field's value is calculated, in the letters of the psABI: S the symbol, A the addend, P the place, GOT the global
/// offset table, G the offset of the symbol's slot in it, Z the symbol's size. There is no procedure linkage table, so that
/// L is S.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// Nothing at all.
    Nothing,
    /// S + A.
    Absolute,
    /// S + A - P.
    Distance,
    /// L + A - P, in a branch.
    Branch,
    /// S + A - GOT.
    InTable,
    /// L + A - GOT, for a branch.
    BranchInTable,
    /// GOT + A - P.
    Table,
    /// G + A.
    Slot,
    /// G + GOT + A - P.
    SlotDistance,
    /// As [`SlotDistance`](Self::SlotDistance), and the instruction in front of the field may be changed to do without a slot.
    Relaxable(Prefix),
    /// G + A, and G + GOT + A where the instruction in front of the field has no base register: i386.
    BasedSlot,
    /// As [`BasedSlot`](Self::BasedSlot), and the instruction may be changed to do without a slot.
    RelaxableBasedSlot,
    /// Z + A.
    Size,
}

impl Value {
    /// Whether the symbol has a slot in the global offset table, unless the instruction can do without.
    pub(crate) fn wants_slot(self) -> bool {
        matches!(
            self,
            Self::Slot | Self::SlotDistance | Self::Relaxable(_) | Self::BasedSlot | Self::RelaxableBasedSlot
        )
    }
}

/// What stands in front of the opcode of an instruction that may be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Prefix {
    /// Nothing.
    None,
    /// REX, one byte.
    Rex,
    /// REX2, two bytes.
    Rex2,
}

/// Which values a field of so many bits can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Range {
    /// As wide as an address: calculated modulo its size.
    Any,
    /// -2^(n-1) .. 2^(n-1).
    Signed,
    /// 0 .. 2^n.
    Unsigned,
    /// Either of both: -2^(n-1) .. 2^n.
    Either,
    /// -2^n .. 2^n: distances in segments of 64 KiB, where they wrap around.
    Around,
}

impl Range {
    /// The least and the greatest value in a field of `size` bytes.
    pub(crate) fn bounds(self, size: u8) -> (i128, i128) {
        let bits = u32::from(size) * 8;
        let (half, whole) = (1_i128 << bits.saturating_sub(1), 1_i128 << bits);
        match self {
            Self::Any => (i128::MIN, i128::MAX),
            Self::Signed => (-half, half - 1),
            Self::Unsigned => (0, whole - 1),
            Self::Either => (-half, whole - 1),
            Self::Around => (-whole, whole - 1),
        }
    }
}

const fn row(kind: elf::RelocationType, value: Value, size: u8, range: Range) -> Rule {
    // No type of either architecture asks for an alignment.
    Rule { kind, value, size, range, align: 1 }
}

const X86_64: &[Rule] = &[
    row(elf::R_X86_64_NONE, Value::Nothing, 0, Range::Any),
    row(elf::R_X86_64_64, Value::Absolute, 8, Range::Any),
    row(elf::R_X86_64_32, Value::Absolute, 4, Range::Unsigned),
    row(elf::R_X86_64_32S, Value::Absolute, 4, Range::Signed),
    row(elf::R_X86_64_16, Value::Absolute, 2, Range::Either),
    row(elf::R_X86_64_8, Value::Absolute, 1, Range::Either),
    row(elf::R_X86_64_PC64, Value::Distance, 8, Range::Any),
    row(elf::R_X86_64_PC32, Value::Distance, 4, Range::Signed),
    row(elf::R_X86_64_PC16, Value::Distance, 2, Range::Signed),
    row(elf::R_X86_64_PC8, Value::Distance, 1, Range::Signed),
    row(elf::R_X86_64_PLT32, Value::Branch, 4, Range::Signed),
    row(elf::R_X86_64_GOTPCREL, Value::SlotDistance, 4, Range::Signed),
    row(elf::R_X86_64_GOTPCRELX, Value::Relaxable(Prefix::None), 4, Range::Signed),
    row(elf::R_X86_64_REX_GOTPCRELX, Value::Relaxable(Prefix::Rex), 4, Range::Signed),
    row(elf::R_X86_64_CODE_4_GOTPCRELX, Value::Relaxable(Prefix::Rex2), 4, Range::Signed),
    row(elf::R_X86_64_GOTPC32, Value::Table, 4, Range::Signed),
    row(elf::R_X86_64_GOTPC64, Value::Table, 8, Range::Any),
    row(elf::R_X86_64_GOTOFF64, Value::InTable, 8, Range::Any),
    row(elf::R_X86_64_GOT64, Value::Slot, 8, Range::Any),
    row(elf::R_X86_64_GOTPCREL64, Value::SlotDistance, 8, Range::Any),
    row(elf::R_X86_64_PLTOFF64, Value::BranchInTable, 8, Range::Any),
    row(elf::R_X86_64_SIZE32, Value::Size, 4, Range::Unsigned),
    row(elf::R_X86_64_SIZE64, Value::Size, 8, Range::Any),
];

const X86: &[Rule] = &[
    row(elf::R_386_NONE, Value::Nothing, 0, Range::Any),
    row(elf::R_386_32, Value::Absolute, 4, Range::Any),
    row(elf::R_386_16, Value::Absolute, 2, Range::Either),
    row(elf::R_386_8, Value::Absolute, 1, Range::Either),
    row(elf::R_386_PC32, Value::Distance, 4, Range::Any),
    row(elf::R_386_PC16, Value::Distance, 2, Range::Around),
    row(elf::R_386_PC8, Value::Distance, 1, Range::Signed),
    row(elf::R_386_PLT32, Value::Branch, 4, Range::Any),
    row(elf::R_386_GOT32, Value::BasedSlot, 4, Range::Any),
    row(elf::R_386_GOT32X, Value::RelaxableBasedSlot, 4, Range::Any),
    row(elf::R_386_GOTOFF, Value::InTable, 4, Range::Any),
    row(elf::R_386_GOTPC, Value::Table, 4, Range::Any),
];

/// The table of an architecture; `None` where relocatable objects are not read.
fn table(architecture: Architecture) -> Option<&'static [Rule]> {
    match architecture {
        Architecture::X86_64 => Some(X86_64),
        Architecture::X86 => Some(X86),
        _ => None,
    }
}

/// Whether relocatable objects of an architecture are read.
pub(crate) fn is_read(architecture: Architecture) -> bool {
    table(architecture).is_some()
}

/// The row of a type; `None` for one that no compiler leaves to a linker.
pub(crate) fn rule(architecture: Architecture, kind: elf::RelocationType) -> Option<&'static Rule> {
    table(architecture)?.iter().find(|rule| rule.kind == kind)
}

/// Whether a type belongs to thread-local storage.
pub(crate) fn is_thread_local(architecture: Architecture, kind: elf::RelocationType) -> bool {
    let name = architecture.relocation_name(kind);
    ["TLS", "TPOFF", "DTPMOD", "GOTIE", "GOTDESC"].iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_psabi() {
        assert_eq!(Range::Signed.bounds(1), (-128, 127));
        assert_eq!(Range::Unsigned.bounds(4), (0, 0xffff_ffff));
        assert_eq!(Range::Either.bounds(2), (-0x8000, 0xffff));
    }

    #[test]
    fn what_is_thread_local_is_known_by_its_name() {
        for kind in [elf::R_X86_64_TLSGD, elf::R_X86_64_TLSLD, elf::R_X86_64_GOTTPOFF, elf::R_X86_64_DTPMOD64]
        {
            assert!(is_thread_local(Architecture::X86_64, kind), "{kind:?}");
        }
        assert!(X86_64.iter().all(|rule| !is_thread_local(Architecture::X86_64, rule.kind)));
    }
}
