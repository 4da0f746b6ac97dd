//! Asks a process for a variable of its environment through its own `getenv`.
//!
//! ```text
//! cargo run --example getenv -- PID NAME
//! ```
//!
//! Without arguments it starts a process with a variable of its own and asks that. The blob leaves `getenv` undefined; the
//! address is found in the symbol table of the victim's C library, as it is mapped and not as it lies on the disk by now, and the
//! compiler does not let the blob be loaded without it.

#[path = "getenv/library.rs"]
mod library;

use std::error::Error;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use pie_blob::Remote;
use pie_blob_caller::caller;
use pie_blob_inject::Victim;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn ask(pid: i32, name: &str) -> Result<Option<String>> {
    let getenv = Remote::new(library::function(pid, "getenv")?);
    let blob = caller::BLOB.with(caller::Imports { getenv });
    let mut infected = Victim::seize(pid)?.infect(blob)?;
    let name: Vec<u8> = name.bytes().chain([0]).collect();
    let mut value = vec![0; 4096];
    let capacity = value.len();
    let len = infected.call(caller::ENVIRONMENT, (&name[..], &mut value[..], capacity))?;
    infected.cure()?.release()?;
    let Ok(len) = usize::try_from(len) else { return Ok(None) };
    value.truncate(len);
    Ok(Some(String::from_utf8_lossy(&value).into_owned()))
}

/// A process with a variable of its own; ended when this one is done with it.
struct Own(Child);

impl Drop for Own {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let (own, pid, name) = match (arguments.next(), arguments.next()) {
        (Some(pid), Some(name)) => (None, pid.parse()?, name),
        (None, _) => {
            let child = Command::new("sleep").arg("60").env("PIE_BLOB_SAYS", "hello from inside").spawn()?;
            let pid = i32::try_from(child.id())?;
            let own = Own(child);
            // Until it has its C library.
            let begin = Instant::now();
            while library::function(pid, "getenv").is_err() && begin.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(1));
            }
            (Some(own), pid, "PIE_BLOB_SAYS".to_owned())
        }
        _ => return Err("getenv [PID NAME]".into()),
    };
    let value = ask(pid, &name)?;
    drop(own);
    match value {
        Some(value) => println!("{name}={value}"),
        None => println!("{name} is not set"),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("getenv: {error}");
        ExitCode::FAILURE
    })
}
