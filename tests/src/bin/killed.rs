//! A host that kills itself when a call has come back: `killed PID`; `killed PID ADDRESS` changes a word there before; `killed PID
//! late` opens the process, says so, and waits for a byte before it goes on. `killed PID spins`, `sleeps` and `beside` say
//! `calling` and are in a call that does not come back, `beside` in another thread than the first while that one runs: whoever has
//! started them kills them.

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use pie_blob_inject::{Error, Others, Target};
use pie_blob_parasite::parasite;
use pie_blob_wild::wild;

fn main() -> Result<(), Error> {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let pid = numbers.first().and_then(|pid| i32::try_from(*pid).ok()).unwrap_or_default();
    let target = Target::open(pid)?;
    if std::env::args().any(|argument| argument == "late") {
        println!("opened");
        std::io::stdin().read_exact(&mut [0]).expect("a byte");
    }
    let way = std::env::args().nth(2).unwrap_or_default();
    if ["spins", "sleeps", "beside"].contains(&&*way) {
        let victim = target.deadline(Duration::from_secs(3600)).seize()?;
        let other = victim.threads().iter().copied().find(|tid| *tid != pid);
        let mut infected = victim.infect(&wild::BLOB)?;
        println!("calling");
        match (&*way, other) {
            ("beside", Some(tid)) => infected.call_in(tid, Others::Running, wild::ENDLESS, ()).map(drop)?,
            ("sleeps", _) => infected.call(wild::SLEEPS, (3_600_000,)).map(drop)?,
            _ => infected.call(wild::ENDLESS, ()).map(drop)?,
        }
        return Ok(());
    }
    let mut infected = target.seize()?.infect(&parasite::BLOB)?;
    infected.call(parasite::PING, ())?;
    if let Some(address) = numbers.get(1) {
        let memory = std::fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/mem"));
        let written = memory.and_then(|memory| memory.write_all_at(&7_u64.to_ne_bytes(), *address));
        written.expect("the word is writable");
    }
    // SAFETY: ends this process.
    unsafe { libc::raise(libc::SIGKILL) };
    Ok(())
}
