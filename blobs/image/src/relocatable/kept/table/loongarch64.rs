//! LoongArch: *ELF for the LoongArch Architecture*. Linkers make shorter code of what they are given, and of its relocations
//! what describes it.

use object::elf;

use super::super::field::Encoding;
use super::{Meaning, Row, Value, Way, bits, way};

/// `pcalau12i`.
const fn page(value: Value) -> Way {
    way(value, 4, bits(5, 20, 12)).in_instruction(0xfe00_0000, 0x1a00_0000)
}

/// The lower bits are a signed number.
const HALF: i16 = 0x800;
const LOW: Encoding = bits(10, 12, 0);
const PCADDI: Way = way(Value::Distance, 4, bits(5, 20, 2)).in_instruction(0xfe00_0000, 0x1800_0000);
const FAR: Way = way(Value::Branch, 4, Encoding::LoongBranch { width: 26 });

pub(super) const LOONGARCH64: &[Row] = &[
    (elf::R_LARCH_NONE, Meaning::Nothing),
    (elf::R_LARCH_RELAX, Meaning::Nothing),
    (elf::R_LARCH_ALIGN, Meaning::Nothing),
    (elf::R_LARCH_MARK_LA, Meaning::Nothing),
    (elf::R_LARCH_MARK_PCREL, Meaning::Nothing),
    (elf::R_LARCH_64, Meaning::Word(8)),
    (elf::R_LARCH_32, Meaning::Word(4)),
    (elf::R_LARCH_ADD6, Meaning::Plus),
    (elf::R_LARCH_ADD8, Meaning::Plus),
    (elf::R_LARCH_ADD16, Meaning::Plus),
    (elf::R_LARCH_ADD24, Meaning::Plus),
    (elf::R_LARCH_ADD32, Meaning::Plus),
    (elf::R_LARCH_ADD64, Meaning::Plus),
    (elf::R_LARCH_ADD_ULEB128, Meaning::Plus),
    (elf::R_LARCH_SUB6, Meaning::Minus),
    (elf::R_LARCH_SUB8, Meaning::Minus),
    (elf::R_LARCH_SUB16, Meaning::Minus),
    (elf::R_LARCH_SUB24, Meaning::Minus),
    (elf::R_LARCH_SUB32, Meaning::Minus),
    (elf::R_LARCH_SUB64, Meaning::Minus),
    (elf::R_LARCH_SUB_ULEB128, Meaning::Minus),
    (elf::R_LARCH_32_PCREL, Meaning::Held(&[way(Value::Distance, 4, Encoding::Whole)])),
    (elf::R_LARCH_64_PCREL, Meaning::Held(&[way(Value::Distance, 8, Encoding::Whole)])),
    (elf::R_LARCH_B16, Meaning::Held(&[way(Value::Branch, 4, Encoding::LoongBranch { width: 16 })])),
    (elf::R_LARCH_B21, Meaning::Held(&[way(Value::Branch, 4, Encoding::LoongBranch { width: 21 })])),
    (elf::R_LARCH_B26, Meaning::Held(&[FAR])),
    (
        elf::R_LARCH_CALL36,
        Meaning::Held(&[
            way(Value::Branch, 8, Encoding::LoongCall)
                .in_instruction(0xfc00_0000_fe00_0000, 0x4c00_0000_1e00_0000),
            FAR.in_instruction(0xf800_0000, 0x5000_0000),
        ]),
    ),
    (elf::R_LARCH_PCREL20_S2, Meaning::Held(&[PCADDI])),
    (elf::R_LARCH_PCALA_HI20, Meaning::Held(&[page(Value::PageDistance(HALF)), PCADDI])),
    (elf::R_LARCH_PCALA_LO12, Meaning::Held(&[way(Value::PageOffset, 4, LOW)])),
    (
        elf::R_LARCH_GOT_PC_HI20,
        Meaning::Held(&[page(Value::SlotPageDistance(HALF)), page(Value::PageDistance(HALF)), PCADDI]),
    ),
    (
        elf::R_LARCH_GOT_PC_LO12,
        Meaning::Held(&[
            way(Value::SlotPageOffset, 4, LOW).in_instruction(0xffc0_0000, 0x28c0_0000),
            way(Value::PageOffset, 4, LOW).in_instruction(0xffc0_0000, 0x02c0_0000),
        ]),
    ),
    (elf::R_LARCH_ABS_HI20, Meaning::Instruction),
    (elf::R_LARCH_ABS_LO12, Meaning::Instruction),
    (elf::R_LARCH_ABS64_LO20, Meaning::Instruction),
    (elf::R_LARCH_ABS64_HI12, Meaning::Instruction),
    // The slot's own address.
    (elf::R_LARCH_GOT_HI20, Meaning::Instruction),
    (elf::R_LARCH_GOT_LO12, Meaning::Instruction),
    (elf::R_LARCH_GOT64_LO20, Meaning::Instruction),
    (elf::R_LARCH_GOT64_HI12, Meaning::Instruction),
];
