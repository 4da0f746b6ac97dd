//! The global offset table: one slot for each symbol that code reaches through it, and none where the psABI lets the
//! instruction be changed so that it needs none.

use std::collections::BTreeMap;

use super::table::Prefix;

/// The name that code calls the table by.
pub(crate) const NAME: &[u8] = b"_GLOBAL_OFFSET_TABLE_";

/// How many slots at its beginning the psABI reserves: there for code that reaches the table itself, as linkers do it.
const RESERVED: u64 = 3;

/// The table, as far as it is known.
#[derive(Default)]
pub(crate) struct Got {
    /// Where it lies in the image.
    pub(crate) offset: u64,
    /// Whether code reaches the table itself, so that it has to be there and to begin as the psABI says.
    pub(crate) addressed: bool,
    /// The number of a symbol's slot, by the symbol's.
    slots: BTreeMap<u32, u64>,
    /// Symbols in the order of their slots.
    order: Vec<u32>,
}

impl Got {
    /// Makes sure that a symbol has a slot.
    pub(crate) fn want(&mut self, symbol: u32) {
        let next = u64::try_from(self.order.len()).unwrap_or(u64::MAX);
        self.slots.entry(symbol).or_insert_with(|| {
            self.order.push(symbol);
            next
        });
    }

    fn reserved(&self) -> u64 {
        if self.addressed { RESERVED } else { 0 }
    }

    /// How many bytes it takes, with slots of `width`.
    pub(crate) fn size(&self, width: u64) -> u64 {
        let slots = u64::try_from(self.order.len()).unwrap_or(u64::MAX);
        slots.saturating_add(self.reserved()).saturating_mul(width)
    }

    /// Where a symbol's slot lies, from the beginning of the table.
    pub(crate) fn slot(&self, symbol: u32, width: u64) -> Option<u64> {
        self.slots.get(&symbol)?.checked_add(self.reserved())?.checked_mul(width)
    }

    /// The symbols that have a slot, in the order of their slots.
    pub(crate) fn symbols(&self) -> Vec<u32> {
        self.order.clone()
    }
}

/// An instruction that can do without its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relaxed {
    /// `mov symbol@GOTPCREL(%rip), %r` is `lea symbol(%rip), %r`.
    Load,
    /// `call *symbol@GOTPCREL(%rip)` is `addr32 call symbol`.
    Call,
    /// `jmp *symbol@GOTPCREL(%rip)` is `jmp symbol; nop`.
    Jump,
    /// `mov symbol@GOT(%base), %r` is `lea symbol@GOTOFF(%base), %r`.
    LoadBased,
    /// `mov symbol@GOT, %r` is `mov $symbol, %r`.
    LoadAbsolute,
}

const LOAD: u8 = 0x8b;
const LOAD_ADDRESS: u8 = 0x8d;
const GROUP_5: u8 = 0xff;
const CALL: [u8; 2] = [0x67, 0xe8];
const JUMP: u8 = 0xe9;
const NOP: u8 = 0x90;
const LOAD_IMMEDIATE: u8 = 0xc7;

impl Relaxed {
    /// What can become of the instruction whose displacement lies at `offset` of `code`.
    pub(crate) fn of(code: &[u8], offset: usize, prefix: Prefix) -> Option<Self> {
        let behind = offset.checked_add(4)?;
        let start = offset.saturating_sub(4);
        code.get(offset..behind)?;
        let before = code.get(start..offset)?;
        let [.., opcode, modrm] = *before else { return None };
        if !is_absolute(modrm) {
            return None;
        }
        match (opcode, prefix) {
            (LOAD, Prefix::None | Prefix::Rex) => Some(Self::Load),
            // In the second map of opcodes the same byte is another instruction.
            (LOAD, Prefix::Rex2) => {
                matches!(*before, [0xd5, rex2, ..] if rex2 & 0x80 == 0).then_some(Self::Load)
            }
            (GROUP_5, Prefix::None) if modrm == 0x15 => Some(Self::Call),
            (GROUP_5, Prefix::None) if modrm == 0x25 => Some(Self::Jump),
            _ => None,
        }
    }

    /// As [`of`](Self::of), for i386, where the table is reached through a register or by its address.
    pub(crate) fn of_based(code: &[u8], offset: usize) -> Option<Self> {
        code.get(offset..offset.checked_add(4)?)?;
        let &[opcode, modrm] = code.get(offset.checked_sub(2)?..offset)? else { return None };
        let absolute = is_absolute(modrm);
        // A displacement of 32 bits from one register, without an index.
        let based = modrm & 0xc0 == 0x80 && modrm & 7 != 4;
        match (opcode, modrm >> 3 & 7) {
            (LOAD, _) if based => Some(Self::LoadBased),
            (LOAD, _) if absolute => Some(Self::LoadAbsolute),
            (GROUP_5, 2) if based || absolute => Some(Self::Call),
            (GROUP_5, 4) if based || absolute => Some(Self::Jump),
            _ => None,
        }
    }

    /// Changes the instruction; returns by how much the displacement's place and value move.
    pub(crate) fn rewrite(self, code: &mut [u8], offset: usize) -> Option<u8> {
        let instruction = code.get_mut(offset.checked_sub(2)?..offset.checked_add(4)?)?;
        let [opcode, modrm, .., last] = instruction else { return None };
        match self {
            Self::Load | Self::LoadBased => {
                *opcode = LOAD_ADDRESS;
                Some(0)
            }
            Self::LoadAbsolute => {
                (*opcode, *modrm) = (LOAD_IMMEDIATE, 0xc0 | *modrm >> 3 & 7);
                Some(0)
            }
            Self::Call => {
                [*opcode, *modrm] = CALL;
                Some(0)
            }
            Self::Jump => {
                (*opcode, *last) = (JUMP, NOP);
                Some(1)
            }
        }
    }
}

/// Whether an operand is an address of 32 bits without a register: relative to the instruction pointer, on x86-64.
pub(crate) fn is_absolute(modrm: u8) -> bool {
    modrm & 0xc7 == 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_merged_and_numbered_in_the_order_of_use() {
        let mut got = Got::default();
        for symbol in [7, 3, 7, 9] {
            got.want(symbol);
        }
        assert_eq!(got.symbols(), [7, 3, 9]);
        assert_eq!((got.size(8), got.slot(3, 8), got.slot(4, 8)), (24, Some(8), None));
        got.addressed = true;
        assert_eq!((got.size(8), got.slot(7, 8)), (48, Some(24)));
    }

    #[test]
    fn only_what_the_psabi_names_is_relaxed() {
        let of = |code: &[u8], prefix| Relaxed::of(code, code.len() - 4, prefix);
        assert_eq!(of(&[0x8b, 0x05, 0, 0, 0, 0], Prefix::None), Some(Relaxed::Load));
        assert_eq!(of(&[0x48, 0x8b, 0x1d, 0, 0, 0, 0], Prefix::Rex), Some(Relaxed::Load));
        assert_eq!(of(&[0xd5, 0x48, 0x8b, 0x05, 0, 0, 0, 0], Prefix::Rex2), Some(Relaxed::Load));
        assert_eq!(of(&[0xd5, 0xc8, 0x8b, 0x05, 0, 0, 0, 0], Prefix::Rex2), None, "opcode map 1");
        assert_eq!(of(&[0xff, 0x15, 0, 0, 0, 0], Prefix::None), Some(Relaxed::Call));
        assert_eq!(of(&[0xff, 0x25, 0, 0, 0, 0], Prefix::None), Some(Relaxed::Jump));
        assert_eq!(of(&[0xff, 0x35, 0, 0, 0, 0], Prefix::None), None, "push");
        assert_eq!(of(&[0x48, 0x03, 0x05, 0, 0, 0, 0], Prefix::Rex), None, "add");
        assert_eq!(of(&[0x8b, 0x83, 0, 0, 0, 0], Prefix::None), None, "another base");
        assert_eq!(of(&[0x05, 0, 0, 0, 0], Prefix::None), None, "no opcode");
        assert_eq!(Relaxed::of(&[0x8b, 0x05, 0, 0, 0], 2, Prefix::None), None, "cut off");
    }

    #[test]
    fn i386_has_a_base_register_or_none() {
        let of = |opcode, modrm| Relaxed::of_based(&[opcode, modrm, 0, 0, 0, 0], 2);
        assert_eq!(of(0x8b, 0x83), Some(Relaxed::LoadBased));
        assert_eq!(of(0x8b, 0x0d), Some(Relaxed::LoadAbsolute));
        assert_eq!(of(0xff, 0x93), Some(Relaxed::Call));
        assert_eq!(of(0xff, 0x25), Some(Relaxed::Jump));
        assert_eq!(of(0x03, 0x83), None, "add");
        assert_eq!(of(0x8b, 0x84), None, "an index");
        assert_eq!(of(0x8b, 0x43), None, "a displacement of one byte");
    }
}
