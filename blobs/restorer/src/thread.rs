//! A thread: created with its id, and what it makes of itself.

use core::arch::asm;
use core::sync::atomic::Ordering;

use pie_blob_std::sys::{Sysno, sign_extended};
use pie_blob_std::syscalls::{syscall2, syscall3, syscall4, syscall5, syscall6};

use crate::plan::{Plan, Signal, Step, Thread};
use crate::report::{Failure, check, fail, items, word};
use crate::{credentials, leave, process};

/// The kernel's `struct clone_args` (`<linux/sched.h>`), version 2.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// `CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM`.
const THREAD: u64 = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000;

/// Creates a thread that makes itself what it was and waits until all may leave.
///
/// # Errors
///
/// The kernel's answer: the id may be in use.
///
/// # Safety
///
/// Every list of the plan is what it says, and the thread's stack is nobody else's.
pub unsafe fn create(plan: &Plan, thread: &Thread) -> Result<(), Failure> {
    let id = thread.tid;
    let arguments = CloneArguments {
        flags: THREAD,
        stack: thread.stack,
        stack_size: thread.stack_size,
        set_tid: (&raw const id).addr() as u64,
        set_tid_size: 1,
        ..CloneArguments::default()
    };
    let answer: isize;
    // SAFETY: the parent comes out of it as of any system call. The new thread begins behind `syscall` with these
    // registers and its own stack, aligned to 16 bytes with nothing on it; it calls a function that never returns, and so
    // never sees what this function has on its stack.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "mov rsi, r13",
            "call {begin}",
            "ud2",
            "2:",
            begin = sym begin,
            inlateout("rax") 435_isize => answer,
            in("rdi") &raw const arguments,
            in("rsi") size_of::<CloneArguments>(),
            in("r12") plan,
            in("r13") thread,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    let answer = usize::try_from(answer)
        .map_err(|_| pie_blob_std::sys::Errno::new(i32::try_from(answer.unsigned_abs()).unwrap_or(22)));
    check(Step::Thread, subject(thread), answer).map(drop)
}

/// Where a new thread begins.
///
/// # Safety
///
/// As [`create`].
unsafe extern "C" fn begin(plan: &Plan, thread: &Thread) -> ! {
    // SAFETY: the caller's promise; this is that thread.
    if let Err(failure) = unsafe { become_it(plan, thread) } {
        fail(plan, &failure);
    }
    plan.ready.fetch_add(1, Ordering::Release);
    leave::wake(&plan.ready);
    while plan.go.load(Ordering::Acquire) == 0 {
        leave::wait(&plan.go, 0);
    }
    // SAFETY: the frame is this thread's, and nothing of the plan is used behind it.
    unsafe { leave::counted(plan, thread) }
}

fn subject(thread: &Thread) -> u64 {
    u64::from(thread.tid.unsigned_abs())
}

/// Makes the calling thread what it was, but for its registers and its signal mask.
///
/// # Errors
///
/// The step that the kernel refused.
///
/// # Safety
///
/// Every list of the plan is what it says, and the calling thread has no thread-local state of its own.
pub unsafe fn become_it(plan: &Plan, thread: &Thread) -> Result<(), Failure> {
    const ARCH_SET_GS: usize = 0x1001;
    const ARCH_SET_FS: usize = 0x1002;
    const PR_SET_NAME: usize = 15;
    const PR_SET_TIMERSLACK: usize = 29;
    const IOPRIO_WHO_PROCESS: usize = 1;
    let tid = subject(thread);
    for (code, base) in [(ARCH_SET_FS, thread.fs_base), (ARCH_SET_GS, thread.gs_base)] {
        // SAFETY: this code uses neither segment.
        let answer = unsafe { syscall2(Sysno::arch_prctl, code, word(base)) };
        check(Step::Base, tid, answer)?;
    }
    // SAFETY: the kernel reads 16 bytes at most.
    let answer = unsafe { syscall2(Sysno::prctl, PR_SET_NAME, thread.name.as_ptr().addr()) };
    check(Step::Prctl, PR_SET_NAME as u64, answer)?;
    let [head, len] = thread.robust;
    if head != 0 {
        // SAFETY: the kernel keeps two numbers; they are what it had for this thread.
        let answer = unsafe { syscall2(Sysno::set_robust_list, word(head), word(len)) };
        check(Step::RobustList, tid, answer)?;
    }
    // SAFETY: as above.
    let _ = unsafe { syscall2(Sysno::set_tid_address, word(thread.clear_child_tid), 0) };
    if thread.rseq.address != 0 {
        let rseq = thread.rseq;
        let (len, signature) = (rseq.len as usize, rseq.signature as usize);
        // SAFETY: the kernel writes to the program's own structure, as it did.
        let answer = unsafe { syscall4(Sysno::rseq, word(rseq.address), len, 0, signature) };
        check(Step::Rseq, tid, answer)?;
    }
    let stack = thread.alternate_stack.as_ptr().addr();
    // SAFETY: the kernel reads one stack_t; this thread is on no alternate stack.
    let answer = unsafe { syscall2(Sysno::sigaltstack, stack, 0) };
    check(Step::AlternateStack, tid, answer)?;
    if thread.affinity.count != 0 {
        let (len, set) = (word(thread.affinity.count), word(thread.affinity.address));
        // SAFETY: the kernel reads `len` bytes of the plan.
        let answer = unsafe { syscall3(Sysno::sched_setaffinity, 0, len, set) };
        check(Step::Affinity, tid, answer)?;
    }
    // SAFETY: the kernel reads one structure, as long as it says.
    let answer = unsafe { syscall3(Sysno::sched_setattr, 0, (&raw const thread.scheduling).addr(), 0) };
    check(Step::Scheduling, tid, answer)?;
    // SAFETY: takes numbers.
    let answer = unsafe { syscall3(Sysno::ioprio_set, IOPRIO_WHO_PROCESS, 0, thread.io_priority as usize) };
    check(Step::Scheduling, tid, answer)?;
    // SAFETY: takes a number.
    let answer = unsafe { syscall5(Sysno::prctl, PR_SET_TIMERSLACK, word(thread.timer_slack), 0, 0, 0) };
    check(Step::Prctl, PR_SET_TIMERSLACK as u64, answer)?;
    // SAFETY: the caller's promise.
    for signal in unsafe { items::<Signal>(&thread.pending) } {
        let number = sign_extended(signal.number());
        let information = core::ptr::from_ref(signal).addr();
        let (process, id) = (sign_extended(pie_blob_std::sys::getpid()), sign_extended(thread.tid));
        // SAFETY: the kernel reads one siginfo_t.
        let answer = unsafe { syscall6(Sysno::rt_tgsigqueueinfo, process, id, number, information, 0, 0) };
        check(Step::Pending, number as u64, answer)?;
    }
    // The first thread makes its timers with everyone's, and takes its credentials on last: everything else wants its rights.
    if thread.stack != 0 {
        // SAFETY: the caller's promise.
        unsafe { process::posix_timers(plan, &[thread.tid]) }?;
        finish(plan, thread)?;
    }
    Ok(())
}

/// Gives rights up.
///
/// # Errors
///
/// What the kernel refused.
pub fn finish(plan: &Plan, thread: &Thread) -> Result<(), Failure> {
    const PR_SET_NO_NEW_PRIVS: usize = 38;
    credentials::take_on(&plan.credentials).map_err(|errno| Failure {
        step: Step::Credentials,
        subject: subject(thread),
        errno: errno.into_raw(),
    })?;
    if plan.no_new_privs != 0 {
        // SAFETY: takes numbers.
        let answer = unsafe { syscall5(Sysno::prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        check(Step::Prctl, PR_SET_NO_NEW_PRIVS as u64, answer)?;
    }
    Ok(())
}
