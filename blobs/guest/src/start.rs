//! The guest's way from its first instruction to its last.

use core::arch::{asm, global_asm};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::{PORT, report};

global_asm!(include_str!("entry.S"), options(att_syntax, raw));

/// Read by the host when the guest has halted.
#[unsafe(no_mangle)]
static ANSWERED: AtomicU64 = AtomicU64::new(0);

/// Called by `entry.S`, on the blob's stack.
#[unsafe(no_mangle)]
extern "C" fn guest_main() {
    if let Ok(answered) = report(&mut Port) {
        ANSWERED.store(answered, Ordering::Relaxed);
    }
}

/// Writes to [`PORT`].
struct Port;

impl Write for Port {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the machine that this code asks for (see the crate's documentation) has this port, and writing to
            // it touches neither memory nor flags.
            unsafe {
                asm!("out dx, al", in("dx") PORT, in("al") byte, options(nomem, nostack, preserves_flags))
            };
        }
        Ok(())
    }
}
