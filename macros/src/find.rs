//! The invocation's name to the object's file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use syn::LitStr;

use crate::messages::Message;

/// Where names are looked up: the variables of the compiler that runs the macro.
pub(crate) struct Environment {
    variable: fn(&str) -> Option<OsString>,
}

/// An object, read.
pub(crate) struct Object {
    pub(crate) data: Vec<u8>,
    /// Where it lies, for the compiler to track.
    pub(crate) path: String,
    /// The variable that can lead elsewhere, for the compiler to track. A path is looked up without one.
    pub(crate) variable: Option<String>,
}

impl Environment {
    /// The environment of the running compiler.
    pub(crate) fn of_rustc() -> Self {
        Self { variable: |name| std::env::var_os(name) }
    }

    #[cfg(test)]
    pub(crate) fn new(variable: fn(&str) -> Option<OsString>) -> Self {
        Self { variable }
    }

    fn folder(&self, variable: &str) -> Option<PathBuf> {
        (self.variable)(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Finds and reads the object of a blob.
    pub(crate) fn find(&self, name: &LitStr) -> Result<Object, Message> {
        let name = name.value();
        let manifest = self.folder("CARGO_MANIFEST_DIR").unwrap_or_default();
        if name.contains('/') {
            let path = manifest.join(&name);
            return match std::fs::read(&path) {
                Ok(data) => object(data, &path, None),
                Err(error) => {
                    Err(Message::Unreadable { path: path.display().to_string(), error: error.to_string() })
                }
            };
        }
        let variable = format!("PIE_BLOB_{}", name.replace('-', "_"));
        if let Some(path) = self.folder(&variable) {
            // What a build script has said is not second-guessed: another object would be the wrong one.
            return match std::fs::read(&path) {
                Ok(data) => object(data, &path, Some(variable)),
                Err(error) => {
                    let path = path.display().to_string();
                    Err(Message::VariablePoints { variable, path, error: error.to_string() })
                }
            };
        }
        let file = format!("{name}.po");
        let mut places = vec![format!("the file that {variable} names (it is not set)")];
        let out = self.folder("OUT_DIR").map(|out| out.join(&file));
        if out.is_none() {
            places.push(format!("$OUT_DIR/{file} (no build script of this crate has run)"));
        }
        let blobs = Path::new("blobs").join(&file);
        // What lies in the crate is shown as its sources are: from the crate on.
        let checked_in = (manifest.join(&blobs), format!("{} (in this crate's folder)", blobs.display()));
        let built = out.map(|out| (out.clone(), out.display().to_string()));
        for (path, shown) in built.into_iter().chain([checked_in]) {
            match std::fs::read(&path) {
                Ok(data) => return object(data, &path, Some(variable)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => places.push(shown),
                Err(error) => {
                    return Err(Message::Unreadable {
                        path: path.display().to_string(),
                        error: error.to_string(),
                    });
                }
            }
        }
        Err(Message::NotFound { name, places })
    }
}

fn object(data: Vec<u8>, path: &Path, variable: Option<String>) -> Result<Object, Message> {
    // A relative path would be taken as relative to the source file when it is tracked.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match absolute.to_str() {
        Some(path) => Ok(Object { data, path: path.to_owned(), variable }),
        None => Err(Message::PathEncoding { path: absolute.display().to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;
    use std::cell::RefCell;
    use std::collections::HashMap;

    thread_local! {
        static VARIABLES: RefCell<HashMap<String, OsString>> = RefCell::default();
    }

    fn set(name: &str, value: &Path) {
        VARIABLES.with_borrow_mut(|variables| variables.insert(name.to_owned(), value.into()));
    }

    fn find(name: &str) -> Result<Object, Message> {
        let environment =
            Environment::new(|name| VARIABLES.with_borrow(|variables| variables.get(name).cloned()));
        environment.find(&LitStr::new(name, Span::call_site()))
    }

    fn write(path: &Path, data: &[u8]) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, data).unwrap();
    }

    #[test]
    fn places_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, out) = (folder.path().join("crate"), folder.path().join("out"));
        set("CARGO_MANIFEST_DIR", &manifest);
        let message = find("my-blob").err().unwrap().to_string();
        for expected in [
            "`my-blob`",
            "PIE_BLOB_my_blob",
            "no build script",
            "\n  blobs/my-blob.po",
            "pie_blob_build",
            "editor",
        ] {
            assert!(message.contains(expected), "{message}");
        }

        write(&manifest.join("blobs/my-blob.po"), b"checked in");
        assert_eq!(find("my-blob").unwrap().data, b"checked in");
        set("OUT_DIR", &out);
        write(&out.join("my-blob.po"), b"built");
        let built = find("my-blob").unwrap();
        assert_eq!(
            (built.data.as_slice(), built.variable.as_deref()),
            (&b"built"[..], Some("PIE_BLOB_my_blob"))
        );
        set("PIE_BLOB_my_blob", &folder.path().join("elsewhere"));
        assert!(find("my-blob").err().unwrap().to_string().contains("PIE_BLOB_my_blob points to"));
        write(&folder.path().join("elsewhere"), b"said");
        assert_eq!(find("my-blob").unwrap().data, b"said");
    }

    #[test]
    fn a_name_with_a_slash_is_a_path() {
        let folder = tempfile::tempdir().unwrap();
        set("CARGO_MANIFEST_DIR", folder.path());
        write(&folder.path().join("a/b.po"), b"path");
        let object = find("a/b.po").unwrap();
        assert_eq!((object.data.as_slice(), object.variable), (&b"path"[..], None));
        assert!(object.path.ends_with("a/b.po"));
        assert!(find("a/c.po").err().unwrap().to_string().contains("cannot be read"));
        assert!(find("./a").err().unwrap().to_string().contains("cannot be read"));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_cannot_be_written_down() {
        use std::os::unix::ffi::OsStrExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff.po"));
        write(&path, b"");
        set("PIE_BLOB_odd", &path);
        assert!(find("odd").err().unwrap().to_string().contains("is not UTF-8"));
    }
}
