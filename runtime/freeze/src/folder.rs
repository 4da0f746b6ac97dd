//! The folder of an image: written beside its place under another name, made safe, and then moved there in one step; read
//! back only when every byte is what was written.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use twox_hash::XxHash3_64;

use crate::error::Error;
use crate::files;
use crate::hex::Hex;
use crate::state::{State, VERSION};

/// What the first key of `state.json` says.
const FORMAT: &str = "pie_blob_freeze";
/// What no `state.json` is larger than: a gigabyte.
const LARGEST: u64 = 1 << 30;

/// A folder that is being written; removed when dropped before it is finished.
#[derive(Debug)]
pub(crate) struct Draft {
    place: PathBuf,
    draft: PathBuf,
    finished: bool,
}

impl Draft {
    /// Makes a folder beside `place`, on the same file system.
    pub(crate) fn new(place: &Path) -> Result<Self, Error> {
        let occupied = fs::read_dir(place).map(|mut entries| entries.next().is_some());
        match occupied {
            Ok(true) => return Err(Error::Exists { folder: place.display().to_string() }),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::io(format!("make {}", place.display()))(source)),
        }
        let failed = |source| Error::io(format!("make {}", place.display()))(source);
        let Some(name) = place.file_name() else { return Err(failed(io::ErrorKind::InvalidInput.into())) };
        let mut draft = name.to_owned();
        draft.push(format!(".{}.unfinished", std::process::id()));
        let draft = place.with_file_name(draft);
        // What a freeze left behind that was killed, under an id that has come round.
        let _ = fs::remove_dir_all(&draft);
        // What it shows of a process is its owner's affair only, from the first moment on.
        fs::DirBuilder::new().mode(0o700).create(&draft).map_err(failed)?;
        Ok(Self { place: place.to_owned(), draft, finished: false })
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.draft.join(name)
    }

    /// Makes a file in it.
    pub(crate) fn create(&self, name: &str) -> Result<File, Error> {
        let path = self.path(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(&path).map_err(Error::io(format!("make {}", path.display())))
    }

    /// Writes `state.json`, makes everything safe on the disk, and moves the folder to its place.
    pub(crate) fn finish(mut self, state: &State, pages: &File) -> Result<(), Error> {
        let path = self.path("state.json");
        let failed = |source| Error::io(format!("write {}", path.display()))(source);
        let text = serde_json::to_string_pretty(state).map_err(|error| failed(error.into()))?;
        let mut file = self.create("state.json")?;
        let written = self.path("pages");
        file.write_all(envelope(&text).as_bytes()).map_err(failed)?;
        // All at once: a file system that keeps a journal then writes it once.
        let (state, pages, folder) = std::thread::scope(|scope| {
            let pages = scope.spawn(|| pages.sync_all());
            let folder = scope.spawn(|| sync_folder(&self.draft));
            let state = file.sync_all();
            let panicked = |_| Err(io::ErrorKind::Other.into());
            (state, pages.join().unwrap_or_else(panicked), folder.join())
        });
        state.map_err(failed)?;
        pages.map_err(Error::io(format!("write {}", written.display())))?;
        folder.unwrap_or_else(|_| Err(failed(io::ErrorKind::Other.into())))?;
        fs::rename(&self.draft, &self.place)
            .map_err(Error::io(format!("move the image to {}", self.place.display())))?;
        self.finished = true;
        sync_folder(parent(&self.place))
    }
}

/// Writes the `state.json` of a finished image anew, in one step.
pub(crate) fn rewrite(folder: &Path, state: &State) -> Result<(), Error> {
    let path = folder.join("state.json");
    let next = folder.join("state.json.unfinished");
    let failed = |source| Error::io(format!("write {}", path.display()))(source);
    let text = serde_json::to_string_pretty(state).map_err(|error| failed(error.into()))?;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&next).map_err(failed)?;
    let written = file.write_all(envelope(&text).as_bytes()).and_then(|()| file.sync_all());
    let moved = written.and_then(|()| fs::rename(&next, &path));
    moved.map_err(|source| {
        let _ = fs::remove_file(&next);
        failed(source)
    })?;
    sync_folder(folder)
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed is seen by its name to be unfinished.
            let _ = fs::remove_dir_all(&self.draft);
        }
    }
}

/// The folder that a path lies in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(Error::io(format!("write the folder {}", path.display())))
}

/// The whole text of `state.json` around the state.
fn envelope(state: &str) -> String {
    let checksum = Hex(XxHash3_64::oneshot(state.as_bytes()));
    format!(
        "{{\n\"format\": \"{FORMAT}\",\n\"version\": {VERSION},\n\"checksum\": \"{checksum}\",\n\"state\": {state}\n}}\n"
    )
}

/// Reads the `state.json` of an image.
pub(crate) fn read(folder: &Path) -> Result<State, Error> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        format: String,
        version: u32,
        checksum: Hex,
        #[serde(borrow)]
        state: &'a RawValue,
    }
    let path = folder.join("state.json");
    let file = files::regular(&path, false).map_err(Error::io(format!("open {}", path.display())))?;
    let mut text = String::new();
    let read = file.take(LARGEST + 1).read_to_string(&mut text);
    let damaged = |reason: String| Error::Damaged { path: path.display().to_string(), reason };
    match read {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(damaged("it is not text".to_owned()));
        }
        Err(source) => return Err(Error::io(format!("read {}", path.display()))(source)),
        Ok(_) if text.len() as u64 > LARGEST => return Err(damaged("it is too large".to_owned())),
        Ok(_) => {}
    }
    let outer: Envelope<'_> = serde_json::from_str(&text)
        .map_err(|error| damaged(format!("it is not what was written: {error}")))?;
    if outer.format != FORMAT {
        return Err(damaged(format!("it is no frozen process but \"{}\"", outer.format)));
    }
    if outer.version != VERSION {
        return Err(damaged(format!(
            "its format has version {}, and this program knows version {VERSION} only",
            outer.version
        )));
    }
    let state = outer.state.get();
    if Hex(XxHash3_64::oneshot(state.as_bytes())) != outer.checksum || envelope(state) != text {
        return Err(damaged(
            "its checksum does not fit: it has been changed since it was written".to_owned(),
        ));
    }
    serde_json::from_str(state).map_err(|error| damaged(error.to_string()))
}
