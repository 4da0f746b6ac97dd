//! Asks another process what only it can know, and shows that it goes on unharmed.
//!
//! ```text
//! cargo run --example spy                        starts its own victim and spies on it
//! cargo run --example spy -- --pid 4711          spies on a process of yours
//! cargo run --example spy -- --pid 4711 --json   the same for programs
//! cargo run --example spy -- --repeat 500        repeats the cycle and says what each phase costs
//! cargo run --example spy -- --stop all          stops all threads, and not only the one that runs the blob
//! cargo run --example spy -- --heal 4711         only finishes what hosts have begun there and died over
//! ```

#[path = "spy/cycle.rs"]
mod cycle;
#[path = "spy/registers.rs"]
mod registers;
#[path = "spy/report.rs"]
mod report;
#[path = "spy/seen.rs"]
mod seen;
#[path = "spy/victim.rs"]
mod victim;

use std::error::Error;
use std::process::ExitCode;

use lexopt::prelude::*;
use pie_blob_inject::{Stop, Target};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the command line asks for.
struct Arguments {
    pid: Option<i32>,
    json: bool,
    repeat: Option<usize>,
    stop: Stop,
    heal: Option<i32>,
}

fn parse() -> Result<Option<Arguments>> {
    let mut arguments = Arguments { pid: None, json: false, repeat: None, stop: Stop::One, heal: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("pid") => arguments.pid = Some(parser.value()?.parse()?),
            Long("json") => arguments.json = true,
            Long("repeat") => arguments.repeat = Some(parser.value()?.parse()?),
            Long("heal") => arguments.heal = Some(parser.value()?.parse()?),
            Long("stop") => {
                arguments.stop = match parser.value()?.to_str() {
                    Some("one") => Stop::One,
                    Some("all") => Stop::All,
                    _ => return Err("--stop takes `one` or `all`".into()),
                }
            }
            Long(victim::MODE) => return Ok(None),
            Short('h') | Long("help") => {
                println!("spy [--pid N] [--stop one|all] [--json] [--repeat N]\nspy --heal N");
                std::process::exit(0);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if arguments.repeat == Some(0) {
        return Err("--repeat takes at least 1".into());
    }
    Ok(Some(arguments))
}

fn run() -> Result<ExitCode> {
    let Some(arguments) = parse()? else { return victim::main() };
    if let Some(pid) = arguments.heal {
        match Target::heal(pid)? {
            0 => println!("process {pid}: no host has left anything in it"),
            found => println!("process {pid}: finished what {found} dead host(s) had begun"),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let own = match arguments.pid {
        Some(_) => None,
        None => Some(victim::Own::start()?),
    };
    let pid = arguments.pid.or(own.as_ref().map(victim::Own::pid)).unwrap_or_default();
    let mut report = match arguments.repeat {
        Some(cycles) => report::Report::Measured(Box::new(cycle::measure(pid, arguments.stop, cycles)?)),
        None => report::Report::Seen(Box::new(seen::look(pid, arguments.stop)?)),
    };
    if let Some(own) = own {
        report.add_own_account(own.stop()?);
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.unharmed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let mut line = format!("spy: {error}");
            let mut source = error.source();
            while let Some(error) = source {
                line += &format!(": {error}");
                source = error.source();
            }
            eprintln!("{line}");
            ExitCode::FAILURE
        }
    }
}
