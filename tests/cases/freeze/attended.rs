//! `thaw` stands in for the program: whatever it has inherited, what its terminal says reaches the program, and what becomes of
//! the program shows of it.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::support::{FREEZER, Place, compile, text};

/// An image of a program that SIGINT ends with 42; with something before it, that starts it.
fn image(place: &Place, before: &[&str]) -> i32 {
    let program = compile("cc", "ends.c", &[]);
    let victim = place.start(&[before, &[program.to_str().unwrap()]].concat());
    let pid = victim.pid();
    let frozen = place.freeze(pid);
    assert!(frozen.status.success(), "{}", text(&frozen));
    victim.bury();
    pid
}

fn thaw(place: &Place) -> Command {
    let mut command = Command::new(FREEZER);
    command.args(["thaw", place.image().to_str().unwrap()]);
    command
}

fn send(pid: i32, signal: i32) {
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// Waits for what must come.
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what} does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn end_of(mut child: Child, pid: i32) -> ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begin.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            // SAFETY: takes two numbers.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn ends_that_nobody_was_to_hear_of() {
    let place = Place::new();
    let pid = image(&place, &[]);
    let mut command = thaw(&place);
    let ignore = || {
        // SAFETY: takes numbers.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        Ok(())
    };
    // SAFETY: it makes one system call.
    unsafe { command.pre_exec(ignore) };
    let child = place.thawing(command, pid);
    send(pid, libc::SIGINT);
    assert_eq!(end_of(child, pid).code(), Some(42));
}

/// The master of a new terminal and its other end.
fn terminal() -> (File, File) {
    let (mut master, mut slave) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: writes two ints.
    let made = unsafe { libc::openpty(&raw mut master, &raw mut slave, none, none.cast(), none.cast()) };
    assert_eq!(made, 0);
    // SAFETY: the descriptor is new and nobody else's.
    let master = unsafe { File::from_raw_fd(master) };
    // SAFETY: as above.
    (master, unsafe { File::from_raw_fd(slave) })
}

/// Has a command run in a session of its own at a terminal.
fn at(command: &mut Command, slave: &File) {
    command.stdin(slave.try_clone().unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
    let number = slave.as_raw_fd();
    let own = move || {
        // SAFETY: takes nothing.
        unsafe { libc::setsid() };
        // SAFETY: takes numbers.
        match unsafe { libc::ioctl(number, libc::TIOCSCTTY, 0) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: it makes two system calls.
    unsafe { command.pre_exec(own) };
}

/// A terminal tells the group that is in front: a program of another session is not in it.
#[test]
fn an_interrupt_at_the_terminal_of_a_program_with_its_own_session() {
    for before in [&["/usr/bin/setsid"][..], &[]] {
        let place = Place::new();
        let pid = image(&place, before);
        let (mut master, slave) = terminal();
        let mut command = thaw(&place);
        at(&mut command, &slave);
        let child = place.thawing(command, pid);
        master.write_all(b"\x03").unwrap();
        assert_eq!(end_of(child, pid).code(), Some(42), "{before:?}");
    }
}

/// The program is not there yet, and hears of it when it is.
#[test]
fn an_interrupt_before_the_program_is_there() {
    let place = Place::new();
    let pid = image(&place, &[]);
    let (mut master, slave) = terminal();
    // It makes its pipes when its signals are held and before it makes the copy.
    let mut command = Command::new("strace");
    command.args([
        "-I3",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=pipe2",
        "-e",
        "inject=pipe2:delay_enter=2000000",
    ]);
    command.args([FREEZER, "thaw", place.image().to_str().unwrap()]);
    at(&mut command, &slave);
    let child = command.spawn().unwrap();
    let tracer = child.id();
    let is_at_a_pipe = |pid: &str| {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        let it_is = std::fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|exe| exe.as_path() == Path::new(FREEZER));
        it_is && call.split(' ').next() == Some(&libc::SYS_pipe2.to_string())
    };
    until("a pipe", || {
        let children =
            std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap_or_default();
        children.split_whitespace().any(is_at_a_pipe)
    });
    master.write_all(b"\x03").unwrap();
    assert_eq!(end_of(child, pid).code(), Some(42));
}

#[test]
fn a_stop_at_the_terminal() {
    let place = Place::new();
    let pid = image(&place, &[]);
    let mut command = thaw(&place);
    command.process_group(0);
    let child = place.thawing(command, pid);
    let id = i32::try_from(child.id()).unwrap();
    let state = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };
    for _ in 0..2 {
        send(pid, libc::SIGTSTP);
        until("a stop of both", || state(pid) == 'T' && state(id) == 'T');
        send(id, libc::SIGCONT);
        until("an end of the stop", || state(pid) != 'T' && state(id) != 'T');
    }
    // Who stops the program alone has not stopped the command.
    send(pid, libc::SIGSTOP);
    until("a stop", || state(pid) == 'T');
    send(pid, libc::SIGCONT);
    send(pid, libc::SIGINT);
    assert_eq!(end_of(child, pid).code(), Some(42));
}
