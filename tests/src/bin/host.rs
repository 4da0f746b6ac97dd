//! A host for tests that kill it: on the process that it is told, one cycle with short calls, in two threads where there are two, and, before the victim goes
//! on, a second one with long calls. Says `calling` before the long ones.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use pie_blob_inject::{Others, Target};
use pie_blob_parasite::{Misc, parasite};
use pie_blob_wild::wild;

/// Some milliseconds of computing: long enough to be killed in.
const STEPS: u64 = 5_000_000;
/// What the blob sleeps after that.
const MILLISECONDS: u64 = 3;

fn cycles(pid: i32) -> Result<(), Box<dyn Error>> {
    let victim = Target::open(pid)?.prepare(&parasite::BLOB)?.seize()?;
    let other = victim.threads().iter().copied().find(|tid| *tid != pid);
    let mut infected = victim.infect(&parasite::BLOB)?;
    let mut answer = infected.call(parasite::PING, ())?;
    // There and back again, where there is another thread.
    if let Some(tid) = other {
        answer = infected.call_in(tid, Others::Stopped, parasite::PING, ())?;
    }
    let mut misc = Misc::default();
    infected.call(parasite::DUMP_MISC, (&mut misc,))?;
    if (answer, misc.pid) != (42, pid) {
        return Err(format!("ping answered {answer}, and {} for the pid", misc.pid).into());
    }
    let mut infected = infected.cure()?.infect(&wild::BLOB)?;
    println!("calling");
    std::io::stdout().flush()?;
    infected.call(wild::COMPUTES, (STEPS,))?;
    let slept = infected.call(wild::SLEEPS, (MILLISECONDS,))?;
    if slept != 0 {
        return Err(format!("the blob's sleep answered {slept}").into());
    }
    infected.cure()?.release()?;
    Ok(())
}

fn main() -> ExitCode {
    let pid = std::env::args().nth(1).and_then(|pid| pid.parse().ok()).unwrap_or_default();
    match cycles(pid) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:?}");
            ExitCode::FAILURE
        }
    }
}
