//! What a cycle costs: stop, infect, one call, cure, resume, again and again.

use std::time::Instant;

use pie_blob_inject::{Stop, Target, tracer_calls};
use pie_blob_parasite::parasite;
use serde::Serialize;

use crate::Result;
use crate::victim::Account;

/// Median, ninetieth percentile and maximum of a figure.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) p90: f64,
    pub(crate) max: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at =
            |percent: usize| figures.get((figures.len() - 1) * percent / 100).copied().unwrap_or_default();
        Self { median: at(50), p90: at(90), max: at(100) }
    }
}

/// The phases of a cycle, in microseconds, and the system calls that the tracer made.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) cycles: usize,
    /// How many threads were stopped.
    pub(crate) threads: usize,
    /// The one that ran the blob in the last cycle.
    pub(crate) thread: i32,
    /// From the first request to stop until the last thread is let go.
    pub(crate) victim_stopped_us: Spread,
    /// Choosing a base and relocating the blob: before the stop.
    pub(crate) prepare_us: Spread,
    pub(crate) stop_us: Spread,
    pub(crate) infect_us: Spread,
    pub(crate) call_us: Spread,
    pub(crate) cure_us: Spread,
    pub(crate) resume_us: Spread,
    /// All system calls of a cycle, from the first to the last.
    pub(crate) tracer_calls: Spread,
    pub(crate) unharmed: bool,
    pub(crate) own_account: Option<Account>,
}

/// When each phase of one cycle ended.
struct Cycle {
    phases: [Instant; 7],
    stopped_since: Instant,
    calls: u64,
    threads: usize,
    thread: i32,
}

fn once(target: Target) -> Result<(Target, Cycle)> {
    let calls = tracer_calls();
    let begin = Instant::now();
    let target = target.prepare(&parasite::BLOB)?;
    let prepared = Instant::now();
    let victim = target.seize()?;
    let stopped = Instant::now();
    let (stopped_since, threads) = (victim.stopped_since(), victim.threads().len());
    let mut spy = victim.infect(&parasite::BLOB)?;
    let infected = Instant::now();
    let answer = spy.call(parasite::PING, ())?;
    let called = Instant::now();
    let thread = spy.thread();
    let victim = spy.cure()?;
    let cured = Instant::now();
    let target = victim.release()?;
    let released = Instant::now();
    if answer != 42 {
        return Err(format!("ping answered {answer}").into());
    }
    let phases = [begin, prepared, stopped, infected, called, cured, released];
    Ok((target, Cycle { phases, stopped_since, calls: tracer_calls() - calls, threads, thread }))
}

/// Repeats the cycle and sums it up.
pub(crate) fn measure(pid: i32, stop: Stop, cycles: usize) -> Result<Measured> {
    let mut target = Target::open(pid)?.stop(stop);
    let mut all = Vec::with_capacity(cycles);
    // The first cycles fault pages in, here and there.
    for counted in (0..5).map(|_| false).chain((0..cycles).map(|_| true)) {
        let (back, cycle) = once(target)?;
        target = back;
        if counted {
            all.push(cycle);
        }
    }
    let spread = |figure: &dyn Fn(&Cycle) -> f64| Spread::of(all.iter().map(figure).collect());
    let phase = |n: usize| spread(&|cycle: &Cycle| micros(cycle.phases[n], cycle.phases[n + 1]));
    Ok(Measured {
        cycles,
        threads: all.last().map_or(0, |cycle| cycle.threads),
        thread: all.last().map_or(0, |cycle| cycle.thread),
        victim_stopped_us: spread(&|cycle| micros(cycle.stopped_since, cycle.phases[6])),
        prepare_us: phase(0),
        stop_us: phase(1),
        infect_us: phase(2),
        call_us: phase(3),
        cure_us: phase(4),
        resume_us: phase(5),
        tracer_calls: spread(&|cycle| cycle.calls as f64),
        unharmed: true,
        own_account: None,
    })
}

pub(crate) fn micros(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_nanos() as f64 / 1000.0
}
