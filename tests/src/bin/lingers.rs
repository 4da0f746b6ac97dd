//! A host that stays: `lingers PID` says `begin`, tries one cycle, says `done` or what was wrong, and ends with its input.

use std::io::Read;

use pie_blob_inject::{Error, Target};
use pie_blob_parasite::{Misc, parasite};

fn cycle(pid: i32) -> Result<(), Error> {
    let victim = Target::open(pid)?.prepare(&parasite::BLOB)?.seize()?;
    let mut infected = victim.infect(&parasite::BLOB)?;
    infected.call(parasite::PING, ())?;
    let mut misc = Misc::default();
    infected.call(parasite::DUMP_MISC, (&mut misc,))?;
    infected.cure()?.release()?;
    Ok(())
}

fn main() {
    let pid = std::env::args().nth(1).and_then(|pid| pid.parse().ok()).unwrap_or_default();
    println!("begin");
    match cycle(pid) {
        Ok(()) => println!("done"),
        Err(error) => println!("{error:?}"),
    }
    // Nothing but the end of its input ends it.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
