//! The names that a misspelled one probably meant.

/// The longest name that is compared: mangled names are never misspelled, and the comparison is quadratic.
const LONGEST: usize = 64;

/// The candidates nearest to `name`, the nearest first, at most three.
///
/// Near means: at most a third of the name's letters differ, letter case aside.
///
/// ```
/// let known = ["dump_misc", "dump_itimers", "fini"];
/// assert_eq!(pie_blob_image::nearest("dump_mics", known), ["dump_misc"]);
/// assert_eq!(pie_blob_image::nearest("entirely_else", known), [""; 0]);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let furthest = (name.len() / 3).max(1);
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter(|other| other.len() <= LONGEST && other.len().abs_diff(name.len()) <= furthest)
        .map(|other| (distance(name, other), other))
        .filter(|&(distance, _)| distance <= furthest)
        .collect();
    near.sort_unstable();
    near.dedup();
    near.truncate(3);
    near.into_iter().map(|(_, other)| other).collect()
}

/// The Levenshtein distance of two names, letter case aside, one row of the table at a time.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (above, b) in row.iter_mut().skip(1).zip(right.bytes()) {
            let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(&b));
            diagonal = *above;
            *above = replaced.min(before + 1).min(diagonal + 1);
            before = *above;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("CALLS", "calls"), 0);
        assert_eq!(distance("ab", "ba"), 2);
    }

    #[test]
    fn the_nearest_come_first() {
        assert_eq!(nearest("calls", ["call", "calls2", "malls", "zzzzz", "CALLS"])[0], "CALLS");
        assert_eq!(nearest("calls", ["call", "calls2", "malls", "zzzzz"]).len(), 3);
    }
}
