//! Words of any width and either byte order.

/// The value of a word of at most eight bytes.
pub(crate) fn load(word: &[u8], little_endian: bool) -> u64 {
    let append = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    if little_endian { word.iter().rev().fold(0, append) } else { word.iter().fold(0, append) }
}

/// Writes a value into a word of at most eight bytes; what does not fit is cut off at the top.
pub(crate) fn store(word: &mut [u8], value: u64, little_endian: bool) {
    let bytes = value.to_le_bytes();
    if little_endian {
        word.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    } else {
        word.iter_mut().rev().zip(bytes).for_each(|(to, byte)| *to = byte);
    }
}
