//! Looks at the finished object with other eyes than the linker's: those of whoever will embed it.

use std::path::Path;

use object::read::{Object as _, ObjectSection as _, SectionFlags};
use pie_blob_image::{Abs32, Image, Limits, nearest};

use crate::Error;

/// An object that can become a blob.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The whole file.
    pub(crate) bytes: Vec<u8>,
    pub(crate) image: Image,
}

/// Reads the object at `path`, and everything that is wrong with it. `kept` must be defined in it; `abs32` says whether absolute
/// words may be narrower than an address.
pub(crate) fn verify<'a>(
    path: &Path,
    architecture: &str,
    kept: impl IntoIterator<Item = &'a String>,
    abs32: Option<Abs32>,
) -> Result<Verified, Error> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let mut reasons = thread_local(&bytes);
    let limits = Limits::default();
    let limits = abs32.map_or(limits, |abs32| limits.with_abs32(abs32));
    let image = match Image::parse(&bytes, &limits) {
        Ok(image) => image,
        Err(faults) => {
            reasons.extend(faults.iter().map(ToString::to_string));
            if faults.more() > 0 {
                reasons.push(format!("and {} more", faults.more()));
            }
            return Err(Error::Refused { path: path.to_owned(), reasons });
        }
    };
    if image.architecture().name() != architecture {
        reasons.push(format!("it is for {}, not for {architecture}", image.architecture().name()));
    }
    // The linkers say nothing when a symbol that must stay is not there.
    for name in kept {
        if image.symbols_named(name).is_empty() {
            reasons.push(format!("the linker has lost `{name}`"));
        }
    }
    if image.bytes().is_empty() && image.exports().is_empty() {
        reasons.push(
            "it is empty: mark something to export, or an entry in section `.pie_blob.head`".to_owned(),
        );
    }
    if reasons.is_empty() {
        Ok(Verified { bytes, image })
    } else {
        Err(Error::Refused { path: path.to_owned(), reasons })
    }
}

/// Refuses undefined symbols that nobody has asked to be left so: the linker lets all of them pass as soon as it lets one.
pub(crate) fn imports(path: &Path, image: &Image, allowed: &[String]) -> Result<(), Error> {
    let unasked = image.imports().iter().map(pie_blob_image::Import::name);
    let unasked = unasked.filter(|name| allowed.iter().all(|allowed| allowed != name));
    let reasons: Vec<String> = unasked
        .map(|name| {
            let nearest = nearest(name, allowed.iter().map(String::as_str));
            let meant = nearest.first().map(|meant| format!(" (did you mean `{meant}`?)")).unwrap_or_default();
            format!("`{name}` is undefined: define it, or let the host supply it with `.import(\"{name}\")`{meant}")
        })
        .collect();
    if reasons.is_empty() { Ok(()) } else { Err(Error::Refused { path: path.to_owned(), reasons }) }
}

/// The sections of thread-local storage. They have no segment of their own in our layout, so they are found by
/// their flag.
fn thread_local(bytes: &[u8]) -> Vec<String> {
    // What is no ELF at all, the image says.
    let Ok(file) = object::File::parse(bytes) else { return Vec::new() };
    file.sections()
        .filter(|section| {
            matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(object::elf::SHF_TLS))
        })
        .map(|section| {
            format!(
                "{}: {} bytes of thread-local storage: a blob has no threads of its own; use a plain static",
                section.name().unwrap_or("a section"),
                section.size()
            )
        })
        .collect()
}
