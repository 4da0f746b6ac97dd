//! What each relocation type means in an executable that is linked already: a type is a row.
//!
//! The letters are those of the psABIs: S the symbol, A the addend, P the place, G the address of the symbol's slot in the
//! global offset table. The anchor is the address that a psABI counts distances within the image from: `.TOC.`, `_gp`, the
//! global offset table.

mod aarch64;
mod arm;
mod i386;
mod loongarch64;
mod mips;
mod powerpc64;
mod riscv64;
mod s390x;

use object::elf;

use super::field::{Encoding, Field};
use crate::Architecture;

/// A type, and what is to be done about it.
pub(super) type Row = (elf::RelocationType, Meaning);

/// What a type means when the linker has done its work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meaning {
    /// Nothing: a hint to the linker, or room that it has made.
    Nothing,
    /// S + A in so many bytes of data: the base is added to it.
    Word(u8),
    /// The anchor in a word.
    Anchor,
    /// S + A, or a part of it, in an instruction: it cannot be moved.
    Instruction,
    /// A distance within the image that the bytes cannot be held against, because its addend is gone.
    Distance,
    /// The way to a slot, whose addend is gone.
    Slot,
    /// The lower half of an address whose upper half comes out of the global offset table: O32 of MIPS.
    Low,
    /// S + A is added to what other relocations make of the same place.
    Plus,
    /// S + A is taken away from it.
    Minus,
    /// A value in a field: what was asked for, or one of what linkers make of it.
    Held(&'static [Way]),
}

/// One thing that the bytes can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) value: Value,
    pub(super) field: Field,
}

/// How a value is calculated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Value {
    /// Another instruction altogether, in which nothing is calculated.
    Replaced,
    /// S + A - P.
    Distance,
    /// The same, in a branch: to the function's local entry too, and to nowhere if the symbol is weak and absent.
    Branch,
    /// S - P, less so much: the displacement is counted from its end.
    FromBehind(u8),
    /// S - P, less the number of bytes that the processor is ahead, for a function without its Thumb bit.
    Ahead(u8),
    /// The same, from the word that the place is in: where a branch leaves Thumb.
    AheadOfWord(u8),
    /// The page of S + A + so much, less the page of P.
    PageDistance(i16),
    /// S + A in memory, of which a field has the lower bits.
    PageOffset,
    /// G + A - P.
    SlotDistance,
    /// The page of G + A + so much, less the page of P.
    SlotPageDistance(i16),
    /// G + A, of which a field has the bits below those of a page.
    SlotPageOffset,
    /// G + A less the page of the global offset table.
    SlotFromTablePage,
    /// What the relocation at the symbol's place has calculated: RISC-V's lower halves.
    AsAtSymbol,
    /// S + A less the anchor.
    FromAnchor,
    /// The anchor less S + A.
    ToAnchor,
    /// S + A in memory, of an addend that the anchor has been taken away from: GNU's linker for MIPS.
    AddendFromAnchor,
    /// The same the other way.
    AddendToAnchor,
    /// The anchor + A - P + so much.
    AnchorDistance(i8),
    /// What the word at S + A holds, less the anchor.
    HeldFromAnchor,
    /// G less the anchor, for a slot of S.
    SlotFromAnchor,
    /// G less the anchor, for a slot of S + A.
    SumSlotFromAnchor,
    /// G less the anchor, for a slot with the page of 64 KiB of S + A.
    PageSlotFromAnchor,
}

impl Value {
    /// Whether it leads through a slot of the global offset table.
    pub(super) fn wants_slot(self) -> bool {
        matches!(
            self,
            Self::SlotDistance
                | Self::SlotPageDistance(_)
                | Self::SlotPageOffset
                | Self::SlotFromTablePage
                | Self::SlotFromAnchor
                | Self::SumSlotFromAnchor
        )
    }

    /// Whether it is where a branch leads.
    pub(super) fn is_branch(self) -> bool {
        matches!(self, Self::Branch | Self::Ahead(_) | Self::AheadOfWord(_))
    }
}

/// A way without a look at the rest of the instruction.
const fn way(value: Value, size: u8, encoding: Encoding) -> Way {
    Way { value, field: Field { back: 0, size, opcode: (0, 0), encoding } }
}

impl Way {
    /// The same with a look at the instruction.
    const fn in_instruction(self, mask: u64, bits: u64) -> Self {
        let Self { value, field: Field { back, size, encoding, .. } } = self;
        Self { value, field: Field { back, size, opcode: (mask, bits), encoding } }
    }
}

/// Distances in data.
const DISTANCE_16: Meaning = Meaning::Held(&[way(Value::Distance, 2, Encoding::Whole)]);
const DISTANCE_32: Meaning = Meaning::Held(&[way(Value::Distance, 4, Encoding::Whole)]);
const DISTANCE_64: Meaning = Meaning::Held(&[way(Value::Distance, 8, Encoding::Whole)]);

/// An instruction of four bytes, and nothing else.
const fn replaced(instruction: u32) -> Way {
    way(Value::Replaced, 4, Encoding::Nothing).in_instruction(0xffff_ffff, instruction as u64)
}

const fn bits(at: u8, width: u8, shift: u8) -> Encoding {
    Encoding::Bits { at, width, shift }
}

const fn rounded(at: u8, width: u8, shift: u8) -> Encoding {
    Encoding::Rounded { at, width, shift }
}

/// The symbol that stands for the distance to the anchor: O32 of MIPS.
pub(in crate::relocatable) const GP_DISTANCE: &[u8] = b"_gp_disp";

/// The symbol that is an architecture's anchor.
pub(super) fn anchor(architecture: Architecture) -> &'static [u8] {
    match architecture {
        Architecture::PowerPc64 => b".TOC.",
        Architecture::Mips | Architecture::Mips64 => b"_gp",
        Architecture::Riscv64 => b"__global_pointer$",
        _ => b"_GLOBAL_OFFSET_TABLE_",
    }
}

/// Whether a symbol is one that linkers define, an address of the image whatever they say of its section.
pub(in crate::relocatable) fn is_linkers(name: &[u8]) -> bool {
    matches!(name, b".TOC." | b"_gp" | b"__global_pointer$" | b"_GLOBAL_OFFSET_TABLE_")
}

/// What a type means, for a symbol of this name; `None` for one that is not read.
pub(super) fn meaning(
    architecture: Architecture,
    kind: elf::RelocationType,
    symbol: &[u8],
) -> Option<Meaning> {
    let rows = match architecture {
        Architecture::Mips if symbol == GP_DISTANCE => mips::TO_GP,
        _ => rows(architecture),
    };
    rows.iter().find(|row| row.0 == kind).map(|row| row.1)
}

fn rows(architecture: Architecture) -> &'static [Row] {
    match architecture {
        Architecture::Aarch64 => aarch64::AARCH64,
        Architecture::Arm => arm::ARM,
        Architecture::Riscv64 => riscv64::RISCV64,
        Architecture::LoongArch64 => loongarch64::LOONGARCH64,
        Architecture::S390x => s390x::S390X,
        Architecture::PowerPc64 => powerpc64::POWERPC64,
        Architecture::Mips64 => mips::MIPS64,
        Architecture::Mips => mips::MIPS,
        // Its relocations are read as those of relocatable objects are.
        Architecture::X86 => i386::I386,
        Architecture::X86_64 => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_has_two_rows() {
        for architecture in Architecture::all() {
            let rows = rows(architecture);
            for (index, row) in rows.iter().enumerate() {
                assert!(rows[..index].iter().all(|other| other.0 != row.0), "{architecture:?} {:?}", row.0);
            }
        }
    }
}
