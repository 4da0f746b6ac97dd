//! AArch64: *ELF for the Arm 64-bit Architecture*.

use object::elf;

use super::super::field::Encoding;
use super::{DISTANCE_16, DISTANCE_32, DISTANCE_64, Meaning, Row, Value, Way, bits, replaced, way};

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
