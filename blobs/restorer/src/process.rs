//! What a process has once, whatever its threads: signal actions, timers, limits, signals pending for all.

use pie_blob_std::sys::{Errno, Sysno, getpid, sign_extended};
use pie_blob_std::syscalls::{syscall1, syscall3, syscall4, syscall5};

use crate::plan::{Action, Limit, Plan, PosixTimer, Signal, Step};
use crate::report::{Failure, check, items, word};

/// Sets the action of every signal, before there are threads: they share it.
///
/// # Errors
///
/// The signal that the kernel refused.
///
/// # Safety
///
/// Every list of the plan is what it says.
pub unsafe fn actions(plan: &Plan) -> Result<(), Failure> {
    const SIGKILL: usize = 9;
    const SIGSTOP: usize = 19;
    // SAFETY: the caller's promise.
    for (signal, action) in (1..).zip(unsafe { items::<Action>(&plan.actions) }) {
        if signal == SIGKILL || signal == SIGSTOP {
            continue;
        }
        let action = core::ptr::from_ref(action).addr();
        // SAFETY: the kernel reads one action; everything is blocked, so that none is taken before the end.
        let answer = unsafe { syscall4(Sysno::rt_sigaction, signal, action, 0, 8) };
        check(Step::Action, signal as u64, answer)?;
    }
    Ok(())
}

/// Registers for memory barriers (`membarrier(2)`), before there are threads: the kernel waits for every one of them.
///
/// # Errors
///
/// The command that the kernel refused.
pub fn barriers(plan: &Plan) -> Result<(), Failure> {
    for command in (0..u32::BITS).map(|bit| plan.barriers & 1 << bit).filter(|command| *command != 0) {
        // SAFETY: takes numbers.
        let answer = unsafe { syscall3(Sysno::membarrier, command as usize, 0, 0) };
        check(Step::Barrier, u64::from(command), answer)?;
    }
    Ok(())
}

/// Starts the timers, sets the limits, and makes signals pending that were pending. Late, because time runs.
///
/// # Errors
///
/// What the kernel refused.
///
/// # Safety
///
/// Every list of the plan is what it says, and all threads exist.
pub unsafe fn finish(plan: &Plan) -> Result<(), Failure> {
    // Nothing is mapped any more. What a limit permits of it is for the new limits to say, later.
    if plan.lock_future != 0 {
        // SAFETY: takes a number; without MCL_CURRENT no page is touched.
        let answer = unsafe { syscall1(Sysno::mlockall, plan.lock_future as usize) };
        check(Step::LockFuture, u64::from(plan.lock_future), answer)?;
    }
    // SAFETY: the caller's promise.
    for limit in unsafe { items::<Limit>(&plan.limits) } {
        let values = [limit.soft, limit.hard];
        // SAFETY: the kernel reads two words.
        let answer =
            unsafe { syscall4(Sysno::prlimit64, 0, word(limit.resource), (&raw const values).addr(), 0) };
        check(Step::Limit, limit.resource, answer)?;
    }
    // SAFETY: the caller's promise.
    for signal in unsafe { items::<Signal>(&plan.pending) } {
        let number = sign_extended(signal.number());
        let information = core::ptr::from_ref(signal).addr();
        // SAFETY: the kernel reads one siginfo_t.
        let answer =
            unsafe { syscall3(Sysno::rt_sigqueueinfo, sign_extended(getpid()), number, information) };
        check(Step::Pending, number as u64, answer)?;
    }
    // SAFETY: the caller's promise.
    unsafe { posix_timers(plan, &[0, getpid()]) }?;
    for (which, timer) in plan.interval_timers.iter().enumerate() {
        // SAFETY: the kernel reads four words.
        let answer = unsafe { syscall3(Sysno::setitimer, which, timer.as_ptr().addr(), 0) };
        check(Step::IntervalTimer, which as u64, answer)?;
    }
    Ok(())
}

/// Makes the timers of some owners: the threads whose time the clock counts, 0 for any other clock.
///
/// They are made in the order of the list, which is that of their ids: kernels that count from 0 reach every one of them.
/// So the first thread makes its own together with those of all.
///
/// # Errors
///
/// The timer that the kernel refused.
///
/// # Safety
///
/// Every list of the plan is what it says.
pub unsafe fn posix_timers(plan: &Plan, owners: &[i32]) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    for timer in unsafe { items::<PosixTimer>(&plan.posix_timers) } {
        if owners.contains(&timer.owner) {
            check(Step::PosixTimer, u64::from(timer.id.unsigned_abs()), posix_timer(timer))?;
        }
    }
    Ok(())
}

/// Makes a timer with the id that it had.
///
/// Kernels from 6.15 on take the id that is asked for; older ones count from 0, and a new process begins there.
fn posix_timer(timer: &PosixTimer) -> Result<usize, Errno> {
    const PR_TIMER_CREATE_RESTORE_IDS: usize = 77;
    /// More than any program has; each costs a microsecond.
    const TRIES: u32 = 1 << 20;
    /// `struct sigevent`: value, signal and way, thread, and padding to 64 bytes.
    #[repr(C)]
    struct Event {
        value: u64,
        signal: i32,
        notify: i32,
        thread: i32,
        padding: [u32; 11],
    }
    let event = Event {
        value: timer.value,
        signal: timer.signal,
        notify: timer.notify,
        thread: timer.thread,
        padding: [0; 11],
    };
    let restore = |on: usize| {
        // SAFETY: takes numbers; a kernel that does not know it changes nothing.
        let _ = unsafe { syscall5(Sysno::prctl, PR_TIMER_CREATE_RESTORE_IDS, on, 0, 0, 0) };
    };
    restore(1);
    let mut made = Err(Errno::EAGAIN);
    for _ in 0..TRIES {
        let mut id = timer.id;
        let (event, place) = ((&raw const event).addr(), (&raw mut id).addr());
        // SAFETY: the kernel reads one event and writes one int.
        let created = unsafe { syscall3(Sysno::timer_create, sign_extended(timer.clock), event, place) };
        if created.is_err() || id == timer.id {
            made = created;
            break;
        }
        // SAFETY: it was made just now, and nobody knows of it.
        let _ = unsafe { syscall3(Sysno::timer_delete, sign_extended(id), 0, 0) };
    }
    restore(0);
    made?;
    let setting = timer.setting.as_ptr().addr();
    // SAFETY: the kernel reads four words.
    unsafe { syscall4(Sysno::timer_settime, sign_extended(timer.id), 0, setting, 0) }
}
