//! Calls that wait for a lock.

use pie_blob_tests::raw::{at, holding, leak, must};

use super::descriptors::{folder, path};
use super::processes::{child, ends};
use super::{Row, Wait, absolute, at_end, relative};

pub(super) static ROWS: &[Row] = &[
    ("futex", || Wait::timed(libc::SYS_futex, [holding(0_u32), WAIT, 0, relative(), 0, 0])),
    ("futex, no time-out", || {
        let word = holding(0_u32);
        Wait::new(libc::SYS_futex, [word, WAIT, 0, 0, 0, 0], move || wake(word))
    }),
    ("futex, a moment", || {
        let wait = i64::from(libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG);
        let moment = absolute(libc::CLOCK_MONOTONIC);
        Wait::timed(libc::SYS_futex, [holding(0_u32), wait, 0, moment, 0, u32::MAX.into()])
    }),
    ("futex_waitv", || {
        let word = holding(0_u32);
        // struct futex_waitv: value, address, flags (32 bits, private).
        let waiter = holding([0_i64, word, 2 | i64::from(libc::FUTEX_PRIVATE_FLAG)]);
        Wait::new(SYS_FUTEX_WAITV, [waiter, 1, 0, 0, 0, 0], move || wake(word))
    }),
    ("flock", || {
        let [held, wanted] = file_twice();
        must(libc::SYS_flock, [held, libc::LOCK_EX.into(), 0, 0, 0, 0]);
        Wait::new(libc::SYS_flock, [wanted, libc::LOCK_EX.into(), 0, 0, 0, 0], move || {
            must(libc::SYS_flock, [held, libc::LOCK_UN.into(), 0, 0, 0, 0]);
        })
    }),
    ("fcntl, F_OFD_SETLKW", || {
        let [held, wanted] = file_twice();
        must(libc::SYS_fcntl, [held, libc::F_OFD_SETLK.into(), lock(), 0, 0, 0]);
        Wait::new(libc::SYS_fcntl, [wanted, libc::F_OFD_SETLKW.into(), lock(), 0, 0, 0], move || {
            must(libc::SYS_close, [held, 0, 0, 0, 0, 0]);
        })
    }),
    ("fcntl, F_SETLKW", || {
        let [held, wanted] = file_twice();
        let child = child(move || {
            must(libc::SYS_fcntl, [held, libc::F_SETLK.into(), lock(), 0, 0, 0]);
        });
        Wait::new(libc::SYS_fcntl, [wanted, libc::F_SETLKW.into(), lock(), 0, 0, 0], move || ends(child))
    }),
    ("semop", || {
        let set = semaphore();
        Wait::new(libc::SYS_semop, [set, down(), 1, 0, 0, 0], move || {
            must(libc::SYS_semop, [set, holding([0_i16, 1, 0]), 1, 0, 0, 0]);
        })
    }),
    ("semtimedop", || {
        let set = semaphore();
        Wait::timed(libc::SYS_semtimedop, [set, down(), 1, relative(), 0, 0])
    }),
];

const SYS_FUTEX_WAITV: i64 = 449;
const WAIT: i64 = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as i64;

fn wake(word: i64) {
    must(libc::SYS_futex, [word, (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG).into(), 1, 0, 0, 0]);
}

/// One file, opened twice, and gone by name.
fn file_twice() -> [i64; 2] {
    let folder = folder();
    let path = path(&folder.join("file"));
    let flags = (libc::O_RDWR | libc::O_CREAT).into();
    let files = [(); 2].map(|()| must(libc::SYS_openat, [libc::AT_FDCWD.into(), path, flags, 0o600, 0, 0]));
    std::fs::remove_dir_all(folder).expect("a folder of its own");
    files
}

/// A `struct flock` for the whole file.
fn lock() -> i64 {
    let kind = i64::from(libc::F_WRLCK);
    at(leak([kind, 0, 0, 0]))
}

/// A semaphore at 0.
fn semaphore() -> i64 {
    let set = must(libc::SYS_semget, [0, 1, 0o600, 0, 0, 0]);
    at_end(libc::SYS_semctl, [set, 0, libc::IPC_RMID.into(), 0, 0, 0]);
    set
}

fn down() -> i64 {
    holding([0_i16, -1, 0])
}
