//! What cannot be held is refused with the reason, before anything is touched: one victim for each.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::support::{Place, compile, text};

/// What a victim that only waits shows of itself.
fn state(pid: i32) -> Vec<String> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let mut state = vec![read("maps"), read("stat").split_whitespace().take(8).collect()];
    state.extend(
        read("status")
            .lines()
            .filter(|line| {
                ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"].iter().any(|field| line.starts_with(field))
                    || line.starts_with("Tracer")
            })
            .map(str::to_owned),
    );
    // A stop would have been a switch.
    state.extend(read("status").lines().filter(|line| line.contains("ctxt")).map(str::to_owned));
    state
}

/// Starts the victim in a mode and has its freezing refused with these words.
fn refused(mode: &str, words: &[&str]) {
    let place = Place::new();
    let program = compile("cc", "unsupported.c", &[]);
    let victim = place.start(&[program.to_str().unwrap(), mode]);
    // It says that it is ready a moment before it sleeps.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let before = state(victim.pid());
    let output = place.freeze(victim.pid());
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{mode}: {said}");
    for word in words {
        assert!(said.contains(word), "{mode}: no `{word}` in {said}");
    }
    assert_eq!(state(victim.pid()), before, "{mode}: it was touched");
    let left: Vec<_> =
        std::fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("image")), "{mode}: left {left:?}");
}

macro_rules! refusals {
    ($($name:ident: $($word:literal),+;)*) => {$(
        #[test]
        fn $name() {
            refused(stringify!($name), &[$($word),+]);
        }
    )*};
}

refusals! {
    pipe: "descriptor 3 (pipe:", "a pipe cannot be frozen";
    socket: "descriptor 3 (socket:", "a socket cannot be frozen";
    epoll: "descriptor 3 (anon_inode:[eventpoll]", "an eventpoll descriptor cannot be frozen";
    eventfd: "an eventfd descriptor cannot be frozen";
    timerfd: "a timerfd descriptor cannot be frozen";
    signalfd: "a signalfd descriptor cannot be frozen";
    inotify: "an inotify descriptor cannot be frozen";
    io_uring: "an io_uring descriptor cannot be frozen";
    pidfd: "descriptor 3 (anon_inode:[pidfd]";
    memfd: "descriptor 3 (/memfd:", "the file has been deleted";
    terminal: "descriptor 3 (/dev/ptmx)", "this device cannot be frozen";
    deleted: "descriptor 3 (", "the file has been deleted, moved or replaced";
    replaced: "descriptor 3 (", "the file has been deleted, moved or replaced";
    deleted_output: "descriptor 2 (", "the file has been deleted, moved or replaced";
    signalling_output: "descriptor 2 (", "signals somebody (F_SETOWN";
    owner: "descriptor 3 (", "signals somebody (F_SETOWN";
    shown_file: "descriptor 3 (/proc/", "only shows what the kernel knows";
    many_areas: "areas: thawing takes", "vm.max_map_count is";
    lease: "has a lock that cannot be taken again";
    deleted_mapping: "area ", "the file has been deleted";
    shared_memory: "area ", "shared memory";
    shared_file_in_memory: "area ", "shared memory";
    system_v_memory: "area ", "shared memory";
    userfaultfd: "area ", "watched by userfaultfd";
    sealed: "area ", "sealed (mseal)";
    guard_pages: "area ", "has guard pages (MADV_GUARD_INSTALL)";
    child: "has a child, process";
    seccomp: "has a seccomp filter";
    other_files: "does not share its descriptors with the first thread";
    other_directory: "does not share its working directory with the first thread";
    other_user: "has another Uid than the first thread";
    deadline: "is scheduled by deadline";
    network: "is in another net namespace";
    hostname: "is in another uts namespace";
    root: "has another root directory";
    directory: "is in a directory that has been deleted or moved";
    first_thread_ended: "has ended while others go on";
    many: "a pipe cannot be frozen", "a socket cannot be frozen", "shared memory", "has a child, process";
}

#[test]
fn traced() {
    let place = Place::new();
    let program = compile("cc", "unsupported.c", &[]);
    let victim = place.start(&[program.to_str().unwrap(), "nothing"]);
    let mut strace = Command::new("strace")
        .args(["-o", "/dev/null", "-p", &victim.pid().to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace is installed (.ci/tools)");
    let mut said = [0; 8];
    strace.stderr.as_mut().unwrap().read_exact(&mut said).unwrap();
    let output = place.freeze(victim.pid());
    assert!(text(&output).contains("traced"), "{}", text(&output));
    assert_eq!(output.status.code(), Some(1));
    strace.kill().unwrap();
    strace.wait().unwrap();
    assert!(place.freeze(victim.pid()).status.success(), "nothing else was in the way");
}

#[test]
fn a_static_program_without_signal_handlers() {
    let place = Place::new();
    let program = compile("musl-gcc", "memory.c", &["-static"]);
    let victim = place.start(&[program.to_str().unwrap(), "1", "60"]);
    let output = place.freeze(victim.pid());
    assert!(text(&output).contains("no `rt_sigreturn` in its code"), "{}", text(&output));
    assert_eq!(output.status.code(), Some(1));
}

/// What a thaw would find out is found out while the process still lives, and it goes on.
#[test]
fn an_image_that_could_not_be_laid_out() {
    let place = Place::new();
    let program = compile("cc", "unsupported.c", &[]);
    let victim = place.start(&[program.to_str().unwrap(), "most_addresses"]);
    let before = std::fs::read_to_string(format!("/proc/{}/maps", victim.pid())).unwrap();
    let output = place.freeze(victim.pid());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("bytes of addresses are free in both"), "{}", text(&output));
    assert_eq!(std::fs::read_to_string(format!("/proc/{}/maps", victim.pid())).unwrap(), before);
    assert!(!place.image().exists());
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(victim.pid(), libc::SIGINT) }, 0);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&victim.bury()), Some(libc::SIGINT));
}

#[test]
fn itself_and_what_is_not_there() {
    let place = Place::new();
    assert!(text(&place.freeze(1 << 22)).contains("no such process"), "{}", text(&place.freeze(1 << 22)));
    let output = place.freezer(&["freeze", "x", "y"]);
    assert_eq!(output.status.code(), Some(2));
}
