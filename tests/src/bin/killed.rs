//! A host that kills itself when a call has come back: `killed PID`; `killed PID ADDRESS` changes a word there before; `killed PID
//! late` opens the process, says so, and waits for a byte before it goes on.

use std::io::Read;
use std::os::unix::fs::FileExt;

use pie_blob_inject::{Error, Target};
use pie_blob_parasite::parasite;

fn main() -> Result<(), Error> {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let pid = numbers.first().and_then(|pid| i32::try_from(*pid).ok()).unwrap_or_default();
    let target = Target::open(pid)?;
    if std::env::args().any(|argument| argument == "late") {
        println!("opened");
        std::io::stdin().read_exact(&mut [0]).expect("a byte");
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
