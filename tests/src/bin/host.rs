//! A host for tests that kill it: one whole cycle on the process that it is told.

use std::process::ExitCode;

use pie_blob_inject::{Error, Target};
use pie_blob_parasite::{Misc, parasite};

fn cycle(pid: i32) -> Result<i32, Error> {
    let victim = Target::open(pid)?.prepare(&parasite::BLOB)?.seize()?;
    let mut infected = victim.infect(&parasite::BLOB)?;
    let answer = infected.call(parasite::PING, ())?;
    let mut misc = Misc::default();
    infected.call(parasite::DUMP_MISC, (&mut misc,))?;
    infected.cure()?.release()?;
    Ok(answer)
}

fn main() -> ExitCode {
    let pid = std::env::args().nth(1).and_then(|pid| pid.parse().ok()).unwrap_or_default();
    match cycle(pid) {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error:?}");
            ExitCode::FAILURE
        }
    }
}
