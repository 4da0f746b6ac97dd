//! Starting the program `subject` as whom a test wants, and asking what became of a try to inject it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A user and group without any rights.
pub const NOBODY: u32 = 65534;

/// A subject in a state; killed when dropped.
pub struct Subject {
    child: Child,
    first_line: String,
}

impl Subject {
    /// Starts it and waits for its first line.
    ///
    /// # Panics
    ///
    /// When it cannot be started or says nothing.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut first_line = String::new();
        BufReader::new(child.stdout.take().expect("its output is a pipe"))
            .read_line(&mut first_line)
            .expect("its output is text");
        assert!(!first_line.is_empty(), "{command:?} says nothing");
        Self { child, first_line: first_line.trim().to_owned() }
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// Never: ids are positive ints.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// The first line that it printed.
    #[must_use]
    pub fn first_line(&self) -> &str {
        &self.first_line
    }

    /// Ends it.
    ///
    /// # Panics
    ///
    /// When it is still traced, or does not end well: what was refused has harmed it.
    pub fn end(mut self) {
        assert!(status(self.pid()).contains("TracerPid:\t0\n"));
        drop(self.child.stdin.take());
        let ended = self.child.wait().expect("it ends");
        assert!(ended.success(), "{ended}");
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the kernel says of a process.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn status(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there")
}

/// Programs where every user can execute them.
pub struct Programs(PathBuf);

impl Programs {
    /// Copies them.
    ///
    /// # Panics
    ///
    /// When there is no room for them.
    #[must_use]
    pub fn copy(programs: &[&str]) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("pie_blob_programs.{}.{count}", std::process::id()));
        std::fs::create_dir(&folder).expect("a folder of its own");
        let everyone = |path: &Path| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("its permissions");
        };
        everyone(&folder);
        for program in programs.iter().map(Path::new) {
            let to = folder.join(program.file_name().unwrap_or_default());
            // By another process: a child that this one starts meanwhile would have the copy open for writing for a moment,
            // and it could not be executed.
            said(Command::new("cp").arg(program).arg(&to));
            everyone(&to);
        }
        Self(folder)
    }

    /// Where a program is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The subject in a mode, as the user that runs the tests.
    #[must_use]
    pub fn subject(&self, mode: &[&str]) -> Command {
        let mut command = Command::new(self.path("subject"));
        command.args(mode);
        command
    }

    /// The subject in a mode, as an ordinary user.
    #[must_use]
    pub fn as_nobody(&self, mode: &[&str]) -> Command {
        let mut command = self.subject(mode);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// What an ordinary user says who tries a cycle on a process.
    #[must_use]
    pub fn cycle_as_nobody(&self, pid: i32) -> String {
        said(&mut self.as_nobody(&["cycle", &pid.to_string()]))
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        // Whoever cleans up the temporary folder does it then.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether the tests are run by root.
#[must_use]
pub fn is_root() -> bool {
    user() == 0
}

/// Who runs the tests.
///
/// # Panics
///
/// Without `/proc`.
#[must_use]
pub fn user() -> u32 {
    std::fs::metadata("/proc/self").expect("/proc is mounted").uid()
}

/// What a command says.
///
/// # Panics
///
/// When it does not end well.
pub fn said(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("its output is text")
}
