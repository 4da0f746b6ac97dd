//! Runs a blob of Rust, C and assembler at two addresses.

use pie_blob::{MapError, Mapped};

pie_blob::pie_blob!("three");

pie_blob::pie_blob! {
    mod declared = "three";
    unsafe extern "C" {
        static table: u64;
        static mut calls: u64;
        fn triple(x: u64) -> u64;
        fn swap(x: u64) -> u64;
        fn level(x: u64) -> u64;
        fn c_apply(which: u32, x: u64) -> u64;
        fn c_jump(which: u32, x: u64) -> u64;
        fn c_divide(high: u64, low: u64, by: u64) -> u64;
        fn c_fill(byte: u8) -> u64;
        fn describe(which: u32, x: u64, to: *mut u8, len: usize) -> usize;
    }
}

const X: u64 = 0x0102_0304_0506_0708;
const SWAPPED: u64 = 0x0807_0605_0403_0201;

fn check(mapped: &Mapped) -> Result<(), MapError> {
    // SAFETY: the declarations are those of the blob's sources, nothing else runs in it, and the mapping lives.
    unsafe {
        let swap = declared::SWAP.at(mapped.base()).address();
        let table = *mapped.data(declared::TABLE)?;
        assert!(swap < table && table < swap + 16, "{table:#x} is no place in `swap`, at {swap:#x}");

        assert_eq!(mapped.function(declared::TRIPLE)?(5), 15);
        assert_eq!(mapped.function(declared::SWAP)?(X), SWAPPED);
        assert_eq!(mapped.function(declared::LEVEL)?(5), 8);

        let apply = mapped.function(declared::C_APPLY)?;
        assert_eq!([0, 1, 2, 3].map(|which| apply(which, X)), [X * 3, SWAPPED, X + 3, X.wrapping_mul(X)]);
        assert_eq!(*mapped.data(declared::CALLS)?, 7 + 4);

        let jump = mapped.function(declared::C_JUMP)?;
        let jumps = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|which| jump(which, X));
        assert_eq!(jumps, [X + 1, X / 7, X ^ 0x55, X.wrapping_mul(X), SWAPPED, X * 3, X + 3, X << 3, 0]);

        let quotient = (5_u128 << 64 | u128::from(X)) / 1_000_003;
        assert_eq!(u128::from(mapped.function(declared::C_DIVIDE)?(5, X, 1_000_003)), quotient);

        let fill = mapped.function(declared::C_FILL)?;
        assert_eq!((fill(3), fill(0)), (0, 300_000));

        let mut text = [0; 64];
        let len = mapped.function(declared::DESCRIBE)?(3, 12, text.as_mut_ptr(), text.len());
        assert_eq!(std::str::from_utf8(&text[..len]), Ok("\"square\" of 12 is 144"));
    }
    Ok(())
}

fn main() -> Result<(), MapError> {
    assert_eq!(three::BYTES[..], declared::BYTES[..]);
    assert_eq!(three::C_APPLY.get(), declared::C_APPLY.get());

    let one = declared::BLOB.map()?;
    check(&one)?;
    // The kernel maps from above: so far below it there is nothing.
    let far = declared::BLOB.map_at(one.base() - (1 << 40))?;
    assert_ne!(one.base(), far.base());
    check(&far)
}
