//! Every vector register loaded, held for a while and checked: what an injection must not disturb.
#![allow(unreachable_pub, reason = "a module of the example and of the tests")]

use std::arch::asm;

/// The widest registers that this processor has.
pub fn best_round() -> (&'static str, fn() -> bool) {
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
        ("32 ZMM registers and a mask", zmm_round)
    } else if is_x86_feature_detected!("avx") {
        ("16 YMM registers", ymm_round)
    } else {
        ("16 XMM registers", xmm_round)
    }
}

#[repr(C, align(64))]
struct Lanes([[u8; 64]; 32]);

/// A pattern in which every byte of every register differs from its neighbours.
const PATTERN: Lanes = {
    let mut lanes = [[0; 64]; 32];
    let mut register = 0;
    while register < 32 {
        let mut byte = 0;
        while byte < 64 {
            #[expect(clippy::cast_possible_truncation, reason = "at most 31 * 7 + 64")]
            let value = (register * 7 + byte + 1) as u8;
            lanes[register][byte] = value;
            byte += 1;
        }
        register += 1;
    }
    Lanes(lanes)
};
static WANTED: Lanes = PATTERN;

macro_rules! round {
    ($name:ident, $move:literal, $prefix:literal, $bytes:literal, [$($n:literal)*], [$($extra_load:literal)*], [$($extra_check:literal)*]) => {
        /// Loads every register, spins for about a millisecond, stores them and compares.
        fn $name() -> bool {
            let mut found = Lanes([[0; 64]; 32]);
            let extra: u64;
            // SAFETY: the registers named exist (the caller has asked the processor); the loads stay within `WANTED`, the
            // stores within `found`, and everything that is changed is said to be.
            unsafe {
                asm!(
                    $(concat!($move, " ", $prefix, $n, ", [{wanted} + 64*", $n, "]"),)*
                    $($extra_load,)*
                    "2: dec {turns}",
                    "jnz 2b",
                    $(concat!($move, " [{found} + 64*", $n, "], ", $prefix, $n),)*
                    "xor {extra:e}, {extra:e}",
                    $($extra_check,)*
                    wanted = in(reg) &raw const WANTED,
                    found = in(reg) &raw mut found,
                    turns = inout(reg) 1_000_000_u64 => _,
                    extra = out(reg) extra,
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                    out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                    out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                    out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                    options(nostack),
                );
            }
            let same = |n: usize| WANTED.0[n][..$bytes] == found.0[n][..$bytes];
            [$($n),*].into_iter().all(same) && extra == 0
        }
    };
}

round!(xmm_round, "movdqu", "xmm", 16, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15], [], []);
round!(ymm_round, "vmovdqu", "ymm", 32, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15], [], []);
round!(
    zmm_round,
    "vmovdqu64",
    "zmm",
    64,
    [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31],
    ["mov {extra:e}, 0x1234567" "kmovd k5, {extra:e}"],
    ["kmovd {extra:e}, k5" "xor {extra:e}, 0x1234567"]
);
