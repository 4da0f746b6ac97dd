//! `Blob::load` beside `memcpy` of the same bytes: what relocating costs on top of moving.
//!
//! Relocating is only worth a pass of its own if it is cheap enough; the goal is that it is not noticed: an image of
//! 8 MiB with 100,000 relocations loads in at most 1.25 times the time of the copy where they are spread evenly, and
//! in 1.4 times where they are dense. Beside it stands the scheme of compel, in Rust: copy everything, then go
//! through a list of 24-byte entries, when the image has long left the nearest cache.
//!
//! Measured twice: *cold*, with image and buffer swept out of the caches before every run, as when a program loads its
//! blob, which it does once; and *warm*, over and over, where the copy never leaves the last cache and is as
//! fast as it can be. All contestants write to the same buffer, so that its pages are no advantage of anybody's. The
//! copy is also measured against itself: how far that ratio is from 1 is how much the others can be trusted.

mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use pie_blob::__private::{Parts, blob};
use pie_blob::{Architecture, Blob, Reloc};

use support::pairs::Pairs;

const SIZE: usize = 8 << 20;
const RELOCATIONS: usize = 100_000;
/// Twice the largest cache of a processor that these figures were taken on.
const SWEEP: usize = 64 << 20;
const BASE: u64 = 0x7f12_3456_7000;

/// One relocation as compel keeps it: the addend stands beside the offset, not in the word.
struct Entry {
    offset: u32,
    _kind: u32,
    addend: u64,
    _value: u64,
}

/// The same image for every contestant.
struct Image {
    name: &'static str,
    goal: f64,
    blob: &'static Blob,
    entries: Vec<Entry>,
}

impl Image {
    /// An image whose relocations lie `stride` bytes apart, in the middle of it.
    fn new(name: &'static str, stride: usize, goal: f64) -> Self {
        let mut bytes: Vec<u8> = (0_u8..251).cycle().take(SIZE).collect();
        let first = ((SIZE - RELOCATIONS * stride) / 2) & !7;
        let mut relocs = Vec::with_capacity(8 * RELOCATIONS);
        let mut entries = Vec::with_capacity(RELOCATIONS);
        for offset in (first..).step_by(stride).take(RELOCATIONS) {
            let addend = (offset * 3 % SIZE) as u64;
            if let Some(word) = bytes.get_mut(offset..offset + 8) {
                word.copy_from_slice(&addend.to_le_bytes());
            }
            let offset = u32::try_from(offset).unwrap_or_default();
            relocs.extend_from_slice(&offset.to_le_bytes());
            relocs.extend_from_slice(&[1, 0, 0, 0]);
            entries.push(Entry { offset, _kind: 0, addend, _value: 0 });
        }
        // Embedded data lives as long as the program; so does this.
        let blob = Box::leak(Box::new(blob(Parts {
            name,
            id: 1,
            architecture: Architecture::X86_64,
            bytes: bytes.leak(),
            relocs: Reloc::slice(relocs.leak()),
            imports: &[],
            size: SIZE as u64,
            align: 4096,
            segments: &[],
            exports: &[],
            stack: None,
            packed: false,
            base: None,
            narrow: None,
            done: None,
            panic: None,
        })));
        Self { name, goal, blob, entries }
    }

    fn copy(&self, to: &mut [u8]) {
        black_box(to).copy_from_slice(self.blob.bytes());
    }

    fn load(&self, to: &mut [u8]) {
        self.blob.load(black_box(to), BASE).expect("the image was made to be loaded");
    }

    fn copy_then_apply(&self, to: &mut [u8]) {
        self.copy(to);
        self.apply(to);
    }

    /// compel's second pass.
    fn apply(&self, to: &mut [u8]) {
        let to = black_box(to);
        for entry in &self.entries {
            let at = entry.offset as usize;
            if let Some(word) = to.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<8>) {
                *word = BASE.wrapping_add(entry.addend).to_le_bytes();
            }
        }
    }

    /// The relocations alone, on an image that lies already.
    fn relocate(&self, to: &mut [u8]) {
        self.blob.relocate(black_box(to), BASE, BASE).expect("the image was made to be relocated");
    }
}

/// A name, and what is measured under it.
type Contestant = (&'static str, fn(&Image, &mut [u8]));

/// What all contestants run on.
struct Ground {
    buffer: Vec<u8>,
    /// More than the caches hold, where runs are to be cold.
    sweep: Option<Vec<u64>>,
}

impl Ground {
    fn name(&self) -> &'static str {
        if self.sweep.is_some() { "cold" } else { "warm" }
    }

    /// Makes the caches forget image and buffer.
    fn prepare(&mut self) {
        for line in self.sweep.iter_mut().flatten().step_by(8) {
            *line = line.wrapping_add(1);
        }
    }
}

/// Measures `ours` with `peer` beside every iteration, and says what came of it in one line.
fn contest(
    criterion: &mut Criterion,
    image: &Image,
    ground: &mut Ground,
    (name, ours): Contestant,
    (peer_name, peer): Contestant,
) -> Option<String> {
    let mut pairs = Pairs::default();
    let place = format!("{}, {}", image.name, ground.name());
    criterion.bench_function(&format!("{place}/{name}"), |bencher| {
        bencher.iter_custom(|iterations| {
            let mut pair = |_| {
                let prepare = Ground::prepare;
                pairs.run(
                    ground,
                    prepare,
                    |ground| ours(image, &mut ground.buffer),
                    |ground| peer(image, &mut ground.buffer),
                )
            };
            (0..iterations).map(&mut pair).sum()
        });
    });
    let summary = pairs.summary()?;
    let goal = match (name, peer_name) {
        ("load", "memcpy") => format!("; the goal is at most {}", image.goal),
        _ => String::new(),
    };
    Some(format!("{place}: {name} : {peer_name} = {summary}{goal}"))
}

/// The contestants must have done the same work.
fn check(image: &Image, buffer: &mut [u8]) {
    image.load(buffer);
    let loaded = buffer.to_vec();
    buffer.fill(0);
    image.copy_then_apply(buffer);
    assert!(loaded == buffer, "load and the scheme of two passes differ");
}

fn load(criterion: &mut Criterion) {
    let images = [Image::new("spread", (SIZE / RELOCATIONS) & !7, 1.25), Image::new("dense", 8, 1.4)];
    let sweeps = [Some(vec![0; SWEEP / 8]), None];
    let mut grounds = sweeps.map(|sweep| Ground { buffer: vec![0; SIZE], sweep });
    let memcpy: Contestant = ("memcpy", Image::copy);
    let contests: [(Contestant, Contestant); 4] = [
        (memcpy, memcpy),
        (("load", Image::load), memcpy),
        (("two passes", Image::copy_then_apply), memcpy),
        (("relocate only", Image::relocate), ("second pass only", Image::apply)),
    ];
    let mut lines = Vec::new();
    for image in &images {
        for ground in &mut grounds {
            check(image, &mut ground.buffer);
            for (ours, peer) in contests {
                lines.extend(contest(criterion, image, ground, ours, peer));
            }
        }
    }
    println!("8 MiB, {RELOCATIONS} relocations:");
    for line in lines {
        println!("  {line}");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = load
}
criterion_main!(benches);
