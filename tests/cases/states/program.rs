//! The victims' sources, compiled.

use std::path::{Path, PathBuf};
use std::process::Command;

use pie_blob_tests::victim::Running;

/// A compiled victim, which is deleted with this.
pub(crate) struct Program {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Program {
    /// Compiles a source of `tests/victims/states`, by its kind.
    pub(crate) fn of(source: &str) -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("victims/states").join(source);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("victim");
        let (compiler, flags, package): (_, &[&str], _) = match source.rsplit('.').next() {
            Some("go") => ("go", &["build"], "golang-go"),
            Some("cpp") => ("c++", &["-O1", "-fnon-call-exceptions"], "g++"),
            // Bound while it starts: binding a function later would use the stack below the live frames.
            _ => ("cc", &["-O1", "-pthread", "-Wl,-z,now"], "gcc"),
        };
        let libraries: &[&str] = if compiler == "cc" { &["-lm"] } else { &[] };
        let mut command = Command::new(compiler);
        command.args(flags).arg("-o").arg(&path).arg(from).args(libraries);
        let built = command
            .status()
            .unwrap_or_else(|error| panic!("{compiler}: {error} (apt-get install {package})"));
        assert!(built.success(), "{command:?}: {built}");
        Self { path, _folder: folder }
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.path.to_str().unwrap(), arguments)
    }
}
