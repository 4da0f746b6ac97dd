//! `inspect --json`: what `docs/json.md` describes, field by field.

use std::io;
use std::path::Path;

use pie_blob_image::{DroppedReason, Image, Narrow, Relocation, SymbolKind};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};

/// Changes when a field is taken away or means something else.
const VERSION: u32 = 1;

/// Writes the image as JSON, ended by a line feed.
pub(crate) fn write(to: &mut dyn io::Write, path: &Path, image: &Image) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *to, &Document { path, image })?;
    to.write_all(b"\n")
}

/// An image and where its object was found.
struct Document<'a> {
    path: &'a Path,
    image: &'a Image,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, value) in fields(self.path, self.image).as_object().into_iter().flatten() {
            map.serialize_entry(field, value)?;
        }
        map.serialize_entry("relocations", &Relocations(self.image))?;
        map.end()
    }
}

/// One after the other: a small object can ask for so many that they would not fit into memory as JSON.
struct Relocations<'a>(&'a Image);

impl Serialize for Relocations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.relocations().iter().map(|relocation| {
            json!({
                "offset": relocation.offset(),
                "width": relocation.kind().width(),
                "kind": kind(*relocation),
                "import": relocation.kind().import(),
            })
        }))
    }
}

/// Everything but the relocations.
fn fields(path: &Path, image: &Image) -> Value {
    let architecture = image.architecture();
    json!({
        "version": VERSION,
        "file": path.display().to_string(),
        "architecture": architecture.name(),
        "pointer_width": architecture.pointer_width(),
        "little_endian": architecture.little_endian(),
        "page_size": architecture.page_size(),
        // As text: programs that read numbers as floating point would take two images for one.
        "id": format!("{:016x}", image.id()),
        "size": image.size(),
        "initialised": image.bytes().len(),
        "align": image.align(),
        "packed": image.packed(),
        "segments": list(image.segments(), |segment| json!({
            "offset": segment.offset,
            "size": segment.size,
            "initialised": segment.initialised,
            "permissions": segment.permissions.to_string(),
        })),
        "stack": image.stack().map(|stack| json!({ "start": stack.start, "end": stack.end })),
        "narrow": narrow(image.narrow()),
        "exports": list(image.exports(), |export| json!({
            "name": export.name(),
            "offset": export.offset(),
            "size": export.size(),
            "kind": symbol_kind(export.kind()),
        })),
        "imports": imports(image),
        "dropped": list(image.dropped(), |dropped| json!({
            "name": dropped.name(),
            "size": dropped.size(),
            "reason": reason(dropped.reason()),
        })),
    })
}

/// How a relocation is called without the number of its import.
pub(crate) fn kind(relocation: Relocation) -> String {
    let mut name = relocation.kind().to_string();
    name.truncate(name.find(' ').unwrap_or(name.len()));
    name
}

/// `code` or `data`.
pub(crate) fn symbol_kind(kind: SymbolKind) -> &'static str {
    match kind {
        SymbolKind::Code => "code",
        SymbolKind::Data => "data",
    }
}

/// In how many words the address of each import is wanted, by its number.
pub(crate) fn wanted(image: &Image) -> Vec<usize> {
    let mut words = vec![0_usize; image.imports().len()];
    for import in image.relocations().iter().filter_map(|relocation| relocation.kind().import()) {
        if let Some(count) = usize::try_from(import).ok().and_then(|import| words.get_mut(import)) {
            *count = count.saturating_add(1);
        }
    }
    words
}

fn list<T>(items: &[T], item: impl Fn(&T) -> Value) -> Vec<Value> {
    items.iter().map(item).collect()
}

fn imports(image: &Image) -> Vec<Value> {
    let imports = image.imports().iter().zip(wanted(image));
    imports.map(|(import, words)| json!({ "name": import.name(), "words": words })).collect()
}

fn narrow(narrow: Narrow) -> Option<Value> {
    let high = (narrow.first_high != u64::MAX).then_some(narrow.first_high);
    (narrow != Narrow::default()).then(|| json!({ "last": narrow.last, "first_high": high }))
}

fn reason(reason: DroppedReason) -> String {
    match reason {
        DroppedReason::NotAllocated => "not-allocated".to_owned(),
        DroppedReason::RelocatesDropped => "relocates-dropped".to_owned(),
        DroppedReason::BehindEnd => "behind-end".to_owned(),
        other => other.to_string(),
    }
}
