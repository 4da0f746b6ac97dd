//! All faults of an object together: one round of repair instead of one per fault.

use std::fmt;

use crate::fault::Fault;

/// How many faults are kept; the rest is counted. A broken table must not become a gigabyte of messages.
const KEPT: usize = 64;

/// Everything that keeps an object from becoming an image, at least one fault.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    kept: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// The faults, in the order in which the object was read; at most 64.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.kept
    }

    /// The faults, in the order in which the object was read; at most 64.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.kept.iter()
    }

    /// How many faults were found beyond those that were kept.
    #[must_use]
    pub fn more(&self) -> usize {
        self.more
    }

    /// Builds the fault only if it is kept: its message is the expensive part.
    pub(crate) fn add(&mut self, fault: impl FnOnce() -> Fault) {
        if self.kept.len() < KEPT {
            self.kept.push(fault());
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self { kept: vec![fault], more: 0 }
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line each.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.kept.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_faults_is_counted_and_not_kept() {
        let mut faults = Faults::default();
        for _ in 0..1000 {
            faults.add(|| Fault::NotElf);
        }
        assert_eq!(faults.as_slice().len(), KEPT);
        assert_eq!(faults.more(), 1000 - KEPT);
        assert!(faults.to_string().ends_with("\nand 936 more"));
    }
}
