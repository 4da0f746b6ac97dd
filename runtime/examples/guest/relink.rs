//! The guest, linked for a fixed address: what a linker writes when it is told the base beforehand.

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What one linker makes of the guest.
pub(crate) struct Relinked {
    pub(crate) linker: PathBuf,
    /// Its own link at the base: not position-independent, no relocations left.
    pub(crate) fixed: Vec<u8>,
    /// Its position-independent link, relocated for the base.
    pub(crate) relocated: Vec<u8>,
}

/// What a linker calls itself, if it is there.
pub(crate) fn version(linker: impl AsRef<OsStr>) -> Option<String> {
    let output = Command::new(linker).arg("--version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Builds the guest and links it twice with each linker.
pub(crate) fn with<L: Into<PathBuf>>(
    linkers: impl IntoIterator<Item = L>,
    base: u64,
) -> Result<Vec<Relinked>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    linkers.into_iter().map(|linker| relink(folder.path(), linker.into(), base)).collect()
}

fn relink(folder: &Path, linker: PathBuf, base: u64) -> Result<Relinked, Box<dyn Error>> {
    let (recorder, arguments) = (folder.join("recorder"), folder.join("arguments"));
    // GNU's linker makes immediate operands of addresses that it knows: other instructions, which would hide whether
    // the words are the same.
    let is_gnu = version(&linker).is_some_and(|version| version.starts_with("GNU"));
    let more = if is_gnu { " --no-relax" } else { "" };
    // Stands in for the linker, to learn what it is given.
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] || set -- \"$@\"{more}\nprintf '%s\\n' \"$@\" >'{}'\nexec '{}' \"$@\"\n",
        arguments.display(),
        linker.display()
    );
    fs::write(&recorder, script)?;
    fs::set_permissions(&recorder, fs::Permissions::from_mode(0o700))?;

    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join(GUEST);
    let built = pie_blob_build::Blob::new("guest")
        .cargo_package(package)
        .packed(true)
        .linker(recorder)
        .target("x86_64-unknown-linux-gnu")
        .out_dir(folder)
        .cargo_directives(false)
        .try_build()?;
    let mut relocated = built.image().relocated(base)?;
    if let (true, [table]) = (is_gnu, built.image().symbols_named("_GLOBAL_OFFSET_TABLE_")) {
        // Where the dynamic section lies, which only the position-independent link has: for a loader, never relocated.
        let word = relocated.get_mut(table.offset() as usize..).and_then(|rest| rest.first_chunk_mut::<8>());
        *word.ok_or("the table lies outside of the image")? = [0; 8];
    }
    let arguments = fs::read_to_string(arguments)?;
    let fixed = image(&fixed(folder, &linker, &arguments, base)?, base)?;
    Ok(Relinked { linker, fixed, relocated })
}

/// Where the guest's sources are, from each of the two packages that have this file.
const GUEST: &str = "../blobs/guest";

/// The same link once more, but for this base: the object is read back.
fn fixed(folder: &Path, linker: &Path, arguments: &str, base: u64) -> Result<Vec<u8>, Box<dyn Error>> {
    let output = folder.join("fixed");
    let mut command = Command::new(linker);
    command.arg("-static");
    let mut arguments = arguments.lines();
    while let Some(argument) = arguments.next() {
        match argument {
            "-pie" | "--no-dynamic-linker" | "-Bsymbolic" => {}
            "-T" => {
                let script = fs::read_to_string(arguments.next().ok_or("-T names a script")?)?;
                let moved = script.replacen("  . = 0;\n", &format!("  . = {base:#x};\n"), 1);
                assert_ne!(script, moved, "the script begins at 0");
                fs::write(folder.join("fixed.ld"), moved)?;
                command.arg("-T").arg(folder.join("fixed.ld"));
            }
            "-o" => {
                arguments.next();
                command.arg("-o").arg(&output);
            }
            other => {
                command.arg(other);
            }
        }
    }
    let ended = command.output()?;
    if !ended.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&ended.stderr)).into());
    }
    Ok(fs::read(output)?)
}

/// The initialised bytes of the first segment of a 64-bit little-endian ELF file, which must lie at the base.
fn image(file: &[u8], base: u64) -> Result<Vec<u8>, Box<dyn Error>> {
    let word = |at: usize| -> Result<u64, Box<dyn Error>> {
        let bytes = file.get(at..).and_then(|rest| rest.first_chunk()).ok_or("the file ends early")?;
        Ok(u64::from_le_bytes(*bytes))
    };
    let header = usize::try_from(word(32)?)?;
    let (offset, address, size) = (word(header + 8)?, word(header + 16)?, word(header + 32)?);
    if address != base {
        return Err(format!("linked at {address:#x}, not at {base:#x}").into());
    }
    let rest = file.get(usize::try_from(offset)?..).ok_or("the file ends early")?;
    Ok(rest.get(..usize::try_from(size)?).ok_or("the file ends early")?.to_vec())
}
