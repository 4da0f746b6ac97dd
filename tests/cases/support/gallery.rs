//! Pages of messages: what a table of messages says, as its tests have heard it.
//!
//! The test of a page runs its own program once more, with a variable that makes the other tests write down what they
//! hear. A message that no test brings about is missed, and a page that says something else is shown with the
//! difference. `PIE_BLOB_BLESS=1` writes the page anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "every test that includes this uses a part of it")]

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::process::Command;

/// The folder that messages go to, in a run that is to collect them.
const COLLECTED: &str = "PIE_BLOB_GALLERY";

/// Writes down what the entry of a table said, in a run that collects.
pub(crate) fn heard(entry: &str, message: &str) {
    let Some(folder) = std::env::var_os(COLLECTED) else { return };
    let text = message.lines().map(without_folders).collect::<Vec<_>>().join("\n");
    let mut hash = DefaultHasher::new();
    text.hash(&mut hash);
    std::fs::write(Path::new(&folder).join(format!("{entry} {:x}", hash.finish())), text).unwrap();
}

/// The name of an enumerator from what `Debug` writes.
pub(crate) fn enumerator(value: &dyn std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split(|character: char| !character.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// Runs the other tests of this program and holds the page against what they heard of the tables' entries.
///
/// `tables` are the names of enums and the sources that they stand in.
pub(crate) fn hold(page: &Path, title: &str, tables: &[(&str, &str)], not_said: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let thread = std::thread::current();
    let own = thread.name().expect("tests run in threads of their own");
    let mut tests = Command::new(std::env::current_exe().unwrap());
    let output = tests.args(["--skip", own]).env(COLLECTED, folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    let mut said: BTreeMap<String, String> = BTreeMap::new();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let entry = name.split(' ').next().unwrap().to_owned();
        // The longest says most; the same whatever the order of the tests was.
        match said.get(&entry) {
            Some(before) if (before.len(), before) >= (text.len(), &text) => {}
            _ => drop(said.insert(entry, text)),
        }
    }
    let entries: Vec<String> = tables.iter().flat_map(|(name, source)| entries(name, source)).collect();
    let expected = |entry: &&String| !not_said.contains(&entry.as_str());
    let missing: Vec<_> =
        entries.iter().filter(expected).filter(|entry| !said.contains_key(*entry)).collect();
    assert!(missing.is_empty(), "no test brings these messages about: {missing:?}");
    let shown = entries.iter().filter_map(|entry| Some((entry, said.get(entry)?)));
    let blocks = shown.map(|(entry, text)| format!("## `{entry}`\n\n```text\n{text}\n```\n"));
    compare(page, &format!("# {title}\n\n{}", blocks.collect::<Vec<_>>().join("\n")));
}

/// Holds a page against what it should be; numbers may differ, because linkers put things in different places.
pub(crate) fn compare(page: &Path, now: &str) {
    if std::env::var_os("PIE_BLOB_BLESS").is_some() {
        std::fs::create_dir_all(page.parent().unwrap()).unwrap();
        std::fs::write(page, now).unwrap();
        return;
    }
    let before = std::fs::read_to_string(page).unwrap_or_default();
    for (number, (before, now)) in before.lines().zip(now.lines()).enumerate() {
        let line = number + 1;
        assert_eq!(without_numbers(before), without_numbers(now), "{}:{line}: {BLESS}", page.display());
    }
    assert_eq!(before.lines().count(), now.lines().count(), "{}: {BLESS}", page.display());
}

const BLESS: &str = "if that is meant, run this test with PIE_BLOB_BLESS=1";

/// The enumerators of an enum, with its name, from its source.
pub(crate) fn entries(name: &str, source: &str) -> Vec<String> {
    let (_, body) = source.split_once(&format!("enum {name} {{\n")).expect("the enum stands there");
    let body = body.split("\n}").next().unwrap_or_default();
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    let names = names.flat_map(|line| line.split_once([' ', ',', '(']).map(|(name, _)| name));
    names.map(|entry| format!("{name}::{entry}")).collect()
}

/// A line with only the last part of every absolute path.
fn without_folders(line: &str) -> String {
    let mut kept = String::new();
    for word in line.split_inclusive([' ', '`', ':', '"']) {
        match word.strip_prefix('/').and_then(|path| path.rsplit('/').next()) {
            // The random name of a temporary folder.
            Some(last) if last.starts_with(".tmp") => {
                kept.push_str("folder");
                kept.extend(last.chars().last().filter(|end| !end.is_alphanumeric()));
            }
            Some(last) => kept.push_str(last),
            None => kept.push_str(word),
        }
    }
    kept
}

fn without_numbers(line: &str) -> String {
    let mut kept = String::new();
    for word in line.split_inclusive(|character: char| !character.is_ascii_alphanumeric()) {
        let number = word.starts_with(|first: char| first.is_ascii_digit());
        kept.push_str(if number { "#" } else { word });
    }
    kept
}
