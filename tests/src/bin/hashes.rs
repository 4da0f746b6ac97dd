//! A victim: threads that hash what the next one hashes on, with Rust's own channels between them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::mpsc;

fn main() {
    let rounds: u64 = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(1000);
    println!("ready");
    let (first, mut input) = mpsc::sync_channel::<u64>(4);
    let mut threads = Vec::new();
    for number in 0..4_u64 {
        let (output, next) = mpsc::sync_channel(4);
        let from = std::mem::replace(&mut input, next);
        threads.push(std::thread::spawn(move || {
            for value in from {
                let mut hasher = DefaultHasher::new();
                (0..50).for_each(|round: u64| (value, number, round).hash(&mut hasher));
                if output.send(hasher.finish()).is_err() {
                    return;
                }
            }
        }));
    }
    threads.push(std::thread::spawn(move || {
        (0..rounds).take_while(|round| first.send(*round).is_ok()).count();
    }));
    let sum = input.iter().fold(0_u64, |sum, value| sum.rotate_left(7) ^ value);
    for thread in threads {
        let _ = thread.join();
    }
    println!("{sum:016x}");
}
