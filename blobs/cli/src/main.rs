//! `pie-blob`: looks at an object the way the macro will, and writes what the macro would embed for those who have no macro.
//!
//! Everything is `pie_blob_image`'s: this crate draws, formats and writes. Each subcommand knows
//! that it can succeed before the first byte of its output is written, and there is one place where writing fails.
#![forbid(unsafe_code)]

mod arguments;
mod error;
mod flatten;
mod header;
mod inspect;
mod json;
mod lines;
mod object;
mod output;
mod paint;
mod plain;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use arguments::{Arguments, Task};
use error::Error;

fn main() -> ExitCode {
    let ended = match Arguments::try_parse() {
        Ok(arguments) => run(arguments.task),
        // A mistake of the caller's: clap knows how to say it, and that the status is 2.
        Err(mistake) if mistake.use_stderr() => mistake.exit(),
        Err(help) => output::checked(help.print()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where there is no standard error either, the status has to do.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), Error> {
    match task {
        Task::Inspect(inspect) => inspect::run(&inspect),
        Task::Flatten(flatten) => flatten::run(&flatten),
        Task::Header(header) => header::run(&header),
        Task::Lines(lines) => lines::run(&lines),
        Task::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), arguments::NAME, &mut script);
            output::to_stdout(&|to| to.write_all(&script))
        }
        Task::Man { subcommand } => {
            let page = arguments::man(subcommand.as_deref())?;
            output::to_stdout(&|to| to.write_all(&page))
        }
    }
}
