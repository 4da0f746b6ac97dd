//! What may be asked for. Help, completions and the manual pages are made from this description, so it is written for users.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pie_blob_image::{Abs32, Limits};

use crate::error::Error;

/// The command, as a user types it.
pub(crate) const NAME: &str = "pie-blob";

/// Looks at prelinked ELF objects and writes their images
///
/// An object is a fully linked, position-independent ELF file (static-PIE), an executable with its relocations
/// (`--emit-relocs`), or a relocatable one of x86-64 or i386. Its
/// image is what lies in memory when its code runs. An object that cannot become a correct image is refused: status 1,
/// and every reason on standard error. Mistakes in the arguments end with status 2.
#[derive(Parser)]
#[command(name = NAME, version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Subcommand)]
pub(crate) enum Task {
    Inspect(Inspect),
    Flatten(Flatten),
    Header(Header),
    Lines(Lines),
    /// Write the completions of a shell to standard output
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write a manual page to standard output
    Man {
        /// The subcommand that it is about; the command itself if none is named
        subcommand: Option<String>,
    },
}

/// Draw the image of an object: segments, exports, imports, relocations, and what was dropped
///
/// A bar shows how much of a segment the object initialises (`#`); what follows is zero (`.`).
#[derive(Args)]
#[command(after_long_help = include_str!("../docs/json.md"))]
pub(crate) struct Inspect {
    #[command(flatten)]
    pub(crate) object: Object,
    /// Write the same as JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// Write the initialised bytes as they stand at a base
#[derive(Args)]
pub(crate) struct Flatten {
    #[command(flatten)]
    pub(crate) object: Object,
    /// The address at which the image will lie, in decimal or as 0x...
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) base: u64,
    /// The file to write, completely or not at all; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Write the zeros behind the initialised bytes too: everything that the image is in memory
    #[arg(long)]
    pub(crate) zero_fill: bool,
}

/// Write a C header with the image and a loader for it
///
/// The header needs nothing but a C11 compiler (a C++ one will do). It has the bytes, the relocations, the segments, the
/// exports as offsets, and a function that writes the image as it stands at a base. Its comments say how they are used.
#[derive(Args)]
pub(crate) struct Header {
    #[command(flatten)]
    pub(crate) object: Object,
    /// The file to write, completely or not at all; `-` is standard output
    #[arg(short, long, value_name = "FILE.h")]
    pub(crate) output: PathBuf,
    /// What every name in the header begins with; by default made from the object's file name
    #[arg(long, value_parser = identifier)]
    pub(crate) name: Option<String>,
}

/// Say where in the source an offset of the image is
///
/// For an offset that a program has reported of its blob: what went wrong there, in which function, file and line. The object
/// must be the one that the program was built with, and have its debugging information. Functions that were inlined come
/// first, behind each the one that it was inlined into.
#[derive(Args)]
pub(crate) struct Lines {
    #[command(flatten)]
    pub(crate) object: Object,
    /// Offsets in the image, in decimal or as 0x...
    #[arg(value_name = "OFFSET", required = true, value_parser = address)]
    pub(crate) offsets: Vec<u64>,
}

/// An object, and how it is read.
#[derive(Args)]
pub(crate) struct Object {
    /// The object
    #[arg(value_name = "OBJ")]
    pub(crate) path: PathBuf,
    /// Accept absolute words that are narrower than an address: only at bases that they can hold, or cut off
    #[arg(long, value_name = "HOW")]
    abs32: Option<Narrow>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Narrow {
    /// Refuse a base at which one does not hold its value
    Checked,
    /// Cut values off: for code that never runs where they would be wrong
    Truncate,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

impl Object {
    /// How much the object may ask for.
    pub(crate) fn limits(&self) -> Limits {
        let limits = Limits::default();
        match self.abs32 {
            None => limits,
            Some(Narrow::Checked) => limits.with_abs32(Abs32::Checked),
            Some(Narrow::Truncate) => limits.with_abs32(Abs32::Truncate),
        }
    }
}

/// The manual page of the command or of one of its subcommands.
pub(crate) fn man(subcommand: Option<&str>) -> Result<Vec<u8>, Error> {
    let mut command = Arguments::command();
    command.build();
    if let Some(name) = subcommand {
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| Error::NoSubcommand { name: name.to_owned() })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(Error::stdout)?;
    Ok(page)
}

fn address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let address = digits.map_or_else(|| text.parse(), |digits| u64::from_str_radix(digits, 16));
    address.map_err(|error| format!("{error}; an address is decimal, or hexadecimal behind 0x"))
}

fn identifier(text: &str) -> Result<String, String> {
    if crate::header::is_identifier(text) {
        Ok(text.to_owned())
    } else {
        Err("a name in C has letters, digits and underscores, and does not begin with a digit".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn addresses() {
        assert_eq!(address("0x5555_5555_4000").ok(), None);
        assert_eq!(address("0x555555554000"), Ok(0x5555_5555_4000));
        assert_eq!(address("4096"), Ok(4096));
        assert_eq!(address("0xffffffffffffffff"), Ok(u64::MAX));
        assert!(address("0x10000000000000000").is_err());
        assert!(address("-1").is_err());
    }
}
