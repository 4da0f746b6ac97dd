//! A thread that waits in `vfork` until its child has executed a program or ended: nothing but a kill reaches it meanwhile.

use super::texts::number;
use crate::{Error, proc, sys};

/// A thread in such a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vfork {
    pub(crate) tid: i32,
    /// Whom it waits for, where the kernel says so.
    pub(crate) child: Option<i32>,
}

/// The first thread of a process that waits so.
pub(crate) fn waiting_in_vfork(pid: i32, threads: usize) -> Result<Option<Vfork>, Error> {
    let tids = if threads > 1 { proc::threads(pid)? } else { vec![pid] };
    Ok(tids.into_iter().find_map(|tid| of_thread(pid, tid)))
}

fn of_thread(pid: i32, tid: i32) -> Option<Vfork> {
    // A thread that has ended meanwhile waits for nothing.
    let read = |file| {
        sys::count();
        std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/{file}")).unwrap_or_default()
    };
    if state(&read("stat")) != Some('D') {
        return None;
    }
    let children = read("children");
    let mut children = children.split_ascii_whitespace().filter_map(number::<i32>);
    let child = children.find(|child| sys::share_memory(pid, *child));
    (child.is_some() || is_vfork(&read("syscall"))).then_some(Vfork { tid, child })
}

/// The letter behind the name in parentheses, which may itself hold anything.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Whether the text of `/proc/PID/syscall` is that of a call that makes processes.
fn is_vfork(syscall: &str) -> bool {
    let calls = [libc::SYS_vfork, libc::SYS_clone, libc::SYS_clone3];
    syscall.split_ascii_whitespace().next().and_then(number).is_some_and(|call: i64| calls.contains(&call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(state("31217 (a) b) D 31216 31078"), Some('D'));
        assert_eq!(state("31217 (vf"), None);
        assert!(is_vfork("58 0x55c128eb7162 0x7fffc0cea598 0x0 0x0 0x0 0x0 0x7fffc0cea480 0x7f8db1d353b8\n"));
        assert!(is_vfork("435 0x1"));
        for other in ["", "running\n", "-1 0x7fff 0x7f8d\n", "0 0x3 0x7ffd 0x1 0x0 0x0 0x0 0x7ffd 0x7f1b\n"] {
            assert!(!is_vfork(other), "{other}");
        }
    }
}
