//! Finds a linker and knows what to say to it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::context::Context;
use crate::{Error, tool};

/// The variable that names a linker: a path, or a name on `PATH`.
pub(crate) const VARIABLE: &str = "PIE_BLOB_LINKER";

/// A linker that answered.
#[derive(Debug)]
pub(crate) struct Linker {
    pub(crate) path: PathBuf,
    pub(crate) is_lld: bool,
}

impl Linker {
    /// The linker that the caller named; else the user's; else the toolchain's; else LLVM's; else GNU's.
    pub(crate) fn find(context: &Context) -> Result<Self, Error> {
        let users = || env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        let candidates = match context.linker.clone().or_else(users) {
            Some(named) => vec![named],
            None => candidates(context),
        };
        candidates.iter().find_map(|path| Self::ask(path)).ok_or(Error::NoLinker { tried: candidates })
    }

    /// What is at `path`, if it runs.
    fn ask(path: &Path) -> Option<Self> {
        let ended = tool::run(Command::new(path).arg("--version")).ok()?;
        ended.status.success().then(|| Self { path: path.to_owned(), is_lld: ended.stdout.contains("LLD") })
    }

    /// The linker with every flag that does not depend on the blob's contents. Only what wants imports may leave symbols
    /// undefined, and none of them to be found at the first call.
    pub(crate) fn command(&self, context: &Context, imports: bool) -> Command {
        let mut command = Command::new(&self.path);
        // No loader will be there: nothing is left to bind, to protect after relocation, or to look up.
        command.args(if imports { ["-shared", "-znow"] } else { ["-pie", "--no-dynamic-linker"] });
        command.args(["-Bsymbolic", "--build-id=none", "--hash-style=sysv"]);
        command.args(["-z", "text", "-z", "norelro", "-z", "noexecstack"]);
        command.args(["--gc-sections", "--orphan-handling=error"]);
        // What comes from an archive is a runtime's, never an export.
        command.args(["--exclude-libs", "ALL"]);
        command.arg("-z").arg(format!("max-page-size={}", page(&context.architecture)));
        if let Some(emulation) = emulation(&context.target) {
            command.args(["-m", emulation]);
        }
        if self.is_lld {
            // All that is wrong, not the first twenty.
            command.arg("--error-limit=0");
            // Debugging information of what was left out is about no address, where it would else be about the first
            // ones of the image. (Not in `.debug_ranges` and `.debug_loc`, where this value has a meaning.)
            for section in ["info", "line", "aranges", "addr", "rnglists", "loclists"] {
                let nowhere = format!("dead-reloc-in-nonalloc=.debug_{section}=0xffffffffffffffff");
                command.args(["-z", &nowhere]);
            }
        }
        command
    }
}

/// The largest page that a kernel for this architecture may use.
pub(crate) fn page(architecture: &str) -> u64 {
    match architecture {
        "x86_64" | "x86" | "s390x" => 4096,
        _ => 65536,
    }
}

/// x86's two kinds of objects share one linker, which must be told.
fn emulation(target: &str) -> Option<&'static str> {
    match target.split('-').next()? {
        "x86_64" if target.ends_with("x32") => Some("elf32_x86_64"),
        "x86_64" => Some("elf_x86_64"),
        "i386" | "i586" | "i686" => Some("elf_i386"),
        _ => None,
    }
}

/// Where a linker for the target may be.
fn candidates(context: &Context) -> Vec<PathBuf> {
    let shipped = context.sysroot.join("lib/rustlib").join(&context.host).join("bin/gcc-ld/ld.lld");
    let mut candidates = vec![shipped, PathBuf::from("ld.lld")];
    // GNU linkers are built for one architecture, x86's for both widths; `ld` is the host's.
    let same = context.target.split('-').next() == context.host.split('-').next();
    candidates.push(if same || (context.is_x86() && context.host.starts_with("x86_64-")) {
        PathBuf::from("ld")
    } else {
        PathBuf::from(format!("{}-ld", gnu_name(&context.target)))
    });
    candidates
}

/// The triple as GNU tools are called: `riscv64gc-unknown-linux-gnu` becomes `riscv64-linux-gnu`.
fn gnu_name(target: &str) -> String {
    let mut parts: Vec<_> = target.split('-').collect();
    if parts.len() > 3 {
        parts.remove(1);
    }
    if let Some(first) = parts.first_mut() {
        *first = match *first {
            "riscv64gc" | "riscv64a23" => "riscv64",
            "i386" | "i586" => "i686",
            arm if arm.starts_with("armv") || arm.starts_with("thumbv") => "arm",
            other => other,
        };
    }
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::{emulation, gnu_name};

    #[test]
    fn names_of_gnu_linkers() {
        assert_eq!(gnu_name("aarch64-unknown-linux-gnu"), "aarch64-linux-gnu");
        assert_eq!(gnu_name("riscv64gc-unknown-linux-gnu"), "riscv64-linux-gnu");
        assert_eq!(gnu_name("armv7-unknown-linux-gnueabihf"), "arm-linux-gnueabihf");
        assert_eq!(gnu_name("mips64el-unknown-linux-gnuabi64"), "mips64el-linux-gnuabi64");
    }

    #[test]
    fn emulations() {
        assert_eq!(emulation("x86_64-unknown-linux-gnu"), Some("elf_x86_64"));
        assert_eq!(emulation("i686-unknown-linux-gnu"), Some("elf_i386"));
        assert_eq!(emulation("aarch64-unknown-linux-gnu"), None);
    }
}
