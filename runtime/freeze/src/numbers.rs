//! Numbers of the kernel's interface in Rust's types.

/// An address or a length of a 64-bit process in this one.
#[expect(clippy::cast_possible_truncation, reason = "this crate is for 64-bit processes only")]
pub(crate) const fn word(value: u64) -> usize {
    value as usize
}

/// A positive int.
pub(crate) fn unsigned(value: i32) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A signed number of JSON's in a field that the kernel has unsigned.
pub(crate) fn id(value: i32) -> u32 {
    value.unsigned_abs()
}

/// The page size of x86-64.
pub(crate) const PAGE: u64 = 4096;
