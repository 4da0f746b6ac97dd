//! A note that lies in front of the frames in a victim: whose they are, and what is to be undone.
//!
//! A host that dies leaves a thread that goes back by itself, but it cannot always go at once: a blob that never returns keeps
//! it, and job control may hold it still. The next host that looks at the process finds the note and brings the thread home.
//!
//! The note comes from another process. Nothing in it is trusted: it says where that process's own memory and threads are.

/// What a note says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// Where the blob lies, and how many bytes are mapped for it.
    pub(crate) base: u64,
    pub(crate) span: u64,
    /// The thread, as the victim counts it.
    pub(crate) thread: i32,
}

/// No call's answer: none has answered yet.
pub(crate) const NO_ANSWER: u64 = u64::MAX;

const MAGIC: [u64; 2] = [0x626c_6f62_2e65_6970, 0x8f3a_51c6_0d72_e94b];
/// The version of the layout behind it.
const VERSION: u64 = 1;

impl Note {
    /// Its length in bytes.
    pub(crate) const LEN: usize = 64;
    /// Where the answer of the last call is kept.
    pub(crate) const ANSWER: usize = 40;

    /// The note's words, for frames at `address` whose bytes have the checksum `sum`.
    pub(crate) fn bytes(&self, address: u64, sum: u64) -> [u8; Self::LEN] {
        let words = [
            MAGIC[0],
            MAGIC[1] ^ address,
            self.base,
            self.span,
            u64::from(self.thread.unsigned_abs()),
            NO_ANSWER,
            sum,
            VERSION,
        ];
        let mut bytes = [0; Self::LEN];
        for (word, room) in words.iter().zip(bytes.chunks_exact_mut(8)) {
            room.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// Reads a note at `address`, and the checksum of what follows; `None` where there is none.
    pub(crate) fn read(bytes: &[u8], address: u64) -> Option<(Self, u64)> {
        let mut words = bytes.get(..Self::LEN)?.chunks_exact(8).filter_map(|word| word.first_chunk());
        let mut word = || words.next().map(|word| u64::from_ne_bytes(*word));
        let begins = [word()?, word()?] == [MAGIC[0], MAGIC[1] ^ address];
        let (base, span, thread, _, sum, version) = (word()?, word()?, word()?, word()?, word()?, word()?);
        let thread = i32::try_from(thread).ok().filter(|thread| *thread > 0)?;
        let plausible = span > 0 && base.checked_add(span).is_some();
        (begins && version == VERSION && plausible).then_some((Self { base, span, thread }, sum))
    }
}

/// The checksum of the frames behind a note, without the word at `answered`, which their own call changes.
pub(crate) fn checksum(frames: &[u8], answered: usize) -> u64 {
    let part = |range: std::ops::Range<usize>| frames.get(range).unwrap_or_default();
    let begin = sum(0xcbf2_9ce4_8422_2325, part(Note::LEN..answered));
    sum(begin, part(answered + 8..frames.len()))
}

fn sum(sum: u64, bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(8);
    let rest = words.remainder().iter().map(|byte| u64::from(*byte));
    let words = words.map(|word| word.first_chunk().map_or(0, |word| u64::from_ne_bytes(*word)));
    words.chain(rest).fold(sum, |sum, word| (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_where_it_was_written_and_nowhere_else() {
        let note = Note { base: 0x1000, span: 0x2000, thread: 77 };
        let bytes = note.bytes(0x7000, 5);
        assert_eq!(Note::read(&bytes, 0x7000), Some((note, 5)));
        assert_eq!(Note::read(&bytes, 0x8000), None);
        assert_eq!(Note::read(&bytes[..63], 0x7000), None);
        assert_eq!(Note::read(&[0; 64], 0), None);
        let wide = Note { base: u64::MAX - 1, ..note };
        assert_eq!(Note::read(&wide.bytes(0x7000, 5), 0x7000), None);
    }

    #[test]
    fn a_checksum_notices_every_word_but_the_answer() {
        let mut frames = vec![7; 200];
        let sum = checksum(&frames, 80);
        frames[80] = 1;
        frames[10] = 1;
        assert_eq!(checksum(&frames, 80), sum);
        frames[199] = 1;
        assert_ne!(checksum(&frames, 80), sum);
    }
}
