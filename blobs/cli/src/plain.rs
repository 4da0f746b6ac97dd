//! Text from an object, made fit for a terminal: a name must not move the cursor or pretend to be another line.

use std::fmt::Write as _;

/// The text with every control character, and whatever turns the direction of writing, spelt out.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        let turns =
            matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns {
            // Writing to a string does not fail.
            let _ = write!(plain, "{}", letter.escape_unicode());
        } else {
            plain.push(letter);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nothing_for_the_terminal_to_obey() {
        assert_eq!(plain("größe\u{1b}[31m\n\u{202e}"), "größe\\u{1b}[31m\\u{a}\\u{202e}");
    }
}
