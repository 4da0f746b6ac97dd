//! A cargo package: the same library that the host links, built once more as part of a blob.
//!
//! The nested cargo has a target directory of its own (the outer one holds the lock of the other), takes over
//! nothing of what the outer one says about the *host's* package, and everything that the user says about
//! where packages come from.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Compiled, depinfo, members, rust};
use crate::context::Context;
use crate::{Blob, Error, tool};

/// The release profile of every blob, as variables: whatever the workspace says, nothing unwinds, and what is not
/// used is left out across crates.
const PROFILE: [(&str, &str); 9] = [
    ("PANIC", "abort"),
    ("LTO", "fat"),
    ("CODEGEN_UNITS", "1"),
    ("DEBUG", "2"),
    ("SPLIT_DEBUGINFO", "off"),
    ("STRIP", "none"),
    ("INCREMENTAL", "false"),
    ("DEBUG_ASSERTIONS", "false"),
    ("BUILD_OVERRIDE_DEBUG", "0"),
];

/// Builds the package in `directory`; all that is made is in `place`.
pub(crate) fn package(
    blob: &Blob,
    context: &Context,
    directory: &Path,
    place: &Path,
    compiled: &mut Compiled,
) -> Result<(), Error> {
    let directory = directory.canonicalize().map_err(Error::io("find the package", directory))?;
    let manifest = directory.join("Cargo.toml");
    let workspace = workspace(context, &directory)?;
    let target_dir = place.join("target");
    let release = target_dir.join(&context.target).join("release");
    // Cargo puts the result there anew, also when it had nothing to do: what is there afterwards is the result.
    for stale in libraries(&release) {
        std::fs::remove_file(&stale).map_err(Error::io("remove", &stale))?;
    }

    let mut command = nested(context);
    command
        .current_dir(&directory)
        .args(["rustc", "--lib", "--crate-type", "staticlib", "--release", "--quiet"])
        .arg("--manifest-path")
        .arg(&manifest)
        .args(["--target", &context.target])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("CARGO_BUILD_BUILD_DIR", &target_dir)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", &blob.opt_level)
        // Reaches every crate for the target, and (for `--target` is given) no build script and no macro.
        .env("CARGO_ENCODED_RUSTFLAGS", rust::flags(context, &workspace).join("\u{1f}"));
    for (key, value) in PROFILE {
        command.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    if !blob.default_features {
        command.arg("--no-default-features");
    }
    if !blob.features.is_empty() {
        command.args(["--features", &blob.features.join(",")]);
    }
    if std::env::var("CARGO_NET_OFFLINE").is_ok_and(|value| value == "true") {
        command.arg("--offline");
    }
    for config in configurations(&context.out_dir, &directory) {
        command.arg("--config").arg(config);
    }
    tool::compile(&mut command, &manifest)?;

    let [library] = &libraries(&release)[..] else {
        return Err(Error::NoLibrary { package: directory, directory: release });
    };
    track(compiled, depinfo::read(&library.with_extension("d"), &workspace)?, &workspace);
    members::add(library, &manifest, &place.join("members"), compiled)
}

/// The static libraries that cargo shows in its release directory.
fn libraries(release: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(release) else { return Vec::new() };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.filter(|path| path.extension() == Some(OsStr::new("a"))).collect()
}

/// Whatever the library was made of, and the manifests that say how.
fn track(compiled: &mut Compiled, sources: Vec<PathBuf>, workspace: &Path) {
    for source in &sources {
        let package = source.ancestors().skip(1).find(|directory| directory.join("Cargo.toml").is_file());
        if let Some(package) = package {
            compiled.read.insert(package.join("Cargo.toml"));
            compiled.read.insert(package.join("build.rs"));
        }
    }
    compiled.read.extend(sources);
    compiled.read.insert(workspace.join("Cargo.toml"));
    compiled.read.insert(workspace.join("Cargo.lock"));
    // Cargo compares times: a file that is not there would always be newer.
    compiled.read.retain(|path| path.is_file());
}

/// Configuration that the host's build has and the package's directory does not: for a package that was fetched or
/// vendored, where packages come from.
fn configurations(out_dir: &Path, package: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = out_dir
        .ancestors()
        .filter(|directory| !package.starts_with(directory))
        .filter_map(|directory| {
            ["config.toml", "config"]
                .map(|name| directory.join(".cargo").join(name))
                .into_iter()
                .find(|path| path.is_file())
        })
        .collect();
    // The nearest counts most, and cargo takes the last.
    found.reverse();
    found
}

/// The directory of the workspace that the package belongs to: its lock file and its profile count.
fn workspace(context: &Context, package: &Path) -> Result<PathBuf, Error> {
    let mut command = nested(context);
    command
        .current_dir(package)
        .args(["locate-project", "--workspace", "--message-format", "plain", "--manifest-path"])
        .arg(package.join("Cargo.toml"));
    let ended = tool::run(&mut command)?;
    if !ended.status.success() {
        return Err(Error::Compile {
            tool: context.cargo.clone(),
            input: package.join("Cargo.toml"),
            status: ended.status,
            output: ended.stderr,
        });
    }
    Ok(Path::new(ended.stdout.trim()).parent().unwrap_or(package).to_owned())
}

/// Cargo without what the outer cargo said about another package.
fn nested(context: &Context) -> Command {
    let mut command = Command::new(&context.cargo);
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(is_of_the_outer_build) {
            command.env_remove(variable);
        }
    }
    command
}

/// Whether a variable describes the outer build. `CARGO_HOME`, `CARGO_NET_*`, `CARGO_HTTP_*`, `CARGO_REGISTRIES_*`,
/// `CARGO_SOURCE_*`, `CARGO_TERM_*`, `RUSTC` and the job server's `MAKEFLAGS` are the user's and stay.
fn is_of_the_outer_build(variable: &str) -> bool {
    const WHOLE: [&str; 24] = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTDOC",
        "RUSTC_LINKER",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_ENCODED_RUSTDOCFLAGS",
        "CARGO_TARGET_DIR",
        "CARGO_TARGET_TMPDIR",
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_RUSTC_WRAPPER",
        "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_DEP_INFO_BASEDIR",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_CRATE_NAME",
        "CARGO_INCREMENTAL",
        "OUT_DIR",
        "TARGET",
        "HOST",
        "PROFILE",
        "OPT_LEVEL",
    ];
    const BEGINNINGS: [&str; 8] = [
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_PROFILE_",
        "CARGO_BIN_",
        "CARGO_BUILD_BUILD_DIR",
        "DEP_",
    ];
    WHOLE.contains(&variable)
        || BEGINNINGS.iter().any(|beginning| variable.starts_with(beginning))
        || matches!(variable, "DEBUG" | "NUM_JOBS" | "__CARGO_DEFAULT_LIB_METADATA")
}

#[cfg(test)]
mod tests {
    use super::is_of_the_outer_build;

    #[test]
    fn what_the_user_says_about_packages_stays() {
        for kept in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_HTTP_PROXY",
            "CARGO_REGISTRIES_MINE_INDEX",
            "CARGO_SOURCE_CRATES_IO_REPLACE_WITH",
            "MAKEFLAGS",
            "CARGO_MAKEFLAGS",
            "RUSTC",
            "RUSTUP_TOOLCHAIN",
            "PATH",
        ] {
            assert!(!is_of_the_outer_build(kept), "{kept}");
        }
        for removed in
            ["RUSTFLAGS", "CARGO_PKG_NAME", "CARGO_CFG_UNIX", "DEP_Z_ROOT", "CARGO_PROFILE_RELEASE_LTO"]
        {
            assert!(is_of_the_outer_build(removed), "{removed}");
        }
    }
}
