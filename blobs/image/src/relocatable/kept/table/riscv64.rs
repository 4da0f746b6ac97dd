//! RISC-V: *RISC-V ABIs Specification*. Linkers make shorter code of what they are given, and of its relocations what describes
//! it.

use object::elf;

use super::super::field::Encoding;
use super::{Meaning, Row, Value, Way, bits, rounded, way};

/// `auipc`.
const fn auipc(value: Value) -> Way {
    way(value, 4, rounded(12, 20, 12)).in_instruction(0x7f, 0x17)
}

const fn low(value: Value) -> Way {
    way(value, 4, bits(20, 12, 0))
}

const fn low_of_store(value: Value) -> Way {
    way(value, 4, Encoding::RiscvStore)
}

const JUMP: Way = way(Value::Branch, 4, Encoding::RiscvJump).in_instruction(0x7f, 0x6f);
const COMPRESSED_JUMP: Way = way(Value::Branch, 2, Encoding::CompressedJump).in_instruction(0xe003, 0xa001);
/// `auipc` and `jalr`.
const CALL: Meaning = Meaning::Held(&[
    way(Value::Branch, 8, Encoding::RiscvCall).in_instruction(0x7f_0000_007f, 0x67_0000_0017),
    JUMP,
    COMPRESSED_JUMP,
]);
/// Of the register `gp`.
const GP: (u64, u64) = (0x1f << 15, 3 << 15);

pub(super) const RISCV64: &[Row] = &[
    (elf::R_RISCV_NONE, Meaning::Nothing),
    (elf::R_RISCV_RELAX, Meaning::Nothing),
    (elf::R_RISCV_ALIGN, Meaning::Nothing),
    (elf::R_RISCV_64, Meaning::Word(8)),
    (elf::R_RISCV_32, Meaning::Word(4)),
    (elf::R_RISCV_ADD8, Meaning::Plus),
    (elf::R_RISCV_ADD16, Meaning::Plus),
    (elf::R_RISCV_ADD32, Meaning::Plus),
    (elf::R_RISCV_ADD64, Meaning::Plus),
    (elf::R_RISCV_SET6, Meaning::Plus),
    (elf::R_RISCV_SET8, Meaning::Plus),
    (elf::R_RISCV_SET16, Meaning::Plus),
    (elf::R_RISCV_SET32, Meaning::Plus),
    (elf::R_RISCV_SET_ULEB128, Meaning::Plus),
    (elf::R_RISCV_SUB6, Meaning::Minus),
    (elf::R_RISCV_SUB8, Meaning::Minus),
    (elf::R_RISCV_SUB16, Meaning::Minus),
    (elf::R_RISCV_SUB32, Meaning::Minus),
    (elf::R_RISCV_SUB64, Meaning::Minus),
    (elf::R_RISCV_SUB_ULEB128, Meaning::Minus),
    (elf::R_RISCV_32_PCREL, Meaning::Held(&[way(Value::Distance, 4, Encoding::Whole)])),
    (elf::R_RISCV_PLT32, Meaning::Held(&[way(Value::Distance, 4, Encoding::Whole)])),
    (elf::R_RISCV_GOT32_PCREL, Meaning::Held(&[way(Value::SlotDistance, 4, Encoding::Whole)])),
    (elf::R_RISCV_BRANCH, Meaning::Held(&[way(Value::Branch, 4, Encoding::RiscvBranch)])),
    (elf::R_RISCV_JAL, Meaning::Held(&[JUMP])),
    (elf::R_RISCV_RVC_BRANCH, Meaning::Held(&[way(Value::Branch, 2, Encoding::CompressedBranch)])),
    (elf::R_RISCV_RVC_JUMP, Meaning::Held(&[COMPRESSED_JUMP])),
    (elf::R_RISCV_CALL, CALL),
    (elf::R_RISCV_CALL_PLT, CALL),
    (elf::R_RISCV_PCREL_HI20, Meaning::Held(&[auipc(Value::Distance)])),
    (elf::R_RISCV_GOT_HI20, Meaning::Held(&[auipc(Value::SlotDistance), auipc(Value::Distance)])),
    (elf::R_RISCV_PCREL_LO12_I, Meaning::Held(&[low(Value::AsAtSymbol)])),
    (elf::R_RISCV_PCREL_LO12_S, Meaning::Held(&[low_of_store(Value::AsAtSymbol)])),
    (elf::R_RISCV_GPREL_I, Meaning::Held(&[low(Value::FromAnchor).in_instruction(GP.0, GP.1)])),
    (elf::R_RISCV_GPREL_S, Meaning::Held(&[low_of_store(Value::FromAnchor).in_instruction(GP.0, GP.1)])),
    (elf::R_RISCV_HI20, Meaning::Instruction),
    (elf::R_RISCV_LO12_I, Meaning::Instruction),
    (elf::R_RISCV_LO12_S, Meaning::Instruction),
    (elf::R_RISCV_RVC_LUI, Meaning::Instruction),
];
