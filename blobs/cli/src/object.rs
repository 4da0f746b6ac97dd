//! From a path to an image.

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
    std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })
}

/// The image of an object that has been read, or everything that is wrong with it.
pub(crate) fn parsed(object: &Object, data: &[u8]) -> Result<Image, Error> {
    let path = &object.path;
    Image::parse(data, &object.limits()).map_err(|faults| Error::Object { path: path.clone(), faults })
}
