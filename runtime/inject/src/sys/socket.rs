//! What a socket is, and who made it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{check, count};

/// A connected socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// `AF_*` and `SOCK_*`.
    pub(crate) family: i32,
    pub(crate) kind: i32,
    /// Whether either end has a name.
    pub(crate) named: bool,
    /// The process that made a pair or that listened, and its effective user, as this process's namespaces show them;
    /// zeros where the family does not say.
    pub(crate) maker: i32,
    pub(crate) user: u32,
    /// How much was sent that the other end has not received yet.
    pub(crate) sent: i32,
}

/// Looks at a socket; `ENOTSOCK` and `ENOTCONN` say what it is not.
pub(crate) fn look(socket: BorrowedFd<'_>) -> io::Result<Found> {
    let number = |option| -> io::Result<i32> {
        let mut value = 0_i32;
        get(socket, option, &mut value)?;
        Ok(value)
    };
    let (family, kind) = (number(libc::SO_DOMAIN)?, number(libc::SO_TYPE)?);
    if family != libc::AF_UNIX {
        return Ok(Found { family, kind, named: true, maker: 0, user: 0, sent: 0 });
    }
    let named = has_name(socket, libc::getsockname)? || has_name(socket, libc::getpeername)?;
    let mut maker = libc::ucred { pid: 0, uid: 0, gid: 0 };
    get(socket, libc::SO_PEERCRED, &mut maker)?;
    let mut sent = 0_i32;
    count();
    // SAFETY: the kernel writes one int (SIOCOUTQ).
    check(libc::c_long::from(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut sent) }))?;
    Ok(Found { family, kind, named, maker: maker.pid, user: maker.uid, sent })
}

/// Reads an option at the level of sockets into a value of plain numbers.
fn get<T: Copy>(socket: BorrowedFd<'_>, option: i32, value: &mut T) -> io::Result<()> {
    let mut len = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    count();
    // SAFETY: the kernel writes at most `len` bytes, the size of `value`, whose types here (an int, three ints) have no
    // value that is none.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            std::ptr::from_mut(value).cast(),
            &raw mut len,
        )
    };
    check(libc::c_long::from(got)).map(drop)
}

type GetName = unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

/// Whether an end has a name: then its address is longer than the family.
fn has_name(socket: BorrowedFd<'_>, ask: GetName) -> io::Result<bool> {
    // SAFETY: an address is plain numbers, for which zeros are a value.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    let mut len = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
    count();
    // SAFETY: the kernel writes at most `len` bytes, the size of `address`, and how many it has to `len`.
    let asked = unsafe { ask(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut len) };
    check(libc::c_long::from(asked))?;
    Ok(usize::try_from(len).is_ok_and(|len| len > size_of::<libc::sa_family_t>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    #[test]
    fn a_pair_is_its_makers() {
        let pair =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let found = look(pair.0.as_fd()).unwrap();
        assert_eq!((found.family, found.kind), (libc::AF_UNIX, libc::SOCK_SEQPACKET));
        assert_eq!((found.named, found.sent), (false, 0));
        assert_eq!(found.maker, i32::try_from(std::process::id()).unwrap());
        rustix::io::write(&pair.0, b"x").unwrap();
        assert!(look(pair.0.as_fd()).unwrap().sent > 0);
    }

    #[test]
    fn what_is_none() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(look(file.as_fd()).unwrap_err().raw_os_error(), Some(libc::ENOTSOCK));
        let alone = UnixDatagram::unbound().unwrap();
        assert_eq!(look(alone.as_fd()).unwrap_err().raw_os_error(), Some(libc::ENOTCONN));
        let network = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_ne!(look(network.as_fd()).unwrap().family, libc::AF_UNIX);
        let path = std::env::temp_dir().join(format!("pie_blob socket {}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let here = UnixStream::connect(&path).unwrap();
        let (there, _) = listener.accept().unwrap();
        assert!(look(here.as_fd()).unwrap().named && look(there.as_fd()).unwrap().named);
        std::fs::remove_file(path).unwrap();
    }
}
