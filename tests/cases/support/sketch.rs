//! Blobs that no macro has made: arbitrary images with arbitrary relocations.

use pie_blob::__private::{Parts, blob};
use pie_blob::{Architecture, Blob, Reloc};
use pie_blob_image::Image;
use proptest::collection::vec;
use proptest::prelude::*;

/// A relocation whose kind the runtime knows: 64 bits, little-endian.
pub(crate) const WORD: u8 = 1;

/// How a word is relocated that the base is added to: by its kind, width and byte order.
pub(crate) const WORDS: [(u8, usize, bool); 6] =
    [(WORD, 8, true), (3, 4, true), (5, 8, false), (7, 4, false), (9, 2, true), (10, 1, true)];

/// What a blob is made from.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    pub(crate) bytes: Bytes,
    /// Bytes behind the initialised ones.
    pub(crate) zeros: usize,
    pub(crate) align: u64,
    /// Offset and kind.
    pub(crate) relocs: Vec<(u32, u8)>,
    /// The base that the bytes were relocated for already.
    pub(crate) fixed: Option<u64>,
}

/// Initialised bytes: all different from one another as far as words go, and short to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes {
    pub(crate) len: usize,
    pub(crate) seed: u64,
}

impl Bytes {
    /// The bytes themselves (splitmix64).
    pub(crate) fn to_vec(self) -> Vec<u8> {
        let word = |index: u64| {
            let mut word = self.seed.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ word >> 31
        };
        (0..).flat_map(|index| word(index).to_le_bytes()).take(self.len).collect()
    }
}

impl Sketch {
    /// The blob; its data stays for the rest of the test, as a macro's would.
    pub(crate) fn blob(&self) -> &'static Blob {
        let parts = Parts {
            bytes: self.bytes.to_vec().leak(),
            relocs: packed(self.relocs.iter().copied()),
            size: self.size(),
            align: self.align,
            base: self.fixed,
            ..NOTHING
        };
        Box::leak(Box::new(blob(parts)))
    }

    pub(crate) fn size(&self) -> u64 {
        (self.bytes.len + self.zeros) as u64
    }

    /// The last base at which it can stand.
    pub(crate) fn last_base(&self) -> u64 {
        (u64::MAX - self.size().saturating_sub(1)) & !(self.align - 1)
    }

    /// A base at which it can stand.
    pub(crate) fn base(&self, any: u64) -> u64 {
        (any & !(self.align - 1)).min(self.last_base())
    }

    /// The image at a base, made the simple way: copy everything, then add the base to one word after the other.
    pub(crate) fn expected(&self, base: u64) -> Vec<u8> {
        let mut image = self.bytes.to_vec();
        self.add(&mut image, base);
        image.resize(self.bytes.len + self.zeros, 0);
        image
    }

    /// Adds to one word after the other.
    pub(crate) fn add(&self, image: &mut [u8], delta: u64) {
        for &(offset, kind) in &self.relocs {
            let &(_, width, little_endian) = WORDS.iter().find(|row| row.0 == kind).unwrap();
            let word = &mut image[offset as usize..][..width];
            // Digit by digit, as on paper.
            let order: Vec<usize> =
                if little_endian { (0..width).collect() } else { (0..width).rev().collect() };
            let mut carry = 0;
            for (place, digit) in order.into_iter().zip(delta.to_le_bytes()) {
                let sum = u16::from(word[place]) + u16::from(digit) + carry;
                word[place] = sum.to_le_bytes()[0];
                carry = sum >> 8;
            }
        }
    }
}

/// The blob that the macro would make of an image, as far as loading goes.
pub(crate) fn embedded(image: &Image) -> &'static Blob {
    let relocs = image.relocations().iter().map(|reloc| (reloc.offset(), reloc.kind().code()));
    let bytes = image.bytes().to_vec().leak();
    Box::leak(Box::new(blob(Parts {
        architecture: architecture(image),
        bytes,
        relocs: packed(relocs),
        size: image.size(),
        align: image.align(),
        narrow: Some((image.narrow().last, image.narrow().first_high)),
        ..NOTHING
    })))
}

/// The runtime's name for what the image is for.
pub(crate) fn architecture(image: &Image) -> Architecture {
    use pie_blob_image::Architecture as Found;
    match image.architecture() {
        Found::X86_64 => Architecture::X86_64,
        Found::X86 => Architecture::X86,
        Found::Aarch64 => Architecture::Aarch64,
        Found::Arm => Architecture::Arm,
        Found::Riscv64 => Architecture::Riscv64,
        Found::S390x => Architecture::S390x,
        Found::PowerPc64 => Architecture::PowerPc64,
        Found::Mips64 => Architecture::Mips64,
        Found::Mips => Architecture::Mips,
        Found::LoongArch64 => Architecture::LoongArch64,
        other => unreachable!("{other:?} is read and not loaded"),
    }
}

const NOTHING: Parts = Parts {
    name: "sketch",
    id: 0,
    architecture: Architecture::X86_64,
    bytes: &[],
    relocs: &[],
    imports: &[],
    size: 0,
    align: 1,
    segments: &[],
    exports: &[],
    stack: None,
    packed: false,
    base: None,
    narrow: None,
    done: None,
    panic: None,
};

fn packed(relocs: impl Iterator<Item = (u32, u8)>) -> &'static [Reloc] {
    let bytes = relocs.flat_map(|(offset, kind)| {
        let [a, b, c, d] = offset.to_le_bytes();
        [a, b, c, d, kind, 0, 0, 0]
    });
    Reloc::slice(bytes.collect::<Vec<u8>>().leak())
}

/// Images with relocations as the macro writes them: sorted and disjoint. Some lie next to each other for long
/// stretches, some across the boundaries of blocks, some anywhere.
pub(crate) fn sketches() -> impl Strategy<Value = Sketch> {
    let lengths = prop_oneof![0..64_usize, 0..50_000_usize];
    (lengths, any::<u64>(), 0..5000_usize, 0..17_u32).prop_flat_map(|(len, seed, zeros, align)| {
        offsets(len).prop_map(move |offsets| Sketch {
            bytes: Bytes { len, seed },
            zeros,
            align: 1 << align,
            // One kind, as a macro writes it, or all of them mixed.
            relocs: (0..).zip(offsets).map(|(index, offset)| (offset, kind(seed, index))).collect(),
            fixed: None,
        })
    })
}

fn kind(seed: u64, index: usize) -> u8 {
    let one = usize::try_from(seed % 5).ok().and_then(|row| WORDS.get(row));
    one.unwrap_or(&WORDS[index % WORDS.len()]).0
}

fn offsets(len: usize) -> impl Strategy<Value = Vec<u32>> {
    // Every power of two that a block may have is a multiple of this.
    const BOUNDARY: u32 = 1024;
    let len = u32::try_from(len).unwrap();
    let stretch = prop_oneof![
        3 => (0..=len).prop_map(|offset| vec![offset]),
        1 => (0..=len, 1..300_u32).prop_map(|(start, count)| (0..count).map(|index| start + index * 8).collect()),
        3 => (1..=len / BOUNDARY + 1, 1..8_u32).prop_map(|(boundary, before)| vec![boundary * BOUNDARY - before]),
    ];
    vec(stretch, 0..40).prop_map(move |stretches| {
        let mut offsets = stretches.concat();
        offsets.sort_unstable();
        let mut free = 0;
        offsets.retain(|&offset| {
            let fits = offset >= free && offset + 8 <= len;
            free = if fits { offset + 8 } else { free };
            fits
        });
        offsets
    })
}
