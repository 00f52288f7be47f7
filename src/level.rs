//! The severity of a message, and its conversion to the levels of the logging crates.

use std::fmt;
use std::str::FromStr;

/// The severity of a message; `Error` is the greatest.
///
/// Converts from and into the levels of `log`, `tracing` and `slog`, where the feature of
/// that name is on; slog's `Critical` becomes `Error`.
///
/// ```
/// use quell::Level;
///
/// assert_eq!("warn".parse(), Ok(Level::Warn));
/// assert!("loud".parse::<Level>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Very fine detail.
    Trace = 1,
    /// Detail for developers.
    Debug = 2,
    /// Normal operation.
    Info = 3,
    /// Something to look at.
    Warn = 4,
    /// Something failed.
    Error = 5,
}

impl Level {
    pub(crate) const ALL: [Level; 5] =
        [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];

    /// Returns the name in capitals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"][self as usize - 1]
    }

    /// Returns the name in small letters, as labels of metrics and texts of rules have it.
    pub(crate) const fn lowercase(self) -> &'static str {
        ["trace", "debug", "info", "warn", "error"][self as usize - 1]
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = ParseLevelError;

    /// Reads a name, in capitals or not.
    fn from_str(name: &str) -> Result<Self, ParseLevelError> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(name))
            .ok_or(ParseLevelError(()))
    }
}

/// The error for a name that no [`Level`] has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseLevelError(());

impl fmt::Display for ParseLevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a level: trace, debug, info, warn or error")
    }
}

impl std::error::Error for ParseLevelError {}

/// Implements the conversions from and into a crate's levels, which may have `others` besides.
#[cfg(any(feature = "log", feature = "slog", feature = "tracing"))]
macro_rules! convert {
    ($crate_level:ty, $($own:ident = $its:ident $(| $others:ident)?),+) => {
        impl From<$crate_level> for Level {
            #[inline]
            fn from(level: $crate_level) -> Self {
                match level {
                    $(<$crate_level>::$its $(| <$crate_level>::$others)? => Level::$own,)+
                }
            }
        }

        impl From<Level> for $crate_level {
            #[inline]
            fn from(level: Level) -> Self {
                match level {
                    $(Level::$own => <$crate_level>::$its,)+
                }
            }
        }
    };
}

#[cfg(feature = "log")]
convert! { log::Level, Trace = Trace, Debug = Debug, Info = Info, Warn = Warn, Error = Error }
#[cfg(feature = "slog")]
convert! {
    slog::Level, Trace = Trace, Debug = Debug, Info = Info, Warn = Warning, Error = Error | Critical
}
#[cfg(feature = "tracing")]
convert! {
    tracing_core::Level, Trace = TRACE, Debug = DEBUG, Info = INFO, Warn = WARN, Error = ERROR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for level in Level::ALL {
            assert_eq!(
                (level.to_string().parse(), level.lowercase().parse()),
                (Ok(level), Ok(level))
            );
        }
        assert_eq!("".parse::<Level>(), Err(ParseLevelError(())));
    }

    #[cfg(any(feature = "log", feature = "slog", feature = "tracing"))]
    #[test]
    fn levels_of_other_crates_come_back() {
        for level in Level::ALL {
            #[cfg(feature = "log")]
            assert_eq!(Level::from(log::Level::from(level)), level);
            #[cfg(feature = "slog")]
            assert_eq!(Level::from(slog::Level::from(level)), level);
            #[cfg(feature = "tracing")]
            assert_eq!(Level::from(tracing_core::Level::from(level)), level);
        }
        #[cfg(feature = "slog")]
        assert_eq!(Level::from(slog::Level::Critical), Level::Error);
    }
}
