//! The guest in Rust: what `guest.c` is, with what Rust makes of tables, matches, formatting and bounds.
#![no_std]
#![allow(missing_docs, reason = "nobody uses it but its test")]

use core::fmt::Write;
use core::sync::atomic::{AtomicU32, Ordering};

unsafe extern "C" {
    fn system_call(number: isize, first: isize, second: isize, third: isize) -> isize;
    fn twice(value: u32) -> u32;
    static assembler_table: [unsafe extern "C" fn(u32) -> u32; 2];
    static __pie_blob_start: u8;
}

#[cfg(target_arch = "aarch64")]
const WRITE_AND_EXIT: [isize; 2] = [64, 93];
#[cfg(target_arch = "x86_64")]
const WRITE_AND_EXIT: [isize; 2] = [1, 60];
#[cfg(target_arch = "s390x")]
const WRITE_AND_EXIT: [isize; 2] = [4, 1];

struct Output;

impl Write for Output {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        // SAFETY: the text is there for as long as the call.
        unsafe { system_call(WRITE_AND_EXIT[0], 1, text.as_ptr() as isize, text.len() as isize) };
        Ok(())
    }
}

fn end(code: isize) -> ! {
    loop {
        // SAFETY: nothing comes after it.
        unsafe { system_call(WRITE_AND_EXIT[1], code, 0, 0) };
    }
}

extern "C" fn thrice(value: u32) -> u32 {
    value * 3
}

static OPERATIONS: [(&str, unsafe extern "C" fn(u32) -> u32); 2] = [("thrice", thrice), ("twice", twice)];
static CALLS: AtomicU32 = AtomicU32::new(7);
static ZEROS: [AtomicU32; 3000] = [const { AtomicU32::new(0) }; 3000];
static MIDDLE: &AtomicU32 = &ZEROS[1500];

#[inline(never)]
fn choose(which: u32) -> &'static str {
    match core::hint::black_box(which) {
        0 => "zero",
        1 => "one",
        2 => "two",
        3 => "three",
        4 => "four",
        5 => "five",
        _ => "many",
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn run() {
    // SAFETY: only its address is asked for.
    let base = unsafe { &raw const __pie_blob_start };
    let _ = writeln!(Output, "base {base:p}");
    for (name, operation) in core::hint::black_box(&OPERATIONS) {
        // SAFETY: both take any number.
        let _ = writeln!(Output, "{name} {}", unsafe { operation(10) });
    }
    // SAFETY: the table is constant, and its functions take any number.
    let assembled = unsafe { assembler_table[1](21) };
    CALLS.fetch_add(assembled, Ordering::Relaxed);
    MIDDLE.store(9, Ordering::Relaxed);
    let zeros = [1499, 1500, 2999].map(|index: usize| ZEROS[core::hint::black_box(index)].load(Ordering::Relaxed));
    let _ = writeln!(Output, "{assembled} {} {zeros:?}", CALLS.load(Ordering::Relaxed));
    let _ = writeln!(Output, "{} {} {}", choose(0), choose(5), choose(6));
    let long = core::hint::black_box(0x0123_4567_89ab_cdef_0011_2233_4455_6677_u128);
    let _ = writeln!(Output, "{:x} {:.4}", long / 1_000_000_007, core::hint::black_box(2.5_f64) / 8.0);
    end(42)
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    end(101)
}
