//! `lines`: where in the source an offset is, for whoever has a message of a program's and the object at another place.

use std::fmt::Write as _;

use pie_blob_image::{Image, SymbolKind};

use crate::error::Error;
use crate::plain::plain;
use crate::{arguments, object, output};

pub(crate) fn run(arguments: &arguments::Lines) -> Result<(), Error> {
    let path = || arguments.object.path.clone();
    let data = object::bytes(&arguments.object)?;
    let image = object::parsed(&arguments.object, &data)?;
    let lines = pie_blob_image::Lines::of(&data).map_err(|source| Error::Lines { path: path(), source })?;
    let size = image.size();
    if let Some(&offset) = arguments.offsets.iter().find(|&&offset| offset >= size) {
        return Err(Error::Outside { path: path(), offset, size });
    }
    let mut text = String::new();
    for &offset in &arguments.offsets {
        let mut head = format!("{offset:#x}");
        let found = lines.at(offset);
        for line in &found {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{head}  {}", plain(&line.to_string()));
            head = " ".repeat(head.len());
        }
        if found.is_empty() {
            let _ = writeln!(text, "{head}  {}", plain(&symbol(&image, offset)));
        }
    }
    output::to_stdout(&|to| to.write_all(text.as_bytes()))
}

/// What is known without debugging information: the symbol that covers the offset.
fn symbol(image: &Image, offset: u64) -> String {
    let code = image.symbols().iter().filter(|symbol| symbol.kind() == SymbolKind::Code);
    let within = |start: u32| offset.checked_sub(u64::from(start));
    let covering = code.filter_map(|symbol| Some((symbol, within(symbol.offset())?)));
    let covering = covering.filter(|(symbol, within)| *within < symbol.size());
    match covering.min_by_key(|(_, within)| *within) {
        Some((symbol, within)) => format!("{}+{within:#x}", symbol.name()),
        None => "?".to_owned(),
    }
}
