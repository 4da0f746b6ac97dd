//! `header`: a blob for programs in C, which have no macro: everything that the macro would embed, in one file.
//!
//! Every name begins with the blob's, so that a program can have several. Names of exports and imports become parts of
//! names in C; what has no such name is refused, because leaving it out would show only where it is missed.

mod loader;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use pie_blob_image::{Image, Permissions, RelocationKind};

use crate::arguments::Header;
use crate::error::Error;
use crate::{object, output};

/// How many bytes stand in a line.
const LINE: usize = 16;

/// In `how` of a relocation: the bytes of the word come in big-endian order.
const BIG_ENDIAN: u32 = 0x10;
/// In `how` of a relocation: the address of an import is added, whose number is in the bits from 8 on.
const IMPORT: u32 = 0x20;

pub(crate) fn run(arguments: &Header) -> Result<(), Error> {
    let image = object::image(&arguments.object)?;
    let path = &arguments.object.path;
    let name = arguments.name.clone().unwrap_or_else(|| name_of(path));
    let relocations = check(&image).map_err(|reasons| Error::Header { path: path.clone(), reasons })?;
    output::to(&arguments.output, &|to| write(to, &image, &name, &relocations))
}

/// Whether the text is a name in C as it is.
pub(crate) fn is_identifier(text: &str) -> bool {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.chars().all(word) && text.chars().next().is_some_and(|first| !first.is_ascii_digit())
}

/// A name in C made from the object's.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    // A name that begins with an underscore is the compiler's own.
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) { name } else { format!("blob{name}") }
}

/// The relocations as the loader is told of them, or whatever the header cannot say.
fn check(image: &Image) -> Result<Vec<(u32, u32)>, Vec<String>> {
    let mut reasons = unnameable(image);
    let relocations: Vec<_> = image
        .relocations()
        .iter()
        .filter_map(|relocation| match how(relocation.kind()) {
            Some(how) => Some((relocation.offset(), how)),
            None => {
                let (offset, kind) = (relocation.offset(), relocation.kind());
                reasons
                    .push(format!("the header's loader does not know the relocation {kind} at {offset:#x}"));
                None
            }
        })
        .collect();
    if reasons.is_empty() { Ok(relocations) } else { Err(reasons) }
}

/// Names that would be none in C, or the same one twice.
fn unnameable(image: &Image) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut seen = BTreeSet::new();
    for import in image.imports() {
        if !is_identifier(import.name()) {
            reasons.push(format!("the import `{}` is no name in C", import.name()));
        }
    }
    for export in image.exports() {
        if !is_identifier(export.name()) {
            reasons.push(format!("the export `{}` is no name in C", export.name()));
        } else if !seen.insert(export.name()) {
            reasons.push(format!("the export `{}` is there twice", export.name()));
        }
    }
    reasons
}

/// What the loader is told of a relocation; `None` for a kind that was not there when it was written.
fn how(kind: RelocationKind) -> Option<u32> {
    use RelocationKind as Kind;
    let word = u32::from(kind.width()) | if kind.little_endian() { 0 } else { BIG_ENDIAN };
    match kind {
        Kind::Relative64
        | Kind::Relative32
        | Kind::Relative64Be
        | Kind::Relative32Be
        | Kind::Relative16
        | Kind::Relative8 => Some(word),
        Kind::Import64 { import }
        | Kind::Import32 { import }
        | Kind::Import64Be { import }
        | Kind::Import32Be { import } => Some(word | IMPORT | import.checked_mul(1 << 8)?),
        _ => None,
    }
}

fn write(to: &mut dyn io::Write, image: &Image, name: &str, relocations: &[(u32, u32)]) -> io::Result<()> {
    loader::opening(to, image, name)?;
    numbers(to, image, name, relocations.len())?;
    names(to, image, name)?;
    segments(to, image, name)?;
    bytes(to, image, name)?;
    table(to, name, relocations)?;
    loader::function(to, image, name, relocations)?;
    writeln!(to, "\n#endif")
}

fn numbers(to: &mut dyn io::Write, image: &Image, name: &str, relocations: usize) -> io::Result<()> {
    writeln!(
        to,
        "\n/* The bytes in memory, how many of them are not zero from the start, and what a base is a multiple of. */"
    )?;
    writeln!(to, "#define {name}_SIZE UINT64_C({:#x})", image.size())?;
    writeln!(to, "#define {name}_INITIALISED UINT64_C({:#x})", image.bytes().len())?;
    writeln!(to, "#define {name}_ALIGN UINT64_C({:#x})", image.align())?;
    writeln!(to, "/* Tells this image from every other. */")?;
    writeln!(to, "#define {name}_ID UINT64_C({:#018x})", image.id())?;
    writeln!(to, "#define {name}_RELOCATIONS {relocations}u")?;
    if let Some(stack) = image.stack() {
        writeln!(to, "/* The reserved stack, from its lowest byte to the one behind its highest. */")?;
        writeln!(to, "#define {name}_STACK UINT64_C({:#x})", stack.start)?;
        writeln!(to, "#define {name}_STACK_TOP UINT64_C({:#x})", stack.end)?;
    }
    Ok(())
}

fn names(to: &mut dyn io::Write, image: &Image, name: &str) -> io::Result<()> {
    writeln!(to, "\n/* Where the exports lie, counted from the base. */")?;
    for export in image.exports() {
        writeln!(to, "#define {name}_OFFSET_{} UINT64_C({:#x})", export.name(), export.offset())?;
    }
    writeln!(
        to,
        "\n/* The imports: the place of each address in what the loader is given, and how many there are. */"
    )?;
    for (number, import) in image.imports().iter().enumerate() {
        writeln!(to, "#define {name}_IMPORT_{} {number}u", import.name())?;
    }
    writeln!(to, "#define {name}_IMPORTS {}u", image.imports().len())
}

fn segments(to: &mut dyn io::Write, image: &Image, name: &str) -> io::Result<()> {
    writeln!(
        to,
        "\n/* What the pages of each part must allow: 4 to read, 2 to write, 1 to execute; nothing in a guard. */"
    )?;
    writeln!(to, "struct {name}_segment {{\n    uint64_t offset, size;\n    unsigned permissions;\n}};")?;
    writeln!(to, "#define {name}_SEGMENTS {}u", image.segments().len())?;
    writeln!(to, "static const struct {name}_segment {name}_segments[] = {{")?;
    for segment in image.segments() {
        let Permissions { read, write, execute } = segment.permissions;
        let permissions = u8::from(read) << 2 | u8::from(write) << 1 | u8::from(execute);
        let (offset, size) = (segment.offset, segment.size);
        writeln!(to, "    {{ UINT64_C({offset:#x}), UINT64_C({size:#x}), {permissions}u }},")?;
    }
    writeln!(to, "}};")
}

fn bytes(to: &mut dyn io::Write, image: &Image, name: &str) -> io::Result<()> {
    writeln!(to, "\n/* The initialised bytes as they stand at base 0. */")?;
    writeln!(to, "static const unsigned char {name}_bytes[] = {{")?;
    // C has no empty arrays.
    let bytes = if image.bytes().is_empty() { &[0] } else { image.bytes() };
    for line in bytes.chunks(LINE) {
        to.write_all(b"   ")?;
        for byte in line {
            write!(to, " {byte:#04x},")?;
        }
        writeln!(to)?;
    }
    writeln!(to, "}};")
}

fn table(to: &mut dyn io::Write, name: &str, relocations: &[(u32, u32)]) -> io::Result<()> {
    if relocations.is_empty() {
        return Ok(());
    }
    writeln!(
        to,
        "\n/* The words to which the base is added. `how` is the width of the word in bytes; with {BIG_ENDIAN:#x}, its bytes are in\n   \
         big-endian order; with {IMPORT:#x}, the address of the import `how >> 8` is added instead of the base. */"
    )?;
    writeln!(to, "struct {name}_relocation {{\n    uint32_t offset, how;\n}};")?;
    writeln!(to, "static const struct {name}_relocation {name}_relocations[] = {{")?;
    for (offset, how) in relocations {
        writeln!(to, "    {{ {offset:#x}u, {how:#x}u }},")?;
    }
    writeln!(to, "}};")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_c() {
        assert_eq!(name_of(Path::new("/a/some-probe.v2.po")), "some_probe_v2");
        assert_eq!(name_of(Path::new("2nd.po")), "blob2nd");
        assert_eq!(name_of(Path::new("/")), "blob");
        assert!(is_identifier("_a1") && !is_identifier("1a") && !is_identifier("") && !is_identifier("ä"));
    }

    #[test]
    fn every_kind_says_how() {
        assert_eq!(how(RelocationKind::Relative64), Some(0x8));
        assert_eq!(how(RelocationKind::Relative32Be), Some(0x14));
        assert_eq!(how(RelocationKind::Relative8), Some(0x1));
        assert_eq!(how(RelocationKind::Import64 { import: 0xff_ffff }), Some(0xffff_ff28));
        assert_eq!(how(RelocationKind::Import32Be { import: 2 }), Some(0x234));
    }
}
