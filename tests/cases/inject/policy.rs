//! Who may inject into whom, as far as any user can try it: each refusal names its rule, and nothing has been touched. What
//! takes privileges to set up is in `cases/policy.rs`.

use std::process::Command;
use std::time::{Duration, Instant};

use pie_blob_inject::{Error, Victim};
use pie_blob_tests::subject::{NOBODY, Programs, Subject, is_root, status, user};

/// The programs that another user starts.
fn programs() -> Programs {
    Programs::copy(&[env!("CARGO_BIN_EXE_subject")])
}

#[test]
fn an_ordinary_user_infects_an_own_process() {
    let programs = programs();
    let victim = Subject::start(&mut programs.as_nobody(&["plain"]));
    let said = programs.cycle_as_nobody(victim.pid());
    assert_eq!(said, "42, risks [], differences []\n");
    victim.end();
}

#[test]
fn another_user_is_named() {
    let programs = programs();
    let victim = Subject::start(&mut programs.subject(&["plain"]));
    // Where the tests are an ordinary user's, process 1 is another's.
    let pid = if is_root() { victim.pid() } else { 1 };
    let said = programs.cycle_as_nobody(pid);
    let user = if is_root() { NOBODY } else { user() };
    let rule = format!("rule: OtherUser {{ theirs: [0, 0, 0], ours: {user} }}");
    assert!(said.starts_with("NotPermitted") && said.contains(&rule), "{said}");
    assert!(
        said.contains(&format!("this process's is {user}: run as the same user, or with CAP_SYS_PTRACE")),
        "{said}"
    );
    victim.end();
}

/// Waits for a state of a process.
fn wait_for_state(pid: i32, letter: char) {
    let begin = Instant::now();
    while !status(pid).contains(&format!("State:\t{letter}")) {
        assert!(begin.elapsed() < Duration::from_secs(5), "{}", status(pid));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_parent_in_vfork_is_named_with_its_child() {
    let programs = programs();
    for mode in ["vfork", "vfork-in-a-thread"] {
        let victim = Subject::start(&mut programs.subject(&[mode]));
        let child_of_it: i32 = victim.first_line().parse().unwrap();
        let error = Victim::seize(victim.pid()).unwrap_err();
        let Error::WaitsInVfork { pid, tid, child } = error else { panic!("{mode}: {error}") };
        assert_eq!((pid, child), (victim.pid(), Some(child_of_it)));
        assert_eq!(tid == pid, mode == "vfork");
        assert!(error.to_string().contains(&format!("waits in vfork for process {child_of_it}")), "{error}");
        // The child is refused as well: its memory is its parent's.
        let error = Victim::seize(child_of_it).unwrap_err();
        assert!(matches!(error, Error::SharesMemory { parent, .. } if parent == victim.pid()), "{error}");
        // When it has ended, nothing stands in the way.
        let killed = Command::new("kill").args(["-9", &child_of_it.to_string()]).status().unwrap();
        assert!(killed.success());
        victim.end();
    }
}

#[test]
fn uninterruptible_sleep_is_refused() {
    let programs = programs();
    let victim = Subject::start(&mut programs.subject(&["uninterruptible"]));
    wait_for_state(victim.pid(), 'D');
    let error = Victim::seize(victim.pid()).unwrap_err();
    assert!(matches!(error, Error::Uninterruptible { pid } if pid == victim.pid()), "{error}");
    assert!(status(victim.pid()).contains("TracerPid:\t0\n"));
}
