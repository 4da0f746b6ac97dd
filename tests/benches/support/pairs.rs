//! Two contestants measured in turns, compared pair by pair.
//!
//! The machines that benches run on are shared and change their speed from second to second. Two medians taken one
//! after the other then say more about the machine than about the contestants; of two runs that follow each other
//! within a millisecond, the ratio says something, and the median of many such ratios says it reliably.

use std::fmt;
use std::time::{Duration, Instant};

/// The times of one contestant and of the peer that ran beside it.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    ours: Vec<f64>,
    peers: Vec<f64>,
}

impl Pairs {
    /// Prepares for and runs both once on the same thing, which first alternates, and returns the time of ours.
    pub(crate) fn run<T: ?Sized>(
        &mut self,
        on: &mut T,
        prepare: impl Fn(&mut T),
        ours: impl FnOnce(&mut T),
        peer: impl FnOnce(&mut T),
    ) -> Duration {
        let (our_time, peer_time);
        prepare(on);
        if self.ours.len().is_multiple_of(2) {
            our_time = time(on, ours);
            prepare(on);
            peer_time = time(on, peer);
        } else {
            peer_time = time(on, peer);
            prepare(on);
            our_time = time(on, ours);
        }
        self.add(our_time.as_secs_f64() * 1e6, peer_time.as_secs_f64() * 1e6);
        our_time
    }

    /// Takes a pair that was measured elsewhere, in microseconds.
    pub(crate) fn add(&mut self, ours: f64, peer: f64) {
        self.ours.push(ours);
        self.peers.push(peer);
    }

    /// Sums the pairs up; `None` where there are none.
    pub(crate) fn summary(&self) -> Option<Summary> {
        let ratios = self.ours.iter().zip(&self.peers).map(|(ours, peer)| ours / peer).collect();
        let [low, ratio, high] = quartiles(ratios)?;
        let [_, ours, _] = quartiles(self.ours.clone())?;
        let [_, peer, _] = quartiles(self.peers.clone())?;
        Some(Summary { ours, peer, ratio, low, high, pairs: self.ours.len() })
    }
}

/// Medians in microseconds, and the median and quartiles of the ratios.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) ours: f64,
    pub(crate) peer: f64,
    pub(crate) ratio: f64,
    low: f64,
    high: f64,
    pairs: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, peer, ratio, low, high, pairs } = self;
        write!(
            f,
            "{ours:.1} us : {peer:.1} us, ratio {ratio:.3} (quartiles {low:.3} to {high:.3}, {pairs} pairs)"
        )
    }
}

fn time<T: ?Sized>(on: &mut T, contestant: impl FnOnce(&mut T)) -> Duration {
    let begin = Instant::now();
    contestant(on);
    begin.elapsed()
}

/// The quartiles of some figures; `None` where there are none.
pub(crate) fn quartiles(mut figures: Vec<f64>) -> Option<[f64; 3]> {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().checked_sub(1)?;
    let at = |quarter: usize| figures.get(last * quarter / 4).copied();
    Some([at(1)?, at(2)?, at(3)?])
}

/// What so many tenths of some figures do not exceed; `None` where there are none.
pub(crate) fn tenth(figures: &[f64], tenths: usize) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().checked_sub(1)? * tenths / 10).copied()
}
