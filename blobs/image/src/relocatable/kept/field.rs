//! Fields of instructions and of data: which bits a value takes in them.

use crate::word;

/// How a value is put into a field. Bits are counted in the instruction as a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    /// Not at all.
    Nothing,
    /// All the bits there are.
    Whole,
    /// All the bits there are, of half of the value: z/Architecture.
    Doubled,
    /// `width` bits at bit `at` of the value shifted right by `shift`.
    Bits { at: u8, width: u8, shift: u8 },
    /// As [`Bits`](Self::Bits), of the value that remains when the lower bits are added as a signed number.
    Rounded { at: u8, width: u8, shift: u8 },
    /// Bits 0 and 1 at 29, bits 2 to 20 at 5, of the value shifted right: `adr` and `adrp`.
    Adr { shift: u8 },
    /// `blx` of ARM: as `bl`, and bit 1 at 24.
    ArmExchange,
    /// The branches of Thumb with 25 bits, in two halves.
    Thumb25,
    /// The conditional branch of Thumb with 21 bits, in two halves.
    Thumb21,
    /// The conditional branches of RISC-V.
    RiscvBranch,
    /// `jal` of RISC-V.
    RiscvJump,
    /// Stores of RISC-V.
    RiscvStore,
    /// `c.beqz` and `c.bnez`.
    CompressedBranch,
    /// `c.j`.
    CompressedJump,
    /// `auipc` and `jalr`.
    RiscvCall,
    /// The lower 16 bits at 10, the rest at 0, of a quarter of the value: branches of LoongArch of so many bits.
    LoongBranch { width: u8 },
    /// `pcaddu18i` and `jirl`.
    LoongCall,
}

/// A field: how many bytes it is in, what they have to be beside it, and how the value lies in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// How many bytes of the instruction stand in front of the place.
    pub(super) back: u8,
    pub(super) size: u8,
    /// Mask and bits of the instruction.
    pub(super) opcode: (u64, u64),
    pub(super) encoding: Encoding,
}

impl Field {
    /// Whether the bytes at `offset` are an instruction of this kind with the value in its field.
    pub(super) fn holds(&self, bytes: &[u8], offset: usize, value: i128, little_endian: bool) -> bool {
        let start = offset.checked_sub(self.back.into());
        let Some((start, end)) = start.and_then(|start| Some((start, start.checked_add(self.size.into())?)))
        else {
            return false;
        };
        let Some(found) = bytes.get(start..end).map(|bytes| word::load(bytes, little_endian)) else {
            return false;
        };
        let (mask, bits) = self.opcode;
        // Only the low bits of a value are in any field.
        let value = value.rem_euclid(1 << 64);
        let (field, expected) = self.encoding.bits(self.size, u64::try_from(value).unwrap_or(0));
        found & mask == bits && found & field == expected & field
    }
}

/// `width` bits at `at`.
const fn mask(at: u8, width: u8) -> u64 {
    (u64::MAX >> (64 - width as u32)) << at
}

/// The bits of `value` from bit `from` on, `width` of them, at `at`.
const fn take(value: u64, from: u8, width: u8, at: u8) -> u64 {
    (value >> from & mask(0, width)) << at
}

impl Encoding {
    /// The bits of the field, and what they are for a value.
    fn bits(self, size: u8, value: u64) -> (u64, u64) {
        let all = mask(0, size.saturating_mul(8).clamp(1, 64));
        match self {
            Self::Nothing => (0, 0),
            Self::Whole => (all, value),
            // A value that is not even is none that can be written.
            Self::Doubled if value & 1 == 1 => (all, !value),
            Self::Doubled => (all, value >> 1),
            Self::Bits { at, width, shift } => (mask(at, width), take(value, shift, width, at)),
            Self::Rounded { at, width, shift } => {
                let rounded = value.wrapping_add(1_u64 << shift >> 1);
                (mask(at, width), take(rounded, shift, width, at))
            }
            Self::Adr { shift } => {
                let value = value >> shift;
                (mask(29, 2) | mask(5, 19), take(value, 0, 2, 29) | take(value, 2, 19, 5))
            }
            Self::ArmExchange => (mask(0, 25), take(value, 2, 24, 0) | take(value, 1, 1, 24)),
            Self::Thumb25 => {
                let (sign, i1, i2) = (value >> 24 & 1, value >> 23 & 1, value >> 22 & 1);
                let (j1, j2) = (1 ^ i1 ^ sign, 1 ^ i2 ^ sign);
                let first = sign << 10 | take(value, 12, 10, 0);
                let second = j1 << 13 | j2 << 11 | take(value, 1, 11, 0);
                (mask(0, 11) | (mask(13, 1) | mask(11, 1) | mask(0, 11)) << 16, first | second << 16)
            }
            Self::Thumb21 => {
                let first = take(value, 20, 1, 10) | take(value, 12, 6, 0);
                let second = take(value, 18, 1, 13) | take(value, 19, 1, 11) | take(value, 1, 11, 0);
                let field = mask(10, 1) | mask(0, 6) | (mask(13, 1) | mask(11, 1) | mask(0, 11)) << 16;
                (field, first | second << 16)
            }
            Self::RiscvBranch => (
                mask(25, 7) | mask(7, 5),
                take(value, 12, 1, 31) | take(value, 5, 6, 25) | take(value, 1, 4, 8) | take(value, 11, 1, 7),
            ),
            Self::RiscvJump => (
                mask(12, 20),
                take(value, 20, 1, 31)
                    | take(value, 1, 10, 21)
                    | take(value, 11, 1, 20)
                    | take(value, 12, 8, 12),
            ),
            Self::RiscvStore => (mask(25, 7) | mask(7, 5), take(value, 5, 7, 25) | take(value, 0, 5, 7)),
            Self::CompressedBranch => (
                mask(10, 3) | mask(2, 5),
                take(value, 8, 1, 12)
                    | take(value, 3, 2, 10)
                    | take(value, 6, 2, 5)
                    | take(value, 1, 2, 3)
                    | take(value, 5, 1, 2),
            ),
            Self::CompressedJump => (
                mask(2, 11),
                take(value, 11, 1, 12)
                    | take(value, 4, 1, 11)
                    | take(value, 8, 2, 9)
                    | take(value, 10, 1, 8)
                    | take(value, 6, 1, 7)
                    | take(value, 7, 1, 6)
                    | take(value, 1, 3, 3)
                    | take(value, 5, 1, 2),
            ),
            Self::RiscvCall => {
                let high = take(value.wrapping_add(0x800), 12, 20, 12);
                (mask(12, 20) | mask(52, 12), high | take(value, 0, 12, 52))
            }
            Self::LoongBranch { width } => {
                let above = width.saturating_sub(16);
                let (field, bits) = (mask(10, 16), take(value, 2, 16, 10));
                if above == 0 {
                    (field, bits)
                } else {
                    (field | mask(0, above), bits | take(value, 18, above, 0))
                }
            }
            Self::LoongCall => {
                let high = take(value.wrapping_add(0x2_0000), 18, 20, 5);
                (mask(5, 20) | mask(42, 16), high | take(value, 2, 16, 42))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(size: u8, encoding: Encoding, instruction: u64, value: i128) -> bool {
        let field = Field { back: 0, size, opcode: (0, 0), encoding };
        field.holds(&instruction.to_le_bytes(), 0, value, true)
    }

    /// Instructions as an assembler writes them.
    #[test]
    fn values_lie_where_instructions_have_them() {
        for (size, encoding, instruction, value) in [
            // aarch64: `adr x0, .-4`, `adrp x1, .+0x3000`.
            (4, Encoding::Adr { shift: 0 }, 0x10ff_ffe0, -4),
            (4, Encoding::Adr { shift: 12 }, 0xf000_0001, 0x3000),
            // Thumb: `bl .+4+0x2456`, `bl .+4-4`, `beq.w .+4+0x1234`.
            (4, Encoding::Thumb25, 0xfa2b_f002, 0x2456),
            (4, Encoding::Thumb25, 0xfffe_f7ff, -4),
            (4, Encoding::Thumb21, 0x811a_f001, 0x1234),
            // RISC-V: `beq x0, x0, .-8`, `jal x1, .+0x1233a`, `sd x1, -8(x2)`, `c.j .-2`, `c.beqz x8, .+16`.
            (4, Encoding::RiscvBranch, 0xfe00_0ce3, -8),
            (4, Encoding::RiscvJump, 0x33a1_20ef, 0x1233a),
            (4, Encoding::RiscvStore, 0xfe11_3c23, -8),
            (2, Encoding::CompressedJump, 0xbffd, -2),
            (2, Encoding::CompressedBranch, 0xc801, 16),
            // LoongArch: `b .-4`, `beqz $a0, .+8`.
            (4, Encoding::LoongBranch { width: 26 }, 0x53ff_ffff, -4),
            (4, Encoding::LoongBranch { width: 21 }, 0x4000_0880, 8),
        ] {
            assert!(holds(size, encoding, instruction, value), "{encoding:?} {instruction:#x} {value:#x}");
            assert!(!holds(size, encoding, instruction, -value), "{encoding:?} {instruction:#x} {value:#x}");
        }
    }

    #[test]
    fn an_opcode_has_to_be_there() {
        let field = Field {
            back: 0,
            size: 4,
            opcode: (0x7f, 0x17),
            encoding: Encoding::Rounded { at: 12, width: 20, shift: 12 },
        };
        assert!(field.holds(&0x0000_1017_u32.to_le_bytes(), 0, 0x800, true));
        assert!(!field.holds(&0x0000_1037_u32.to_le_bytes(), 0, 0x800, true), "lui and not auipc");
        assert!(!field.holds(&[0x17, 0x10, 0], 0, 0x800, true), "cut off");
    }
}
