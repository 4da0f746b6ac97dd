//! Victims that the host traces already: a debugger's.

use pie_blob_inject::{Error, Target, Victim};
use pie_blob_parasite::parasite;

use crate::start;

/// One ptrace request that takes numbers.
fn ptrace(request: u32, pid: i32, data: usize) -> i64 {
    // SAFETY: the requests of this file take numbers in the pointers' places.
    unsafe { libc::ptrace(request, pid, 0_usize, data) }
}

fn wait_for_stop(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: writes one int.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }, pid);
    assert!(libc::WIFSTOPPED(status), "{status:#x}");
    status
}

#[test]
fn a_thread_that_is_seized_and_stopped_is_adopted_and_stays_stopped() {
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    assert_eq!(ptrace(libc::PTRACE_SEIZE, pid, 0), 0);
    let target = Target::open(pid).unwrap();
    let error = Victim::adopt(target, &[pid], 0).unwrap_err();
    assert!(matches!(error, Error::NotAdoptable { .. }), "it runs: {error}");

    assert_eq!(ptrace(libc::PTRACE_INTERRUPT, pid, 0), 0);
    wait_for_stop(pid);
    for _ in 0..10 {
        let adopted = Victim::adopt(Target::open(pid).unwrap(), &[pid], 0).unwrap();
        let before = adopted.snapshot().unwrap();
        let mut infected = adopted.infect(&parasite::BLOB).unwrap();
        assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
        let adopted = infected.cure().unwrap();
        assert_eq!(before.differences(&adopted.snapshot().unwrap()), []);
        adopted.release().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        assert!(stat.contains(") t "), "still in a ptrace-stop: {stat}");
    }
    assert_eq!(ptrace(libc::PTRACE_DETACH, pid, 0), 0);
    victim.end();
}

#[test]
fn a_thread_that_is_attached_is_adopted_and_its_sleep_goes_on() {
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    for _ in 0..10 {
        assert_eq!(ptrace(libc::PTRACE_ATTACH, pid, 0), 0);
        wait_for_stop(pid);
        let adopted = Victim::adopt(Target::open(pid).unwrap(), &[pid], 0).unwrap();
        let mut infected = adopted.infect(&parasite::BLOB).unwrap();
        assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
        infected.cure().unwrap().release().unwrap();
        assert_eq!(ptrace(libc::PTRACE_DETACH, pid, 0), 0);
        std::thread::sleep(std::time::Duration::from_millis(13));
    }
    victim.end();
}

#[test]
fn a_thread_at_the_entry_of_a_system_call_is_not_adopted() {
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    let options = usize::try_from(libc::PTRACE_O_TRACESYSGOOD).unwrap();
    assert_eq!(ptrace(libc::PTRACE_SEIZE, pid, options), 0);
    assert_eq!(ptrace(libc::PTRACE_INTERRUPT, pid, 0), 0);
    wait_for_stop(pid);
    assert_eq!(ptrace(libc::PTRACE_SYSCALL, pid, 0), 0);
    wait_for_stop(pid);
    let error = Victim::adopt(Target::open(pid).unwrap(), &[pid], libc::PTRACE_O_TRACESYSGOOD).unwrap_err();
    assert!(matches!(error, Error::NotAdoptable { .. }), "{error}");
    assert_eq!(ptrace(libc::PTRACE_DETACH, pid, 0), 0);
    victim.end();
}

/// There the kernel has not said yet what the call answers.
#[test]
fn a_thread_at_an_event_is_not_adopted() {
    let mut victim = start(&["threads", "1"]);
    let pid = victim.pid();
    let listed = || -> Vec<i32> {
        let tids = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tids.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
    };
    // The one that creates others; those are gone at once.
    let before = listed();
    victim.line();
    let creator = listed().into_iter().find(|tid| *tid != pid && before.contains(tid)).unwrap();
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE;
    assert_eq!(ptrace(libc::PTRACE_SEIZE, creator, usize::try_from(options).unwrap()), 0);
    let status = wait_for_stop(creator);
    assert_eq!(status >> 16, libc::PTRACE_EVENT_CLONE);
    let error = Victim::adopt(Target::open(pid).unwrap(), &[creator], options).unwrap_err();
    assert!(matches!(error, Error::NotAdoptable { .. }), "{error}");
    let mut created = 0_usize;
    assert_eq!(ptrace(libc::PTRACE_GETEVENTMSG, creator, (&raw mut created).expose_provenance()), 0);
    let created = i32::try_from(created).unwrap();
    wait_for_stop(created);
    assert_eq!(ptrace(libc::PTRACE_DETACH, created, 0), 0);
    assert_eq!(ptrace(libc::PTRACE_DETACH, creator, 0), 0);
    victim.end();
}

/// What is done to it would be done in other memory than what was looked at.
#[test]
fn a_thread_of_another_process_is_not_adopted() {
    let (mut victim, mut other) = (start(&["nanosleep"]), start(&["nanosleep"]));
    let pids = [victim.pid(), other.pid()];
    for pid in pids {
        assert_eq!(ptrace(libc::PTRACE_SEIZE, pid, 0), 0);
        assert_eq!(ptrace(libc::PTRACE_INTERRUPT, pid, 0), 0);
        wait_for_stop(pid);
    }
    for (threads, refused) in [(&pids[..], pids[1]), (&pids[1..], pids[1]), (&[pids[0]; 2], pids[0])] {
        let error = Victim::adopt(Target::open(pids[0]).unwrap(), threads, 0).unwrap_err();
        assert!(matches!(error, Error::NotAdoptable { tid, .. } if tid == refused), "{error}");
    }
    for pid in pids {
        assert_eq!(ptrace(libc::PTRACE_DETACH, pid, 0), 0);
    }
    victim.end();
    other.end();
}

/// The tracer would be told of the signal at the next resumption; nobody else may take it.
#[test]
fn a_thread_with_a_fault_of_its_own_is_not_borrowed() {
    let mut victim = start(&["faults"]);
    let pid = victim.pid();
    let mut refused = 0;
    for _ in 0..200 {
        assert_eq!(ptrace(libc::PTRACE_SEIZE, pid, 0), 0);
        assert_eq!(ptrace(libc::PTRACE_INTERRUPT, pid, 0), 0);
        // Signals that come before the stop are the victim's.
        loop {
            let status = wait_for_stop(pid);
            if status >> 16 == libc::PTRACE_EVENT_STOP {
                break;
            }
            let signal = usize::try_from(libc::WSTOPSIG(status)).unwrap();
            assert_eq!(ptrace(libc::PTRACE_INTERRUPT, pid, 0), 0);
            assert_eq!(ptrace(libc::PTRACE_CONT, pid, signal), 0);
        }
        let adopted = Victim::adopt(Target::open(pid).unwrap(), &[pid], 0).unwrap();
        match adopted.infect(&parasite::BLOB) {
            Ok(mut infected) => {
                assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
                infected.cure().unwrap().release().unwrap();
            }
            Err(Error::NotAdoptable { tid, reason }) => {
                assert!(tid == pid && reason.contains("its own code has raised"), "{reason}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(ptrace(libc::PTRACE_DETACH, pid, 0), 0);
    }
    assert!(refused > 0, "no fault was ever pending");
    victim.listen_anew();
    victim.line();
    victim.end();
}
