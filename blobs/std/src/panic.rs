//! The panic handler of a blob: leaves message and place where the host finds them, and ends the call.

#[cfg(pie_blob)]
mod handler {
    use core::fmt::Write;
    use core::panic::PanicInfo;

    use crate::abi::{Fixed, PanicNote};

    /// Read by the host through the blob's own symbol table.
    #[unsafe(no_mangle)]
    static mut __pie_blob_panic: PanicNote = PanicNote::NONE;

    #[panic_handler]
    fn panic(info: &PanicInfo<'_>) -> ! {
        // SAFETY: a blob runs one thread, and a panic never returns: nothing else refers to the note. A panic inside
        // the formatting below would come here again and only overwrite it.
        let note = unsafe { &mut *(&raw mut __pie_blob_panic) };
        *note = PanicNote::NONE;
        if let Some(location) = info.location() {
            let mut file = Fixed::new(&mut note.file);
            let _ = file.write_str(location.file());
            note.file_len = file.used();
            note.line = location.line();
            note.column = location.column();
        }
        let mut message = Fixed::new(&mut note.message);
        let _ = write!(message, "{}", info.message());
        note.message_len = message.used();
        note.taken = 1;
        end()
    }

    #[cfg(all(feature = "call", not(feature = "enter"), target_arch = "x86_64"))]
    fn end() -> ! {
        unsafe extern "C" {
            fn __pie_blob_panicked() -> !;
            static __pie_blob_stack_top: u64;
        }
        let signal = (&raw const __pie_blob_stack_top).wrapping_sub(1);
        // SAFETY: the last word of the blob's own stack, which only `head.S` writes, before any code of the blob's runs.
        if unsafe { signal.read() } == 0 {
            alone()
        }
        // SAFETY: `head.S` ends the call from there whatever the stack and the registers hold.
        unsafe { __pie_blob_panicked() }
    }

    /// Where a panic ends that nobody waits for: in a blob that was mapped into a process and called there as a function.
    #[cfg(all(feature = "call", not(feature = "enter"), target_arch = "x86_64"))]
    fn alone() -> ! {
        // SAFETY: the panic handler has written the note and is over.
        let note = unsafe { &*(&raw const __pie_blob_panic) };
        let (file, message) = (note.file(), note.message());
        crate::logln!(2, "a blob panicked at {file}:{}:{}: {message}", note.line, note.column);
        abort()
    }

    /// Ends the process as `abort(3)` does.
    #[cfg(all(feature = "call", not(feature = "enter"), target_arch = "x86_64"))]
    fn abort() -> ! {
        use syscalls::{Sysno, syscall1, syscall3};

        use crate::sys::{getpid, gettid, sign_extended};

        const SIGABRT: usize = 6;
        // SAFETY: takes three numbers.
        let _ = unsafe { syscall3(Sysno::tgkill, sign_extended(getpid()), sign_extended(gettid()), SIGABRT) };
        loop {
            // It is blocked, or its handler has come back. SAFETY: takes a number and does not come back.
            let _ = unsafe { syscall1(Sysno::exit_group, 128 + SIGABRT) };
        }
    }

    #[cfg(not(all(feature = "call", not(feature = "enter"), target_arch = "x86_64")))]
    fn end() -> ! {
        // SAFETY: an illegal instruction is the only way to say that nothing can go on here.
        unsafe { core::arch::asm!("ud2", options(noreturn)) }
    }
}
