//! Threads that never sleep, each of which checks its own registers and its own arithmetic.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pie_blob_tests::registers::best_round;

/// What one thread has done.
#[derive(Default)]
struct Account {
    turns: AtomicU64,
    damaged: AtomicBool,
}

/// Starts the threads; a round is over when each of them has got further, none of them damaged.
pub(crate) fn threads(count: u64) -> impl FnMut() -> Result<(), String> {
    let accounts: &'static [Account] = Box::leak((0..count).map(|_| Account::default()).collect());
    for (seed, account) in (0..).zip(accounts) {
        std::thread::spawn(move || compute(seed, account));
    }
    let mut before = vec![0; accounts.len()];
    move || {
        let begin = Instant::now();
        for (thread, (account, before)) in accounts.iter().zip(&mut before).enumerate() {
            while account.turns.load(Ordering::Relaxed) == *before {
                if account.damaged.load(Ordering::Relaxed) {
                    return Err(format!("a register of thread {thread}"));
                }
                if begin.elapsed() > Duration::from_secs(20) {
                    return Err(format!("thread {thread} does not get on"));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            *before = account.turns.load(Ordering::Relaxed);
        }
        Ok(())
    }
}

fn compute(seed: u64, account: &Account) {
    let (_, round) = best_round();
    let wanted = chain(seed);
    while chain(seed) == wanted && round() {
        account.turns.fetch_add(1, Ordering::Relaxed);
    }
    account.damaged.store(true, Ordering::Relaxed);
}

/// A number that depends on the seed and on every step, each step on the one before: another thread's is another one.
fn chain(seed: u64) -> u64 {
    let step =
        |number: u64, step: u64| std::hint::black_box(number).rotate_left(7).wrapping_mul(0x9e37_79b9) ^ step;
    (0..5_000).fold(seed, step)
}
