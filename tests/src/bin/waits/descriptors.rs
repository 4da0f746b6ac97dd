//! Calls that wait for bytes, or for room for them.

use pie_blob_tests::raw::{at, holding, leak, must};

use super::{Row, Wait, pipe, relative, write_byte};

pub(super) static ROWS: &[Row] = &[
    ("read, a pipe", || reading(libc::SYS_read)),
    ("readv, a pipe", || reading(libc::SYS_readv)),
    ("write, a full pipe", || writing(libc::SYS_write)),
    ("writev, a full pipe", || writing(libc::SYS_writev)),
    ("read, a terminal", || {
        let master = must(libc::SYS_openat, [libc::AT_FDCWD.into(), path("/dev/ptmx".as_ref()), 2, 0, 0, 0]);
        must(libc::SYS_ioctl, [master, libc::TIOCSPTLCK.cast_signed(), holding(0_i32), 0, 0, 0]);
        let flags = i64::from(libc::O_RDWR | libc::O_NOCTTY);
        let slave = must(libc::SYS_ioctl, [master, libc::TIOCGPTPEER.cast_signed(), flags, 0, 0, 0]);
        Wait::new(libc::SYS_read, [slave, holding([0_u8; 8]), 8, 0, 0, 0], move || {
            must(libc::SYS_write, [master, holding(*b"x\n"), 2, 0, 0, 0]);
        })
    }),
    ("read, an eventfd", || {
        let event = must(libc::SYS_eventfd2, [0; 6]);
        Wait::new(libc::SYS_read, [event, holding(0_u64), 8, 0, 0, 0], move || {
            must(libc::SYS_write, [event, holding(1_u64), 8, 0, 0, 0]);
        })
    }),
    ("read, a timerfd", || {
        let timer = must(libc::SYS_timerfd_create, [libc::CLOCK_MONOTONIC.into(), 0, 0, 0, 0, 0]);
        let time = leak([0_i64; 4]);
        // SAFETY: `relative` gives the address of two words that live as long as the program.
        let until = unsafe {
            *std::ptr::with_exposed_provenance::<[i64; 2]>(usize::try_from(relative()).unwrap_or(0))
        };
        time[2..].copy_from_slice(&until);
        must(libc::SYS_timerfd_settime, [timer, 0, at(time), 0, 0, 0]);
        Wait::timed(libc::SYS_read, [timer, holding(0_u64), 8, 0, 0, 0])
    }),
    ("read, inotify", || {
        let inotify = must(libc::SYS_inotify_init1, [0; 6]);
        let folder = folder();
        let path = path(&folder);
        must(libc::SYS_inotify_add_watch, [inotify, path, libc::IN_CREATE.into(), 0, 0, 0]);
        Wait::new(libc::SYS_read, [inotify, holding([0_u8; 512]), 512, 0, 0, 0], move || {
            std::fs::write(folder.join("new"), "").expect("a file");
            std::fs::remove_dir_all(folder).expect("a folder of its own");
        })
    }),
    ("openat, a FIFO", || {
        let folder = folder();
        let fifo = folder.join("fifo");
        let path = path(&fifo);
        must(libc::SYS_mknodat, [libc::AT_FDCWD.into(), path, (libc::S_IFIFO | 0o600).into(), 0, 0, 0]);
        Wait::new(libc::SYS_openat, [libc::AT_FDCWD.into(), path, 0, 0, 0, 0], move || {
            // For both, which never waits.
            let both = std::fs::OpenOptions::new().read(true).write(true).open(fifo);
            std::mem::forget(both.expect("a FIFO"));
            std::fs::remove_dir_all(folder).expect("a folder of its own");
        })
    }),
];

/// A folder of its own.
pub(super) fn folder() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("pie_blob_waits_{}", std::process::id()));
    // That of a program that was killed and had the same id.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).expect("a folder");
    folder
}

/// The address of a path that lives as long as the program.
pub(super) fn path(path: &std::path::Path) -> i64 {
    let path = std::ffi::CString::new(path.to_str().expect("UTF-8")).expect("no zero byte");
    i64::try_from(path.into_raw().expose_provenance()).unwrap_or(0)
}

/// One vector of so many bytes.
pub(super) fn vector(len: i64) -> i64 {
    holding([holding([0_u8; 4096]), len])
}

fn reading(number: i64) -> Wait {
    let [read, write] = pipe();
    let into = if number == libc::SYS_readv { [vector(1), 1] } else { [holding(0_u8), 1] };
    Wait::new(number, [read, into[0], into[1], 0, 0, 0], move || write_byte(write))
}

fn writing(number: i64) -> Wait {
    let [read, write] = pipe();
    let status = must(libc::SYS_fcntl, [write, libc::F_GETFL.into(), 0, 0, 0, 0]);
    must(libc::SYS_fcntl, [write, libc::F_SETFL.into(), status | i64::from(libc::O_NONBLOCK), 0, 0, 0]);
    let page = holding([0_u8; 4096]);
    while pie_blob_tests::raw::kernel(libc::SYS_write, [write, page, 4096, 0, 0, 0]).0 > 0 {}
    must(libc::SYS_fcntl, [write, libc::F_SETFL.into(), status, 0, 0, 0]);
    let from = if number == libc::SYS_writev { [vector(4096), 1] } else { [page, 4096] };
    Wait::new(number, [write, from[0], from[1], 0, 0, 0], move || {
        for _ in 0..4 {
            must(libc::SYS_read, [read, holding([0_u8; 4096]), 4096, 0, 0, 0]);
        }
    })
}
