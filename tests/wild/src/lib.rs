//! A blob that does everything wrong that a blob can do: the host must say what, and the victim must not notice.
//!
//! Also a few exports that do everything right, to see that arguments arrive and results come back.
#![no_std]
#![allow(clippy::panic, reason = "that is what it is for")]

use core::ffi::c_int;
use core::hint::black_box;

use pie_blob_std::sys::Sysno;
use pie_blob_std::syscalls::{syscall1, syscall4};

#[cfg(feature = "embed")]
pie_blob::pie_blob! {
    /// The blob.
    pub mod wild = "wild";
    unsafe extern "C" {
        /// Reads an address where nothing lies.
        fn read_nothing() -> u64;
        /// Runs an instruction that no processor has.
        fn illegal() -> !;
        /// Divides by zero, as the processor sees it.
        fn divide() -> u64;
        /// Calls itself until the stack is full.
        fn overflow(depth: u64) -> u64;
        /// Panics with a message.
        fn panics(number: c_int) -> c_int;
        /// Never returns.
        fn endless() -> u64;
        /// Jumps to where no code is.
        fn nowhere() -> u64;
        /// Calls through a pointer that leads nowhere.
        fn calls_nothing() -> u64;
        /// Ends the whole process.
        fn exit(code: c_int) -> !;
        /// Ends the thread that runs it.
        fn ends_thread() -> c_int;
        /// Closes a descriptor.
        fn close(number: c_int) -> c_int;
        /// Receives no descriptor: says that the number in `WORD` is to be sent to, and waits in vain.
        fn says_another(end: *mut c_int, close_on_exec: c_int, microseconds: u64) -> c_int;
        /// Receives no descriptor: says a socket that has no room for a message, and waits in vain.
        fn says_a_full_one(end: *mut c_int, close_on_exec: c_int, microseconds: u64) -> c_int;
        /// Sleeps, with its signals blocked as they are.
        fn sleeps(milliseconds: u64) -> c_int;
        /// Creates a thread and waits for its end.
        fn creates() -> c_int;
        /// Writes a byte; the answer or the negated error.
        fn writes(number: c_int) -> c_int;
        /// Waits where no signal is heard.
        fn hangs(milliseconds: u64) -> c_int;
        /// Computes for a while, without a system call.
        fn computes(steps: u64) -> u64;
        /// Weighs each argument by its place.
        fn six(a: u8, b: i16, c: u32, d: i64, e: usize, f: u64) -> i64;
        /// Reverses `len` bytes from one place to another.
        fn reverse(to: *mut u8, from: *const u8, len: usize) -> usize;
        /// Multiplies floating-point numbers, whatever the environment was.
        fn float(a: u64) -> u64;
        /// A word to read and write.
        static mut WORD: u64;
        /// What a table of addresses says: relocated words.
        fn table(n: usize) -> u64;
    }
}

/// The object that the blob was made of: it has the debugging information.
#[cfg(feature = "embed")]
pub static OBJECT: &[u8] = include_bytes!(env!("PIE_BLOB_wild"));

/// A word to read and write.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
static mut WORD: u64 = 0x1122_3344_5566_7788;

/// Reads an address where nothing lies.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn read_nothing() -> u64 {
    // SAFETY: there is none, on purpose: the host says so and the victim goes on.
    unsafe { core::ptr::without_provenance::<u64>(black_box(0x10)).read_volatile() } // line: read_nothing
}

/// Runs an instruction that no processor has.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn illegal() -> ! {
    // SAFETY: raises SIGILL and does nothing else.
    unsafe { core::arch::asm!("ud2", options(noreturn)) } // line: illegal
}

/// Divides by zero, as the processor sees it.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn divide() -> u64 {
    let quotient: u64;
    // SAFETY: raises SIGFPE; every register that it could change is named.
    unsafe {
        // line: divide
        core::arch::asm!("div {zero}", zero = in(reg) 0_u64, inout("rax") 1_u64 => quotient, inout("rdx") 0_u64 => _);
    }
    quotient
}

/// Calls itself until the stack is full.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
#[allow(unconditional_recursion, reason = "that is what it is for")]
#[rustfmt::skip] // Its first push may be the one for which there is no room.
pub extern "C" fn overflow(depth: u64) -> u64 { // line: overflow
    let frame = black_box([depth; 64]); // line: overflow
    overflow(depth + 1) + frame[usize::try_from(depth).unwrap_or(0) % 64]
}

/// Panics with a message.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn panics(number: c_int) -> c_int {
    panic!("number {number} is not to my taste") // line: panics
}

/// Never returns.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn endless() -> u64 {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1)); // line: endless
        // line: endless
        if turns == u64::MAX {
            return turns;
        }
    }
}

/// Jumps to where no code is.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn nowhere() -> u64 {
    // SAFETY: there is none, on purpose: the host says so and the victim goes on.
    unsafe { core::arch::asm!("jmp {nowhere}", nowhere = in(reg) 0x20_u64, options(noreturn)) }
}

/// Calls through a pointer that leads nowhere.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn calls_nothing() -> u64 {
    let nothing = black_box(0x30_usize);
    // SAFETY: there is none, on purpose; an address is what a function pointer is.
    let function = unsafe { core::mem::transmute::<usize, extern "C" fn() -> u64>(nothing) };
    function() + 1 // line: calls_nothing
}

/// Ends the whole process.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn exit(code: c_int) -> ! {
    loop {
        // SAFETY: takes a number and does not come back.
        let _ = unsafe { syscall1(Sysno::exit_group, pie_blob_std::sys::sign_extended(code)) };
    }
}

/// Ends the thread that runs it.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn ends_thread() -> c_int {
    loop {
        // SAFETY: takes a number and does not come back.
        let _ = unsafe { syscall1(Sysno::exit, 0) };
    }
}

/// Closes a descriptor.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn close(number: c_int) -> c_int {
    // SAFETY: takes a number.
    pie_blob_std::sys::number(unsafe { syscall1(Sysno::close, pie_blob_std::sys::sign_extended(number)) })
}

/// Says a number where a host looks for that of a socket, and waits for nothing; `-ETIMEDOUT`.
///
/// # Safety
///
/// `end` points to an aligned `int`.
unsafe fn say(end: *mut c_int, number: c_int, microseconds: u64) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { end.write_volatile(number) };
    sleeps(microseconds / 1000);
    -110
}

/// Receives no descriptor: says that the number in `WORD` is to be sent to, and waits in vain.
///
/// # Safety
///
/// `end` points to an aligned `int`.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn says_another(end: *mut c_int, _close_on_exec: c_int, microseconds: u64) -> c_int {
    let word = &raw const WORD;
    // SAFETY: nobody writes it during a call.
    let number = unsafe { word.read_volatile() };
    // SAFETY: the caller's promise.
    unsafe { say(end, c_int::try_from(number).unwrap_or(-1), microseconds) }
}

/// Receives no descriptor: says a socket that has no room for a message, and waits in vain.
///
/// # Safety
///
/// `end` points to an aligned `int`.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn says_a_full_one(end: *mut c_int, _close_on_exec: c_int, microseconds: u64) -> c_int {
    /// `AF_UNIX`, `SOCK_SEQPACKET | SOCK_NONBLOCK`; made blocking again below by `FIONBIO`.
    const KIND: [usize; 2] = [1, 5 | 0o4000];
    const FIONBIO: usize = 0x5421;
    let mut pair: [c_int; 2] = [-1; 2];
    // SAFETY: writes two ints.
    let made = unsafe { syscall4(Sysno::socketpair, KIND[0], KIND[1], 0, (&raw mut pair).addr()) };
    if let Err(error) = made {
        return -error.into_raw();
    }
    while pie_blob_std::sys::write(pair[1], b"x").is_ok() {}
    let blocking: c_int = 0;
    let number = pie_blob_std::sys::sign_extended(pair[1]);
    // SAFETY: reads one int.
    let _ = unsafe { syscall4(Sysno::ioctl, number, FIONBIO, (&raw const blocking).addr(), 0) };
    // SAFETY: the caller's promise.
    let answer = unsafe { say(end, pair[1], microseconds) };
    for end in pair {
        close(end);
    }
    answer
}

/// Sleeps, with its signals blocked as they are.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn sleeps(milliseconds: u64) -> c_int {
    let time = [milliseconds / 1000, milliseconds % 1000 * 1_000_000];
    // SAFETY: reads one timespec; the restart block is the caller's own.
    let slept = unsafe { syscall4(Sysno::clock_nanosleep, 1, 0, (&raw const time).addr(), 0) }; // line: sleeps
    pie_blob_std::sys::number(slept)
}

/// Creates a thread that ends at once, and waits for its end; 0, or the negated error.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn creates() -> c_int {
    /// `CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID`.
    const FLAGS: u64 = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000 | 0x20_0000;
    let mut alive: u32 = 1;
    let thread: i64;
    // SAFETY: the new thread pushes nothing and ends; the kernel then clears `alive`, which lives until that is seen. The
    // registers that system calls break are named.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, 60",
            "xor edi, edi",
            "syscall",
            "2:",
            inout("rax") 56_i64 => thread,
            inout("rdi") FLAGS => _,
            in("rsi") 0_u64,
            in("rdx") 0_u64,
            in("r10") &raw mut alive,
            in("r8") 0_u64,
            out("rcx") _,
            out("r11") _,
        );
    }
    let alive = &raw mut alive;
    // SAFETY: the variable lives; the kernel writes it.
    while thread > 0 && unsafe { alive.read_volatile() } != 0 {
        // `FUTEX_WAIT` until it is no longer 1; woken early it looks again.
        // SAFETY: reads one word.
        let _ = unsafe { syscall4(Sysno::futex, alive.addr(), 0, 1, 0) };
    }
    c_int::try_from(thread.min(0)).unwrap_or(-1)
}

/// Writes a byte; the answer or the negated error.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn writes(number: c_int) -> c_int {
    match pie_blob_std::sys::write(number, b"x") {
        Ok(len) => c_int::try_from(len).unwrap_or(c_int::MAX),
        Err(error) => -error.into_raw(),
    }
}

/// Waits where no signal is heard: for a thread made like a child of `vfork`, which sleeps and ends.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn hangs(milliseconds: u64) -> c_int {
    /// `CLONE_VM | CLONE_VFORK | CLONE_SIGHAND | CLONE_THREAD`.
    const FLAGS: u64 = 0x100 | 0x4000 | 0x800 | 0x1_0000;
    let time = [milliseconds / 1000, milliseconds % 1000 * 1_000_000];
    let thread: i64;
    // SAFETY: the new thread uses the stack of this one, which waits for its end, and pushes nothing; it reads `time` and
    // ends. The registers that system calls break are named.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, 35",
            "mov rdi, {time}",
            "xor esi, esi",
            "syscall",
            "mov eax, 60",
            "xor edi, edi",
            "syscall",
            "2:",
            time = in(reg) &raw const time,
            inout("rax") 56_i64 => thread,
            inout("rdi") FLAGS => _,
            inout("rsi") 0_u64 => _,
            in("rdx") 0_u64,
            in("r10") 0_u64,
            in("r8") 0_u64,
            out("rcx") _,
            out("r11") _,
        );
    }
    c_int::from(thread > 0)
}

/// Computes for a while, without a system call: each step waits for the one before, a nanosecond or two.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn computes(steps: u64) -> u64 {
    (0..steps)
        .fold(1, |number, step| black_box(number).wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(step))
}

/// Weighs each argument by its place.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn six(a: u8, b: i16, c: u32, d: i64, e: usize, f: u64) -> i64 {
    #[expect(clippy::cast_possible_wrap, reason = "small numbers in the test")]
    let (e, f) = (e as i64, f as i64);
    i64::from(a) + 10 * i64::from(b) + 100 * i64::from(c) + 1000 * d + 10_000 * e + 100_000 * f
}

/// Reverses `len` bytes from one place to another.
///
/// # Safety
///
/// Both places have `len` bytes and do not overlap.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn reverse(to: *mut u8, from: *const u8, len: usize) -> usize {
    for at in 0..len {
        // SAFETY: `at < len`: within what the caller gives.
        let byte = unsafe { from.wrapping_add(at).read() };
        let place = to.wrapping_add(len - 1 - at);
        // SAFETY: `len - 1 - at < len`, as above.
        unsafe { place.write(byte) };
    }
    len
}

/// Multiplies floating-point numbers, whatever the environment was.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn float(a: u64) -> u64 {
    (f64::from_bits(a) * black_box(1.0 / 3.0)).to_bits()
}

static NUMBERS: [u64; 4] = [2, 3, 5, 7];
static TABLE: [&u64; 4] = [&NUMBERS[3], &NUMBERS[2], &NUMBERS[1], &NUMBERS[0]];

/// What a table of addresses says: relocated words.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn table(n: usize) -> u64 {
    black_box(&TABLE).get(n).map_or(0, |number| **number)
}

/// Keeps the word in the blob: nothing else refers to it.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub extern "C" fn word() -> *const u64 {
    &raw const WORD
}
