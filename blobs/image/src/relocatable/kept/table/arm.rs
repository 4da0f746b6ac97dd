//! ARM and Thumb: *ELF for the Arm Architecture*. Addends lie in the fields and are gone once they are written. What they are in
//! branches is known: as far as the processor is ahead.

use object::elf;

use super::super::field::Encoding;
use super::{Meaning, Row, Value, Way, bits, way};

/// `bl` and `b`, of any condition.
const BRANCH: Way = way(Value::Ahead(8), 4, bits(0, 24, 2)).in_instruction(0x0e00_0000, 0x0a00_0000);
/// `blx` into Thumb.
const EXCHANGE: Way = way(Value::Ahead(8), 4, Encoding::ArmExchange).in_instruction(0xfe00_0000, 0xfa00_0000);
const THUMB_CALL: Way = way(Value::Ahead(4), 4, Encoding::Thumb25).in_instruction(0xd000_f800, 0xd000_f000);
/// `blx` out of Thumb.
const THUMB_EXCHANGE: Way =
    way(Value::AheadOfWord(4), 4, Encoding::Thumb25).in_instruction(0xd001_f800, 0xc000_f000);
const THUMB_JUMP: Way = way(Value::Ahead(4), 4, Encoding::Thumb25).in_instruction(0xd000_f800, 0x9000_f000);
const THUMB_CONDITIONAL: Way =
    way(Value::Ahead(4), 4, Encoding::Thumb21).in_instruction(0xd000_f800, 0x8000_f000);

pub(super) const ARM: &[Row] = &[
    (elf::R_ARM_NONE, Meaning::Nothing),
    (elf::R_ARM_V4BX, Meaning::Nothing),
    (elf::R_ARM_ABS32, Meaning::Word(4)),
    (elf::R_ARM_ABS32_NOI, Meaning::Word(4)),
    (elf::R_ARM_TARGET1, Meaning::Word(4)),
    (elf::R_ARM_ABS16, Meaning::Word(2)),
    (elf::R_ARM_ABS8, Meaning::Word(1)),
    (elf::R_ARM_REL32, Meaning::Distance),
    (elf::R_ARM_REL32_NOI, Meaning::Distance),
    (elf::R_ARM_PREL31, Meaning::Distance),
    (elf::R_ARM_GOTOFF, Meaning::Distance),
    // To the global offset table itself.
    (elf::R_ARM_GOTPC, Meaning::Distance),
    (elf::R_ARM_MOVW_PREL_NC, Meaning::Distance),
    (elf::R_ARM_MOVT_PREL, Meaning::Distance),
    (elf::R_ARM_THM_MOVW_PREL_NC, Meaning::Distance),
    (elf::R_ARM_THM_MOVT_PREL, Meaning::Distance),
    (elf::R_ARM_GOT_PREL, Meaning::Slot),
    (elf::R_ARM_GOT32, Meaning::Slot),
    (elf::R_ARM_CALL, Meaning::Held(&[BRANCH, EXCHANGE])),
    (elf::R_ARM_JUMP24, Meaning::Held(&[BRANCH])),
    (elf::R_ARM_PLT32, Meaning::Held(&[BRANCH, EXCHANGE])),
    (elf::R_ARM_PC24, Meaning::Held(&[BRANCH, EXCHANGE])),
    // R_ARM_THM_CALL.
    (elf::R_ARM_THM_PC22, Meaning::Held(&[THUMB_CALL, THUMB_EXCHANGE])),
    (elf::R_ARM_THM_JUMP24, Meaning::Held(&[THUMB_JUMP])),
    (elf::R_ARM_THM_JUMP19, Meaning::Held(&[THUMB_CONDITIONAL])),
    // R_ARM_THM_JUMP11, R_ARM_THM_JUMP8.
    (elf::R_ARM_THM_PC11, Meaning::Held(&[way(Value::Ahead(4), 2, bits(0, 11, 1))])),
    (elf::R_ARM_THM_PC9, Meaning::Held(&[way(Value::Ahead(4), 2, bits(0, 8, 1))])),
    (elf::R_ARM_MOVW_ABS_NC, Meaning::Instruction),
    (elf::R_ARM_MOVT_ABS, Meaning::Instruction),
    (elf::R_ARM_THM_MOVW_ABS_NC, Meaning::Instruction),
    (elf::R_ARM_THM_MOVT_ABS, Meaning::Instruction),
    (elf::R_ARM_ABS12, Meaning::Instruction),
    (elf::R_ARM_THM_ABS5, Meaning::Instruction),
];
