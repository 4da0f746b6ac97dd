//! Descriptors that a host gives to the process.
//!
//! A descriptor goes from one process to another over a socket (`SCM_RIGHTS`). The process makes a pair of them and says the number
//! of one end; the host, which may trace it, takes a copy of that end (`pidfd_getfd`) and sends. So nothing has a name that
//! somebody else could find or a namespace, a root directory or a policy could hide, and all of it happens within one call: a
//! host that dies meanwhile leaves nothing open.
//!
//! A blob that wants it exports a function of this kind, as the parasite does:
//!
//! ```
//! # #![cfg_attr(pie_blob, no_std)]
//! use core::ffi::c_int;
//!
//! /// What `Infected::give_descriptor` calls.
//! #[cfg_attr(pie_blob, unsafe(no_mangle))]
//! pub unsafe extern "C" fn receive_descriptor(end: *mut c_int, close_on_exec: c_int, microseconds: u64) -> c_int {
//!     // SAFETY: the host's promise is this function's.
//!     unsafe { pie_blob_std::descriptors::receive(end, close_on_exec, microseconds) }
//! }
//! # fn main() {}
//! ```

use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, Ordering};

use linux_raw_sys::general::{__kernel_old_timeval, O_CLOEXEC, iovec};
use linux_raw_sys::net::{
    AF_UNIX, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SO_RCVTIMEO_OLD, SOCK_SEQPACKET, SOL_SOCKET, cmsghdr, msghdr,
};
use syscalls::{Errno, Sysno, syscall1, syscall3, syscall4, syscall5};

use crate::sys::sign_extended;

/// How an export that receives a descriptor looks to a host.
pub type Receive = unsafe extern "C" fn(*mut c_int, c_int, u64) -> c_int;

/// A control message with room for one descriptor, as `SCM_RIGHTS` has it.
#[repr(C)]
struct Control {
    header: cmsghdr,
    descriptor: c_int,
}

/// Header and descriptor, without padding: the kernel puts in as many descriptors as there is room for.
const CONTROL: usize = size_of::<cmsghdr>() + size_of::<c_int>();

/// Receives a descriptor and returns its number, or a negated error number: `ETIMEDOUT` when nobody sent one in time,
/// `EMFILE` when there was no free number for it or a security module kept it back.
///
/// `end` becomes the number of the end that the descriptor is to be sent to. When this returns, both ends are closed.
///
/// # Safety
///
/// `end` points to an aligned `int` that nobody else writes meanwhile.
pub unsafe fn receive(end: *mut c_int, close_on_exec: c_int, microseconds: u64) -> c_int {
    let mut pair: [c_int; 2] = [-1; 2];
    let kind = SOCK_SEQPACKET | O_CLOEXEC;
    // SAFETY: socketpair writes two ints to the last argument.
    let made =
        unsafe { syscall4(Sysno::socketpair, AF_UNIX as usize, kind as usize, 0, (&raw mut pair).addr()) };
    if let Err(errno) = made {
        return -errno.into_raw();
    }
    let [here, there] = pair;
    let received = wait_at_most(here, microseconds).and_then(|()| {
        // SAFETY: the caller's promise; the host reads it while this thread waits.
        unsafe { AtomicI32::from_ptr(end) }.store(there, Ordering::Release);
        receive_from(here, close_on_exec != 0)
    });
    for end in pair {
        // SAFETY: takes a number; the descriptor is this function's own.
        let _ = unsafe { syscall1(Sysno::close, sign_extended(end)) };
    }
    received.unwrap_or_else(|errno| -errno.into_raw())
}

/// Has receiving from a socket end with `EAGAIN` after a while.
fn wait_at_most(socket: c_int, microseconds: u64) -> Result<(), Errno> {
    let mut time = __kernel_old_timeval { tv_sec: 0, tv_usec: 0 };
    // On 32-bit machines the time is one of 32 bits; longer than that nobody waits.
    time.tv_sec = (microseconds / 1_000_000).try_into().unwrap_or_default();
    time.tv_usec = (microseconds % 1_000_000).try_into().unwrap_or_default();
    let (level, option) = (SOL_SOCKET as usize, SO_RCVTIMEO_OLD as usize);
    // SAFETY: setsockopt reads a time of the given size.
    unsafe {
        syscall5(
            Sysno::setsockopt,
            sign_extended(socket),
            level,
            option,
            (&raw const time).addr(),
            size_of_val(&time),
        )
    }
    .map(drop)
}

/// Receives one message and takes the descriptor out of it.
fn receive_from(socket: c_int, close_on_exec: bool) -> Result<c_int, Errno> {
    let mut byte = 0_u8;
    let mut control =
        Control { header: cmsghdr { cmsg_len: 0, cmsg_level: 0, cmsg_type: 0 }, descriptor: -1 };
    let mut data = iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut message = msghdr {
        msg_name: core::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: (&raw mut data).cast(),
        msg_iovlen: 1,
        msg_control: (&raw mut control).cast(),
        msg_controllen: CONTROL,
        msg_flags: 0,
    };
    let flags = if close_on_exec { MSG_CMSG_CLOEXEC } else { 0 };
    let len = loop {
        // SAFETY: recvmsg writes at most the lengths given to the byte and to the control message, and to the message itself.
        match unsafe {
            syscall3(Sysno::recvmsg, sign_extended(socket), (&raw mut message).addr(), flags as usize)
        } {
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Err(Errno::ETIMEDOUT),
            answer => break answer?,
        }
    };
    let header = &control.header;
    let rights =
        header.cmsg_level.unsigned_abs() == SOL_SOCKET && header.cmsg_type.unsigned_abs() == SCM_RIGHTS;
    if message.msg_controllen == CONTROL && header.cmsg_len == CONTROL && rights {
        return Ok(control.descriptor);
    }
    // The other end was shut, or the kernel could not put the descriptor in.
    Err(if len == 0 { Errno::ECONNRESET } else { Errno::EMFILE })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::net::UnixDatagram;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Descriptors are the whole process's: one test at a time.
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

    fn open() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    /// Receives while `work` has the other end, which is not its own to close.
    fn receiving(microseconds: u64, work: impl FnOnce(c_int) + Send + 'static) -> c_int {
        let end: &'static AtomicI32 = std::boxed::Box::leak(std::boxed::Box::new(AtomicI32::new(-1)));
        let sender = thread::spawn(move || {
            let mut other = -1;
            while other < 0 {
                thread::sleep(Duration::from_millis(1));
                other = end.load(Ordering::Acquire);
            }
            work(other);
        });
        // SAFETY: an atomic int is an aligned int, and the sender only reads it.
        let received = unsafe { receive(end.as_ptr(), 1, microseconds) };
        sender.join().unwrap();
        received
    }

    /// Sends a descriptor with one byte.
    fn send(to: c_int, descriptor: c_int) {
        let rights = cmsghdr {
            cmsg_len: CONTROL,
            cmsg_level: c_int::try_from(SOL_SOCKET).unwrap(),
            cmsg_type: c_int::try_from(SCM_RIGHTS).unwrap(),
        };
        let mut control = Control { header: rights, descriptor };
        let mut data = iovec { iov_base: (&raw mut control).cast(), iov_len: 1 };
        let message = msghdr {
            msg_name: core::ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: (&raw mut data).cast(),
            msg_iovlen: 1,
            msg_control: (&raw mut control).cast(),
            msg_controllen: CONTROL,
            msg_flags: 0,
        };
        // SAFETY: sendmsg reads the message and what it refers to, all of which lives as long as this function.
        unsafe { syscall3(Sysno::sendmsg, sign_extended(to), (&raw const message).addr(), 0) }.unwrap();
    }

    #[test]
    fn a_descriptor_arrives_and_the_ends_are_closed() {
        let _alone = ALONE.lock();
        let (one, other) = UnixDatagram::pair().unwrap();
        let before = open();
        let given = other.as_raw_fd();
        let received = receiving(5_000_000, move |end| send(end, given));
        assert!(received > 2, "{received}");
        assert_eq!(open(), before + 1);
        // SAFETY: it was just received, and nobody else knows it.
        let received = UnixDatagram::from(unsafe { OwnedFd::from_raw_fd(received) });
        one.send(b"x").unwrap();
        assert_eq!(received.recv(&mut [0; 2]).unwrap(), 1, "the same socket");
    }

    #[test]
    fn nobody_sends() {
        let _alone = ALONE.lock();
        let before = open();
        assert_eq!(receiving(30_000, |_| ()), -Errno::ETIMEDOUT.into_raw());
        assert_eq!(open(), before);
    }

    #[test]
    fn the_other_end_is_shut_or_says_nothing_of_use() {
        let _alone = ALONE.lock();
        let before = open();
        let shut = receiving(5_000_000, |end| {
            // SAFETY: takes two numbers.
            unsafe { syscalls::syscall2(Sysno::shutdown, sign_extended(end), 2) }.unwrap();
        });
        assert_eq!(shut, -Errno::ECONNRESET.into_raw());
        let bare = receiving(5_000_000, |end| {
            crate::sys::write(end, b"x").unwrap();
        });
        assert_eq!(bare, -Errno::EMFILE.into_raw());
        assert_eq!(open(), before);
    }
}
