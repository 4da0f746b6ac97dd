//! z/Architecture: *ELF ABI s390x Supplement*.

use object::elf;

use super::super::field::Encoding;
use super::{DISTANCE_16, DISTANCE_32, DISTANCE_64, Meaning, Row, Value, Way, way};

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
