//! A log to a file descriptor: formatted text, no buffer, no lock.

use core::fmt;

use crate::sys;

/// A file descriptor that formatted text can be written to.
///
/// ```
/// use core::fmt::Write;
///
/// let mut log = pie_blob_std::log::Log::to(1);
/// writeln!(log, "{} areas", 7).unwrap();
/// ```
#[derive(Debug)]
pub struct Log {
    fd: i32,
}

impl Log {
    /// Writes to `fd`, which stays the caller's.
    #[must_use]
    pub const fn to(fd: i32) -> Self {
        Self { fd }
    }
}

impl fmt::Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut left = text.as_bytes();
        while !left.is_empty() {
            let written = sys::write(self.fd, left).map_err(|_| fmt::Error)?;
            left = left.get(written..).ok_or(fmt::Error)?;
            if written == 0 {
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

/// Writes a formatted line to a file descriptor; a failure to write is not reported.
///
/// ```
/// pie_blob_std::logln!(2, "mapped {} bytes", 4096);
/// ```
#[macro_export]
macro_rules! logln {
    ($fd:expr, $($text:tt)*) => {{
        let mut log = $crate::log::Log::to($fd);
        let _ = ::core::fmt::Write::write_fmt(&mut log, ::core::format_args!($($text)*));
        let _ = ::core::fmt::Write::write_str(&mut log, "\n");
    }};
}
