//! Timers, and the signals of theirs that are pending.

use std::io;

use pie_blob_inject::Infected;
use pie_blob_parasite as parasite;
use pie_blob_parasite::parasite as blob;

use super::answered;
use crate::error::Error;
use crate::hex::{Bytes, Hex};
use crate::state::PosixTimer;
use crate::{proc, sys};

pub(super) type Timers = ([[i64; 4]; 3], Vec<PosixTimer>, Vec<Bytes>);

/// Timers and the signals that are pending for the process. A timer that expires between the two would be in both or in
/// neither, so the timers are read before and after: only when none has expired between do they belong together.
pub(super) fn timers(infected: &mut Infected, pid: i32) -> Result<Timers, Error> {
    /// A timer that expires more often than the questions take cannot be caught between two of its signals, but a signal that
    /// is pending already is not made pending twice: then any of the readings is as good as the other.
    const TRIES: usize = 50;
    let mut before = read_timers(infected, pid)?;
    for attempt in 1..=TRIES {
        let pending = sys::pending(pid, true).map_err(Error::io("look at pending signals"))?;
        let after = read_timers(infected, pid)?;
        if attempt == TRIES || !expired(&before, &after) {
            let (interval, posix) = after;
            return Ok((interval, posix, pending.into_iter().map(|signal| Bytes(signal.to_vec())).collect()));
        }
        before = after;
    }
    Err(Error::io("look at the timers")(io::Error::from(io::ErrorKind::TimedOut)))
}

type Readings = ([[i64; 4]; 3], Vec<PosixTimer>);

fn read_timers(infected: &mut Infected, pid: i32) -> Result<Readings, Error> {
    let mut dumped = [parasite::IntervalTimer::default(); parasite::TIMERS];
    let answer = infected.call(blob::DUMP_TIMERS, (dumped.as_mut_slice(),))?;
    answered(pid, "interval timers", answer)?;
    let interval = dumped.map(|timer| {
        [timer.interval_seconds, timer.interval_microseconds, timer.value_seconds, timer.value_microseconds]
    });
    let mut posix = posix_timers(pid)?;
    for timer in &mut posix {
        let mut dumped = parasite::PosixTimer::default();
        let answer = infected.call(blob::DUMP_POSIX_TIMER, (timer.id, &mut dumped))?;
        answered(pid, "a POSIX timer", answer)?;
        timer.setting = [
            dumped.interval_seconds,
            dumped.interval_nanoseconds,
            dumped.value_seconds,
            dumped.value_nanoseconds,
        ];
    }
    Ok((interval, posix))
}

/// Whether a timer has expired between two readings: less time is left as long as it has not.
fn expired(before: &Readings, after: &Readings) -> bool {
    let left = |readings: &Readings| -> Vec<[i64; 2]> {
        let settings = readings.0.iter().chain(readings.1.iter().map(|timer| &timer.setting));
        settings.map(|[_, _, seconds, fraction]| [*seconds, *fraction]).collect()
    };
    let (before, after) = (left(before), left(after));
    before.len() != after.len()
        || before
            .iter()
            .zip(&after)
            .any(|(before, after)| after > before || (*after == [0, 0]) != (*before == [0, 0]))
}

/// The timers of `/proc/PID/timers`, not yet with what they are set to.
fn posix_timers(pid: i32) -> Result<Vec<PosixTimer>, Error> {
    let text = proc::read(pid, "timers")?;
    parse_timers(&text).ok_or_else(|| proc::malformed(pid, "timers"))
}

fn parse_timers(text: &str) -> Option<Vec<PosixTimer>> {
    let mut timers: Vec<PosixTimer> = Vec::new();
    for line in text.lines() {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name == "ID" {
            timers.push(PosixTimer {
                id: value.parse().ok()?,
                clock: 0,
                signal: 0,
                value: Hex(0),
                notify: 0,
                thread: 0,
                setting: [0; 4],
            });
            continue;
        }
        let timer = timers.last_mut()?;
        match name {
            "signal" => {
                let (signal, pointer) = value.split_once('/')?;
                timer.signal = signal.parse().ok()?;
                timer.value = Hex(u64::from_str_radix(pointer, 16).ok()?);
            }
            "notify" => {
                let (way, whom) = value.split_once('/')?;
                let (kind, id) = whom.split_once('.')?;
                timer.notify = match way {
                    "signal" => 0,
                    "none" => 1,
                    "thread" => 2,
                    _ => return None,
                };
                if kind == "tid" {
                    timer.notify |= libc::SIGEV_THREAD_ID;
                    timer.thread = id.parse().ok()?;
                }
            }
            "ClockID" => timer.clock = value.parse().ok()?,
            _ => {}
        }
    }
    // In the order in which they were made, as far as that shows.
    timers.sort_by_key(|timer| timer.id);
    Some(timers)
}

/// The clock as `timer_create` takes it: a clock of the process's or of a thread's own is shown as a negative number.
pub(crate) fn clock(shown: i32) -> Option<(i32, bool)> {
    match shown {
        // The kernel shows the process's and the calling thread's own time with an id of 0.
        -6 => Some((libc::CLOCK_PROCESS_CPUTIME_ID, false)),
        -2 => Some((libc::CLOCK_THREAD_CPUTIME_ID, true)),
        0.. => Some((shown, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_read_as_the_kernel_shows_them() {
        let text = "ID: 2\nsignal: 10/0000000000000007\nnotify: signal/tid.80\nClockID: -6\nID: 0\n\
                    signal: 34/00007f0000000000\nnotify: none/pid.80\nClockID: 1\n";
        let timers = parse_timers(text).unwrap();
        assert_eq!((timers[0].id, timers[0].clock, timers[0].notify, timers[0].thread), (0, 1, 1, 0));
        assert_eq!((timers[1].id, timers[1].signal, timers[1].value), (2, 10, Hex(7)));
        assert_eq!((timers[1].notify, timers[1].thread), (libc::SIGEV_THREAD_ID, 80));
        assert_eq!(clock(timers[1].clock), Some((libc::CLOCK_PROCESS_CPUTIME_ID, false)));
        assert!(parse_timers("ID: x\n").is_none());
    }

    #[test]
    fn a_timer_has_expired_when_more_is_left_than_before() {
        let with = |left: i64| ([[0, 10, 0, left], [0; 4], [0; 4]], Vec::new());
        assert!(!expired(&with(9), &with(5)));
        assert!(expired(&with(1), &with(9)));
        assert!(expired(&with(1), &with(0)));
        assert!(!expired(&with(0), &with(0)));
    }
}
