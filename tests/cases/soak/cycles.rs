//! Cycles on a program that works, and hosts that die beside it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pie_blob_inject::{CrashRisk, Error, Target};
use pie_blob_parasite::{Misc, parasite};

use crate::figures::traces;

/// What each program is put through.
pub(crate) const CYCLES: usize = 1000;
/// Hosts that die beside it.
pub(crate) const DEATHS: usize = 100;

/// One whole cycle: the process says who it is.
pub(crate) fn cycle(target: Target) -> Result<Target, Error> {
    let pid = target.pid();
    let mut infected = target.prepare(&parasite::BLOB)?.seize()?.infect(&parasite::BLOB)?;
    assert_eq!(infected.call(parasite::PING, ())?, 42);
    let mut misc = Misc::default();
    infected.call(parasite::DUMP_MISC, (&mut misc,))?;
    assert_eq!(misc.pid, pid, "another process has answered");
    infected.cure()?.release()
}

/// Does `count` cycles, with a little time between them in which the program gets on, and returns how many it has done: fewer
/// where the program has ended meanwhile, as the load's end ends it.
///
/// The program must be crash-safe: whoever died in one of these cycles would not have harmed it. A moment in which it is not,
/// because it blocks every signal, is refused and counted, and another one taken.
fn cycles(pid: i32, count: usize, refused: &AtomicUsize) -> usize {
    let mut target = Target::open(pid).unwrap().require_crash_safe();
    let mut done = 0;
    let mut at_a_stretch = 0;
    while done < count {
        target = match cycle(target) {
            Ok(target) => {
                done += 1;
                at_a_stretch = 0;
                target
            }
            Err(Error::NotCrashSafe { risks, .. })
                if risks == [CrashRisk::SignalsCaught] && at_a_stretch < 20 =>
            {
                at_a_stretch += 1;
                refused.fetch_add(1, Ordering::Relaxed);
                match Target::open(pid) {
                    Ok(target) => target.require_crash_safe(),
                    Err(_) if ended(pid) => return done,
                    Err(error) => panic!("process {pid}: {error}"),
                }
            }
            Err(Error::NoSuchProcess { .. } | Error::Zombie { .. } | Error::Died { .. }) if ended(pid) => {
                return done;
            }
            Err(error) => {
                panic!("process {pid}, cycle {done}: {error}: {:?}", std::error::Error::source(&error))
            }
        };
        between();
    }
    assert_eq!(traces(pid), [""; 0], "cured, and not gone");
    count
}

/// The time in which a program gets on between two cycles.
pub(crate) fn between() {
    std::thread::sleep(random(Duration::from_millis(6)));
}

fn ended(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ") || status.contains("State:\tX")
}

/// Lets hosts die beside it, each at a random time of its two cycles, and looks what they leave.
fn deaths(pid: i32, count: usize, _: &AtomicUsize) -> usize {
    for done in 0..count {
        if ended(pid) {
            return done;
        }
        let mut host = Command::new(env!("CARGO_BIN_EXE_host"));
        let mut host = host.arg(pid.to_string()).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(random(Duration::from_millis(25)));
        host.kill().unwrap();
        host.wait().unwrap();
        let begin = Instant::now();
        // The blob's call goes on, up to its end, and takes the blob away.
        while !ended(pid) && !traces(pid).is_empty() {
            assert!(begin.elapsed() < Duration::from_secs(10), "process {pid} keeps {:#?}", traces(pid));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    count
}

/// Counts its end, also when it fails: the load is over then.
pub(crate) struct Working<'a>(pub(crate) &'a AtomicUsize);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Up to this long.
fn random(limit: Duration) -> Duration {
    let limit = u64::try_from(limit.as_nanos()).unwrap().max(1);
    Duration::from_nanos(RandomState::new().build_hasher().finish() % limit)
}

/// What is done to a process: how often of how often asked for, and how often refused.
type Work = fn(i32, usize, &AtomicUsize) -> usize;

/// Does all that a program is put through, in pieces where it ends on the way: `victim` says which process is next. Returns
/// how often the moment was refused.
pub(crate) fn all(victim: impl Fn() -> Option<i32>) -> usize {
    let refused = AtomicUsize::new(0);
    for (work, wanted) in [(cycles as Work, CYCLES), (deaths, DEATHS)] {
        let mut done = 0;
        let mut idle = Instant::now();
        while done < wanted {
            assert!(
                idle.elapsed() < Duration::from_secs(60),
                "{done} of {wanted} done, and no process to work on"
            );
            match victim() {
                Some(pid) => {
                    done += work(pid, wanted - done, &refused);
                    idle = Instant::now();
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
    refused.into_inner()
}
