//! Descriptors that cross the border, both ways: the same open file on both sides, and nothing else new.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pie_blob::Offset;
use pie_blob_inject::{Difference, Error, Infected, Target, Victim};
use pie_blob_parasite::parasite;
use pie_blob_tests::subject::{Programs, Subject, said, status};
use pie_blob_wild::wild;

use crate::{cycle, start};

/// Whether two descriptors are of the same open file, as the kernel sees it (`KCMP_FILE`).
fn same_file(own: RawFd, pid: i32, theirs: i32) -> bool {
    let here = i32::try_from(std::process::id()).unwrap();
    // SAFETY: takes five numbers.
    unsafe { libc::syscall(libc::SYS_kcmp, here, pid, 0, own, theirs) == 0 }
}

fn descriptors(pid: i32) -> Vec<(i32, String)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(Result::unwrap);
    let mut found: Vec<(i32, String)> = entries
        .filter_map(|entry| {
            let link = std::fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, link.to_str()?.to_owned()))
        })
        .collect();
    found.sort();
    found
}

/// Whether a descriptor is closed on `execve`.
fn closes_on_exec(pid: i32, descriptor: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).unwrap();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    i32::from_str_radix(flags.trim(), 8).unwrap() & libc::O_CLOEXEC != 0
}

fn event() -> OwnedFd {
    // SAFETY: takes two numbers.
    let number = unsafe { libc::eventfd(7, libc::EFD_CLOEXEC) };
    assert!(number >= 0);
    // SAFETY: it was just made, and nobody else knows it.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(number) }
}

/// One of every kind.
fn kinds() -> Vec<(&'static str, OwnedFd)> {
    let (reader, writer) = std::io::pipe().unwrap();
    let (stream, other) = UnixStream::pair().unwrap();
    let folder = tempfile::tempdir().unwrap();
    vec![
        ("file", tempfile::tempfile().unwrap().into()),
        ("folder", File::open(folder.path()).unwrap().into()),
        ("pipe, reading", reader.into()),
        ("pipe, writing", writer.into()),
        ("stream", stream.into()),
        ("its other end", other.into()),
        ("datagrams", UnixDatagram::unbound().unwrap().into()),
        ("listening", UnixListener::bind(folder.path().join("socket")).unwrap().into()),
        ("network", std::net::TcpListener::bind("127.0.0.1:0").unwrap().into()),
        ("event", event()),
    ]
}

/// Gives each kind to a victim, takes it back, and compares.
#[test]
fn every_kind_goes_there_and_back() {
    let mut victim = start(&["registers"]);
    let pid = victim.pid();
    for (kind, own) in kinds() {
        for close_on_exec in [true, false] {
            let seized = Victim::seize(pid).unwrap();
            let before = seized.snapshot().unwrap();
            let mut infected = seized.infect(&parasite::BLOB).unwrap();
            let given = infected.give_descriptor(parasite::RECEIVE_DESCRIPTOR, &own, close_on_exec).unwrap();
            assert!(same_file(own.as_raw_fd(), pid, given), "{kind}");
            assert_eq!(closes_on_exec(pid, given), close_on_exec, "{kind}");
            // While it is infected, while it is stopped, while it runs.
            let taken = infected.take_descriptor(given).unwrap();
            assert!(same_file(taken.as_raw_fd(), pid, given), "{kind}");
            let cured = infected.cure().unwrap();
            assert_eq!(
                before.differences(&cured.snapshot().unwrap()),
                [Difference::Descriptor(given)],
                "{kind}"
            );
            assert!(same_file(cured.take_descriptor(given).unwrap().as_raw_fd(), pid, given), "{kind}");
            let target = cured.release().unwrap();
            let taken = target.take_descriptor(given).unwrap();
            assert!(same_file(taken.as_raw_fd(), pid, given), "{kind}");
        }
    }
    victim.end();
}

#[test]
fn a_taken_pipe_is_the_victims_own() {
    // What `cat` reads is what this process writes into its input; a byte taken here does not arrive there.
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let pid = i32::try_from(cat.id()).unwrap();
    let target = Target::open(pid).unwrap();
    let mut output = File::from(target.take_descriptor(1).unwrap());
    output.write_all(b"from outside, ").unwrap();
    drop(output);
    let mut input = cat.stdin.take().unwrap();
    input.write_all(b"from inside").unwrap();
    drop(input);
    let mut said = String::new();
    cat.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "from outside, from inside");
    assert!(cat.wait().unwrap().success());
}

#[test]
fn a_position_is_shared() {
    let mut victim = start(&["read"]);
    let pid = victim.pid();
    let mut own = tempfile::tempfile().unwrap();
    own.write_all(b"0123456789").unwrap();
    let mut infected = Victim::seize(pid).unwrap().infect(&parasite::BLOB).unwrap();
    let given = infected.give_descriptor(parasite::RECEIVE_DESCRIPTOR, own.as_fd(), true).unwrap();
    let target = infected.cure().unwrap().release().unwrap();
    own.seek(SeekFrom::Start(4)).unwrap();
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{given}")).unwrap();
    assert!(info.starts_with("pos:\t4\n"), "{info}");
    let mut taken = File::from(target.take_descriptor(given).unwrap());
    let mut rest = String::new();
    taken.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), own.stream_position().unwrap()), ("456789", 10));
    victim.end();
}

#[test]
fn what_is_not_there_cannot_be_taken() {
    let mut victim = start(&["read"]);
    let target = Target::open(victim.pid()).unwrap();
    for number in [-1, 999, i32::MAX] {
        let error = target.take_descriptor(number).unwrap_err();
        assert!(
            matches!(error, Error::NoSuchDescriptor { descriptor, .. } if descriptor == number),
            "{error}"
        );
    }
    victim.end();
    // Its number may be another's by now: the process that was looked at is gone.
    let error = target.take_descriptor(0).unwrap_err();
    assert!(matches!(error, Error::NoSuchProcess { .. }), "{error}");
}

/// Infects, fails to give, and finds nothing new anywhere.
fn fails(pid: i32, deadline: Duration, give: impl FnOnce(&mut Infected) -> Error) -> Error {
    let seized = Target::open(pid).unwrap().deadline(deadline).seize().unwrap();
    let before = seized.snapshot().unwrap();
    let mut infected = seized.infect(&wild::BLOB).unwrap();
    let error = give(&mut infected);
    let cured = infected.cure().unwrap();
    assert_eq!(before.differences(&cured.snapshot().unwrap()), [], "{error}");
    cycle(cured.release().unwrap());
    error
}

#[test]
fn a_blob_that_does_not_receive_is_an_error() {
    let mut victim = start(&["registers"]);
    let (pid, deadline) = (victim.pid(), Duration::from_millis(300));
    let own = tempfile::tempfile().unwrap();
    let wrong = fails(pid, deadline, |infected| {
        infected.give_descriptor(parasite::RECEIVE_DESCRIPTOR, &own, true).unwrap_err()
    });
    assert!(matches!(wrong, Error::OtherBlob { .. }), "{wrong}");
    let endless: Offset<pie_blob_std::descriptors::Receive> = wild::ENDLESS.cast();
    let late = fails(pid, deadline, |infected| infected.give_descriptor(endless, &own, true).unwrap_err());
    assert!(matches!(late, Error::Deadline { .. }), "{late}");
    let faulty: Offset<pie_blob_std::descriptors::Receive> = wild::READ_NOTHING.cast();
    let fault = fails(pid, deadline, |infected| infected.give_descriptor(faulty, &own, true).unwrap_err());
    assert!(matches!(fault, Error::Fault { .. }), "{fault}");
    victim.end();
}

/// Numbers that earlier calls have left where the victim says its own are not taken for it.
#[test]
fn what_an_earlier_call_has_left_is_not_believed() {
    let mut victim = start(&["nanosleep"]);
    let own = tempfile::tempfile().unwrap();
    let endless: Offset<pie_blob_std::descriptors::Receive> = wild::ENDLESS.cast();
    let error = fails(victim.pid(), Duration::from_millis(300), |infected| {
        let mut zeros = [0_u8; 64];
        infected.call(wild::REVERSE, (&mut zeros, &[0_u8; 64], 64)).unwrap();
        infected.give_descriptor(endless, &own, true).unwrap_err()
    });
    // It would have been sent to the victim's input, which is no socket.
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    victim.end();
}

#[test]
fn a_victim_without_free_numbers_is_an_error() {
    let mut victim = start(&["read"]);
    let pid = victim.pid();
    let used: Vec<i32> = descriptors(pid).into_iter().map(|(number, _)| number).collect();
    let free: Vec<i32> = (0..).filter(|number| !used.contains(number)).take(3).collect();
    let own = tempfile::tempfile().unwrap();
    for (more, expected) in [(0, "socketpair"), (1, "socketpair"), (2, "recvmsg")] {
        let limit = u64::try_from(free[more]).unwrap();
        let limit = libc::rlimit { rlim_cur: limit, rlim_max: 1024 };
        // SAFETY: reads one limit.
        let set = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) };
        assert_eq!(set, 0);
        let seized = Victim::seize(pid).unwrap();
        let before = seized.snapshot().unwrap();
        let mut infected = seized.infect(&parasite::BLOB).unwrap();
        let error = infected.give_descriptor(parasite::RECEIVE_DESCRIPTOR, &own, true).unwrap_err();
        let Error::Refused { call, source, .. } = &error else { panic!("{more} numbers: {error}") };
        assert_eq!((*call, source.raw_os_error()), (expected, Some(libc::EMFILE)), "{more} numbers");
        // The blob has said no and is as good as before.
        assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
        let cured = infected.cure().unwrap();
        assert_eq!(before.differences(&cured.snapshot().unwrap()), [], "{more} numbers");
        cured.release().unwrap();
    }
    victim.end();
}

/// The right to seize is the right to take and to give: an ordinary user does both with an own process.
#[test]
fn an_ordinary_user_gives_and_takes() {
    let programs = Programs::copy(&[env!("CARGO_BIN_EXE_subject")]);
    let victim = Subject::start(&mut programs.as_nobody(&["plain"]));
    let mut host = programs.as_nobody(&["give-and-take", &victim.pid().to_string()]);
    assert_eq!(said(&mut host), "the same\n");
    victim.end();
}

/// The host is killed at every moment of giving: the victim has the descriptor or nothing new, and goes on.
#[test]
fn a_host_that_is_killed_leaves_the_descriptor_or_nothing() {
    let mut victim = start(&["registers"]);
    let pid = victim.pid();
    let before = descriptors(pid);
    // Its heap and its stack may grow.
    let areas = || -> Vec<String> {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let own = maps.lines().filter(|line| !line.ends_with("[heap]") && !line.ends_with("[stack]"));
        own.map(str::to_owned).collect()
    };
    let areas_before = areas();
    let (mut given, mut nothing) = (0, 0);
    let begin = Instant::now();
    let mut delay = 0;
    while begin.elapsed() < Duration::from_secs(4) && (given < 50 || nothing < 50) {
        let mut host = Command::new(env!("CARGO_BIN_EXE_subject"));
        let mut host = host.args(["give-for-ever", &pid.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = [0; 6];
        host.stdout.take().unwrap().read_exact(&mut line).unwrap();
        std::thread::sleep(Duration::from_micros(delay));
        // On a busy machine a host gets on more slowly.
        let (step, most) = if given == 0 && nothing >= 10 { (700, 20_000) } else { (7, 400) };
        delay = (delay + step) % most;
        host.kill().unwrap();
        host.wait().unwrap();
        // A blob that nobody sends to any more gives up.
        let killed = Instant::now();
        while areas() != areas_before {
            assert!(killed.elapsed() < Duration::from_secs(5), "the blob stays: {:?}", areas());
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(status(pid).contains("TracerPid:\t0\n"));
        let now = descriptors(pid);
        let new: Vec<_> = now.iter().filter(|found| !before.contains(found)).collect();
        assert!(before.iter().all(|found| now.contains(found)));
        assert!(new.iter().all(|(_, link)| link.starts_with("/dev/null")), "{new:?}");
        if new.is_empty() {
            nothing += 1;
        } else {
            given += 1;
        }
        // What it has been given is put away again.
        let mut infected = Victim::seize(pid).unwrap().infect(&wild::BLOB).unwrap();
        for (number, _) in new {
            assert_eq!(infected.call(wild::CLOSE, (*number,)).unwrap(), 0);
        }
        infected.cure().unwrap().release().unwrap();
    }
    println!("{given} given, {nothing} not");
    assert!(given > 0 && nothing > 0, "{given} given, {nothing} not");
    victim.end();
}
