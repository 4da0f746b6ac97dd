//! From a path to an image.

use pie_blob_image::Image;

use crate::arguments::Object;
use crate::error::Error;

/// The image of the object, or everything that is wrong with it.
pub(crate) fn image(object: &Object) -> Result<Image, Error> {
    let path = &object.path;
    let data = std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })?;
    Image::parse(&data, &object.limits()).map_err(|faults| Error::Object { path: path.clone(), faults })
}
