//! Packages outside of the workspace, and the cargo that builds them.
//!
//! Their sources are kept as files under `cases/outside/`, so that they can be read; `@PIE_BLOB@` in a manifest
//! stands for the workspace.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::Value;
use tempfile::TempDir;

/// A package in a temporary folder.
pub(crate) struct Package {
    name: String,
    folder: PathBuf,
    shared: Arc<TempDir>,
}

/// What cargo says about a build.
pub(crate) struct Build {
    /// The package's program.
    pub(crate) program: PathBuf,
    /// The packages that were compiled, not taken as they were.
    pub(crate) compiled: Vec<String>,
}

/// The folder of all packages of the tests that run at the moment, so that their dependencies are compiled once. The
/// last test removes it.
fn shared() -> Arc<TempDir> {
    static SHARED: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        *shared = Arc::downgrade(&folder);
        folder
    })
}

impl Package {
    /// The workspace that is tested.
    pub(crate) fn workspace() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    /// Copies a package from `cases/outside/`.
    pub(crate) fn new(name: &str) -> Self {
        Self::in_folder(name, name)
    }

    /// Copies a package to a folder of another name.
    ///
    /// The program is the same file for all copies, so that only one is built at a time.
    pub(crate) fn in_folder(name: &str, folder: &str) -> Self {
        let shared = shared();
        let folder = shared.path().join(folder);
        std::fs::create_dir(&folder).expect("no other test uses this folder");
        let package = Self { name: name.to_owned(), folder, shared };
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/outside").join(name);
        package.copy(&kept, "");
        // The versions that the workspace has been tested with.
        std::fs::copy(Self::workspace().join("Cargo.lock"), package.path("Cargo.lock")).unwrap();
        package
    }

    fn copy(&self, from: &Path, to: &str) {
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = format!("{to}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                self.copy(&entry.path(), &to);
            } else {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                self.write(
                    to.trim_start_matches('/'),
                    text.replace("@PIE_BLOB@", Self::workspace().to_str().unwrap()),
                );
            }
        }
    }

    /// A file of the package.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Writes a file, and the folders that it lies in.
    pub(crate) fn write(&self, file: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }

    /// Runs cargo on the package with what is already downloaded; asks the network only where that is not enough.
    pub(crate) fn cargo(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut cargo = self.command(arguments, variables);
        let output = cargo.env("CARGO_NET_OFFLINE", "true").output().unwrap();
        if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("--offline") {
            return self.command(arguments, variables).output().unwrap();
        }
        output
    }

    fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_of_the_outer_build) {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", self.shared.path().join("target"))
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .envs(variables.iter().copied());
        command
    }

    /// Builds the package, which must not even give a warning.
    pub(crate) fn build(&self, variables: &[(&str, &str)]) -> Build {
        let output = self.cargo(&["build", "--message-format=json"], variables);
        let stdout = String::from_utf8(output.stdout).unwrap();
        let messages: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let said: String =
            messages.iter().filter_map(|message| message["message"]["rendered"].as_str()).collect();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{stderr}");
        assert_eq!(said, "", "warnings");

        let artifacts = || messages.iter().filter(|message| message["reason"] == "compiler-artifact");
        let target = |artifact: &Value| artifact["target"]["name"].as_str().unwrap().to_owned();
        Build {
            program: artifacts()
                .find(|artifact| target(artifact) == self.name && artifact["executable"].is_string())
                .and_then(|artifact| artifact["executable"].as_str())
                .expect("the package has a program")
                .into(),
            compiled: artifacts().filter(|artifact| artifact["fresh"] == false).map(target).collect(),
        }
    }
}

impl Build {
    /// Runs the program, which must succeed, and returns what it prints.
    pub(crate) fn run(&self) -> Vec<u8> {
        let output = Command::new(&self.program).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {stderr}", output.status);
        output.stdout
    }
}

/// Whether a variable tells of the package that this test belongs to. Where packages come from is the user's and
/// stays.
fn is_of_the_outer_build(variable: &str) -> bool {
    const OUTER: [&str; 5] = ["CARGO", "PIE_BLOB_", "OUT_DIR", "RUSTFLAGS", "RUSTC_WRAPPER"];
    const USERS: [&str; 5] = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| variable.starts_with(beginning));
    begins(&OUTER) && !begins(&USERS)
}
