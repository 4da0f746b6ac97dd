//! What is rare and yet kept: one victim for each, which looks for itself when it has been thawed.

use std::os::unix::process::CommandExt;
use std::process::Command;

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
