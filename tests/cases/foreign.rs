//! Every architecture: a guest of C and assembler, built by the build crate, relocated by the runtime on this machine, is what
//! a linker makes of it for that base, and runs there.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "foreign/program.rs"]
mod program;
#[path = "foreign/relink.rs"]
mod relink;
#[path = "support/sketch.rs"]
#[allow(dead_code, reason = "the sketches are for the tests of loading")]
mod sketch;
#[path = "foreign/table.rs"]
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

use pie_blob_build::Blob;
use pie_blob_image::{Image, Limits};

use relink::Recorder;

/// A target, and what runs its programs here.
struct Machine {
    target: &'static str,
    /// `None`: this machine itself.
    emulator: Option<&'static str>,
    /// Addresses have 32 bits.
    narrow: bool,
}

/// One test for each.
macro_rules! machines {
    ($($name:ident, $target:literal, $emulator:expr, $narrow:literal;)*) => {$(
        #[test]
        fn $name() {
            Machine { target: $target, emulator: $emulator, narrow: $narrow }
                .is_what_a_linker_makes_and_runs("guest.c", OF_C);
        }
    )*};
}

machines! {
    x86_64, "x86_64-unknown-linux-gnu", None, false;
    i386, "i686-unknown-linux-gnu", None, true;
    aarch64, "aarch64-unknown-linux-gnu", Some("qemu-aarch64"), false;
    arm, "armv7-unknown-linux-gnueabihf", Some("qemu-arm"), true;
    thumb, "thumbv7neon-unknown-linux-gnueabihf", Some("qemu-arm"), true;
    riscv64, "riscv64gc-unknown-linux-gnu", Some("qemu-riscv64"), false;
    s390x, "s390x-unknown-linux-gnu", Some("qemu-s390x"), false;
    ppc64le, "powerpc64le-unknown-linux-gnu", Some("qemu-ppc64le"), false;
    mips64el, "mips64el-unknown-linux-gnuabi64", Some("qemu-mips64el"), false;
    mipsel, "mipsel-unknown-linux-gnu", Some("qemu-mipsel"), true;
    loongarch64, "loongarch64-unknown-linux-gnu", Some("qemu-loongarch64"), false;
}

/// What the guest in C writes.
const OF_C: &str = "\
base BASE
operations thrice 1e square 64 twice 14
assembler 2a 2a 77 0
pointers b 21 0 7 1234 8 9 0
tagged 1 one 2 two
choices 6 a 9 280 d fffffffa 138d 21 21 2 ffff
";

/// What the guest in Rust writes.
const OF_RUST: &str = "\
base 0xBASE
thrice 30
twice 20
42 49 [0, 9, 0]
zero five many
4e2fff8a480a8f02eb17de6 0.3125
";

/// What is said of a program for PowerPC that GNU's linker has linked for a fixed address.
const WRITTEN_BY_GNU: &str = "against `.TOC.`: an address in an instruction, which cannot be moved: compile with `-fPIE`, and \
                              link with `-pie --no-dynamic-linker` if the linker has written it";

/// Names the compiler for the guests in Rust, in the test that is its own child.
const PREPARED: &str = "PIE_BLOB_TESTS_PREPARED";

/// Debian has `core` of Rust 1.85 for some of the machines: `.ci/foreign` unpacks it. The compiler is named by a variable, which
/// has to be there before any thread is.
#[test]
fn rust() {
    if std::env::var_os(PREPARED).is_none() {
        let rustc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/rustc-1.85/rustc");
        assert!(rustc.exists(), "{} is missing: run `.ci/foreign`", rustc.display());
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "rust", "--nocapture"]).env(PREPARED, "1").env("RUSTC", rustc);
        assert!(child.status().unwrap().success());
        return;
    }
    for (target, emulator) in [
        ("x86_64-unknown-linux-gnu", None),
        ("aarch64-unknown-linux-gnu", Some("qemu-aarch64")),
        ("s390x-unknown-linux-gnu", Some("qemu-s390x")),
    ] {
        Machine { target, emulator, narrow: false }.is_what_a_linker_makes_and_runs("guest.rs", OF_RUST);
    }
}

/// Code that is not position-independent has addresses in its instructions: each architecture's are refused by name.
#[test]
fn addresses_in_instructions() {
    const SOURCE: &str = "int value; int *volatile where; void start(void) { where = &value; }";
    for (target, flag, expected) in [
        (
            "aarch64-freestanding-none",
            "-mcmodel=large",
            &["R_AARCH64_MOVW_UABS_G0_NC", "R_AARCH64_MOVW_UABS_G3"][..],
        ),
        ("arm-freestanding-eabihf", "-mcpu=cortex_a9", &["R_ARM_MOVW_ABS_NC", "R_ARM_MOVT_ABS"]),
        ("thumb-freestanding-eabihf", "-mcpu=cortex_a9", &["R_ARM_THM_MOVW_ABS_NC", "R_ARM_THM_MOVT_ABS"]),
        ("riscv64-freestanding-none", "-mcmodel=medlow", &["R_RISCV_HI20", "R_RISCV_LO12_I"]),
        ("mips64el-freestanding-gnuabi64", "-G0", &["R_MIPS_HIGHEST", "R_MIPS_HI16", "R_MIPS_LO16"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("source.c"), SOURCE).unwrap();
        let mut compile = Command::new("zig");
        compile.args(["cc", "-target", target, flag, "-O1", "-ffreestanding", "-fno-PIC", "-fno-PIE", "-c"]);
        if target.starts_with("mips") {
            compile.arg("-mno-abicalls");
        }
        let mut link = Command::new(&relink::linkers(target)[0]);
        link.args(["-static", "--emit-relocs", "--no-relax", "-e", "start", "-o"]).arg(path("linked"));
        for command in
            [compile.arg(path("source.c")).arg("-o").arg(path("source.o")), link.arg(path("source.o"))]
        {
            let output = command.output().unwrap();
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let file = std::fs::read(path("linked")).unwrap();
        let faults = Image::parse(&file, &Limits::default()).unwrap_err().to_string();
        for name in expected {
            let named = |line: &str| line.starts_with(name) && line.contains("an address in an instruction");
            assert!(faults.lines().any(named), "{target}: no {name} in\n{faults}");
        }
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign")
}

impl Machine {
    /// The guest, built for this target of assembler and one of the other languages.
    fn guest(&self, source: &str, folder: &Path, recorder: &Recorder) -> Image {
        let blob = Blob::new("guest").source(sources().join("guest.S")).source(sources().join(source));
        let blob = blob.include(sources()).target(self.target).out_dir(folder).linker(recorder.path());
        let built = blob.stack(0).cargo_directives(false).try_build();
        built.unwrap_or_else(|error| panic!("{}: {error}", self.target)).image().clone()
    }

    /// Two bases, somewhere else in every run, where the machine's programs may lie.
    fn bases(&self) -> [u64; 2] {
        let random = |low: u64, high: u64| {
            let mut bytes = [0; 8];
            std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
            low + u64::from_le_bytes(bytes) % (high - low) / 0x1_0000 * 0x1_0000
        };
        if self.narrow {
            [random(0x1000_0000, 0x3000_0000), random(0x4000_0000, 0x6000_0000)]
        } else {
            // Processors of some of these machines have 39 bits for a program.
            [random(0x1000_0000, 0x7000_0000), random(0x10_0000_0000, 0x38_0000_0000)]
        }
    }

    /// What the image writes when it is run where it was loaded for.
    fn run(&self, folder: &Path, image: &Image, base: u64) -> String {
        let mut loaded = vec![0; usize::try_from(image.size()).unwrap()];
        sketch::embedded(image).load(&mut loaded, base).unwrap();
        let program = program::write(folder, image, &loaded, base);
        let mut command = match self.emulator {
            Some(emulator) => Command::new(emulator),
            None => Command::new(&program),
        };
        if self.emulator.is_some() {
            command.arg(&program);
        }
        let ended = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(42), "{} at {base:#x}: {:?} {said}", self.target, ended.status);
        String::from_utf8(ended.stdout).unwrap()
    }

    /// The same guest linked for a fixed address at two bases, with the relocations kept: the image of either, relocated for
    /// the other's base, is the other, and runs there.
    fn executables(&self, folder: &Path, recorder: &Recorder, linker: &Path, expected: &str) {
        let mut bases = self.bases();
        if self.target.starts_with("powerpc64le") && linker.ends_with("powerpc64le-linux-gnu-ld") {
            // Where addresses have 32 bits it writes that of the table into the code that had calculated it.
            let faults = Image::parse(&recorder.executable(bases[0]), &Limits::default()).unwrap_err();
            assert!(faults.iter().all(|fault| fault.to_string().contains(WRITTEN_BY_GNU)), "{faults}");
            bases[0] = bases[1] + 0x1234_0000;
        }
        let files = bases.map(|base| recorder.executable(base));
        let images = files.each_ref().map(|file| Image::parse(file, &Limits::default()));
        for ((image, base), other) in images.iter().zip(bases.into_iter().rev()).zip(files.iter().rev()) {
            let place = format!("{}, ET_EXEC by {}, at {base:#x}", self.target, linker.display());
            let image = image.as_ref().unwrap_or_else(|faults| panic!("{place}: {faults}"));
            assert!(image.relocations().len() > 10, "{place}: {}", image.relocations().len());
            let relocated = image.relocated(base).unwrap();
            let fixed = relink::loaded(other, base, relocated.len());
            let differences: Vec<_> = (0..fixed.len()).filter(|&at| fixed[at] != relocated[at]).collect();
            assert!(differences.is_empty(), "{place}: {differences:x?}");
            let said = self.run(folder, image, base);
            assert_eq!(said, expected.replace("BASE", &format!("{base:x}")), "{place}");
        }
        println!("{} by {}: ET_EXEC, both ways", self.target, linker.display());
    }

    fn is_what_a_linker_makes_and_runs(&self, source: &str, expected: &str) {
        for linker in relink::linkers(self.target) {
            let folder = tempfile::tempdir().unwrap();
            let recorder = Recorder::new(folder.path(), &linker);
            let image = self.guest(source, folder.path(), &recorder);
            assert!(image.relocations().len() > 10, "{}", self.target);
            for base in self.bases() {
                let place = format!("{}, {}, at {base:#x}", self.target, linker.display());
                let fixed = recorder.fixed(base, image.bytes().len());
                let differences = relink::differences(&image, base, &fixed, recorder.keeps_code(&image));
                assert!(differences.is_empty(), "{place}: {differences:x?}");
                let said = self.run(folder.path(), &image, base);
                assert_eq!(said, expected.replace("BASE", &format!("{base:x}")), "{place}");
            }
            println!("{} by {}: {} relocations", self.target, linker.display(), image.relocations().len());
            self.executables(folder.path(), &recorder, &linker, expected);
        }
    }
}
