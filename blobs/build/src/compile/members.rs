//! Takes the static library that rustc writes apart.
//!
//! The members that were compiled from the blob's own crates are linked as they are, so that an entry to which nothing
//! refers is not left out; the rest (the compiler's runtime, native libraries) stays an archive.

use std::path::Path;

use object::read::archive::ArchiveFile;

use super::Compiled;
use crate::Error;
use crate::symbols::Input;

/// Adds the library at `archive`, which was made of `source`, and writes its own members to `place`.
pub(crate) fn add(archive: &Path, source: &Path, place: &Path, compiled: &mut Compiled) -> Result<(), Error> {
    let malformed =
        |error: object::Error| Error::Malformed { path: archive.to_owned(), message: error.to_string() };
    let data = std::fs::read(archive).map_err(Error::io("read", archive))?;
    // Members of an earlier build may have had other names.
    if place.exists() {
        std::fs::remove_dir_all(place).map_err(Error::io("empty", place))?;
    }
    std::fs::create_dir_all(place).map_err(Error::io("create", place))?;

    let file = ArchiveFile::parse(&*data).map_err(malformed)?;
    for (number, member) in file.members().enumerate() {
        let member = member.map_err(malformed)?;
        let name = String::from_utf8_lossy(member.name());
        if !is_own(&name) {
            continue;
        }
        let path = place.join(format!("{number}.o"));
        let bytes = member.data(&*data).map_err(malformed)?;
        std::fs::write(&path, bytes).map_err(Error::io("write", &path))?;
        compiled.inputs.push(Input::parse(path, source, bytes)?);
    }
    compiled.archives.push(archive.to_owned());
    Ok(())
}

/// Whether rustc compiled the member from a crate that is not its own runtime.
fn is_own(name: &str) -> bool {
    name.ends_with(".rcgu.o") && !name.starts_with("compiler_builtins-")
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn the_runtime_is_not_own() {
        assert!(is_own("parasite-f8fcb7c0.parasite.d5e6f7a8-cgu.0.rcgu.o"));
        assert!(!is_own("compiler_builtins-f8fcb7c0.compiler_builtins.d5e6f7a8-cgu.0.rcgu.o"));
        assert!(!is_own("vendored.o"));
    }
}
