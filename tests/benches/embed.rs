//! What embedding costs whoever compiles: wall time and peak memory of rustc for a crate that only embeds.
//!
//! Of a small image one should not notice it, and a large one should cost little more than `include_bytes!` of the
//! same bytes. Goals: 50 KiB in 30 ms; 8 MiB with 100,000 relocations in 1.5 s and 500 MiB; both on top of an empty
//! crate, which is compiled beside every run. The macro is built in the dev profile, as it is for most users: not
//! optimised. For compel it is `compel hgen` and `gcc -O2 -c` of the same words, on top of nothing.

mod support;

use std::cell::RefCell;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use criterion::{Criterion, SamplingMode};

use support::compel;
use support::pairs::quartiles;
use support::sample::Sample;
use support::spent::Spent;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The runtime and the macro as cargo builds them for a user in the dev profile.
struct Runtime {
    library: PathBuf,
    dependencies: PathBuf,
}

impl Runtime {
    fn build() -> Result<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("embed");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "pie_blob", "--manifest-path"])
            .arg(manifest)
            .env("CARGO_TARGET_DIR", &target)
            .status()?;
        if !status.success() {
            return Err("the runtime does not build".into());
        }
        let debug = target.join("debug");
        Ok(Self { library: debug.join("libpie_blob.rlib"), dependencies: debug.join("deps") })
    }

    /// rustc as cargo calls it in the dev profile, for a library of this text.
    fn compile(&self, name: &str, text: &str, folder: &Path) -> Result<Command> {
        let source = folder.join(format!("{name}.rs"));
        std::fs::write(&source, text)?;
        let mut command = Command::new("rustc");
        command.args(["--crate-name", name, "--crate-type=lib", "--edition=2024"]);
        command.args(["--emit=dep-info,metadata,link", "-Cembed-bitcode=no", "-Cdebuginfo=2"]);
        command.arg("--out-dir").arg(folder).arg(&source);
        command.arg(format!("--extern=pie_blob={}", self.library.display()));
        command.arg(format!("-Ldependency={}", self.dependencies.display()));
        // Where the macro looks for paths; what cargo has set for this bench is not for it.
        command.env("CARGO_MANIFEST_DIR", folder).env_remove("OUT_DIR").stdout(Stdio::null());
        Ok(command)
    }
}

/// One way to embed a sample: what it costs, run by run, on top of the empty crate.
#[derive(Default)]
struct Costs {
    seconds: Vec<f64>,
    mebibytes: Vec<f64>,
}

impl Costs {
    fn add(&mut self, spent: Spent, empty: Spent) {
        self.seconds.push(spent.wall.as_secs_f64() - empty.wall.as_secs_f64());
        self.mebibytes.push((spent.memory as f64 - empty.memory as f64) / 1024.0);
    }

    /// Medians: seconds and MiB.
    fn medians(&self) -> [f64; 2] {
        [&self.seconds, &self.mebibytes]
            .map(|figures| quartiles(figures.clone()).map_or(f64::NAN, |[_, median, _]| median))
    }
}

fn ways(sample: &Sample) -> [(&'static str, String); 2] {
    [
        ("pie_blob", format!("pie_blob::pie_blob! {{ pub mod sample = {:?}; }}\n", sample.object)),
        (
            "include_bytes",
            format!("pub static BYTES: &[u8] = include_bytes!({:?});\n", sample.bytes.display().to_string()),
        ),
    ]
}

fn measure(criterion: &mut Criterion) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = Runtime::build()?;
    let samples = [
        (Sample::new("50KiB", 50 << 10, 600, folder.path())?, [0.03, f64::NAN]),
        (Sample::new("8MiB", 8 << 20, 100_000, folder.path())?, [1.5, 500.0]),
    ];
    let mut empty = runtime.compile("empty", "", folder.path())?;
    let base = Spent::by(&mut empty)?;
    let mut lines =
        vec![format!("an empty crate: {:.3} s, {} MiB", base.wall.as_secs_f64(), base.memory >> 10)];
    for (sample, goals) in &samples {
        let mut group = criterion.benchmark_group(sample.name);
        group.sampling_mode(SamplingMode::Flat);
        let mut medians = Vec::new();
        for (way, text) in ways(sample) {
            let mut command = runtime.compile(&format!("with_{way}"), &text, folder.path())?;
            let costs = RefCell::new(Costs::default());
            group.bench_function(way, |bencher| {
                bencher.iter_custom(|iterations| {
                    let mut run = |_| {
                        let empty = Spent::by(&mut empty).expect("the empty crate compiles");
                        let spent = Spent::by(&mut command).expect("the crate compiles");
                        costs.borrow_mut().add(spent, empty);
                        spent.wall
                    };
                    (0..iterations).map(&mut run).sum()
                });
            });
            medians.push((way, costs.into_inner().medians()));
        }
        group.finish();
        if let Some(commands) = compel::embed(&sample.for_compel, folder.path()) {
            // Once: it takes long, and is not what is measured here.
            let mut spent = Spent::default();
            for mut command in commands {
                spent = spent.then(Spent::by(&mut command)?);
            }
            medians.push(("compel", [spent.wall.as_secs_f64(), (spent.memory >> 10) as f64]));
        }
        lines.push(line(sample, &medians, *goals));
    }
    if compel::says(&["plugins"]).is_none() {
        lines.push(compel::MISSING.to_owned());
    }
    println!("embedding, on top of an empty crate:");
    for line in lines {
        println!("  {line}");
    }
    Ok(())
}

fn line(sample: &Sample, medians: &[(&str, [f64; 2])], [seconds, mebibytes]: [f64; 2]) -> String {
    let ours = medians.first().map_or([f64::NAN; 2], |(_, ours)| *ours);
    let mut line = format!("{} and {} relocations:", sample.name, sample.relocations);
    for (index, (way, [seconds, mebibytes])) in medians.iter().enumerate() {
        line += &format!(" {way} {seconds:.3} s, {mebibytes:.0} MiB");
        if index > 0 {
            line += &format!(" (ratios {:.3}, {:.2})", ours[0] / seconds, ours[1] / mebibytes);
        }
        line += ";";
    }
    line += &format!(" the goal is at most {seconds} s");
    if mebibytes.is_finite() {
        line += &format!(" and {mebibytes} MiB");
    }
    line
}

fn main() -> ExitCode {
    let configuration = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(1));
    match measure(&mut configuration.warm_up_time(Duration::from_millis(1)).configure_from_args()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("embed: {error}");
            ExitCode::FAILURE
        }
    }
}
