//! Reads the `.d` files in which compilers and cargo say what they have read.

use std::path::{Path, PathBuf};

use crate::Error;

/// Every file that the dependency file at `path` names; relative ones start from `base`.
pub(crate) fn read(path: &Path, base: &Path) -> Result<Vec<PathBuf>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    Ok(names(&text).into_iter().map(|name| base.join(name)).collect())
}

/// The names behind the colons of a makefile's rules.
fn names(text: &str) -> Vec<String> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut names = Vec::new();
    for line in joined.lines().filter(|line| !line.starts_with('#')) {
        // A rule's target ends with the first colon that a blank or nothing follows.
        let Some((_, rest)) = line.split_once(": ") else { continue };
        let mut name = String::new();
        let mut letters = rest.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => match letters.peek() {
                    Some(&next @ (' ' | '#' | '\\')) => {
                        name.push(next);
                        letters.next();
                    }
                    _ => name.push('\\'),
                },
                '$' if letters.peek() == Some(&'$') => {
                    name.push('$');
                    letters.next();
                }
                ' ' | '\t' => {
                    if !name.is_empty() {
                        names.push(std::mem::take(&mut name));
                    }
                }
                _ => name.push(letter),
            }
        }
        if !name.is_empty() {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn of_rustc_and_cargo() {
        let text = "/out/x.d: /src/a\\ b.rs /src/c.rs\n\n/src/a\\ b.rs:\n/src/c.rs:\n\n# env-dep:HOME=/x y\n";
        assert_eq!(names(text), ["/src/a b.rs", "/src/c.rs"]);
    }

    #[test]
    fn of_a_c_compiler() {
        let text = "out/x.o: x.c \\\n include/one.h \\\n  include/two\\#.h a$$b.h\n";
        assert_eq!(names(text), ["x.c", "include/one.h", "include/two#.h", "a$b.h"]);
    }
}
