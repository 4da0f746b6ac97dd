//! Memory: out with the host's, in with the program's.

use pie_blob_std::sys::Sysno;
use pie_blob_std::syscalls::{syscall2, syscall4, syscall5};

use crate::plan::{List, Move, Plan, Step};
use crate::report::{Failure, check, items, word};

/// `MREMAP_MAYMOVE | MREMAP_FIXED`.
const MOVE: usize = 1 | 2;
/// `RSEQ_FLAG_UNREGISTER`.
const UNREGISTER: usize = 1;

/// Makes the address space the program's, but for the hole.
///
/// # Errors
///
/// The step that the kernel refused. The process can only be ended then.
///
/// # Safety
///
/// Every list of the plan is what it says, and nothing outside of the hole is used afterwards.
pub unsafe fn restore(plan: &Plan) -> Result<(), Failure> {
    if plan.host_rseq.address != 0 {
        let rseq = plan.host_rseq;
        // SAFETY: takes numbers; the kernel forgets the address.
        let answer = unsafe {
            syscall4(Sysno::rseq, word(rseq.address), rseq.len as usize, UNREGISTER, rseq.signature as usize)
        };
        check(Step::HostRseq, rseq.address, answer)?;
    }
    // SAFETY: the caller's promise.
    unsafe { moves(Step::Vdso, &plan.parked) }?;
    let end = plan.hole.address + plan.hole.count;
    for (from, to) in [(0, plan.hole.address), (end, plan.end_of_addresses)] {
        // SAFETY: the caller's promise: nothing there is used any more.
        let answer = unsafe { syscall2(Sysno::munmap, word(from), word(to - from)) };
        check(Step::Unmap, from, answer)?;
    }
    // SAFETY: the caller's promise.
    unsafe { moves(Step::Move, &plan.moves) }?;
    // SAFETY: the caller's promise.
    unsafe { moves(Step::Vdso, &plan.unparked) }?;
    memory_map(plan)
}

/// # Safety
///
/// The list is one of [`Move`], and nothing that it moves away or covers is used.
unsafe fn moves(step: Step, list: &List) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    for pages in unsafe { items::<Move>(list) } {
        let len = word(pages.len);
        // SAFETY: the caller's promise.
        let answer = unsafe { syscall5(Sysno::mremap, word(pages.from), len, len, MOVE, word(pages.to)) };
        check(step, pages.to, answer)?;
    }
    Ok(())
}

/// Tells the kernel what `/proc` and `brk(2)` must know, and gives the file of the program back.
fn memory_map(plan: &Plan) -> Result<(), Failure> {
    const PR_SET_MM: usize = 35;
    const PR_SET_MM_MAP: usize = 14;
    let map = &raw const plan.memory;
    // SAFETY: the kernel reads one structure of that size.
    let answer =
        unsafe { syscall5(Sysno::prctl, PR_SET_MM, PR_SET_MM_MAP, map.addr(), size_of_val(&plan.memory), 0) };
    check(Step::MemoryMap, plan.memory.start_code, answer)?;
    // SAFETY: the descriptor is the restorer's own, and nothing uses it afterwards.
    let _ = unsafe { syscall2(Sysno::close, plan.memory.exe_fd as usize, 0) };
    Ok(())
}
