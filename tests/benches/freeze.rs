//! A process with so many MiB of touched memory frozen, beside `dd conv=fsync` of the same bytes; and thawed, beside reading
//! them into memory. In turns, each pair on the same disk one after the other.
//!
//! `cargo bench -p pie_blob_tests --bench freeze -- [MIB…]`. Takes the rights to thaw (root), and room for three times
//! the memory in the target directory's file system.

mod support;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use support::pairs::{Pairs, quartiles};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const FREEZER: &str = env!("CARGO_BIN_EXE_freezer");
/// Makes this program the one that thaws.
const THAW: &str = "--thaw";

/// Compiles the program whose memory it is.
fn program(folder: &Path) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("victims/freeze/memory.c");
    let program = folder.join("memory");
    let built = Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(source).status()?;
    if built.success() { Ok(program) } else { Err("cc failed".into()) }
}

/// Closes what this process has inherited itself.
fn close_others() -> std::io::Result<()> {
    // SAFETY: takes three numbers, and the process becomes another one next.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    Ok(())
}

/// Starts it and waits until all is touched.
fn start(program: &Path, mebibytes: u64) -> Result<Child> {
    let mut command = Command::new(program);
    command.args([&mebibytes.to_string(), "3600"]).stdin(Stdio::null()).stdout(Stdio::piped());
    // SAFETY: it makes one system call.
    unsafe { command.pre_exec(close_others) };
    let mut child = command.spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    if line == "ready\n" { Ok(child) } else { Err(format!("it says {line:?}").into()) }
}

/// Freezes: how long that took, and for how long the process stood still, by the command's own words.
fn freeze(pid: i32, image: &Path) -> Result<(Duration, f64)> {
    let begin = Instant::now();
    let output = Command::new(FREEZER).args(["freeze", &pid.to_string()]).arg(image).output()?;
    let took = begin.elapsed();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let stopped = said.split_once("stopped for ").and_then(|(_, rest)| rest.split_once(" ms"));
    match stopped.and_then(|(milliseconds, _)| milliseconds.parse::<f64>().ok()) {
        Some(milliseconds) if output.status.success() => Ok((took, milliseconds)),
        _ => Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

fn dd(from: &Path, to: &Path) -> Result<Duration> {
    let begin = Instant::now();
    let mut command = Command::new("dd");
    command.arg(format!("if={}", from.display())).arg(format!("of={}", to.display()));
    let status = command.args(["bs=1M", "conv=fsync"]).stderr(Stdio::null()).status()?;
    let took = begin.elapsed();
    std::fs::remove_file(to)?;
    if status.success() { Ok(took) } else { Err("dd failed".into()) }
}

/// Thaws in a new process: until that runs as the program. What it says then comes through its pipe, so that no look at it
/// takes time from it.
fn thaw(pid: i32, image: &Path, program: &Path) -> Result<Duration> {
    let begin = Instant::now();
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.arg(THAW).arg(image).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut word = [0; 2];
    child.stdout.as_mut().ok_or("no output")?.read_exact(&mut word)?;
    let took = begin.elapsed();
    let runs = std::fs::read_link(format!("/proc/{pid}/exe"))?;
    // SAFETY: takes two numbers.
    let _ = unsafe { libc::kill(pid, libc::SIGKILL) };
    child.wait()?;
    if &word == b"ok" && runs == program { Ok(took) } else { Err("it was not thawed".into()) }
}

/// What this program does when it is told [`THAW`].
fn thaw_here(image: &Path) -> Result<()> {
    let thawed = pie_blob_freeze::thaw(image)?;
    // All signals are blocked until it continues.
    let status = format!("/proc/{}/status", thawed.pid());
    while std::fs::read_to_string(&status)?.contains("SigBlk:\tfffffffffffbfeff") {
        std::thread::yield_now();
    }
    std::io::stdout().write_all(b"ok")?;
    std::io::stdout().flush()?;
    thawed.wait()?;
    Ok(())
}

/// Reads a file into memory of one's own.
fn read(path: &Path) -> Result<Duration> {
    let begin = Instant::now();
    let bytes = std::fs::read(path)?;
    let took = begin.elapsed();
    if std::hint::black_box(bytes).is_empty() { Err("it is empty".into()) } else { Ok(took) }
}

fn size(mebibytes: u64, rounds: usize, folder: &Path, program: &Path) -> Result<()> {
    let (mut freezing, mut thawing, mut stops) = (Pairs::default(), Pairs::default(), Vec::new());
    let (image, copy) = (folder.join("image"), folder.join("copy"));
    for round in 0..rounds {
        let mut victim = start(program, mebibytes)?;
        let pid = i32::try_from(victim.id())?;
        // The copy is of what an earlier freeze wrote, so that both begin with it in memory; who is first takes turns.
        let before = folder.join("before");
        let ours = |stops: &mut Vec<f64>| -> Result<Duration> {
            let (took, stopped) = freeze(pid, &image)?;
            stops.push(stopped);
            Ok(took)
        };
        let (our, their);
        if round == 0 {
            ours(&mut Vec::new())?;
            victim.wait()?;
            std::fs::rename(image.join("pages"), &before)?;
            std::fs::remove_dir_all(&image)?;
            continue;
        }
        settle()?;
        if round % 2 == 0 {
            our = ours(&mut stops)?;
            settle()?;
            their = dd(&before, &copy)?;
        } else {
            their = dd(&before, &copy)?;
            settle()?;
            our = ours(&mut stops)?;
        }
        victim.wait()?;
        freezing.add(our.as_secs_f64() * 1e6, their.as_secs_f64() * 1e6);
        let pages = image.join("pages");
        settle()?;
        let (our, their) = if round % 2 == 0 {
            let our = thaw(pid, &image, program)?;
            (our, read(&pages)?)
        } else {
            let their = read(&pages)?;
            (thaw(pid, &image, program)?, their)
        };
        thawing.add(our.as_secs_f64() * 1e6, their.as_secs_f64() * 1e6);
        std::fs::remove_dir_all(&image)?;
    }
    let stopped = quartiles(stops).map_or(0.0, |[_, stopped, _]| stopped);
    if let (Some(freezing), Some(thawing)) = (freezing.summary(), thawing.summary()) {
        println!("{mebibytes} MiB frozen : dd conv=fsync   {freezing}");
        println!("{mebibytes} MiB stopped for {stopped:.0} ms");
        println!("{mebibytes} MiB thawed : read            {thawing}");
    }
    Ok(())
}

/// Waits until nothing of an earlier turn is on its way to the disk.
fn settle() -> Result<()> {
    let synced = Command::new("sync").status()?;
    if synced.success() { Ok(()) } else { Err("sync failed".into()) }
}

fn run() -> Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let program = program(folder.path())?;
    let asked: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if asked.is_empty() { vec![16, 256, 1024] } else { asked };
    for mebibytes in sizes {
        let rounds = match mebibytes {
            ..=64 => 60,
            65..=512 => 12,
            _ => 8,
        };
        size(mebibytes, rounds, folder.path(), &program)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let done = match (arguments.next(), arguments.next()) {
        (Some(first), Some(image)) if first == THAW => thaw_here(Path::new(&image)),
        _ if std::env::args().any(|argument| argument == "--bench") => run(),
        // `cargo test --benches` asks whether it starts.
        _ => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("freeze: {error}");
            ExitCode::FAILURE
        }
    }
}
