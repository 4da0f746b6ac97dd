//! AArch64, z/Architecture and PowerPC: *ELF for the Arm 64-bit Architecture*, *ELF ABI s390x Supplement*, *64-Bit ELF V2
//! ABI Specification: Power Architecture*.

use object::elf;

use super::super::field::Encoding;
use super::{Meaning, Row, Value, Way, bits, replaced, rounded, way};

const DISTANCE_16: Meaning = Meaning::Held(&[way(Value::Distance, 2, Encoding::Whole)]);
const DISTANCE_32: Meaning = Meaning::Held(&[way(Value::Distance, 4, Encoding::Whole)]);
const DISTANCE_64: Meaning = Meaning::Held(&[way(Value::Distance, 8, Encoding::Whole)]);

/// `adr`, which linkers make of two instructions where it reaches.
const ADR: Way = way(Value::Distance, 4, Encoding::Adr { shift: 0 }).in_instruction(0x9f00_0000, 0x1000_0000);
const NOP: Way = replaced(0xd503_201f);

const fn adrp(value: Value) -> Way {
    way(value, 4, Encoding::Adr { shift: 12 }).in_instruction(0x9f00_0000, 0x9000_0000)
}

/// `add` of an immediate number.
const ADD: Way = way(Value::PageOffset, 4, bits(10, 12, 0)).in_instruction(0x7fc0_0000, 0x1100_0000);

/// A load or store of 1 << `shift` bytes.
const fn access(width: u8, shift: u8) -> Way {
    way(Value::PageOffset, 4, bits(10, width, shift)).in_instruction(0x3b00_0000, 0x3900_0000)
}

/// `ldr` of 64 bits.
const fn load(value: Value) -> Way {
    way(value, 4, bits(10, 12 - 3, 3)).in_instruction(0xffc0_0000, 0xf940_0000)
}

const BRANCH_26: Meaning = Meaning::Held(&[way(Value::Branch, 4, bits(0, 26, 2))]);

pub(super) const AARCH64: &[Row] = &[
    (elf::R_AARCH64_NONE, Meaning::Nothing),
    (elf::R_AARCH64_ABS64, Meaning::Word(8)),
    (elf::R_AARCH64_ABS32, Meaning::Word(4)),
    (elf::R_AARCH64_ABS16, Meaning::Word(2)),
    (elf::R_AARCH64_PREL64, DISTANCE_64),
    (elf::R_AARCH64_PREL32, DISTANCE_32),
    (elf::R_AARCH64_PREL16, DISTANCE_16),
    (elf::R_AARCH64_PLT32, DISTANCE_32),
    (elf::R_AARCH64_GOTPCREL32, Meaning::Held(&[way(Value::SlotDistance, 4, Encoding::Whole)])),
    (elf::R_AARCH64_CALL26, BRANCH_26),
    (elf::R_AARCH64_JUMP26, BRANCH_26),
    (elf::R_AARCH64_CONDBR19, Meaning::Held(&[way(Value::Branch, 4, bits(5, 19, 2))])),
    (elf::R_AARCH64_TSTBR14, Meaning::Held(&[way(Value::Branch, 4, bits(5, 14, 2))])),
    (elf::R_AARCH64_LD_PREL_LO19, Meaning::Held(&[way(Value::Distance, 4, bits(5, 19, 2))])),
    (elf::R_AARCH64_ADR_PREL_LO21, Meaning::Held(&[ADR])),
    (elf::R_AARCH64_ADR_PREL_PG_HI21, Meaning::Held(&[adrp(Value::PageDistance(0)), NOP])),
    (elf::R_AARCH64_ADR_PREL_PG_HI21_NC, Meaning::Held(&[adrp(Value::PageDistance(0))])),
    (elf::R_AARCH64_ADD_ABS_LO12_NC, Meaning::Held(&[ADD, ADR])),
    (elf::R_AARCH64_LDST8_ABS_LO12_NC, Meaning::Held(&[access(12, 0)])),
    (elf::R_AARCH64_LDST16_ABS_LO12_NC, Meaning::Held(&[access(11, 1)])),
    (elf::R_AARCH64_LDST32_ABS_LO12_NC, Meaning::Held(&[access(10, 2)])),
    (elf::R_AARCH64_LDST64_ABS_LO12_NC, Meaning::Held(&[access(9, 3)])),
    (elf::R_AARCH64_LDST128_ABS_LO12_NC, Meaning::Held(&[access(8, 4)])),
    (
        elf::R_AARCH64_ADR_GOT_PAGE,
        Meaning::Held(&[adrp(Value::SlotPageDistance(0)), adrp(Value::PageDistance(0)), NOP]),
    ),
    (elf::R_AARCH64_LD64_GOT_LO12_NC, Meaning::Held(&[load(Value::SlotPageOffset), ADD, ADR])),
    (
        elf::R_AARCH64_LD64_GOTPAGE_LO15,
        Meaning::Held(&[
            way(Value::SlotFromTablePage, 4, bits(10, 12, 3)).in_instruction(0xffc0_0000, 0xf940_0000)
        ]),
    ),
    (elf::R_AARCH64_MOVW_UABS_G0, Meaning::Instruction),
    (elf::R_AARCH64_MOVW_UABS_G0_NC, Meaning::Instruction),
    (elf::R_AARCH64_MOVW_UABS_G1, Meaning::Instruction),
    (elf::R_AARCH64_MOVW_UABS_G1_NC, Meaning::Instruction),
    (elf::R_AARCH64_MOVW_UABS_G2, Meaning::Instruction),
    (elf::R_AARCH64_MOVW_UABS_G2_NC, Meaning::Instruction),
    (elf::R_AARCH64_MOVW_UABS_G3, Meaning::Instruction),
    (elf::R_AARCH64_MOVW_SABS_G0, Meaning::Instruction),
    (elf::R_AARCH64_MOVW_SABS_G1, Meaning::Instruction),
    (elf::R_AARCH64_MOVW_SABS_G2, Meaning::Instruction),
];

const fn doubled(value: Value, size: u8) -> Way {
    way(value, size, Encoding::Doubled)
}

pub(super) const S390X: &[Row] = &[
    (elf::R_390_NONE, Meaning::Nothing),
    (elf::R_390_64, Meaning::Word(8)),
    (elf::R_390_32, Meaning::Word(4)),
    (elf::R_390_16, Meaning::Word(2)),
    (elf::R_390_8, Meaning::Word(1)),
    (elf::R_390_PC64, DISTANCE_64),
    (elf::R_390_PC32, DISTANCE_32),
    (elf::R_390_PC16, DISTANCE_16),
    (elf::R_390_PLT64, DISTANCE_64),
    (elf::R_390_PLT32, DISTANCE_32),
    (elf::R_390_PC16DBL, Meaning::Held(&[doubled(Value::Branch, 2)])),
    (elf::R_390_PLT16DBL, Meaning::Held(&[doubled(Value::Branch, 2)])),
    (elf::R_390_PC32DBL, Meaning::Held(&[doubled(Value::Distance, 4)])),
    (elf::R_390_PLT32DBL, Meaning::Held(&[doubled(Value::Branch, 4)])),
    (elf::R_390_GOTPCDBL, Meaning::Held(&[doubled(Value::Distance, 4)])),
    (elf::R_390_GOTPC, DISTANCE_64),
    // `lgrl` of the slot, of which linkers make `larl`.
    (elf::R_390_GOTENT, Meaning::Held(&[doubled(Value::SlotDistance, 4), doubled(Value::Distance, 4)])),
    (elf::R_390_12, Meaning::Instruction),
    (elf::R_390_20, Meaning::Instruction),
];

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
