//! Other tracers at the same victim.

use std::time::{Duration, Instant};

use pie_blob_inject::{Error, Stop, Target, Victim};
use pie_blob_parasite::{Misc, parasite};
use pie_blob_wild::wild;

use crate::start;

/// The threads of a victim, the first first.
fn threads_of(pid: i32) -> Vec<i32> {
    let held = Victim::seize(pid).unwrap();
    let threads = held.threads().to_vec();
    held.release().unwrap();
    threads
}

/// One cycle in a thread.
fn cycle_in(target: Target, tid: i32) -> Result<Target, Error> {
    let mut infected = target.seize()?.infect(&parasite::BLOB)?;
    let mut misc = Misc::default();
    infected.call(parasite::DUMP_MISC, (&mut misc,))?;
    assert_eq!(misc.tid, tid);
    infected.cure()?.release()
}

/// Each of them stops another thread, and all lay their frames on the same stack.
#[test]
fn hosts_at_different_threads_keep_out_of_each_others_way() {
    const FOR: Duration = Duration::from_secs(4);
    let mut victim = start(&["busy", "6"]);
    let pid = victim.pid();
    // Before any of them begins: opening looks after what others have left.
    let open = |tid| (tid, Target::open(pid).unwrap().stop(Stop::Thread(tid)));
    let targets: Vec<_> = threads_of(pid).into_iter().skip(1).take(4).map(open).collect();
    let begin = Instant::now();
    let host = |(tid, target)| {
        move || {
            let (mut opened, mut cycles) = (Some(target), 0);
            while begin.elapsed() < FOR {
                let target = match opened.take() {
                    Some(target) => Ok(target),
                    None => Target::open(pid).map(|target| target.stop(Stop::Thread(tid))),
                };
                match target.and_then(|target| cycle_in(target, tid)) {
                    Ok(target) => (opened, cycles) = (Some(target), cycles + 1),
                    Err(Error::AlreadyTraced { .. } | Error::NotPermitted { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            cycles
        }
    };
    let hosts: Vec<_> = targets.into_iter().map(|target| std::thread::spawn(host(target))).collect();
    let cycles: usize = hosts.into_iter().map(|host| host.join().unwrap()).sum();
    assert!(cycles > 0);
    victim.listen_anew();
    victim.line();
    victim.end();
}

#[test]
fn who_traces_another_thread_is_named() {
    let mut victim = start(&["busy", "3"]);
    let pid = victim.pid();
    let tid = threads_of(pid).pop().unwrap();
    let mut infected =
        Target::open(pid).unwrap().stop(Stop::Thread(tid)).seize().unwrap().infect(&parasite::BLOB).unwrap();
    infected.call(parasite::PING, ()).unwrap();
    // SAFETY: takes nothing.
    let ours = unsafe { libc::gettid() };
    let opened = std::thread::spawn(move || Target::open(pid).map(drop)).join().unwrap();
    assert!(matches!(opened, Err(Error::AlreadyTraced { tracer, .. }) if tracer == ours), "{opened:?}");
    infected.call(parasite::PING, ()).unwrap();
    infected.cure().unwrap().release().unwrap();
    victim.end();
}

/// Nobody learns of the end of a process before all who trace its threads have taken the ends of those.
#[test]
fn a_killed_victim_whose_other_thread_is_another_tracers() {
    let victim = start(&["busy", "3"]);
    let pid = victim.pid();
    let other = threads_of(pid).pop().unwrap();
    let (seized, is_seized) = std::sync::mpsc::channel();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let tracer = std::thread::spawn(move || {
        // SAFETY: takes numbers only.
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SEIZE, other, 0_usize, 0_usize) }, 0);
        seized.send(()).unwrap();
        let _ = is_done.recv();
    });
    is_seized.recv().unwrap();
    let target = Target::open(pid).unwrap().stop(Stop::Thread(pid));
    let target = target.deadline(Duration::from_secs(1)).stop_within(Duration::from_millis(200));
    let mut infected = target.seize().unwrap().infect(&wild::BLOB).unwrap();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        // SAFETY: takes two numbers.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
    });
    let begin = Instant::now();
    let error = infected.call(wild::SLEEPS, (5000,)).unwrap_err();
    // The others may take longer to end than is waited for.
    assert!(matches!(error, Error::Died { .. } | Error::ThreadEnded { .. }), "{error}");
    infected.cure().unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    killer.join().unwrap();
    drop(done);
    tracer.join().unwrap();
}
