//! Descriptors across the border: a copy of one of the victim's for this process, one of this process's for the victim.
//!
//! Both are the same open file on both sides, with one position and one set of status flags, as after `dup`.
//!
//! **Taking** is `pidfd_getfd(2)` (Linux 5.6). The kernel asks for what it asks for seizing (`PTRACE_MODE_ATTACH_REALCREDS`, and
//! the security modules for the file): whoever may inject may take. The process need not be stopped and does not notice.
//!
//! **Giving** needs the process to receive, because no system call puts a descriptor into another one. A blob does it
//! ([`pie_blob_std::descriptors`]): it makes a pair of sockets, this process takes one end and sends the descriptor
//! (`SCM_RIGHTS`), and the blob closes the pair. The right to seize is enough; there is no name, so that namespaces, root
//! directories and file permissions have no part in it. Security modules are asked whether the victim may receive the file. A
//! seccomp filter sleeps meanwhile, as for every call. The process needs three free numbers for a moment (`RLIMIT_NOFILE`).
//!
//! It happens within one call. Should this process be killed at any moment of it, the victim has afterwards either the
//! descriptor or nothing new.

use std::ffi::c_int;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pie_blob::Offset;
use pie_blob_std::descriptors::Receive;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};

use crate::proc::StatusFile;
use crate::sys::{self, memory, socket};
use crate::{Error, Infected, Target, Victim, policy};

/// How long a blob waits for its descriptor: as long as a victim is kept if this process dies just before it sends.
const SENT_WITHIN: Duration = Duration::from_millis(200);
/// How often it is asked to, because a busy machine may take longer.
const ATTEMPTS: u32 = 5;

impl Target {
    /// Takes a copy of a descriptor of the process, which need not be stopped: the same open file, closed on `execve` here.
    ///
    /// ```no_run
    /// use std::io::{Read, Seek};
    /// use pie_blob_inject::Target;
    ///
    /// let mut file = std::fs::File::from(Target::open(4711)?.take_descriptor(3)?);
    /// println!("its file stands at byte {}", file.stream_position()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The table asked is that of the process's first thread; a thread that has one of its own (`unshare(CLONE_FILES)`) is not
    /// asked.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchDescriptor`], [`Error::NotPermitted`], [`Error::NoSuchProcess`]; [`Error::Kernel`] on a kernel before 5.6, or
    /// when this process has no free number.
    pub fn take_descriptor(&self, descriptor: i32) -> Result<OwnedFd, Error> {
        copy(self.pid, open(self.pid, &self.status)?.as_fd(), descriptor)
    }
}

impl Victim {
    /// As [`Target::take_descriptor`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn take_descriptor(&self, descriptor: i32) -> Result<OwnedFd, Error> {
        let target = self.target.as_ref().ok_or(Error::NoSuchProcess { pid: self.pid })?;
        target.take_descriptor(descriptor)
    }
}

impl Infected {
    /// As [`Target::take_descriptor`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn take_descriptor(&self, descriptor: i32) -> Result<OwnedFd, Error> {
        self.target().ok_or(Error::NoSuchProcess { pid: 0 })?.take_descriptor(descriptor)
    }

    /// Gives the victim a copy of a descriptor of this process and returns its number there: the same open file. It stays when
    /// the victim is cured; that is the only trace.
    ///
    /// `receiver` is the blob's export that receives it: the parasite's `RECEIVE_DESCRIPTOR`, or one of a blob's own, see
    /// [`pie_blob_std::descriptors`].
    ///
    /// ```no_run
    /// use pie_blob_inject::Victim;
    /// use pie_blob_parasite::parasite;
    ///
    /// let log = std::fs::File::create("victim.log")?;
    /// let mut infected = Victim::seize(4711)?.infect(&parasite::BLOB)?;
    /// let number = infected.give_descriptor(parasite::RECEIVE_DESCRIPTOR, &log, true)?;
    /// infected.cure()?.release()?;
    /// println!("its descriptor {number} is victim.log");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the victim cannot have one more (`EMFILE`, or a security module's policy), [`Error::NotPermitted`],
    /// [`Error::NotItsSocket`] when somebody has changed what the blob said, [`Error::Kernel`], and those of
    /// [`call`](Self::call). The victim has nothing new then.
    pub fn give_descriptor(
        &mut self,
        receiver: Offset<Receive>,
        descriptor: impl AsFd,
        close_on_exec: bool,
    ) -> Result<i32, Error> {
        for _ in 1..ATTEMPTS {
            match self.try_to_give(receiver, descriptor.as_fd(), close_on_exec) {
                Err(Error::Refused { source, .. }) if source.raw_os_error() == Some(libc::ETIMEDOUT) => {}
                given => return given,
            }
        }
        self.try_to_give(receiver, descriptor.as_fd(), close_on_exec)
    }

    fn try_to_give(
        &mut self,
        receiver: Offset<Receive>,
        descriptor: BorrowedFd<'_>,
        close_on_exec: bool,
    ) -> Result<i32, Error> {
        let target = self.target().ok_or(Error::NoSuchProcess { pid: 0 })?;
        let (pid, deadline) = (target.pid, target.options.deadline);
        let process = open(pid, &target.status)?;
        let wait = SENT_WITHIN.min(deadline / 2);
        let mut end: c_int = -1;
        // It lies where the only argument in memory lies. What an earlier call has left there must not be taken for it.
        let address = self.room().ok_or(Error::NoSuchProcess { pid })?.start;
        target.memory.write(address, &end.to_ne_bytes()).map_err(Error::kernel("copy the arguments", pid))?;
        let over = AtomicBool::new(false);
        let (called, sent) = std::thread::scope(|scope| {
            // This thread waits for the victim; somebody must send meanwhile.
            let courier = Courier { pid, process: process.as_fd(), address, over: &over };
            let courier = std::thread::Builder::new().spawn_scoped(scope, move || courier.send(descriptor));
            let courier =
                courier.map_err(|source| Error::Kernel { action: "start a thread for it", pid, source })?;
            let microseconds = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
            // Whatever becomes of the call.
            let ending = Over(&over);
            let called = self.call(receiver, (&mut end, c_int::from(close_on_exec), microseconds));
            drop(ending);
            Ok::<_, Error>((called, courier.join()))
        })?;
        let sent = sent.unwrap_or(Ok(false));
        match (called?, sent) {
            // What it says is not what was asked of it: not to be asked again.
            (_, Err(error @ Error::NotItsSocket { .. })) => Err(error),
            (number @ 0.., Ok(_)) => Ok(number),
            // Too late: it had given up, and closed the end that was sent to.
            (errno, Err(_)) if errno == -libc::ETIMEDOUT => {
                let source = io::Error::from_raw_os_error(libc::ETIMEDOUT);
                Err(Error::Refused { pid, call: "recvmsg", source })
            }
            (_, Err(error)) => Err(error),
            (errno, Ok(sent)) => {
                let call = if sent { "recvmsg" } else { "socketpair" };
                Err(Error::Refused { pid, call, source: io::Error::from_raw_os_error(-errno) })
            }
        }
    }
}

/// Says that the victim waits no longer, when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Who sends a descriptor while the victim waits for it.
struct Courier<'a> {
    pid: i32,
    process: BorrowedFd<'a>,
    /// Where the victim says the number of the end to send to.
    address: u64,
    /// Whether the victim waits no longer.
    over: &'a AtomicBool,
}

impl Courier<'_> {
    /// Sends; `false` when the victim never said where to.
    fn send(&self, descriptor: BorrowedFd<'_>) -> Result<bool, Error> {
        let Some(end) = self.end()? else { return Ok(false) };
        let socket = copy(self.pid, self.process, end)?;
        self.check(end, socket.as_fd())?;
        let rights = [descriptor];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&rights));
        sys::count();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = rustix::net::sendmsg(&socket, &[IoSlice::new(&[0])], &mut control, flags);
        if let Err(error) = sent {
            if error == rustix::io::Errno::AGAIN {
                // One that has just been made has room.
                return Err(self.refuse(end, "has no room for one more message"));
            }
            // It need not wait any longer.
            let _ = rustix::net::shutdown(&socket, Shutdown::Both);
            return Err(Error::Kernel {
                action: "send a descriptor to it",
                pid: self.pid,
                source: error.into(),
            });
        }
        Ok(true)
    }

    /// Refuses what cannot be an end of the pair that the blob has just made. The number is a word in the victim's memory, and
    /// whoever else writes there could have the descriptor sent to somebody else, or this process wait for ever.
    fn check(&self, number: i32, socket: BorrowedFd<'_>) -> Result<(), Error> {
        let found = match socket::look(socket) {
            Ok(found) => found,
            Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => {
                return Err(self.refuse(number, "is no socket"));
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {
                return Err(self.refuse(number, "is not connected"));
            }
            Err(source) => {
                return Err(Error::Kernel { action: "look at a socket of it", pid: self.pid, source });
            }
        };
        if (found.family, found.kind) != (libc::AF_UNIX, libc::SOCK_SEQPACKET) {
            return Err(self.refuse(number, "is of another kind (AF_UNIX, SOCK_SEQPACKET is wanted)"));
        }
        if found.named {
            return Err(self.refuse(number, "has a name, or is connected to one that has"));
        }
        if found.maker != self.pid {
            return Err(self.refuse(number, "was made by another process"));
        }
        if !policy::users(self.pid).is_some_and(|users| users.contains(&found.user)) {
            return Err(self.refuse(number, "was made as another user"));
        }
        if found.sent != 0 {
            return Err(self.refuse(number, "has been sent to before"));
        }
        Ok(())
    }

    fn refuse(&self, descriptor: i32, reason: &'static str) -> Error {
        Error::NotItsSocket { pid: self.pid, descriptor, reason }
    }

    /// Waits until the victim has said a number; `None` when it ended without.
    fn end(&self) -> Result<Option<i32>, Error> {
        let mut looks = 0_u32;
        loop {
            let over = self.over.load(Ordering::Relaxed);
            let mut number = [0; size_of::<c_int>()];
            memory::read(self.pid, &mut [(self.address, &mut number)])
                .map_err(Error::kernel("read a number", self.pid))?;
            match c_int::from_ne_bytes(number) {
                end @ 0.. => return Ok(Some(end)),
                _ if over => return Ok(None),
                _ if looks < 64 => std::thread::yield_now(),
                _ => std::thread::sleep(Duration::from_micros(50)),
            }
            looks = looks.saturating_add(1);
        }
    }
}

/// A descriptor for the process itself, which no other process can come to have.
fn open(pid: i32, status: &StatusFile) -> Result<OwnedFd, Error> {
    let process = Pid::from_raw(pid).ok_or(Error::NoSuchProcess { pid })?;
    sys::count();
    let opened = rustix::process::pidfd_open(process, PidfdFlags::empty());
    let opened = opened.map_err(|error| match io::Error::from(error) {
        source if source.raw_os_error() == Some(libc::ESRCH) => Error::NoSuchProcess { pid },
        source => Error::Kernel { action: "open it (pidfd_open)", pid, source },
    })?;
    // The file is of the process that was looked at. If that still is there, the number is still its own.
    status.read(pid)?;
    Ok(opened)
}

/// A copy of one of its descriptors.
fn copy(pid: i32, process: BorrowedFd<'_>, descriptor: i32) -> Result<OwnedFd, Error> {
    if descriptor < 0 {
        return Err(Error::NoSuchDescriptor { pid, descriptor });
    }
    sys::count();
    let copied = rustix::process::pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty());
    copied.map_err(|error| match io::Error::from(error) {
        source if source.raw_os_error() == Some(libc::EBADF) => Error::NoSuchDescriptor { pid, descriptor },
        source => policy::not_permitted(pid, "take a descriptor of it (pidfd_getfd)", source),
    })
}
