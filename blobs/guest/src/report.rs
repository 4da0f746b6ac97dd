//! What the guest computes and writes: the same code on the host, where it is tested.

use core::fmt::{self, Write};
use core::hint::black_box;

/// Something that the guest can find out.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub text: &'static str,
    /// Finds the answer, for numbers below the argument.
    pub answer: fn(u64) -> u64,
}

/// Every question. Names and functions are addresses: words that must be relocated.
pub static QUESTIONS: [Question; 3] = [
    Question { text: "primes", answer: primes },
    Question { text: "start of the longest Collatz chain", answer: longest_chain },
    Question { text: "sum of palindromes", answer: palindromes },
];

/// Answers every question and writes the answers down; returns how many there were.
///
/// # Errors
///
/// Those of `out`.
pub fn report(out: &mut dyn Write) -> Result<u64, fmt::Error> {
    const BELOW: u64 = 1000;
    let mut answered = 0;
    // Hidden from the optimiser, which would otherwise make calls and immediate operands of all pointers.
    for question in black_box(&QUESTIONS) {
        writeln!(out, "{} below {BELOW}: {}", question.text, (question.answer)(BELOW))?;
        answered += 1;
    }
    Ok(answered)
}

fn primes(below: u64) -> u64 {
    let is_prime = |number: &u64| (2..).take_while(|by| by * by <= *number).all(|by| number % by != 0);
    (2..below).filter(is_prime).count() as u64
}

fn longest_chain(below: u64) -> u64 {
    let length = |start: &u64| {
        let mut number = *start;
        let mut steps = 0_u64;
        while number > 1 {
            number = if number % 2 == 0 { number / 2 } else { number * 3 + 1 };
            steps += 1;
        }
        steps
    };
    (1..below).max_by_key(length).unwrap_or(0)
}

fn palindromes(below: u64) -> u64 {
    let reversed = |mut number: u64| {
        let mut reversed = 0;
        while number > 0 {
            reversed = reversed * 10 + number % 10;
            number /= 10;
        }
        reversed
    };
    (0..below).filter(|number| *number == reversed(*number)).sum()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn every_question_is_answered() {
        let mut text = std::string::String::new();
        assert_eq!(report(&mut text), Ok(3));
        assert_eq!(
            text,
            "primes below 1000: 168\n\
             start of the longest Collatz chain below 1000: 871\n\
             sum of palindromes below 1000: 50040\n"
        );
    }
}
