//! One victim, very often: neither side takes up more at the end than at the beginning.

use pie_blob_inject::Target;
use pie_blob_tests::victim::Running;

use crate::cycles::cycle;
use crate::figures::{Change, Figures, traces};

const TIMES: usize = 100_000;
/// Both sides touch all that they ever need.
const WARM_UP: usize = 5_000;
const SAMPLES: usize = 100;
/// What an allocator may keep, in KiB: a page a cycle would be four hundred megabytes.
const SLACK: u64 = 256;

#[test]
fn a_hundred_thousand_cycles_on_one_victim() {
    let own = i32::try_from(std::process::id()).unwrap();
    let mut victim = Running::start(env!("CARGO_BIN_EXE_victim"), &["nanosleep"]);
    let pid = victim.pid();
    let mut target = Target::open(pid).unwrap().require_crash_safe();
    for _ in 0..WARM_UP {
        target = cycle(target).unwrap();
        victim.listen_anew();
    }
    // Taking them has pages of its own.
    Figures::of(own);
    let before = (Figures::of(own), Figures::of(pid));
    let mut after = before;
    for done in 1..=TIMES {
        target = cycle(target).unwrap();
        victim.listen_anew();
        if done % (TIMES / SAMPLES) == 0 {
            after = (Figures::of(own), Figures::of(pid));
            for (before, after) in [(before.0, after.0), (before.1, after.1)] {
                let same = (before.areas, before.descriptors) == (after.areas, after.descriptors);
                assert!(same, "after {done} cycles: {}", Change(before, after));
                assert!(
                    after.resident <= before.resident + SLACK,
                    "after {done} cycles: {}",
                    Change(before, after)
                );
            }
        }
    }
    assert_eq!(traces(pid), [""; 0]);
    let rounds = victim.end();
    println!(
        "one victim: {TIMES} cycles, {rounds} sleeps of its own, 0 failed; victim: {}; host: {}",
        Change(before.1, after.1),
        Change(before.0, after.0)
    );
}
