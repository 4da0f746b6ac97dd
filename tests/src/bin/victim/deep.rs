//! Victims whose memory is no longer what it was when it was looked at, or whose main stack is in use where its pointer is not.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{WAIT_MS, at, kernel, leak, rounds};

/// Bytes of stack that are in use.
const DEEP: usize = 1 << 20;

static TOLD: AtomicBool = AtomicBool::new(false);

extern "C" fn tell(_: libc::c_int) {
    TOLD.store(true, Ordering::Relaxed);
}

/// Says 0 and sleeps until SIGUSR1 comes.
fn wait_until_told() {
    let handler: extern "C" fn(libc::c_int) = tell;
    // SAFETY: the handler does nothing but store in an atomic.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    println!("0");
    while !TOLD.load(Ordering::Relaxed) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn sleeps() -> impl FnMut() -> i64 {
    let time = at(leak([0_i64, i64::from(WAIT_MS) * 1_000_000]));
    move || kernel(libc::SYS_nanosleep, [time, 0, 0, 0, 0, 0]).0
}

/// Sleeps, and looks whether all of it is as it was.
fn guard(deep: &[u8]) -> Result<(), String> {
    match deep.iter().position(|byte| *byte != 0xa5) {
        None => Ok(()),
        Some(at) => Err(format!("{:#x} at byte {at} of its stack", deep[at])),
    }
}

/// Uses a mebibyte of stack after it had used two, but not before it is told.
pub(crate) fn when_told() -> ! {
    wait_until_told();
    deeper();
    deepened()
}

#[inline(never)]
fn deeper() {
    black_box([0_u8; 2 * DEEP]);
}

#[inline(never)]
fn deepened() -> ! {
    let deep = black_box([0xa5_u8; DEEP]);
    let mut sleep = sleeps();
    rounds(|| {
        sleep();
        guard(black_box(&deep))
    })
}

/// The same, with a page of somebody else's at the low end: one that nobody may access lies right below the stack, one that may
/// be read a little lower.
pub(crate) fn walled(wall: &str) -> ! {
    // The stack has grown to its end first.
    deeper();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let stack = maps.lines().find(|line| line.ends_with("[stack]")).and_then(|line| line.split('-').next());
    let low = stack.and_then(|start| i64::from_str_radix(start, 16).ok()).unwrap_or(0);
    let (distance, protection) = if wall == "none" { (1, libc::PROT_NONE) } else { (257, libc::PROT_READ) };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    let (mapped, _) =
        kernel(libc::SYS_mmap, [low - distance * 4096, 4096, protection.into(), flags.into(), -1, 0]);
    assert_eq!(mapped, low - distance * 4096);
    elsewhere()
}

/// Where its stack is in use, for the handler.
static USED: std::sync::OnceLock<&'static [u8]> = std::sync::OnceLock::new();

/// Runs in a handler on an alternate stack, while its main stack is in use down to its low end.
#[inline(never)]
pub(crate) fn elsewhere() -> ! {
    extern "C" fn handler(_: libc::c_int) {
        let mut sleep = sleeps();
        rounds(|| {
            sleep();
            guard(USED.get().copied().unwrap_or_default())
        })
    }
    let deep = black_box([0xa5_u8; DEEP]);
    // SAFETY: this function does not come back.
    let all = unsafe { std::slice::from_raw_parts(deep.as_ptr(), DEEP) };
    let _ = USED.set(all);
    const SIZE: usize = 256 * 1024;
    let stack = Vec::leak(vec![0_u8; SIZE]);
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: SIZE };
    // SAFETY: the memory is there for ever.
    assert_eq!(unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) }, 0);
    // SAFETY: a sigaction is plain numbers, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_ONSTACK;
    // SAFETY: the thread does nothing else when the handler runs.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()) }, 0);
    // SAFETY: takes a number.
    unsafe { libc::raise(libc::SIGUSR2) };
    unreachable!("the handler does not come back");
}

/// Maps all but the end of the largest hole of its address space, but not before it is told.
pub(crate) fn fills_when_told() -> ! {
    /// What stays free.
    const LEFT: u64 = 4 << 30;
    const FIXED: i32 =
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    wait_until_told();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let number = |digits: &str| u64::from_str_radix(digits, 16).unwrap_or(0);
    let areas = maps.lines().filter_map(|line| line.split_once(' ')?.0.split_once('-'));
    let (mut end, mut largest) = (0x1_0000, (0, 0));
    for (start, stop) in areas.map(|(start, stop)| (number(start), number(stop))) {
        if start < 1 << 47 && start.saturating_sub(end) > largest.1 - largest.0 {
            largest = (end, start);
        }
        end = stop;
    }
    let (start, len) = (largest.0.cast_signed(), (largest.1 - largest.0 - LEFT).cast_signed());
    let (mapped, _) = kernel(libc::SYS_mmap, [start, len, 0, FIXED.into(), -1, 0]);
    assert_eq!(mapped, start);
    let mut sleep = sleeps();
    rounds(|| if sleep() == 0 { Ok(()) } else { Err("a sleep was ended".to_owned()) })
}
