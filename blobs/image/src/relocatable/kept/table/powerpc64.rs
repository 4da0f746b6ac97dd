//! PowerPC: *64-Bit ELF V2 ABI Specification: Power Architecture*. The anchor is the table of contents, which most code reaches
//! from the register `r2`.

use object::elf;

use super::super::field::Encoding;
use super::{DISTANCE_32, DISTANCE_64, Meaning, Row, Value, Way, bits, replaced, rounded, way};

const fn low(value: Value) -> Way {
    way(value, 2, Encoding::Whole)
}

/// Of instructions whose displacement is a multiple of 4.
const fn low_of_words(value: Value) -> Way {
    way(value, 2, bits(2, 14, 2))
}

const fn high(value: Value) -> Way {
    way(value, 2, bits(0, 16, 16))
}

const fn adjusted(value: Value) -> Way {
    way(value, 2, rounded(0, 16, 16))
}

const PPC_NOP: Way = replaced(0x6000_0000);
/// Linkers spare the way through a word of the table of contents where the address itself is near.
const SPARED: Way = low(Value::HeldFromAnchor);
const BRANCH_14: Meaning = Meaning::Held(&[way(Value::Branch, 4, bits(2, 14, 2))]);

pub(super) const POWERPC64: &[Row] = &[
    (elf::R_PPC64_NONE, Meaning::Nothing),
    (elf::R_PPC64_TOCSAVE, Meaning::Nothing),
    (elf::R_PPC64_ADDR64, Meaning::Word(8)),
    (elf::R_PPC64_UADDR64, Meaning::Word(8)),
    (elf::R_PPC64_ADDR32, Meaning::Word(4)),
    (elf::R_PPC64_UADDR32, Meaning::Word(4)),
    (elf::R_PPC64_UADDR16, Meaning::Word(2)),
    (elf::R_PPC64_TOC, Meaning::Anchor),
    (elf::R_PPC64_REL64, DISTANCE_64),
    (elf::R_PPC64_REL32, DISTANCE_32),
    (elf::R_PPC64_REL24, Meaning::Held(&[way(Value::Branch, 4, bits(2, 24, 2))])),
    (elf::R_PPC64_REL14, BRANCH_14),
    (elf::R_PPC64_REL14_BRTAKEN, BRANCH_14),
    (elf::R_PPC64_REL14_BRNTAKEN, BRANCH_14),
    (elf::R_PPC64_REL16, Meaning::Held(&[low(Value::Distance)])),
    (elf::R_PPC64_REL16_LO, Meaning::Held(&[low(Value::Distance)])),
    (elf::R_PPC64_REL16_HI, Meaning::Held(&[high(Value::Distance)])),
    (elf::R_PPC64_REL16_HA, Meaning::Held(&[adjusted(Value::Distance)])),
    (elf::R_PPC64_TOC16, Meaning::Held(&[low(Value::FromAnchor)])),
    (elf::R_PPC64_TOC16_DS, Meaning::Held(&[low_of_words(Value::FromAnchor), SPARED])),
    (elf::R_PPC64_TOC16_LO, Meaning::Held(&[low(Value::FromAnchor)])),
    (elf::R_PPC64_TOC16_LO_DS, Meaning::Held(&[low_of_words(Value::FromAnchor), SPARED])),
    (elf::R_PPC64_TOC16_HI, Meaning::Held(&[high(Value::FromAnchor)])),
    (
        elf::R_PPC64_TOC16_HA,
        Meaning::Held(&[adjusted(Value::FromAnchor), adjusted(Value::HeldFromAnchor), PPC_NOP]),
    ),
    (elf::R_PPC64_GOT16, Meaning::Held(&[low(Value::SlotFromAnchor)])),
    (elf::R_PPC64_GOT16_DS, Meaning::Held(&[low_of_words(Value::SlotFromAnchor)])),
    (elf::R_PPC64_GOT16_LO, Meaning::Held(&[low(Value::SlotFromAnchor)])),
    (elf::R_PPC64_GOT16_LO_DS, Meaning::Held(&[low_of_words(Value::SlotFromAnchor)])),
    (elf::R_PPC64_GOT16_HI, Meaning::Held(&[high(Value::SlotFromAnchor)])),
    (elf::R_PPC64_GOT16_HA, Meaning::Held(&[adjusted(Value::SlotFromAnchor), PPC_NOP])),
    (elf::R_PPC64_ADDR16, Meaning::Instruction),
    (elf::R_PPC64_ADDR16_LO, Meaning::Instruction),
    (elf::R_PPC64_ADDR16_HI, Meaning::Instruction),
    (elf::R_PPC64_ADDR16_HA, Meaning::Instruction),
    (elf::R_PPC64_ADDR16_HIGH, Meaning::Instruction),
    (elf::R_PPC64_ADDR16_HIGHA, Meaning::Instruction),
    (elf::R_PPC64_ADDR16_HIGHER, Meaning::Instruction),
    (elf::R_PPC64_ADDR16_HIGHERA, Meaning::Instruction),
    (elf::R_PPC64_ADDR16_HIGHEST, Meaning::Instruction),
    (elf::R_PPC64_ADDR16_HIGHESTA, Meaning::Instruction),
    (elf::R_PPC64_ADDR16_DS, Meaning::Instruction),
    (elf::R_PPC64_ADDR16_LO_DS, Meaning::Instruction),
    (elf::R_PPC64_ADDR24, Meaning::Instruction),
    (elf::R_PPC64_ADDR14, Meaning::Instruction),
    (elf::R_PPC64_ADDR14_BRTAKEN, Meaning::Instruction),
    (elf::R_PPC64_ADDR14_BRNTAKEN, Meaning::Instruction),
];
