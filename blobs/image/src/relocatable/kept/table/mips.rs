//! MIPS, N64 and O32: the *System V ABI, MIPS Processor Supplement* and what SGI made of it for 64 bits. Position-independent
//! code reaches everything from the register `gp`, most of it through the global offset table.

use object::elf;

use super::super::field::Encoding;
use super::{Meaning, Row, Value, Way, bits, rounded, way};

const fn low(value: Value) -> Way {
    way(value, 4, bits(0, 16, 0))
}

const fn high(value: Value) -> Way {
    way(value, 4, rounded(0, 16, 16))
}

const PC16: Meaning = Meaning::Held(&[way(Value::Distance, 4, bits(0, 16, 2))]);

/// Three types in one entry, the lowest byte first.
const fn composed(types: [elf::RelocationType; 3]) -> elf::RelocationType {
    let [first, second, third] = types;
    elf::RelocationType(first.0 | second.0 << 8 | third.0 << 16)
}

pub(super) const MIPS64: &[Row] = &[
    (elf::R_MIPS_NONE, Meaning::Nothing),
    (elf::R_MIPS_JALR, Meaning::Nothing),
    (elf::R_MIPS_64, Meaning::Word(8)),
    (elf::R_MIPS_32, Meaning::Word(4)),
    (elf::R_MIPS_16, Meaning::Word(2)),
    // `%hi(%neg(%gp_rel(symbol)))`, with which a function finds `gp` by its own address.
    (
        composed([elf::R_MIPS_GPREL16, elf::R_MIPS_SUB, elf::R_MIPS_HI16]),
        Meaning::Held(&[high(Value::ToAnchor), high(Value::AddendToAnchor)]),
    ),
    (
        composed([elf::R_MIPS_GPREL16, elf::R_MIPS_SUB, elf::R_MIPS_LO16]),
        Meaning::Held(&[low(Value::ToAnchor), low(Value::AddendToAnchor)]),
    ),
    (elf::R_MIPS_GPREL16, Meaning::Held(&[low(Value::FromAnchor), low(Value::AddendFromAnchor)])),
    (
        elf::R_MIPS_GPREL32,
        Meaning::Held(&[
            way(Value::FromAnchor, 4, Encoding::Whole),
            way(Value::AddendFromAnchor, 4, Encoding::Whole),
        ]),
    ),
    (
        composed([elf::R_MIPS_GPREL32, elf::R_MIPS_64, elf::R_MIPS_NONE]),
        Meaning::Held(&[
            way(Value::FromAnchor, 8, Encoding::Whole),
            way(Value::AddendFromAnchor, 8, Encoding::Whole),
        ]),
    ),
    (elf::R_MIPS_GOT_DISP, Meaning::Held(&[low(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_CALL16, Meaning::Held(&[low(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_GOT16, Meaning::Held(&[low(Value::SumSlotFromAnchor), low(Value::PageSlotFromAnchor)])),
    (elf::R_MIPS_GOT_PAGE, Meaning::Held(&[low(Value::PageSlotFromAnchor), low(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_GOT_OFST, Meaning::Held(&[low(Value::PageOffset)])),
    (elf::R_MIPS_GOT_HI16, Meaning::Held(&[high(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_GOT_LO16, Meaning::Held(&[low(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_CALL_HI16, Meaning::Held(&[high(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_CALL_LO16, Meaning::Held(&[low(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_PC16, PC16),
    (elf::R_MIPS_26, Meaning::Instruction),
    (elf::R_MIPS_HI16, Meaning::Instruction),
    (elf::R_MIPS_LO16, Meaning::Instruction),
    (elf::R_MIPS_HIGHER, Meaning::Instruction),
    (elf::R_MIPS_HIGHEST, Meaning::Instruction),
];

pub(super) const MIPS: &[Row] = &[
    (elf::R_MIPS_NONE, Meaning::Nothing),
    (elf::R_MIPS_JALR, Meaning::Nothing),
    (elf::R_MIPS_32, Meaning::Word(4)),
    (elf::R_MIPS_16, Meaning::Word(2)),
    (elf::R_MIPS_GPREL16, Meaning::Distance),
    (elf::R_MIPS_GPREL32, Meaning::Distance),
    (elf::R_MIPS_PC16, Meaning::Distance),
    // Of a local symbol the table has the page, and the addend of the other half is gone.
    (elf::R_MIPS_GOT16, Meaning::Held(&[low(Value::SumSlotFromAnchor), low(Value::PageSlotFromAnchor)])),
    (elf::R_MIPS_CALL16, Meaning::Held(&[low(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_GOT_HI16, Meaning::Held(&[high(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_GOT_LO16, Meaning::Held(&[low(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_CALL_HI16, Meaning::Held(&[high(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_CALL_LO16, Meaning::Held(&[low(Value::SumSlotFromAnchor)])),
    (elf::R_MIPS_26, Meaning::Instruction),
    (elf::R_MIPS_HI16, Meaning::Instruction),
    (elf::R_MIPS_LO16, Meaning::Low),
];

/// What HI16 and LO16 mean for that symbol. The second instruction comes right behind the first, from which the distance
/// is counted.
pub(super) const TO_GP: &[Row] = &[
    (elf::R_MIPS_HI16, Meaning::Held(&[high(Value::AnchorDistance(0))])),
    (elf::R_MIPS_LO16, Meaning::Held(&[low(Value::AnchorDistance(4))])),
];
