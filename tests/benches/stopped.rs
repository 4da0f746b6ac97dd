//! How long a victim is stopped for more threads, and for a large blob.
//!
//! *Threads*: a process with sixteen more threads, all asleep on one processor, beside one without; what each adds, and
//! what the requests that no tracer can do without (seize, interrupt, wait, detach) take alone.
//! *A thousand threads*: with one of them stopped, beside a process that has one; and with all of them stopped.
//! *A large blob*: 8 MiB with 100,000 relocations, from the stop to the release, beside `process_vm_writev` of the same
//! bytes into a fresh mapping, which is what merely carrying them costs.

mod support;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use pie_blob::__private::{Parts, blob};
use pie_blob::{Blob, Reloc};
use pie_blob_inject::{Stop, Target};
use pie_blob_parasite::parasite;

use support::pairs::Pairs;
use support::processors;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many threads this program has beside its first when it is started as a victim.
const VARIABLE: &str = "PIE_BLOB_BENCH_SLEEPERS";
const MORE: u32 = 16;
const ROUNDS: usize = 400;
/// As in a server that has a thread for each connection.
const THOUSAND: u32 = 999;
const THOUSAND_ROUNDS: usize = 100;
/// Rounds that count for nothing: the first ones fault pages in, here and there.
const FIRST: usize = 10;
const LARGE: usize = 8 << 20;
const RELOCATIONS: usize = 100_000;
const LARGE_ROUNDS: usize = 60;

/// A process whose threads sleep, until it is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start(more: u32, processor: usize) -> Result<(Self, Target)> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.env(VARIABLE, more.to_string()).stdout(Stdio::piped()).spawn()?;
        let said = child.stdout.take().ok_or("no pipe")?;
        let sleeper = Self(child);
        BufReader::new(said).read_line(&mut String::new())?;
        let pid = i32::try_from(sleeper.0.id())?;
        for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let tid = entry?.file_name().to_str().ok_or("no number")?.parse()?;
            processors::pin(tid, &[processor])?;
        }
        Ok((sleeper, Target::open(pid)?))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sleep(more: u32) -> ! {
    for _ in 0..more {
        std::thread::spawn(|| {
            loop {
                std::thread::park();
            }
        });
    }
    // Until all of them are asleep.
    let is_awake = |tid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap_or_default();
        !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
    };
    let own = std::process::id().to_string();
    while std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten().any(|entry| {
        let tid = entry.file_name().to_string_lossy().into_owned();
        tid != own && is_awake(&tid)
    }) {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("asleep");
    loop {
        std::thread::park();
    }
}

/// One cycle; for how long the victim was stopped, in microseconds.
fn cycle(target: Target, blob: &'static Blob) -> Result<(Target, f64)> {
    let victim = target.prepare(blob)?.seize()?;
    let since = victim.stopped_since();
    let mut infected = victim.infect(blob)?;
    let answer = infected.call(parasite::PING, ())?;
    let target = infected.cure()?.release()?;
    let stopped = since.elapsed().as_secs_f64() * 1e6;
    if answer == 42 { Ok((target, stopped)) } else { Err(format!("ping answered {answer}").into()) }
}

/// How long it takes to stop these threads and to let them go, with nothing in between, in microseconds for each.
fn bare(threads: &[i32]) -> Result<f64> {
    let request = |request: libc::c_uint, tid: i32| {
        // SAFETY: these requests take numbers in the pointers' places, of which they use none.
        match unsafe { libc::ptrace(request, tid, 0_usize, 0_usize) } {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    let begin = Instant::now();
    for tid in threads {
        request(libc::PTRACE_SEIZE, *tid)?;
    }
    for tid in threads {
        request(libc::PTRACE_INTERRUPT, *tid)?;
    }
    for tid in threads {
        // SAFETY: a status is not asked for.
        if unsafe { libc::waitpid(*tid, std::ptr::null_mut(), libc::__WALL) } != *tid {
            return Err(std::io::Error::last_os_error().into());
        }
    }
    for tid in threads {
        request(libc::PTRACE_DETACH, *tid)?;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / threads.len() as f64)
}

fn threads(processor: usize) -> Result<()> {
    let (_many_sleep, mut many) = Sleeper::start(MORE, processor)?;
    let (_one_sleeps, mut one) = Sleeper::start(0, processor)?;
    let mut pairs = Pairs::default();
    let mut added = Vec::with_capacity(ROUNDS);
    let mut needed = Vec::with_capacity(ROUNDS);
    let entries = std::fs::read_dir(format!("/proc/{}/task", many.pid()))?;
    let tids: Vec<i32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for round in 0..ROUNDS + FIRST {
        let (back, stopped_many) = cycle(many, &parasite::BLOB)?;
        many = back;
        let (back, stopped_one) = cycle(one, &parasite::BLOB)?;
        one = back;
        if round >= FIRST {
            pairs.add(stopped_many, stopped_one);
            added.push((stopped_many - stopped_one) / f64::from(MORE));
            needed.push(bare(&tids)?);
        }
    }
    let [low, median, high] = support::pairs::quartiles(added).ok_or("no rounds")?;
    println!("one more thread, asleep: {median:.1} us (quartiles {low:.1} to {high:.1}; the goal is 8)");
    let [low, median, high] = support::pairs::quartiles(needed).ok_or("no rounds")?;
    println!("  the kernel's part of it: {median:.1} us (quartiles {low:.1} to {high:.1})");
    if let Some(summary) = pairs.summary() {
        println!("  {} threads : 1 thread = {summary}", MORE + 1);
    }
    Ok(())
}

/// A thousand threads, of which one or all are stopped, beside a process with one.
fn thousand(processor: usize) -> Result<()> {
    let (_many_sleep, mut many) = Sleeper::start(THOUSAND, processor)?;
    let (_one_sleeps, mut one) = Sleeper::start(0, processor)?;
    for (name, stop, goal) in [("one", Stop::One, Some(1.3)), ("all", Stop::All, None)] {
        let mut pairs = Pairs::default();
        let mut added = Vec::with_capacity(THOUSAND_ROUNDS);
        many = many.stop(stop);
        for round in 0..THOUSAND_ROUNDS + FIRST {
            let (back, stopped_many) = cycle(many, &parasite::BLOB)?;
            many = back;
            let (back, stopped_one) = cycle(one, &parasite::BLOB)?;
            one = back;
            if round >= FIRST {
                pairs.add(stopped_many, stopped_one);
                added.push((stopped_many - stopped_one) / f64::from(THOUSAND));
            }
        }
        let summary = pairs.summary().ok_or("no rounds")?;
        println!("{} threads, {name} stopped : 1 thread = {summary}", THOUSAND + 1);
        if let Some(goal) = goal {
            println!("  the goal is {goal}");
        } else {
            let [low, median, high] = support::pairs::quartiles(added).ok_or("no rounds")?;
            println!("  for each thread more: {median:.1} us (quartiles {low:.1} to {high:.1})");
        }
    }
    Ok(())
}

/// The parasite, followed by bytes and relocations that nobody looks at.
fn large() -> Result<&'static Blob> {
    let parts = *parasite::BLOB.__parts();
    let small = usize::try_from(parts.size)?.next_multiple_of(4096);
    let mut bytes = parts.bytes.to_vec();
    bytes.resize(small, 0);
    bytes.extend((0_u8..251).cycle().take(LARGE));
    let mut relocs = Vec::with_capacity(8 * (parts.relocs.len() + RELOCATIONS));
    let mut add = |offset: u32| {
        relocs.extend_from_slice(&offset.to_le_bytes());
        relocs.extend_from_slice(&[1, 0, 0, 0]);
    };
    parts.relocs.iter().for_each(|reloc| add(reloc.offset()));
    let stride = (LARGE / RELOCATIONS) & !7;
    for n in 0..RELOCATIONS {
        add(u32::try_from(small + n * stride)?);
    }
    let size = bytes.len() as u64;
    let large =
        Parts { id: parts.id, bytes: bytes.leak(), relocs: Reloc::slice(relocs.leak()), size, ..parts };
    Ok(Box::leak(Box::new(blob(large))))
}

/// How long `process_vm_writev` takes for `bytes` into a mapping that nobody has touched, in microseconds.
fn carry(bytes: &[u8]) -> Result<f64> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, wherever the kernel likes it.
    let fresh = unsafe { libc::mmap(std::ptr::null_mut(), bytes.len(), protection, flags, -1, 0) };
    if fresh == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error().into());
    }
    let from = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let to = libc::iovec { iov_base: fresh, iov_len: bytes.len() };
    let pid = i32::try_from(std::process::id())?;
    let begin = Instant::now();
    // SAFETY: reads `bytes` and writes as many to the mapping, which nothing else refers to.
    let carried = unsafe { libc::process_vm_writev(pid, &raw const from, 1, &raw const to, 1, 0) };
    let took = begin.elapsed().as_secs_f64() * 1e6;
    // SAFETY: the mapping is gone from here on, and nothing refers to it.
    unsafe { libc::munmap(fresh, bytes.len()) };
    if usize::try_from(carried) == Ok(bytes.len()) { Ok(took) } else { Err("not all was carried".into()) }
}

fn large_blob(processor: usize) -> Result<()> {
    let blob = large()?;
    let (_sleeper, mut target) = Sleeper::start(0, processor)?;
    let mut pairs = Pairs::default();
    for round in 0..LARGE_ROUNDS + 3 {
        let (back, stopped) = cycle(target, blob)?;
        target = back;
        let carried = carry(blob.bytes())?;
        if round >= 3 {
            pairs.add(stopped, carried);
        }
    }
    let summary = pairs.summary().ok_or("no rounds")?;
    println!("8 MiB with 100,000 relocations, stopped : process_vm_writev = {summary}; the goal is 1.5");
    Ok(())
}

fn measure() -> Result<()> {
    let processor = *processors::allowed()?.first().ok_or("no processor")?;
    processors::pin(0, &[processor])?;
    threads(processor)?;
    thousand(processor)?;
    large_blob(processor)
}

fn main() -> ExitCode {
    if let Ok(more) = std::env::var(VARIABLE) {
        sleep(more.parse().unwrap_or(0));
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stopped: {error}");
            ExitCode::FAILURE
        }
    }
}
