//! Which thread minds least that it is stopped.

use crate::proc;
use crate::target::Target;
use crate::{Error, restart};

/// How many threads are looked at: the more there are, the likelier is a good one among the first.
const MOST: usize = 64;

/// How much a stop disturbs a thread; the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Disturbance {
    /// It runs, or waits in a call that goes on where it was.
    None,
    /// It waits in a call whose time-out starts again.
    StartsAgain,
    /// It waits for something that no stop interrupts.
    Uninterruptible,
}

/// The thread that minds least. Among those that mind alike it is the first, whose stack has room for frames that nobody else can
/// come to; where a victim must be crash-safe it is always the first.
pub(super) fn least_disturbed(target: &Target) -> Result<i32, Error> {
    let pid = target.pid;
    let lives = !proc::has_ended(pid);
    if lives && (target.options.require_crash_safe || disturbance(pid, pid) == Disturbance::None) {
        return Ok(pid);
    }
    let others =
        proc::threads(pid)?.into_iter().filter(|tid| *tid != pid && !proc::is_worker(*tid)).take(MOST);
    let first = lives.then_some(pid);
    let all = first.into_iter().chain(others);
    all.min_by_key(|tid| disturbance(pid, *tid)).ok_or(Error::Zombie { pid })
}

/// How much a stop would disturb a thread now, as far as `/proc/PID/task/TID/syscall` says.
fn disturbance(pid: i32, tid: i32) -> Disturbance {
    crate::sys::count();
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).unwrap_or_default();
    let number = |field: &str| match field.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => field.parse().ok(),
    };
    let fields: Vec<u64> = text.split_ascii_whitespace().map_while(number).collect();
    match fields.as_slice() {
        [call, arguments @ ..] if starts_again(*call, arguments) => Disturbance::StartsAgain,
        [_, ..] => Disturbance::None,
        // It runs; or it waits in no call, as for a page.
        [] if text.starts_with("running") => Disturbance::None,
        [] => Disturbance::Uninterruptible,
    }
}

fn starts_again(call: u64, arguments: &[u64]) -> bool {
    i64::try_from(call).is_ok_and(|call| restart::starts_again(call, arguments))
}
