//! Victims that cost a host what they can, or lie to it: every look ends, and says what it has met.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pie_blob_inject::{Difference, Error, Target, Victim};
use pie_blob_parasite::parasite;
use pie_blob_tests::subject::status;
use pie_blob_wild::wild;

use crate::{cycle, start};

/// Does what must end, in a thread of its own; fails where it does not.
fn ends<R: Send + 'static>(within: Duration, work: impl FnOnce() -> R + Send + 'static) -> R {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(work()));
    told.recv_timeout(within).expect("it ends")
}

/// As many areas as a process may have, each with a path that takes the kernel long to write.
#[test]
fn many_areas_with_long_names() {
    const COUNT: usize = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let mut victim = start(&["many-areas", folder.path().to_str().unwrap(), &COUNT.to_string()]);
    let begin = Instant::now();
    let target = Target::open(victim.pid()).unwrap();
    let opened = begin.elapsed();
    let seized = target.seize().unwrap();
    let (before, after) = (seized.snapshot().unwrap(), seized.snapshot().unwrap());
    let held = seized.stopped_since().elapsed();
    let target = seized.release().unwrap();
    assert_eq!(before.differences(&after), []);
    println!("opened in {opened:?}, held for {held:?}, all in {:?}", begin.elapsed());
    assert!(opened < Duration::from_secs(3), "{opened:?}");
    assert!(held < Duration::from_secs(3), "{held:?}");
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    cycle(target);
    victim.end();
}

#[test]
fn code_whose_pages_never_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut victim = start(&["page-never-comes", folder.path().to_str().unwrap()]);
    if victim.first_line() == "cannot" {
        println!("a file system of one's own is root's here");
        return;
    }
    let pid = victim.pid();
    let error = ends(Duration::from_secs(20), move || Target::open(pid).unwrap_err());
    assert!(matches!(error, Error::Unreadable { pid: named, .. } if named == pid), "{error}");
    assert!(error.to_string().contains("a file system that hangs"), "{error}");
    assert!(status(pid).contains("TracerPid:\t0\n"));
    victim.end();
}

/// What is ending has no memory any more, and is called no kernel thread for that.
#[test]
fn a_process_that_is_ending() {
    let mut looks = 0;
    for _ in 0..5 {
        let victim = start(&["many-descriptors", "100000"]);
        let pid = victim.pid();
        victim.signal(libc::SIGKILL);
        loop {
            looks += 1;
            match Target::open(pid) {
                Err(Error::Zombie { .. }) => break,
                Ok(_) | Err(Error::NoSuchProcess { .. } | Error::Changed { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    println!("{looks} looks");
}

#[test]
fn a_killed_victim_has_died_by_its_signal() {
    use std::os::unix::process::ExitStatusExt;

    let mut victim = start(&["nanosleep"]);
    let held = Victim::seize(victim.pid()).unwrap();
    victim.signal(libc::SIGKILL);
    let error = held.release().unwrap_err();
    let Error::Died { status: Some(status), .. } = error else { panic!("{error:?}") };
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    // Its end is still its parent's to take.
    assert_eq!(victim.status(), status);
}

/// Nobody's harm: a timer that expires, a child that ends.
#[test]
fn a_signal_that_comes_while_it_is_stopped_is_no_difference() {
    let mut victim = start(&["nanosleep"]);
    let held = Victim::seize(victim.pid()).unwrap();
    let before = held.snapshot().unwrap();
    victim.signal(libc::SIGCHLD);
    let after = held.snapshot().unwrap();
    assert_eq!(before.differences(&after), []);
    // The other way round it would be one that is lost.
    assert_eq!(after.differences(&before), [Difference::Signals]);
    held.release().unwrap();
    victim.end();
}

/// Killed when dropped.
struct Process(i32);

impl Drop for Process {
    fn drop(&mut self) {
        // SAFETY: takes two numbers.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

/// A child of a child, whose parent has ended: its memory is this process's own.
#[test]
fn a_process_in_the_memory_of_this_one() {
    static GRANDCHILD: AtomicI32 = AtomicI32::new(0);
    extern "C" fn wait(_: *mut libc::c_void) -> libc::c_int {
        loop {
            // SAFETY: takes nothing.
            unsafe { libc::syscall(libc::SYS_pause) };
        }
    }
    extern "C" fn make(stack: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the child has a stack of its own that is never given back, and makes system calls only.
        let made = unsafe { libc::clone(wait, stack, libc::CLONE_VM | libc::SIGCHLD, std::ptr::null_mut()) };
        GRANDCHILD.store(made, Ordering::Relaxed);
        // SAFETY: ends this process, whose memory others have, without anything else.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
        0
    }
    let stack = || Box::leak(vec![0_u128; 4096].into_boxed_slice()).as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: as above; this thread stands still until the child has ended.
    let child = unsafe { libc::clone(make, stack().cast(), flags, stack().cast()) };
    assert!(child > 0);
    // SAFETY: writes nothing.
    assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
    let grandchild = Process(GRANDCHILD.load(Ordering::Relaxed));
    assert!(grandchild.0 > 0);
    let error = Target::open(grandchild.0).unwrap_err();
    let own = i32::try_from(std::process::id()).unwrap();
    assert!(matches!(error, Error::SharesMemory { parent, .. } if parent == own), "{error}");
}

/// One end of a pair of sockets of this kind, and the other.
fn pair(kind: libc::c_int) -> [OwnedFd; 2] {
    let mut pair = [-1; 2];
    // SAFETY: writes two ints.
    let made = unsafe { libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, pair.as_mut_ptr()) };
    assert_eq!(made, 0);
    // SAFETY: they were just made, and nobody else knows them.
    pair.map(|end| unsafe { OwnedFd::from_raw_fd(end) })
}

/// The number of the socket that is sent to stands in the victim's memory, where others may write.
#[test]
fn a_descriptor_is_sent_to_nobody_else() {
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    let mut numbers = vec![(0, "is no socket")];
    let mut others = Vec::new();
    for (kind, reason) in [
        (libc::SOCK_STREAM, "is of another kind"),
        (libc::SOCK_DGRAM, "is of another kind"),
        (libc::SOCK_SEQPACKET, "was made by another process"),
    ] {
        let [end, other] = pair(kind);
        let mut infected = Victim::seize(pid).unwrap().infect(&parasite::BLOB).unwrap();
        let number = infected.give_descriptor(parasite::RECEIVE_DESCRIPTOR, &end, true).unwrap();
        infected.cure().unwrap().release().unwrap();
        numbers.push((number, reason));
        others.push(other);
    }
    let own = tempfile::tempfile().unwrap();
    for (number, expected) in numbers {
        let mut infected = Victim::seize(pid).unwrap().infect(&wild::BLOB).unwrap();
        infected.write(wild::WORD, &u64::try_from(number).unwrap()).unwrap();
        let error = infected.give_descriptor(wild::SAYS_ANOTHER, &own, true).unwrap_err();
        let Error::NotItsSocket { descriptor, reason, .. } = error else { panic!("{number}: {error}") };
        assert_eq!(descriptor, number);
        assert!(reason.starts_with(expected), "{reason}");
        infected.cure().unwrap().release().unwrap();
    }
    // None of them has received anything.
    for other in others {
        let mut byte = 0_u8;
        let flags = libc::MSG_DONTWAIT | libc::MSG_PEEK;
        // SAFETY: writes at most one byte.
        let len = unsafe { libc::recv(other.as_raw_fd(), (&raw mut byte).cast(), 1, flags) };
        assert_eq!((len, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EAGAIN)));
    }
    victim.end();
}

#[test]
fn a_socket_without_room_is_not_waited_for() {
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    let error = ends(Duration::from_secs(30), move || {
        let own = tempfile::tempfile().unwrap();
        let mut infected = Victim::seize(pid).unwrap().infect(&wild::BLOB).unwrap();
        let error = infected.give_descriptor(wild::SAYS_A_FULL_ONE, &own, true).unwrap_err();
        infected.cure().unwrap().release().unwrap();
        error
    });
    assert!(matches!(error, Error::NotItsSocket { .. }), "{error}");
    cycle(Target::open(pid).unwrap());
    victim.end();
}
