//! Calls that wait for a child.

use pie_blob_tests::raw::{holding, kernel, must};

use super::{Row, Wait, pipe};

pub(super) static ROWS: &[Row] = &[
    ("wait4", || {
        let child = child(|| ());
        Wait::new(libc::SYS_wait4, [child.pid, holding(0_i32), 0, 0, 0, 0], move || ends(child))
    }),
    ("waitid", || {
        let child = child(|| ());
        let information = holding([0_u8; 128]);
        let kind = libc::P_PID.into();
        Wait::new(libc::SYS_waitid, [kind, child.pid, information, libc::WEXITED.into(), 0, 0], move || {
            ends(child);
        })
    }),
];

/// A child that waits.
#[derive(Clone, Copy)]
pub(super) struct Child {
    pid: i64,
    /// What ends it when it is closed.
    write: i64,
}

/// A child that has done `first` and ends when it is told.
pub(super) fn child(first: impl FnOnce()) -> Child {
    let [read, write] = pipe();
    let [done, done_too] = pipe();
    // SAFETY: the program has one thread here; the child makes system calls only.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        must(libc::SYS_close, [write, 0, 0, 0, 0, 0]);
        first();
        must(libc::SYS_write, [done_too, holding(b'x'), 1, 0, 0, 0]);
        let _ = kernel(libc::SYS_read, [read, holding(0_u8), 1, 0, 0, 0]);
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) };
    }
    must(libc::SYS_read, [done, holding(0_u8), 1, 0, 0, 0]);
    Child { pid: pid.into(), write }
}

/// Ends a child.
pub(super) fn ends(child: Child) {
    must(libc::SYS_close, [child.write, 0, 0, 0, 0, 0]);
}
