//! `flatten`: the bytes for a base that is known beforehand, for whoever has no loader at all.

use crate::arguments::Flatten;
use crate::error::Error;
use crate::{object, output};

pub(crate) fn run(arguments: &Flatten) -> Result<(), Error> {
    let path = || arguments.object.path.clone();
    let image = object::image(&arguments.object)?;
    let relocated = image.relocated(arguments.base);
    let mut bytes = relocated.map_err(|source| Error::Base { path: path(), source })?;
    if arguments.zero_fill {
        // The reader's limit on the size of images keeps this far below what a `usize` holds.
        bytes.resize(usize::try_from(image.size()).unwrap_or(usize::MAX), 0);
    }
    output::to(&arguments.output, &|to| to.write_all(&bytes))
}
