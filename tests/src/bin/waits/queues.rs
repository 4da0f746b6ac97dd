//! Calls that wait for a message, or for room for one.

use pie_blob_tests::raw::{holding, kernel, must};

use super::{Row, Wait, absolute, at_end};

pub(super) static ROWS: &[Row] = &[
    ("msgrcv", || {
        let queue = system_v();
        Wait::new(libc::SYS_msgrcv, [queue, message(), 8, 0, 0, 0], move || {
            must(libc::SYS_msgsnd, [queue, message(), 8, 0, 0, 0]);
        })
    }),
    ("msgsnd", || {
        let queue = system_v();
        let nowait = libc::IPC_NOWAIT.into();
        while kernel(libc::SYS_msgsnd, [queue, message(), 4096, nowait, 0, 0]).1 == 0 {}
        Wait::new(libc::SYS_msgsnd, [queue, message(), 4096, 0, 0, 0], move || {
            must(libc::SYS_msgrcv, [queue, message(), 4096, 0, 0, 0]);
        })
    }),
    ("mq_timedreceive", || {
        Wait::timed(libc::SYS_mq_timedreceive, [posix(), message(), 8, 0, absolute(libc::CLOCK_REALTIME), 0])
    }),
    ("mq_timedreceive, no time-out", || {
        let queue = posix();
        Wait::new(libc::SYS_mq_timedreceive, [queue, message(), 8, 0, 0, 0], move || send(queue))
    }),
    ("mq_timedsend", || {
        let queue = posix();
        send(queue);
        let moment = absolute(libc::CLOCK_REALTIME);
        Wait::timed(libc::SYS_mq_timedsend, [queue, message(), 8, 0, moment, 0])
    }),
    ("mq_timedsend, no time-out", || {
        let queue = posix();
        send(queue);
        Wait::new(libc::SYS_mq_timedsend, [queue, message(), 8, 0, 0, 0], move || {
            must(libc::SYS_mq_timedreceive, [queue, message(), 8, 0, 0, 0]);
        })
    }),
];

/// A message of kind 1, of up to 4,096 bytes.
fn message() -> i64 {
    let mut message = [0_u64; 513];
    message[0] = 1;
    holding(message)
}

fn system_v() -> i64 {
    let queue = must(libc::SYS_msgget, [0, 0o600, 0, 0, 0, 0]);
    at_end(libc::SYS_msgctl, [queue, libc::IPC_RMID.into(), 0, 0, 0, 0]);
    queue
}

/// A queue for one message of eight bytes, gone by name.
fn posix() -> i64 {
    let name = super::descriptors::path(format!("pie_blob_{}", std::process::id()).as_ref());
    let flags = i64::from(libc::O_RDWR | libc::O_CREAT);
    let queue = must(libc::SYS_mq_open, [name, flags, 0o600, holding([0_i64, 1, 8, 0, 0, 0, 0, 0]), 0, 0]);
    must(libc::SYS_mq_unlink, [name, 0, 0, 0, 0, 0]);
    queue
}

fn send(queue: i64) {
    must(libc::SYS_mq_timedsend, [queue, message(), 8, 0, 0, 0]);
}
