//! What a build script says to cargo.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Directives, each once.
#[derive(Debug, Default)]
pub(crate) struct Directives {
    lines: BTreeSet<String>,
}

impl Directives {
    /// Run the build script again when the file changes.
    pub(crate) fn read(&mut self, path: &Path) {
        self.lines.insert(format!("cargo::rerun-if-changed={}", path.display()));
    }

    /// Run the build script again when the variable changes.
    pub(crate) fn variable(&mut self, name: &str) {
        self.lines.insert(format!("cargo::rerun-if-env-changed={name}"));
    }

    /// Set a variable for the compilation of the package.
    pub(crate) fn set(&mut self, name: &str, value: &Path) {
        self.lines.insert(format!("cargo::rustc-env={name}={}", value.display()));
    }

    /// Show a warning.
    pub(crate) fn warning(&mut self, message: &str) {
        self.lines.insert(format!("cargo::warning={message}"));
    }

    /// Says them to cargo.
    pub(crate) fn print(&self) {
        let mut text = String::new();
        for line in &self.lines {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{line}");
        }
        print!("{text}");
    }
}

/// Shows every line of an error.
pub(crate) fn print_error(message: &str) {
    for line in message.lines() {
        println!("cargo::error={line}");
    }
}
