//! `inspect`: the image as a drawing, for people.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;

use pie_blob_image::{Image, Narrow, Segment};

use crate::arguments::Inspect;
use crate::error::Error;
use crate::paint::Paint;
use crate::plain::plain;
use crate::{json, object, output};

/// How many cells the bar of a segment has.
const CELLS: u64 = 32;

pub(crate) fn run(arguments: &Inspect) -> Result<(), Error> {
    let image = object::image(&arguments.object)?;
    let path = &arguments.object.path;
    if arguments.json {
        return output::to_stdout(&|to| json::write(to, path, &image));
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = draw(&mut text, path, &image, Paint::stdout(arguments.color));
    output::to_stdout(&|to| to.write_all(text.as_bytes()))
}

fn draw(text: &mut String, path: &Path, image: &Image, paint: Paint) -> fmt::Result {
    let architecture = image.architecture();
    writeln!(text, "{}", paint.heading(plain(&path.display().to_string())))?;
    let order = if architecture.little_endian() { "little" } else { "big" };
    let bits = u32::from(architecture.pointer_width()).saturating_mul(8);
    writeln!(text, "  for           {}, {bits} bits, {order}-endian", architecture.name())?;
    writeln!(
        text,
        "  in memory     {}, {} of it initialised",
        size(image.size()),
        size(image.bytes().len() as u64)
    )?;
    writeln!(text, "  base          a multiple of {}{}", size(image.align()), bases(image.narrow()))?;
    writeln!(text, "  id            {:016x}{}", image.id(), if image.packed() { ", packed" } else { "" })?;
    segments(text, image, paint)?;
    exports(text, image, paint)?;
    imports(text, image, paint)?;
    relocations(text, image, paint)?;
    dropped(text, image, paint)
}

fn segments(text: &mut String, image: &Image, paint: Paint) -> fmt::Result {
    title(text, paint, "segments", image.segments().len())?;
    let width = digits(image.size());
    for segment in image.segments() {
        let end = segment.offset.saturating_add(segment.size);
        let permissions = segment.permissions;
        let stack = image.stack().is_some_and(|stack| segment.offset <= stack.start && stack.end <= end);
        writeln!(
            text,
            "  {:#0width$x}..{end:#0width$x}  {}  [{}]  {}{}",
            segment.offset,
            paint.segment(permissions, permissions),
            paint.segment(permissions, bar(segment)),
            fill(segment),
            if stack { paint.faint("  stack") } else { String::new() },
        )?;
    }
    Ok(())
}

fn exports(text: &mut String, image: &Image, paint: Paint) -> fmt::Result {
    title(text, paint, "exports", image.exports().len())?;
    let width = digits(image.size());
    for export in image.exports() {
        let long = if export.size() == 0 { "size unknown".to_owned() } else { size(export.size()) };
        let kind = json::symbol_kind(export.kind());
        let name = plain(export.name());
        writeln!(text, "  {:#0width$x}  {kind}  {name}  {}", export.offset(), paint.faint(long))?;
    }
    Ok(())
}

fn imports(text: &mut String, image: &Image, paint: Paint) -> fmt::Result {
    title(text, paint, "imports", image.imports().len())?;
    for (import, words) in image.imports().iter().zip(json::wanted(image)) {
        let wanted = format!("in {words} {}", if words == 1 { "word" } else { "words" });
        writeln!(text, "  {}  {}", plain(import.name()), paint.faint(wanted))?;
    }
    Ok(())
}

/// By kind: how many, and between which offsets.
fn relocations(text: &mut String, image: &Image, paint: Paint) -> fmt::Result {
    title(text, paint, "relocations", image.relocations().len())?;
    let mut kinds = BTreeMap::new();
    // They are sorted: the first of a kind is the lowest, the last the highest.
    for relocation in image.relocations() {
        let at = relocation.offset();
        let (count, _, last) = kinds.entry(json::kind(*relocation)).or_insert((0_usize, at, at));
        *count = count.saturating_add(1);
        *last = at;
    }
    for (kind, (count, first, last)) in kinds {
        writeln!(text, "  {kind:12}  {count:8}  {}", paint.faint(format_args!("{first:#x}..={last:#x}")))?;
    }
    Ok(())
}

fn dropped(text: &mut String, image: &Image, paint: Paint) -> fmt::Result {
    title(text, paint, "dropped", image.dropped().len())?;
    let names: Vec<_> = image.dropped().iter().map(|dropped| plain(dropped.name())).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(32);
    for (dropped, name) in image.dropped().iter().zip(names) {
        writeln!(text, "  {name:width$}  {}  {}", size(dropped.size()), paint.faint(dropped.reason()))?;
    }
    Ok(())
}

fn title(text: &mut String, paint: Paint, what: &str, count: usize) -> fmt::Result {
    writeln!(text, "\n{}", paint.heading(format_args!("{what}: {count}")))
}

/// Which bases narrow words leave.
fn bases(narrow: Narrow) -> String {
    if narrow == Narrow::default() {
        return String::new();
    }
    let high = (narrow.first_high != u64::MAX).then(|| format!(" or from {:#x}", narrow.first_high));
    format!(", up to {:#x}{}", narrow.last, high.unwrap_or_default())
}

/// Initialised bytes are `#`, zeros `.`; of either that is there, at least one cell.
fn bar(segment: &Segment) -> String {
    let filled = match segment.initialised.min(segment.size) {
        0 => 0,
        all if all == segment.size => CELLS,
        some => {
            let cells = u128::from(some) * u128::from(CELLS) / u128::from(segment.size.max(1));
            u64::try_from(cells).unwrap_or(CELLS).clamp(1, CELLS - 1)
        }
    };
    (0..CELLS).map(|cell| if cell < filled { '#' } else { '.' }).collect()
}

fn fill(segment: &Segment) -> String {
    let zero = segment.size.saturating_sub(segment.initialised);
    match (segment.initialised, zero) {
        (0, zero) => format!("{} zero", size(zero)),
        (initialised, 0) => format!("{} initialised", size(initialised)),
        (initialised, zero) => format!("{} initialised, {} zero", size(initialised), size(zero)),
    }
}

/// In the largest unit that loses nothing, else with one digit behind the point.
fn size(bytes: u64) -> String {
    for (unit, name) in [(1_u64 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes % unit == 0 {
            return format!("{} {name}", bytes / unit);
        }
        if bytes >= unit {
            let tenths = bytes.saturating_mul(10) / unit;
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} bytes")
}

/// How wide every offset is written, `0x` included.
fn digits(size: u64) -> usize {
    format!("{size:#x}").len()
}
