//! Words that are too narrow for every address: whether they are wanted, and at which bases they hold what they should.

/// What becomes of absolute words that are narrower than an address: of 32, 16 and 8 bits for x86-64.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Abs32 {
    /// They are relocated, and the image can stand only at bases at which every one of them holds its whole value.
    Checked,
    /// They are relocated and cut off: for code that is known never to run where they would be wrong.
    Truncate,
}

/// The bases at which every narrow word holds its value: the low ones, and the high ones where words are signed.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Narrow {
    /// The last of the low bases.
    pub last: u64,
    /// The first of the high bases; `u64::MAX` where there are none.
    pub first_high: u64,
}

impl Default for Narrow {
    /// Every base.
    fn default() -> Self {
        Self { last: u64::MAX, first_high: u64::MAX }
    }
}

impl Narrow {
    /// Whether every word holds its value at a base.
    #[must_use]
    pub fn allows(self, base: u64) -> bool {
        base <= self.last || (base >= self.first_high && self.first_high != u64::MAX)
    }

    /// Takes away the bases at which a word that holds `value` at base 0 would hold less than `least` or more than `most`.
    pub(crate) fn restrict(&mut self, (least, most): (i128, i128), value: i128) {
        let before = *self;
        self.last = before.last.min(u64::try_from(most.saturating_sub(value)).unwrap_or(0));
        // What is negative lies at the end of the address space.
        let high = (least < 0).then_some(()).and_then(|()| {
            let first = (1_i128 << 64).checked_add(least)?.checked_sub(value)?;
            u64::try_from(first).ok()
        });
        self.first_high = match high {
            None => u64::MAX,
            Some(first) if before.last == u64::MAX => first,
            Some(_) if before.first_high == u64::MAX => u64::MAX,
            Some(first) => first.max(before.first_high),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSIGNED: (i128, i128) = (0, 0xffff_ffff);
    const SIGNED: (i128, i128) = (-0x8000_0000, 0x7fff_ffff);

    #[test]
    fn every_word_takes_bases_away() {
        let mut narrow = Narrow::default();
        assert!(narrow.allows(u64::MAX));
        narrow.restrict(SIGNED, 0x10);
        assert_eq!((narrow.last, narrow.first_high), (0x7fff_ffef, 0xffff_ffff_7fff_fff0));
        narrow.restrict(SIGNED, 0x30);
        assert_eq!((narrow.last, narrow.first_high), (0x7fff_ffcf, 0xffff_ffff_7fff_fff0));
        narrow.restrict(UNSIGNED, 0);
        assert_eq!((narrow.last, narrow.first_high), (0x7fff_ffcf, u64::MAX));
        narrow.restrict(SIGNED, 0);
        assert!(narrow.allows(0x7fff_ffcf) && !narrow.allows(0x7fff_ffd0) && !narrow.allows(u64::MAX));
    }
}
