//! Calls that wait for a socket, with and without a time-out of the socket's own.

use pie_blob_tests::raw::{at, holding, kernel, leak, must};

use super::descriptors::vector;
use super::{Row, TIMEOUT, Wait, write_byte};

pub(super) static ROWS: &[Row] = &[
    ("recvfrom", || receiving(libc::SYS_recvfrom, false)),
    ("recvmsg", || receiving(libc::SYS_recvmsg, false)),
    ("recvmmsg", || receiving(libc::SYS_recvmmsg, false)),
    ("sendto", || sending(libc::SYS_sendto, false)),
    ("sendmsg", || sending(libc::SYS_sendmsg, false)),
    ("sendmmsg", || sending(libc::SYS_sendmmsg, false)),
    ("accept", || accepting(libc::SYS_accept, false)),
    ("accept4", || accepting(libc::SYS_accept4, false)),
    ("connect", || connecting(false)),
    ("recvfrom, SO_RCVTIMEO", || receiving(libc::SYS_recvfrom, true)),
    ("recvmsg, SO_RCVTIMEO", || receiving(libc::SYS_recvmsg, true)),
    ("recvmmsg, SO_RCVTIMEO", || receiving(libc::SYS_recvmmsg, true)),
    ("read, SO_RCVTIMEO", || receiving(libc::SYS_read, true)),
    ("readv, SO_RCVTIMEO", || receiving(libc::SYS_readv, true)),
    ("sendto, SO_SNDTIMEO", || sending(libc::SYS_sendto, true)),
    ("sendmsg, SO_SNDTIMEO", || sending(libc::SYS_sendmsg, true)),
    ("sendmmsg, SO_SNDTIMEO", || sending(libc::SYS_sendmmsg, true)),
    ("write, SO_SNDTIMEO", || sending(libc::SYS_write, true)),
    ("writev, SO_SNDTIMEO", || sending(libc::SYS_writev, true)),
    ("accept, SO_RCVTIMEO", || accepting(libc::SYS_accept, true)),
    ("accept4, SO_RCVTIMEO", || accepting(libc::SYS_accept4, true)),
    ("connect, SO_SNDTIMEO", || connecting(true)),
];

const UNIX: i64 = libc::AF_UNIX as i64;
const STREAM: i64 = libc::SOCK_STREAM as i64;

fn pair() -> [i64; 2] {
    let ends = leak([0_i32; 2]);
    must(libc::SYS_socketpair, [UNIX, STREAM, 0, at(ends), 0, 0]);
    ends.map(i64::from)
}

fn limit(socket: i64, option: i32) {
    let time = holding([0_i64, i64::try_from(TIMEOUT.as_micros()).unwrap_or(0)]);
    must(libc::SYS_setsockopt, [socket, libc::SOL_SOCKET.into(), option.into(), time, 16, 0]);
}

/// A `struct mmsghdr` of one vector of so many bytes; its beginning is a `struct msghdr`.
fn header(len: i64) -> i64 {
    holding([0_i64, 0, vector(len), 1, 0, 0, 0, 0])
}

/// The arguments behind the descriptor of a call that moves `len` bytes.
fn moving(number: i64, len: i64) -> [i64; 2] {
    match number {
        libc::SYS_recvmsg | libc::SYS_sendmsg => [header(len), 0],
        libc::SYS_recvmmsg | libc::SYS_sendmmsg => [header(len), 1],
        libc::SYS_readv | libc::SYS_writev => [vector(len), 1],
        _ => [holding([0_u8; 4096]), len],
    }
}

fn receiving(number: i64, limited: bool) -> Wait {
    let [socket, other] = pair();
    if limited {
        limit(socket, libc::SO_RCVTIMEO);
    }
    let [what, how] = moving(number, 1);
    let wait = Wait::new(number, [socket, what, how, 0, 0, 0], move || write_byte(other));
    Wait { timed: limited, ..wait }
}

fn sending(number: i64, limited: bool) -> Wait {
    let [socket, other] = pair();
    if limited {
        limit(socket, libc::SO_SNDTIMEO);
    }
    let page = holding([0_u8; 4096]);
    let nowait = i64::from(libc::MSG_DONTWAIT);
    while kernel(libc::SYS_sendto, [socket, page, 4096, nowait, 0, 0]).1 == 0 {}
    let [what, how] = moving(number, 4096);
    let wait = Wait::new(number, [socket, what, how, 0, 0, 0], move || {
        while kernel(libc::SYS_recvfrom, [other, page, 4096, nowait, 0, 0]).1 == 0 {}
    });
    Wait { timed: limited, ..wait }
}

/// A socket that listens under a name of the kernel's choice, with room for one that is not accepted; and that name.
fn listener() -> (i64, [i64; 2]) {
    let socket = must(libc::SYS_socket, [UNIX, STREAM, 0, 0, 0, 0]);
    let mut name = [0_u8; 110];
    name[..2].copy_from_slice(&u16::try_from(libc::AF_UNIX).unwrap_or(0).to_ne_bytes());
    let name = holding(name);
    must(libc::SYS_bind, [socket, name, 2, 0, 0, 0]);
    must(libc::SYS_listen, [socket, 0, 0, 0, 0, 0]);
    let len = leak(110_i32);
    must(libc::SYS_getsockname, [socket, name, at(len), 0, 0, 0]);
    (socket, [name, i64::from(*len)])
}

fn connect(name: [i64; 2]) -> i64 {
    let socket = must(libc::SYS_socket, [UNIX, STREAM, 0, 0, 0, 0]);
    must(libc::SYS_connect, [socket, name[0], name[1], 0, 0, 0]);
    socket
}

fn accepting(number: i64, limited: bool) -> Wait {
    let (socket, name) = listener();
    if limited {
        limit(socket, libc::SO_RCVTIMEO);
    }
    let wait = Wait::new(number, [socket, 0, 0, 0, 0, 0], move || {
        connect(name);
    });
    Wait { timed: limited, ..wait }
}

fn connecting(limited: bool) -> Wait {
    let (listening, name) = listener();
    connect(name);
    let socket = must(libc::SYS_socket, [UNIX, STREAM, 0, 0, 0, 0]);
    if limited {
        limit(socket, libc::SO_SNDTIMEO);
    }
    let wait = Wait::new(libc::SYS_connect, [socket, name[0], name[1], 0, 0, 0], move || {
        must(libc::SYS_accept, [listening, 0, 0, 0, 0, 0]);
    });
    Wait { timed: limited, ..wait }
}
