//! A restartable sequence (rseq(2)) that must never be resumed in its middle.
//!
//! The sequence copies a word, spins, and ends by storing the copy. Whoever stops the thread in it may change the
//! word, as another thread on the same processor may; then the sequence must begin anew.

use std::arch::asm;
use std::ptr::with_exposed_provenance_mut;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::raw::{holding, kernel};

/// The word that others change.
static WORD: AtomicU64 = AtomicU64::new(1);

/// What stands before an abort handler, so that the kernel believes it to be one.
const SIGNATURE: i64 = 0x5305_3053;

unsafe extern "C" {
    /// Where glibc's `struct rseq` lies from the thread pointer, and how much of it is in use.
    #[link_name = "__rseq_offset"]
    safe static OFFSET: isize;
    #[link_name = "__rseq_size"]
    safe static SIZE: u32;
}

/// Gives this thread a `struct rseq` of its own and returns where it lies.
fn register() -> *mut u64 {
    // glibc has registered one: the kernel takes only one.
    if SIZE != 0 {
        let pointer: i64;
        // SAFETY: reads the thread pointer, which every ABI of x86-64 Linux keeps at %fs:0.
        unsafe { asm!("mov {}, fs:0", out(reg) pointer, options(nostack, readonly)) };
        let theirs = pointer + i64::try_from(OFFSET).unwrap_or(0);
        for size in [32, i64::from(SIZE)] {
            if kernel(libc::SYS_rseq, [theirs, size, 1, SIGNATURE, 0, 0]).1 == 0 {
                break;
            }
        }
    }
    // Aligned as the kernel wants it, within twice the size.
    let area = (holding([0_u64; 8]) + 31) & !31;
    let (_, error) = kernel(libc::SYS_rseq, [area, 32, 0, SIGNATURE, 0, 0]);
    assert_eq!(error, 0, "rseq");
    with_exposed_provenance_mut(usize::try_from(area).unwrap_or(0))
}

/// Runs it for ever; `say` is told a line now and then, the first of which is the address of the word.
///
/// # Panics
///
/// When the kernel gives no restartable sequences.
pub fn run(say: impl Fn(String)) -> ! {
    let area = register();
    say(WORD.as_ptr().expose_provenance().to_string());
    let mut rounds = 0_u64;
    let mut aborts = 0_u64;
    loop {
        let (stored, aborted): (u64, u64);
        // SAFETY: reads `WORD`, writes the `rseq_cs` field of the area that this thread has registered, and uses the
        // registers that it names. The kernel enters at the abort handler with every register as it was.
        unsafe {
            asm!(
                ".pushsection .data.rel.ro.sequence, \"aw\", @progbits",
                ".balign 32",
                "770: .long 0, 0",
                ".quad 771f, 772f - 771f, 774f",
                ".popsection",
                "xor {aborts:e}, {aborts:e}",
                "773: lea {scratch}, [rip + 770b]",
                "mov [{area} + 8], {scratch}",
                "771: mov {copy}, [{word}]",
                "mov {count:e}, 2000000",
                "775: dec {count:e}",
                "jnz 775b",
                "cmp {copy}, [{word}]",
                "mov {scratch}, 0",
                "cmovne {copy}, {scratch}",
                "772: jmp 776f",
                // What the kernel wants before an abort handler: the signature, as part of an instruction.
                ".byte 0x0f, 0xb9, 0x3d",
                ".long 0x53053053",
                "774: inc {aborts}",
                "jmp 773b",
                "776:",
                area = in(reg) area,
                word = in(reg) WORD.as_ptr(),
                copy = out(reg) stored,
                scratch = out(reg) _,
                count = out(reg) _,
                aborts = out(reg) aborted,
            );
        }
        aborts += aborted;
        if stored == 0 || stored > WORD.load(SeqCst) {
            say("DAMAGED: the sequence went on after it was interrupted".to_owned());
            std::process::exit(3);
        }
        rounds += 1;
        if rounds.is_multiple_of(8) {
            say(format!("{rounds} {aborts}"));
        }
    }
}
