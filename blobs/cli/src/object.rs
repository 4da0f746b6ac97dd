//! From a path to an image.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::thread;

use pie_blob_image::Image;

use crate::arguments::Object;
use crate::error::Error;

/// The image of the object, or everything that is wrong with it.
pub(crate) fn image(object: &Object) -> Result<Image, Error> {
    parsed(object, &bytes(object)?)
}

/// The object as it is in its file.
pub(crate) fn bytes(object: &Object) -> Result<Vec<u8>, Error> {
    let path = &object.path;
    read(path).map_err(|source| Error::Read { path: path.clone(), source })
}

/// The image of an object that has been read, or everything that is wrong with it.
pub(crate) fn parsed(object: &Object, data: &[u8]) -> Result<Image, Error> {
    let path = &object.path;
    Image::parse(data, &object.limits()).map_err(|faults| Error::Object { path: path.clone(), faults })
}

/// What one thread reads of a file: of longer ones, most of the time that it takes to look at them is this copy.
const PART: usize = 32 << 20;

/// The bytes of a file, read by several threads if it is long.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let about = std::fs::metadata(path)?;
    let length = usize::try_from(about.len()).unwrap_or(usize::MAX);
    if !about.is_file() || length <= PART {
        return std::fs::read(path);
    }
    let mut data = vec![0; length];
    thread::scope(|scope| {
        let read = |(part, offset): (&mut [u8], u64)| {
            let mut file = File::open(path)?;
            file.seek(io::SeekFrom::Start(offset))?;
            file.read_exact(part)
        };
        let parts = data.chunks_mut(PART).zip((0..).step_by(PART));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || read(part))).collect();
        // A thread that reads does not panic.
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err(io::ErrorKind::Other.into())))
    })?;
    Ok(data)
}
