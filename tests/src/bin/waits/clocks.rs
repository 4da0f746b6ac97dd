//! Calls that wait for time, for descriptors or time, for signals.

use pie_blob_tests::raw::{at, holding, leak, must};

use super::{Row, TIMEOUT, Wait, absolute, block_usr2, pipe, relative, send_usr2, write_byte};

pub(super) static ROWS: &[Row] = &[
    ("nanosleep", || Wait::timed(libc::SYS_nanosleep, [relative(), 0, 0, 0, 0, 0])),
    ("clock_nanosleep, relative", || sleeping(0, relative())),
    ("clock_nanosleep, absolute", || sleeping(libc::TIMER_ABSTIME, absolute(libc::CLOCK_MONOTONIC))),
    ("poll", || Wait::timed(libc::SYS_poll, [0, 0, milliseconds(), 0, 0, 0])),
    ("poll, no time-out", || ready(|read| (libc::SYS_poll, [polled(read), 1, -1, 0, 0, 0]))),
    ("ppoll", || Wait::timed(libc::SYS_ppoll, [0, 0, relative(), holding(0_u64), 8, 0])),
    ("ppoll, no time-out", || ready(|read| (libc::SYS_ppoll, [polled(read), 1, 0, holding(0_u64), 8, 0]))),
    ("select", || Wait::timed(libc::SYS_select, [0, 0, 0, 0, holding([0_i64, milliseconds() * 1000]), 0])),
    ("select, no time-out", || ready(|read| (libc::SYS_select, [read + 1, set(read), 0, 0, 0, 0]))),
    ("pselect6", || Wait::timed(libc::SYS_pselect6, [0, 0, 0, 0, relative(), empty_mask()])),
    ("pselect6, no time-out", || {
        ready(|read| (libc::SYS_pselect6, [read + 1, set(read), 0, 0, 0, empty_mask()]))
    }),
    ("epoll_wait", || Wait::timed(libc::SYS_epoll_wait, [epoll(None), event(), 1, milliseconds(), 0, 0])),
    ("epoll_wait, no time-out", || {
        ready(|read| (libc::SYS_epoll_wait, [epoll(Some(read)), event(), 1, -1, 0, 0]))
    }),
    ("epoll_pwait", || {
        let mask = holding(0_u64);
        Wait::timed(libc::SYS_epoll_pwait, [epoll(None), event(), 1, milliseconds(), mask, 8])
    }),
    ("epoll_pwait2", || {
        let mask = holding(0_u64);
        Wait::timed(libc::SYS_epoll_pwait2, [epoll(None), event(), 1, relative(), mask, 8])
    }),
    ("pause", || Wait::new(libc::SYS_pause, [0; 6], send_usr2)),
    ("rt_sigsuspend", || {
        block_usr2();
        Wait::new(libc::SYS_rt_sigsuspend, [holding(0_u64), 8, 0, 0, 0, 0], send_usr2)
    }),
    ("rt_sigtimedwait", || {
        block_usr2();
        Wait::timed(libc::SYS_rt_sigtimedwait, [usr2(), 0, relative(), 8, 0, 0])
    }),
    ("rt_sigtimedwait, no time-out", || {
        block_usr2();
        Wait::new(libc::SYS_rt_sigtimedwait, [usr2(), 0, 0, 8, 0, 0], send_usr2)
    }),
    ("io_getevents", || {
        Wait::timed(libc::SYS_io_getevents, [aio(), 1, 1, holding([0_u64; 4]), relative(), 0])
    }),
    ("io_pgetevents", || {
        Wait::timed(SYS_IO_PGETEVENTS, [aio(), 1, 1, holding([0_u64; 4]), relative(), empty_mask()])
    }),
    ("io_uring_enter", || {
        let ring = must(libc::SYS_io_uring_setup, [4, holding([0_u64; 15]), 0, 0, 0, 0]);
        // struct io_uring_getevents_arg: mask, its size, time-out.
        let extended = holding([0_i64, 8, relative()]);
        Wait::timed(libc::SYS_io_uring_enter, [ring, 0, 1, IORING_ENTER_GETEVENTS_EXT_ARG, extended, 24])
    }),
];

const SYS_IO_PGETEVENTS: i64 = 333;
const IORING_ENTER_GETEVENTS_EXT_ARG: i64 = 1 | 8;

fn milliseconds() -> i64 {
    i64::try_from(TIMEOUT.as_millis()).unwrap_or(0)
}

fn sleeping(flags: i32, time: i64) -> Wait {
    Wait::timed(libc::SYS_clock_nanosleep, [libc::CLOCK_MONOTONIC.into(), flags.into(), time, 0, 0, 0])
}

/// A wait for a pipe that becomes readable.
fn ready(call: fn(i64) -> (i64, [i64; 6])) -> Wait {
    let [read, write] = pipe();
    let (number, arguments) = call(read);
    Wait::new(number, arguments, move || write_byte(write))
}

#[expect(clippy::cast_possible_truncation, reason = "a descriptor")]
fn polled(descriptor: i64) -> i64 {
    holding(libc::pollfd { fd: descriptor as i32, events: libc::POLLIN, revents: 0 })
}

fn set(descriptor: i64) -> i64 {
    let mut set = [0_u64; 16];
    set[0] = 1 << descriptor;
    holding(set)
}

/// What `pselect6` and `io_pgetevents` take for an empty mask.
fn empty_mask() -> i64 {
    holding([holding(0_u64), 8])
}

fn usr2() -> i64 {
    holding(1_u64 << (libc::SIGUSR2 - 1))
}

fn event() -> i64 {
    holding([0_u8; 12])
}

fn epoll(descriptor: Option<i64>) -> i64 {
    let epoll = must(libc::SYS_epoll_create1, [0; 6]);
    if let Some(descriptor) = descriptor {
        let event = holding([libc::EPOLLIN.unsigned_abs(), 0, 0]);
        must(libc::SYS_epoll_ctl, [epoll, libc::EPOLL_CTL_ADD.into(), descriptor, event, 0, 0]);
    }
    epoll
}

fn aio() -> i64 {
    let context = leak(0_i64);
    must(libc::SYS_io_setup, [4, at(context), 0, 0, 0, 0]);
    *context
}
