//! Runs a tool: waits for it, forwards what it says, keeps it for the error.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::Error;

/// How a tool ended, and what it said.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `command` to its end. Its standard output is never ours: cargo reads that.
pub(crate) fn run(command: &mut Command) -> Result<Ended, Error> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start { tool: PathBuf::from(command.get_program()), source })?;
    Ok(Ended {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Whether there is such a tool.
pub(crate) fn runs(tool: &Path) -> bool {
    run(Command::new(tool).arg("--version")).is_ok_and(|ended| ended.status.success())
}

/// Runs a compiler, forwards its messages, and makes an error of its refusal.
pub(crate) fn compile(command: &mut Command, input: &Path) -> Result<(), Error> {
    let ended = run(command)?;
    if ended.status.success() {
        // Warnings: whoever runs cargo with `-vv` sees them. Lost if standard error is closed.
        let _ = std::io::stderr().write_all(ended.stderr.as_bytes());
        return Ok(());
    }
    Err(Error::Compile {
        tool: PathBuf::from(command.get_program()),
        input: input.to_owned(),
        status: ended.status,
        output: ended.stdout + &ended.stderr,
    })
}
