//! Where and for what is built: what cargo tells a build script, or what the caller said instead.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::tool;

/// What the caller said; what is left open, the build script's variables say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) target: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) out_dir: Option<PathBuf>,
    pub(crate) linker: Option<PathBuf>,
}

impl Said {
    /// The triple that the blob runs on.
    pub(crate) fn target(&self) -> Result<String, Error> {
        match &self.target {
            Some(target) => Ok(target.clone()),
            None => env::var("TARGET").map_err(|_| Error::Unknown { what: "target", variable: "TARGET" }),
        }
    }
}

/// Everything that holds for the whole build of one blob.
#[derive(Debug)]
pub(crate) struct Context {
    /// The triple that the blob runs on.
    pub(crate) target: String,
    /// Its instruction set, as `target_arch` spells it.
    pub(crate) architecture: String,
    /// The triple that the tools run on.
    pub(crate) host: String,
    /// Where the object goes.
    pub(crate) out_dir: PathBuf,
    /// Where everything else goes, of this blob alone.
    pub(crate) work: PathBuf,
    /// What relative paths start from: the package of the build script.
    pub(crate) base: PathBuf,
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    /// The linker that the caller named.
    pub(crate) linker: Option<PathBuf>,
    /// The toolchain's directory.
    pub(crate) sysroot: PathBuf,
    /// The toolchain's libraries for the target: exists only where the target is installed.
    pub(crate) libraries: PathBuf,
    /// What rustc calls the directory of its own sources.
    pub(crate) rustc_sources: String,
}

impl Context {
    pub(crate) fn new(blob: &str, said: &Said) -> Result<Self, Error> {
        let (out_dir, base) = places(said)?;
        let target = said.target()?;
        let rustc = rustc();
        let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);

        let printed = ask(Command::new(&rustc)
            .args(["--print", "sysroot", "--print", "target-libdir", "--print", "cfg", "--target"])
            .arg(&target))?;
        let mut lines = printed.lines();
        let mut line = || lines.next().map(PathBuf::from).unwrap_or_default();
        let (sysroot, libraries) = (line(), line());
        let architecture = target_arch(&printed);

        let version = ask(Command::new(&rustc).arg("-vV"))?;
        let field = |key: &str| {
            version.lines().find_map(|line| line.strip_prefix(key)).map_or("unknown", str::trim).to_owned()
        };
        let host = said.host.clone().unwrap_or_else(|| field("host:"));
        let rustc_sources = format!("/rustc/{}", field("commit-hash:"));

        let work = out_dir.join(format!("pie_blob-{blob}"));
        std::fs::create_dir_all(&work).map_err(Error::io("create", &work))?;
        let linker = said.linker.clone();
        Ok(Self {
            target,
            architecture,
            host,
            out_dir,
            work,
            base,
            cargo,
            rustc,
            linker,
            sysroot,
            libraries,
            rustc_sources,
        })
    }

    /// Whether rustc can compile for the target: `core` is installed for it.
    pub(crate) fn has_core(&self) -> bool {
        std::fs::read_dir(&self.libraries).is_ok_and(|entries| {
            let mut names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
            names.any(|name| name.to_string_lossy().starts_with("libcore-"))
        })
    }

    /// Whether the target is x86, of either width.
    pub(crate) fn is_x86(&self) -> bool {
        matches!(&*self.architecture, "x86_64" | "x86")
    }

    /// A source as the caller wrote it.
    pub(crate) fn source(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// Directories whose names must not reach an image, and what stands for each; later ones go before earlier ones.
    ///
    /// Whatever lies around `root` is named by the way from there: a blob that was built from the same tree
    /// somewhere else has the same bytes.
    pub(crate) fn renamed(&self, root: &Path) -> Vec<(PathBuf, String)> {
        let mut around: Vec<_> = root
            .ancestors()
            .filter(|directory| directory.parent().is_some())
            .enumerate()
            .map(|(up, directory)| {
                (directory.to_owned(), if up == 0 { ".".to_owned() } else { vec![".."; up].join("/") })
            })
            .collect();
        around.reverse();
        if let Some(home) = cargo_home() {
            around.push((home, "/cargo".to_owned()));
        }
        around.push((self.sysroot.join("lib/rustlib/src/rust"), self.rustc_sources.clone()));
        around.push((self.work.clone(), "/out".to_owned()));
        around
    }
}

fn rustc() -> PathBuf {
    env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from)
}

/// The instruction set of a triple, as `target_arch` spells it.
pub(crate) fn architecture(triple: &str) -> Result<String, Error> {
    let printed = ask(Command::new(rustc()).args(["--print", "cfg", "--target", triple]))?;
    Ok(target_arch(&printed))
}

/// What `--print cfg` says of it.
fn target_arch(cfg: &str) -> String {
    let value = cfg.lines().find_map(|line| line.strip_prefix("target_arch=\"")?.strip_suffix('"'));
    value.unwrap_or_default().to_owned()
}

/// Where the object goes, and what relative paths start from.
pub(crate) fn places(said: &Said) -> Result<(PathBuf, PathBuf), Error> {
    let here = env::current_dir().map_err(Error::io("find", "."))?;
    let out_dir = match &said.out_dir {
        Some(directory) => directory.clone(),
        None => env::var_os("OUT_DIR")
            .map(PathBuf::from)
            .ok_or(Error::Unknown { what: "out_dir", variable: "OUT_DIR" })?,
    };
    let base = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| here.clone(), PathBuf::from);
    Ok((here.join(out_dir), base))
}

/// Where cargo keeps the sources that it fetched.
fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
}

/// What a tool answers to a question that needs no input.
fn ask(command: &mut Command) -> Result<String, Error> {
    let ended = tool::run(command)?;
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    Err(Error::Compile {
        tool: PathBuf::from(command.get_program()),
        input: PathBuf::from("(no input)"),
        status: ended.status,
        output: ended.stderr,
    })
}
