//! i386: *System V ABI, Intel386 Architecture Processor Supplement*. Addends lie in the fields and are gone once they are
//! written; where instructions reach the global offset table they are 0.

use object::elf;

use super::super::field::{Encoding, Field};
use super::{Meaning, Row, Value, Way};

/// A displacement of 32 bits behind two bytes of an instruction, which have to be these.
const fn displacement(value: Value, mask: u64, bits: u64) -> Way {
    let encoding = Encoding::Bits { at: 16, width: 32, shift: 0 };
    Way { value, field: Field { back: 2, size: 6, opcode: (mask, bits), encoding } }
}

/// Any instruction with a base register.
const BASED: Way = displacement(Value::SlotFromAnchor, 0xc000, 0x8000);
/// `lea` with a base register, of which linkers make `mov`.
const ADDRESS: Way = displacement(Value::FromAnchor, 0xc0ff, 0x808d);
/// `addr32 call`.
const CALL: Way = displacement(Value::FromBehind(4), 0xffff, 0xe867);
/// `jmp; nop`.
const JUMP: Way = Way {
    value: Value::FromBehind(3),
    field: Field {
        back: 2,
        size: 6,
        opcode: (0xff00_0000_00ff, 0x9000_0000_00e9),
        encoding: Encoding::Bits { at: 8, width: 32, shift: 0 },
    },
};

pub(super) const I386: &[Row] = &[
    (elf::R_386_NONE, Meaning::Nothing),
    (elf::R_386_32, Meaning::Word(4)),
    (elf::R_386_16, Meaning::Word(2)),
    (elf::R_386_8, Meaning::Word(1)),
    (elf::R_386_PC32, Meaning::Distance),
    (elf::R_386_PC16, Meaning::Distance),
    (elf::R_386_PC8, Meaning::Distance),
    (elf::R_386_PLT32, Meaning::Distance),
    (elf::R_386_GOTPC, Meaning::Distance),
    (elf::R_386_GOTOFF, Meaning::Distance),
    // Without a base register it is the slot's own address that the instruction holds.
    (elf::R_386_GOT32, Meaning::Held(&[BASED])),
    (elf::R_386_GOT32X, Meaning::Held(&[BASED, ADDRESS, CALL, JUMP])),
];
