//! The number that tells a blob from every other.

use crate::image::{Image, Permissions};
use crate::narrow::Narrow;

impl Image {
    /// A hash (64 bits) of everything that decides the image's behaviour: tells blobs apart.
    #[must_use]
    pub fn id(&self) -> u64 {
        let mut hash = Fnv::new();
        hash.text(self.architecture.name());
        hash.number(self.size);
        hash.number(self.align);
        hash.number(u64::from(self.packed));
        let stack = self.stack.clone().unwrap_or(0..0);
        hash.number(stack.start);
        hash.number(stack.end);
        for segment in &self.segments {
            let Permissions { read, write, execute } = segment.permissions;
            hash.number(segment.offset);
            hash.number(segment.size);
            hash.bytes(&[u8::from(read), u8::from(write), u8::from(execute)]);
        }
        for relocation in &self.relocations {
            hash.word(u64::from(relocation.offset) << 8 | u64::from(relocation.kind.code()));
            if let Some(import) = relocation.kind.import() {
                hash.bytes(&import.to_le_bytes());
            }
        }
        if self.narrow != Narrow::default() {
            hash.number(self.narrow.last);
            hash.number(self.narrow.first_high);
        }
        // With their number, so that an import is never taken for the export behind it.
        hash.bytes(&self.imports.len().to_le_bytes());
        for import in &self.imports {
            hash.text(&import.name);
        }
        for export in &self.exports {
            hash.text(&export.name);
            hash.number(u64::from(export.offset));
            hash.number(export.size);
        }
        hash.words(&self.bytes);
        hash.0
    }
}

/// 64-bit FNV-1a: stable across versions of Rust, which its own hashes are not. Where there is much to hash, eight bytes a step:
/// macros run unoptimised.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let mut hash = self.0;
        for &byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.0 = hash;
    }

    /// One step for a whole word: both halves of a product of 128 bits, because multiplying carries differences upwards
    /// only.
    fn word(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let [low, high] = [product, product >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)));
        self.0 = low.unwrap_or(0) ^ high.unwrap_or(0).rotate_left(29);
    }

    fn words(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((word, behind)) = rest.split_first_chunk::<8>() {
            self.word(u64::from_le_bytes(*word));
            rest = behind;
        }
        self.bytes(rest);
        self.word(bytes.len() as u64);
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// With an end mark, so that two names are not the same as one longer name.
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_word_counts() {
        let bytes = [7_u8; 27];
        let of = |bytes: &[u8]| {
            let mut hash = Fnv::new();
            hash.words(bytes);
            hash.0
        };
        let mut seen = std::collections::BTreeSet::from([of(&bytes), of(&bytes[..26])]);
        for bit in 0..27 * 8 {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(of(&other)), "bit {bit}");
        }
    }

    #[test]
    fn fnv_vectors() {
        let of = |text: &[u8]| {
            let mut hash = Fnv::new();
            hash.bytes(text);
            hash.0
        };
        assert_eq!(of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
