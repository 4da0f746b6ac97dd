//! The order of it all.

use core::sync::atomic::Ordering;

use pie_blob_std::sys::Sysno;
use pie_blob_std::syscalls::syscall5;

use crate::plan::{Plan, Step, Thread};
use crate::report::{Failure, check, close, fail, items, say, word};
use crate::{leave, memory, process, thread};

/// Becomes the program that the plan at the address describes.
///
/// # Safety
///
/// A [`Plan`] lies there, every list of it is what it says, all signals are blocked, and this is the only thread of a
/// process that may be replaced.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn pie_blob_main(plan: u64) -> ! {
    // SAFETY: the caller's promise; it stays until the hole goes.
    let plan = unsafe { &*core::ptr::with_exposed_provenance::<Plan>(word(plan)) };
    // SAFETY: the caller's promise.
    if let Err(failure) = unsafe { restore(plan) } {
        fail(plan, &failure);
    }
    // SAFETY: the caller's promise.
    let threads = unsafe { items::<Thread>(&plan.threads) };
    let Some((first, others)) = threads.split_first() else {
        fail(plan, &Failure { step: Step::Thread, subject: 0, errno: 3 });
    };
    // From here on nothing can fail: whoever asks may be told.
    say(plan, Step::Done, 0, 0);
    close(plan);
    leave::release(plan, u32::try_from(others.len()).unwrap_or(u32::MAX));
    // SAFETY: the others are out; the frame lies in the program's memory.
    unsafe { leave::last(plan, first) }
}

/// # Safety
///
/// As [`pie_blob_main`].
unsafe fn restore(plan: &Plan) -> Result<(), Failure> {
    // SAFETY: the caller's promise; everything used from here on lies in the hole.
    unsafe { memory::restore(plan) }?;
    // SAFETY: the caller's promise.
    unsafe { process::actions(plan) }?;
    process::barriers(plan)?;
    // SAFETY: the caller's promise.
    let threads = unsafe { items::<Thread>(&plan.threads) };
    let Some((first, others)) = threads.split_first() else { return Ok(()) };
    // SAFETY: the caller's promise: this is the first thread.
    unsafe { thread::become_it(plan, first) }?;
    for other in others {
        // SAFETY: the caller's promise.
        unsafe { thread::create(plan, other) }?;
    }
    loop {
        let ready = plan.ready.load(Ordering::Acquire);
        if ready as usize == others.len() {
            break;
        }
        leave::wait(&plan.ready, ready);
    }
    // SAFETY: the caller's promise; all threads exist.
    unsafe { process::finish(plan) }?;
    thread::finish(plan, first)?;
    flags(plan)
}

/// Flags of the process that taking on credentials would have changed.
fn flags(plan: &Plan) -> Result<(), Failure> {
    const PR_SET_PDEATHSIG: usize = 1;
    const PR_SET_DUMPABLE: usize = 4;
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    for (option, value) in [
        (PR_SET_DUMPABLE, plan.dumpable),
        (PR_SET_CHILD_SUBREAPER, plan.child_subreaper),
        // Until here it has kept a process from going on whose host has died.
        (PR_SET_PDEATHSIG, plan.parent_death_signal),
    ] {
        // SAFETY: takes numbers.
        let answer = unsafe { syscall5(Sysno::prctl, option, value as usize, 0, 0, 0) };
        check(Step::Prctl, option as u64, answer)?;
    }
    Ok(())
}
