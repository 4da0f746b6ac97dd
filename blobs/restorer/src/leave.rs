//! Leaving: each thread continues by `rt_sigreturn`, and of the restorer nothing stays.
//!
//! The code that unmaps the hole cannot lie in it, nor can anything that runs while it goes. So the last thing that a
//! thread does here is to jump to a `syscall; ret` of the program's own, with the stack pointer at a signal frame outside of
//! the hole whose first word is the program's own `rt_sigreturn`. The system call that is made there is, for the first thread,
//! the `munmap` of the hole. It may come only when every other thread is out, and a thread that counts itself out and jumps
//! afterwards is not out yet when it counts. Therefore the kernel counts: the others make a `futex` call
//! (`FUTEX_WAKE_OP`) that adds one to the count, from code outside.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

use pie_blob_std::sys::Sysno;
use pie_blob_std::syscalls::syscall6;

use crate::plan::{Plan, Thread};
use crate::report::word;

/// `FUTEX_WAIT | FUTEX_PRIVATE_FLAG`.
const WAIT: usize = 128;
/// `FUTEX_WAKE | FUTEX_PRIVATE_FLAG`.
const WAKE: usize = 1 | 128;
/// `FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG`.
const WAKE_OP: usize = 5 | 128;
/// `FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)`: add one; the comparison decides about a second wake of nobody.
const ADD_ONE: usize = 1 << 28 | 1 << 12;

/// Sleeps while the word holds `value`.
pub fn wait(word: &AtomicU32, value: u32) {
    // SAFETY: the kernel reads the word; no time limit is given.
    let _ = unsafe { syscall6(Sysno::futex, word.as_ptr().addr(), WAIT, value as usize, 0, 0, 0) };
}

/// Wakes all that sleep on the word.
pub fn wake(word: &AtomicU32) {
    const ALL: usize = i32::MAX as usize;
    // SAFETY: the kernel only takes the address for a name.
    let _ = unsafe { syscall6(Sysno::futex, word.as_ptr().addr(), WAKE, ALL, 0, 0, 0) };
}

/// Releases the others and waits until they are out.
pub fn release(plan: &Plan, others: u32) {
    plan.go.store(1, Ordering::Release);
    wake(&plan.go);
    loop {
        let gone = plan.gone.load(Ordering::Acquire);
        if gone == others {
            return;
        }
        wait(&plan.gone, gone);
    }
}

/// Leaves, counted by the kernel.
///
/// # Safety
///
/// The frame is the calling thread's and lies outside of the hole.
pub unsafe fn counted(plan: &Plan, thread: &Thread) -> ! {
    let gone = plan.gone.as_ptr().addr();
    // SAFETY: the caller's promise; the call touches nothing but the count, and wakes the first thread.
    unsafe { through(plan.system_call, thread.frame, 202, [gone, WAKE_OP, 1, 0, gone, ADD_ONE]) }
}

/// Leaves and takes the hole away.
///
/// # Safety
///
/// All other threads are out, and the frame is the calling thread's and lies outside of the hole.
pub unsafe fn last(plan: &Plan, thread: &Thread) -> ! {
    let (start, len) = (word(plan.hole.address), word(plan.hole.count));
    // SAFETY: the caller's promise: nobody needs the hole any more.
    unsafe { through(plan.system_call, thread.frame, 11, [start, len, 0, 0, 0, 0]) }
}

/// Makes a system call at `code`, from where it goes on with the frame.
///
/// # Safety
///
/// `code` is a `syscall; ret` outside of the hole, and the word at `frame` is the address of an `rt_sigreturn`.
unsafe fn through(code: u64, frame: u64, number: usize, arguments: [usize; 6]) -> ! {
    let [rdi, rsi, rdx, r10, r8, r9] = arguments;
    // SAFETY: the caller's promise; it never comes back.
    unsafe {
        asm!(
            "mov rsp, r12",
            "xor ebp, ebp",
            "jmp r13",
            in("r12") frame,
            in("r13") code,
            in("rax") number,
            in("rdi") rdi,
            in("rsi") rsi,
            in("rdx") rdx,
            in("r10") r10,
            in("r8") r8,
            in("r9") r9,
            options(noreturn),
        )
    }
}
