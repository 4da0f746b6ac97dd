//! Victims, and the command under test.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The command under test.
pub(crate) const FREEZER: &str = env!("CARGO_BIN_EXE_freezer");

/// Compiles a victim once; tests of one process share it.
pub(crate) fn compile(compiler: &str, source: &str, flags: &[&str]) -> PathBuf {
    static LOCK: Mutex<()> = Mutex::new(());
    let _one_at_a_time = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("freeze");
    std::fs::create_dir_all(&folder).unwrap();
    let name = format!("{source}.{compiler}{}", flags.concat().replace('/', "_"));
    let program = folder.join(&name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("victims/freeze").join(source);
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if modified(&program) <= modified(&source) {
        let mut command = Command::new(compiler);
        command.args(["-O2", "-pthread"]).args(flags).arg("-o").arg(&program).arg(&source);
        let built = command.status().unwrap_or_else(|error| panic!("{compiler} (see .ci/tools): {error}"));
        assert!(built.success(), "{command:?}: {built}");
    }
    program
}

/// Where a victim says what it says.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.path("image")
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    /// Starts a program whose output goes to a file of this place's, with no descriptor but the standard streams, and
    /// waits until it says that it is ready.
    pub(crate) fn start(&self, program: &[&str]) -> Victim {
        let said = std::fs::File::create(self.path("said")).unwrap();
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        command.current_dir(self.folder.path());
        // SAFETY: it makes one system call.
        unsafe { command.pre_exec(close_others) };
        let victim = Victim { child: command.spawn().unwrap() };
        let begin = Instant::now();
        while !self.said().contains("ready") {
            assert!(begin.elapsed() < Duration::from_secs(20), "it says {:?}", self.said());
            std::thread::sleep(Duration::from_millis(1));
        }
        victim
    }

    /// Runs the freezer with this place's image.
    pub(crate) fn freezer(&self, arguments: &[&str]) -> Output {
        Command::new(FREEZER).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn freeze(&self, pid: i32) -> Output {
        self.freezer(&["freeze", &pid.to_string(), self.image().to_str().unwrap()])
    }

    /// Thaws and waits for the end. Another process may have the id for a moment: ids come round.
    pub(crate) fn thaw(&self) -> Output {
        loop {
            let output = self.freezer(&["thaw", self.image().to_str().unwrap()]);
            if !text(&output).contains("in use by another process") {
                return output;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts to thaw and waits until the process goes on: the file of its program is the old one then, and no longer
    /// everything blocked that can be.
    pub(crate) fn start_thawing(&self, pid: i32) -> Child {
        let image = self.image();
        let mut command = Command::new(FREEZER);
        command.args(["thaw", image.to_str().unwrap()]);
        self.thawing(command, pid)
    }

    /// As [`start_thawing`](Self::start_thawing), with a command of the caller's.
    pub(crate) fn thawing(&self, mut command: Command, pid: i32) -> Child {
        let mut child = command.spawn().unwrap();
        let begin = Instant::now();
        loop {
            let name = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let mask =
                status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap_or("fffffffffffbfeff");
            let there = !name.as_os_str().is_empty() && name != Path::new(FREEZER);
            if there && mask.trim() != "fffffffffffbfeff" {
                return child;
            }
            assert!(child.try_wait().unwrap().is_none(), "it has ended: {}", self.said());
            assert!(begin.elapsed() < Duration::from_secs(20), "it does not come");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The descriptors that this test has inherited itself are none of a victim's; the standard library's own pipe is closed by
/// `execve` in any case.
fn close_others() -> std::io::Result<()> {
    // SAFETY: takes three numbers, and the process becomes another one next.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    Ok(())
}

/// A running victim; killed when dropped.
pub(crate) struct Victim {
    pub(crate) child: Child,
}

impl Victim {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Takes its end, so that its id is free.
    pub(crate) fn bury(mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that a command said.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Numbers from 0 up to 1 that differ from run to run.
pub(crate) fn random() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mixed = (u64::from(now.subsec_nanos()) ^ now.as_secs()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    f64::from(u32::try_from(mixed >> 33).unwrap()) / f64::from(1_u32 << 31)
}

/// Whether everything is to be tried.
pub(crate) fn all() -> bool {
    std::env::var_os("PIE_BLOB_CRASH").is_some_and(|all| all == "all")
}
