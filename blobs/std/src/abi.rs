//! What a host and a blob with the entry `head.S` agree on.
//!
//! The registers are listed in `src/x86_64/head.S`; here are the values that both sides name.

/// In `rbx` at entry: the mapping is R-X everywhere, the segments still want their permissions.
pub const FIRST_CALL: u64 = 1;

/// In `rbx` at the first entry: children that the process makes get no copy of the mapping (`MADV_DONTFORK`).
pub const KEEP_FROM_CHILDREN: u64 = 2;

/// In `r12` at entry: how the call ends. The thread sends `signal` to itself, which is `thread` of `process` as the process
/// counts them.
#[must_use]
pub const fn ending(signal: i32, process: i32, thread: i32) -> u64 {
    // Ids have 22 bits at most (`PID_MAX_LIMIT`), signals 7.
    const ID: u32 = 0xfff_ffff;
    let (signal, process, thread) = (signal.unsigned_abs(), process.unsigned_abs(), thread.unsigned_abs());
    (signal & 0xff) as u64 | ((process & ID) as u64) << 8 | ((thread & ID) as u64) << 36
}

/// In `rbp` at the end: the export returned; `rbx` is its result.
pub const RETURNED: u64 = 0;

/// In `rbp` at the end: the kernel refused a segment's permissions; `rbx` is the negated error number.
pub const REFUSED: u64 = 1;

/// In `rbp` at the end: the blob panicked; `__pie_blob_panic` holds a [`PanicNote`].
pub const PANICKED: u64 = 2;

/// What a panic leaves for the host: at `__pie_blob_panic` in the blob's data.
///
/// Texts that are longer are cut at the end of a character.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PanicNote {
    /// 1 once a panic has happened, 0 before.
    pub taken: u32,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// Bytes used in `file`.
    pub file_len: u32,
    /// Bytes used in `message`.
    pub message_len: u32,
    /// The source file.
    pub file: [u8; 160],
    /// The message.
    pub message: [u8; 332],
}

impl PanicNote {
    /// No panic has happened.
    pub const NONE: Self =
        Self { taken: 0, line: 0, column: 0, file_len: 0, message_len: 0, file: [0; 160], message: [0; 332] };

    /// Reads a note from the blob's memory; `None` when no panic has happened or the bytes are no note.
    ///
    /// The bytes come from another process: nothing in them is trusted.
    #[must_use]
    pub fn parse(bytes: &[u8; size_of::<Self>()]) -> Option<Self> {
        let word = |at: usize| bytes.get(at..)?.first_chunk::<4>().map(|word| u32::from_ne_bytes(*word));
        let mut note = Self {
            taken: word(0)?,
            line: word(4)?,
            column: word(8)?,
            file_len: word(12)?,
            message_len: word(16)?,
            ..Self::NONE
        };
        note.file.copy_from_slice(bytes.get(20..180)?);
        note.message.copy_from_slice(bytes.get(180..512)?);
        let plausible = note.taken == 1 && note.file_len <= 160 && note.message_len <= 332;
        plausible.then_some(note)
    }

    /// The source file, as far as it is text.
    #[must_use]
    pub fn file(&self) -> &str {
        text(&self.file, self.file_len)
    }

    /// The message, as far as it is text.
    #[must_use]
    pub fn message(&self) -> &str {
        text(&self.message, self.message_len)
    }
}

/// The longest beginning of `bytes[..len]` that is UTF-8.
fn text(bytes: &[u8], len: u32) -> &str {
    let bytes = bytes.get(..len as usize).unwrap_or(bytes);
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            bytes.get(..error.valid_up_to()).and_then(|b| core::str::from_utf8(b).ok()).unwrap_or_default()
        }
    }
}

/// Collects formatted text in a fixed space; what does not fit is dropped from a character's start on.
#[cfg_attr(not(any(pie_blob, test)), allow(dead_code, reason = "the panic handler exists in blobs only"))]
pub(crate) struct Fixed<'a> {
    space: &'a mut [u8],
    used: usize,
}

#[cfg_attr(not(any(pie_blob, test)), allow(dead_code, reason = "the panic handler exists in blobs only"))]
impl<'a> Fixed<'a> {
    pub(crate) fn new(space: &'a mut [u8]) -> Self {
        Self { space, used: 0 }
    }

    pub(crate) fn used(&self) -> u32 {
        u32::try_from(self.used).unwrap_or(0)
    }
}

impl core::fmt::Write for Fixed<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for character in text.chars() {
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            let end = self.used.saturating_add(bytes.len());
            let Some(room) = self.space.get_mut(self.used..end) else { return Err(core::fmt::Error) };
            room.copy_from_slice(bytes);
            self.used = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::fmt::Write;

    use super::*;

    #[test]
    fn a_note_is_read_back_from_its_bytes() {
        let mut note = PanicNote { taken: 1, line: 7, column: 9, ..PanicNote::NONE };
        let mut file = Fixed::new(&mut note.file);
        file.write_str("src/lib.rs").unwrap();
        note.file_len = file.used();
        let mut message = Fixed::new(&mut note.message);
        let overflow = write!(message, "{}", "ü".repeat(400));
        assert!(overflow.is_err());
        note.message_len = message.used();

        let mut bytes = [0; size_of::<PanicNote>()];
        for (at, word) in
            [note.taken, note.line, note.column, note.file_len, note.message_len].iter().enumerate()
        {
            bytes[at * 4..][..4].copy_from_slice(&word.to_ne_bytes());
        }
        bytes[20..180].copy_from_slice(&note.file);
        bytes[180..].copy_from_slice(&note.message);

        let read = PanicNote::parse(&bytes).unwrap();
        assert_eq!((read.file(), read.line, read.column), ("src/lib.rs", 7, 9));
        assert_eq!(read.message(), "ü".repeat(166));
    }

    #[test]
    fn what_ends_a_call_has_its_places() {
        assert_eq!(ending(23, 0x12_3456, 0x3f_ffff), 23 | 0x12_3456 << 8 | 0x3f_ffff << 36);
    }

    #[test]
    fn bytes_that_lie_are_no_note() {
        assert!(PanicNote::parse(&[0; 512]).is_none());
        assert!(PanicNote::parse(&[0xff; 512]).is_none());
        let mut long = [0; 512];
        long[0] = 1;
        long[12..16].copy_from_slice(&161_u32.to_ne_bytes());
        assert!(PanicNote::parse(&long).is_none());
    }
}
