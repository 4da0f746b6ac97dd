//! A host for tests that kill it: on the process that it is told, one cycle with short calls and, before the victim goes on,
//! a second one with long calls. Says `calling` before the long ones.
//!
//! The calls are made in two threads where there are two; told `running`, in another thread than the first, while the first
//! runs; told `giving`, a descriptor is given as well. Told `one`, only one thread is stopped and answers.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use pie_blob_inject::{Others, Stop, Target};
use pie_blob_parasite::{Misc, parasite};
use pie_blob_wild::wild;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Some milliseconds of computing: long enough to be killed in.
const STEPS: u64 = 5_000_000;
/// What the blob sleeps after that.
const MILLISECONDS: u64 = 3;

/// What the host is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Running,
    Giving,
    One,
}

/// Whether a thread is the kernel's own, of an `io_uring`: it runs no code of the program's.
fn is_worker(pid: i32, tid: i32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm"));
    name.is_ok_and(|name| name.starts_with("iou-"))
}

fn cycles(pid: i32, way: Way) -> Result<()> {
    let stop = if way == Way::One { Stop::One } else { Stop::All };
    let victim = Target::open(pid)?.stop(stop).prepare(&parasite::BLOB)?.seize()?;
    let other = |tid: &i32| way != Way::One && *tid != pid && !is_worker(pid, *tid);
    let second = victim.threads().iter().copied().find(other);
    let mut infected = victim.infect(&parasite::BLOB)?;
    let mut answer = infected.call(parasite::PING, ())?;
    // There and back again, where there is another thread.
    if let Some(tid) = second {
        let others = if way == Way::Running { Others::Running } else { Others::Stopped };
        answer = infected.call_in(tid, others, parasite::PING, ())?;
    }
    if way == Way::Giving {
        infected.give_descriptor(parasite::RECEIVE_DESCRIPTOR, std::fs::File::open("/dev/null")?, true)?;
    }
    let mut misc = Misc::default();
    infected.call(parasite::DUMP_MISC, (&mut misc,))?;
    if (answer, misc.pid) != (42, pid) {
        return Err(format!("ping answered {answer}, and {} for the pid", misc.pid).into());
    }
    let mut infected = infected.cure()?.infect(&wild::BLOB)?;
    println!("calling");
    std::io::stdout().flush()?;
    let slept = match (way, second) {
        (Way::Running, Some(tid)) => {
            infected.call_in(tid, Others::Running, wild::COMPUTES, (STEPS,))?;
            infected.call_in(tid, Others::Running, wild::SLEEPS, (MILLISECONDS,))?
        }
        (Way::Running, None) => return Err("there is no other thread".into()),
        _ => {
            infected.call(wild::COMPUTES, (STEPS,))?;
            infected.call(wild::SLEEPS, (MILLISECONDS,))?
        }
    };
    if slept != 0 {
        return Err(format!("the blob's sleep answered {slept}").into());
    }
    infected.cure()?.release()?;
    Ok(())
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let pid = arguments.next().and_then(|pid| pid.parse().ok()).unwrap_or_default();
    let way = match arguments.next().as_deref() {
        Some("running") => Way::Running,
        Some("giving") => Way::Giving,
        Some("one") => Way::One,
        _ => Way::Plain,
    };
    match cycles(pid, way) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:?}");
            ExitCode::FAILURE
        }
    }
}
