//! What is rare and yet kept: one victim for each, which looks for itself when it has been thawed.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{FREEZER, Place, Victim, compile, text};

/// Starts the victim in a mode.
pub(crate) fn start(place: &Place, mode: &str) -> Victim {
    let program = compile("cc", "kept.c", &[]);
    let victim = place.start(&[program.to_str().unwrap(), mode]);
    // It says that it is ready a moment before it sleeps.
    std::thread::sleep(std::time::Duration::from_millis(20));
    victim
}

/// Thaws what was frozen, has it look, and has it have found nothing wrong.
pub(crate) fn is_as_it_was(place: &Place, pid: i32, mode: &str) {
    let mut thawing = place.start_thawing(pid);
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGUSR1) }, 0);
    let status = thawing.wait().unwrap();
    assert!(status.success() && place.said() == "ready\n0 wrong\n", "{mode}: {status}: {}", place.said());
}

fn kept(mode: &str) {
    let place = Place::new();
    let victim = start(&place, mode);
    let pid = victim.pid();
    let frozen = place.freeze(pid);
    assert!(frozen.status.success(), "{mode}: {}", text(&frozen));
    victim.bury();
    is_as_it_was(&place, pid, mode);
}

#[test]
fn locked_memory_with_a_guard() {
    kept("locked");
}

#[test]
fn memory_to_come_is_locked() {
    kept("locked_later");
    kept("locked_when_used");
}

/// Its contents may go at any time, and have gone: they are in no image, where random numbers would come twice.
#[test]
fn droppable_memory() {
    kept("droppable");
}

#[test]
fn what_a_core_holds() {
    kept("core_filter");
}

/// No descriptor shows it any more, and the image must not be safe on the disk sooner than what it relies on.
#[test]
fn a_file_that_is_only_mapped_is_on_the_disk_first() {
    let place = Place::new();
    let victim = start(&place, "mapping");
    let pid = victim.pid();
    let (log, image) = (place.path("log"), place.image());
    let traced = Command::new("strace")
        .args(["-f", "-y", "-qq", "-e", "trace=fsync,rename,kill,mkdir", "-o", log.to_str().unwrap()])
        .args([FREEZER, "freeze", &pid.to_string(), image.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(traced.status.success(), "{}", text(&traced));
    victim.bury();
    let log = std::fs::read_to_string(log).unwrap();
    let at = |words: &str| {
        log.lines().position(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words} in {log}"))
    };
    let file = log.lines().position(|line| line.contains("fsync(") && line.contains("/mapping>"));
    assert!(file.is_some_and(|file| file < at("rename(")) && at("rename(") < at("SIGKILL"), "{log}");
    assert!(log.lines().any(|line| line.contains("mkdir(") && line.contains("unfinished\", 0700)")), "{log}");
    is_as_it_was(&place, pid, "mapping");
}

/// The freezer, with every call of this name taking two seconds longer.
fn freezing_slowly(place: &Place, pid: i32, call: &str) -> Child {
    Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:delay_enter=2000000"), FREEZER, "freeze", &pid.to_string()])
        .arg(place.image())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The image has its name, and the folder around it is not yet safe on the disk.
#[test]
fn a_signal_that_comes_when_the_image_has_been_written() {
    let place = Place::new();
    let victim = start(&place, "signal");
    let pid = victim.pid();
    let mut freezing = freezing_slowly(&place, pid, "fsync");
    while !place.image().exists() {
        assert!(freezing.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGUSR2) }, 0);
    let frozen = freezing.wait_with_output().unwrap();
    assert!(frozen.status.success(), "{}", text(&frozen));
    victim.bury();
    let names = std::fs::read_dir(place.image()).unwrap().count();
    assert_eq!(names, 2, "something was left behind");
    is_as_it_was(&place, pid, "signal");
}

/// Its answers have been taken, and a file that it has mapped is being written to its disk.
#[test]
fn a_stop_that_comes_while_it_is_frozen() {
    let place = Place::new();
    let victim = start(&place, "mapping");
    let pid = victim.pid();
    let mut freezing = freezing_slowly(&place, pid, "fsync");
    let tracer = freezing.id();
    let children =
        || std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap_or_default();
    let is_in_fsync = |pid: &str| {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        call.split(' ').next() == Some(&libc::SYS_fsync.to_string())
    };
    while !children().split_whitespace().any(is_in_fsync) {
        assert!(freezing.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGSTOP) }, 0);
    let frozen = freezing.wait_with_output().unwrap();
    assert!(!frozen.status.success() && text(&frozen).contains("continue it first"), "{}", text(&frozen));
    assert!(!place.image().exists());
    for signal in [libc::SIGCONT, libc::SIGUSR1] {
        // SAFETY: takes two numbers.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }
    assert!(victim.bury().success(), "{}", place.said());
}

#[test]
fn registrations_for_memory_barriers() {
    kept("barriers");
}

#[test]
fn timers_of_the_process_and_of_its_thread() {
    kept("timers");
}

/// A kernel before 6.15 cannot be told which id a timer gets: each must be reached by counting.
#[test]
fn timers_whose_ids_are_counted() {
    let place = Place::new();
    let victim = start(&place, "timers");
    let pid = victim.pid();
    assert!(place.freeze(pid).status.success());
    victim.bury();
    let mut command = Command::new(FREEZER);
    command.args(["thaw", place.image().to_str().unwrap()]);
    // SAFETY: it makes two system calls.
    unsafe { command.pre_exec(without_chosen_ids) };
    let mut thawing = place.thawing(command, pid);
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGUSR1) }, 0);
    let status = thawing.wait().unwrap();
    assert!(status.success() && place.said() == "ready\n0 wrong\n", "{status}: {}", place.said());
}

/// From here on `PR_TIMER_CREATE_RESTORE_IDS` is not known.
fn without_chosen_ids() -> std::io::Result<()> {
    const PR_TIMER_CREATE_RESTORE_IDS: u32 = 77;
    let statement =
        |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k };
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    let equal = |value, jf| statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, jf, value);
    let answer = |value| statement(libc::BPF_RET | libc::BPF_K, 0, 0, value);
    let mut filter = [
        // The number of the call, then the low half of its first argument.
        load(0),
        equal(u32::try_from(libc::SYS_prctl).unwrap_or(0), 3),
        load(16),
        equal(PR_TIMER_CREATE_RESTORE_IDS, 1),
        answer(libc::SECCOMP_RET_ERRNO | libc::EINVAL.unsigned_abs()),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 6, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel reads one program of six statements.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[test]
fn a_process_that_is_named_by_another_thread() {
    let place = Place::new();
    let victim = start(&place, "threads");
    let pid = victim.pid();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let tid = tasks
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|tid| *tid != pid.to_string());
    let frozen = place.freezer(&["freeze", &tid.unwrap(), place.image().to_str().unwrap()]);
    assert!(
        frozen.status.success() && text(&frozen).starts_with(&format!("{pid}: 2 threads")),
        "{}",
        text(&frozen)
    );
    victim.bury();
    is_as_it_was(&place, pid, "threads");
}
