//! Colours, or none.

use std::fmt::Display;
use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use pie_blob_image::Permissions;

use crate::arguments::Color;

/// Paints, if it is to.
#[derive(Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Whether standard output wants colours is decided as clap decides it for its messages, `NO_COLOR` and all.
    pub(crate) fn stdout(when: Color) -> Self {
        let on = match when {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !matches!(AutoStream::choice(&io::stdout()), ColorChoice::Never),
        };
        Self { on }
    }

    pub(crate) fn heading(self, text: impl Display) -> String {
        self.with(Style::new().bold(), text)
    }

    /// What matters less than what is beside it.
    pub(crate) fn faint(self, text: impl Display) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// A segment's share of the map: code, data, constants and guards each have a colour.
    pub(crate) fn segment(self, permissions: Permissions, text: impl Display) -> String {
        let color = match permissions {
            Permissions { execute: true, write: true, .. } => AnsiColor::Red,
            Permissions { execute: true, .. } => AnsiColor::Green,
            Permissions { write: true, .. } => AnsiColor::Yellow,
            Permissions { read: true, .. } => AnsiColor::Cyan,
            Permissions { .. } => AnsiColor::BrightBlack,
        };
        self.with(color.on_default(), text)
    }

    fn with(self, style: Style, text: impl Display) -> String {
        if self.on { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}
