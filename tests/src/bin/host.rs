//! A host for tests that kill it: one whole cycle on the process that it is told.
//!
//! `host PID killed` kills itself when a call has come back; `host PID killed ADDRESS` changes a word there before.

use std::os::unix::fs::FileExt;
use std::process::ExitCode;

use pie_blob_inject::{Error, Target};
use pie_blob_parasite::{Misc, parasite};

fn cycle(pid: i32, killed: bool) -> Result<i32, Error> {
    let victim = Target::open(pid)?.prepare(&parasite::BLOB)?.seize()?;
    let mut infected = victim.infect(&parasite::BLOB)?;
    let answer = infected.call(parasite::PING, ())?;
    if killed {
        if let Some(address) = std::env::args().nth(3).and_then(|address| address.parse().ok()) {
            let memory = std::fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/mem"));
            let written = memory.and_then(|memory| memory.write_all_at(&7_u64.to_ne_bytes(), address));
            written.expect("the word is writable");
        }
        // SAFETY: ends this process.
        unsafe { libc::raise(libc::SIGKILL) };
    }
    let mut misc = Misc::default();
    infected.call(parasite::DUMP_MISC, (&mut misc,))?;
    infected.cure()?.release()?;
    Ok(answer)
}

fn main() -> ExitCode {
    let pid = std::env::args().nth(1).and_then(|pid| pid.parse().ok()).unwrap_or_default();
    let killed = std::env::args().nth(2).is_some_and(|mode| mode == "killed");
    match cycle(pid, killed) {
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
