//! The classes of text that a normaliser replaces, and sets of them.

use crate::error::nearest;
use std::fmt;
use std::ops::{BitOr, BitOrAssign};
use std::str::FromStr;

/// A kind of text, judged by its shape.
///
/// The order is the precedence: where two classes could match, the first one here does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Class {
    /// An escape sequence of a terminal, such as a colour. It is removed, not replaced.
    Ansi,
    /// A date, a time of day, or both, with fraction and zone.
    Time,
    /// A UUID in its form with four dashes.
    Uuid,
    /// An IPv4 or IPv6 address, with a port if there is one.
    Ip,
    /// An absolute path: of Unix with two components or more, or of Windows with a drive.
    Path,
    /// A number in hexadecimal: with `0x`, with 8 digits or more, or in pairs as in a MAC.
    Hex,
    /// A number in decimal, also inside a word; with its units if it is a duration.
    Number,
}

impl Class {
    /// Holds every class, in the order of precedence.
    pub const ALL: [Class; 7] =
        [Class::Ansi, Class::Time, Class::Uuid, Class::Ip, Class::Path, Class::Hex, Class::Number];

    /// Returns the name, as [`Classes`] reads it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Ansi => "ansi",
            Class::Time => "time",
            Class::Uuid => "uuid",
            Class::Ip => "ip",
            Class::Path => "path",
            Class::Hex => "hex",
            Class::Number => "number",
        }
    }

    /// Returns what stands for the class in a text that people read: `<time>`. It is empty
    /// for [`Class::Ansi`].
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Class::Ansi => "",
            Class::Time => "<time>",
            Class::Uuid => "<uuid>",
            Class::Ip => "<ip>",
            Class::Path => "<path>",
            Class::Hex => "<hex>",
            Class::Number => "<number>",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The class whose name was probably meant.
    fn nearest(name: &str) -> Option<Class> {
        let meant = nearest(name, &Class::ALL.map(Class::as_str))?;
        Class::ALL.into_iter().find(|class| class.as_str() == meant)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of [`Class`]es.
///
/// Reads and writes lists of names. The order of a list does not matter, nor do capitals
/// and blanks. `all` and `none` are names, too.
///
/// ```
/// use quell::{Class, Classes};
///
/// let some: Classes = "uuid, time".parse()?;
/// assert_eq!(some, Classes::TIME | Classes::UUID);
/// assert_eq!(some, Classes::none().with(Class::Uuid).with(Class::Time));
/// assert_eq!(some.to_string(), "time,uuid");
/// # Ok::<(), quell::ParseClassesError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Classes(u8);

impl Classes {
    /// Holds [`Class::Ansi`].
    pub const ANSI: Classes = Classes(Class::Ansi.bit());
    /// Holds [`Class::Time`].
    pub const TIME: Classes = Classes(Class::Time.bit());
    /// Holds [`Class::Uuid`].
    pub const UUID: Classes = Classes(Class::Uuid.bit());
    /// Holds [`Class::Ip`].
    pub const IP: Classes = Classes(Class::Ip.bit());
    /// Holds [`Class::Path`].
    pub const PATH: Classes = Classes(Class::Path.bit());
    /// Holds [`Class::Hex`].
    pub const HEX: Classes = Classes(Class::Hex.bit());
    /// Holds [`Class::Number`].
    pub const NUMBER: Classes = Classes(Class::Number.bit());

    /// Returns the set of all classes.
    #[must_use]
    pub const fn all() -> Self {
        Self((1 << Class::ALL.len()) - 1)
    }

    /// Returns the empty set; the default.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// Returns the set with `class`.
    #[must_use]
    pub const fn with(self, class: Class) -> Self {
        Self(self.0 | class.bit())
    }

    /// Returns the set without `class`.
    #[must_use]
    pub const fn without(self, class: Class) -> Self {
        Self(self.0 & !class.bit())
    }

    /// Returns whether `class` is in the set.
    #[must_use]
    #[inline]
    pub const fn contains(self, class: Class) -> bool {
        self.0 & class.bit() != 0
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the classes of the set, in the order of precedence.
    pub fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL.into_iter().filter(move |class| self.contains(*class))
    }
}

impl From<Class> for Classes {
    fn from(class: Class) -> Self {
        Self(class.bit())
    }
}

impl FromIterator<Class> for Classes {
    fn from_iter<I: IntoIterator<Item = Class>>(classes: I) -> Self {
        classes.into_iter().fold(Self::none(), Self::with)
    }
}

impl BitOr for Classes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Classes {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Classes {
    /// Writes the names in the order of precedence, with commas; `none` for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (i, class) in self.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            f.write_str(class.as_str())?;
        }
        Ok(())
    }
}

impl FromStr for Classes {
    type Err = ParseClassesError;

    /// Reads names with commas between them.
    ///
    /// # Errors
    /// [`ParseClassesError`] if a name is missing or is that of no class.
    fn from_str(list: &str) -> Result<Self, ParseClassesError> {
        let mut classes = Self::none();
        for name in list.split(',') {
            let name = name.trim().to_ascii_lowercase();
            classes |= match &name[..] {
                "" => return Err(ParseClassesError::MissingName),
                "all" => Self::all(),
                "none" => Self::none(),
                _ => match Class::ALL.into_iter().find(|class| class.as_str() == name) {
                    Some(class) => class.into(),
                    None => return Err(ParseClassesError::UnknownName(name)),
                },
            };
        }
        Ok(classes)
    }
}

/// A list is not one of [`Classes`].
///
/// ```
/// use quell::{Classes, ParseClassesError};
///
/// let error = "time,uid".parse::<Classes>().unwrap_err();
/// assert_eq!(error, ParseClassesError::UnknownName("uid".into()));
/// assert_eq!(
///     error.to_string(),
///     "unknown class `uid`, perhaps `uuid`: known are ansi, time, uuid, ip, path, hex, \
///      number, all, none",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseClassesError {
    /// Nothing stands before, between or after commas.
    MissingName,
    /// A name that no class has.
    UnknownName(String),
}

impl fmt::Display for ParseClassesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingName => f.write_str("the name of a class is missing")?,
            Self::UnknownName(name) => {
                write!(f, "unknown class `{name}`")?;
                if let Some(class) = Class::nearest(name) {
                    write!(f, ", perhaps `{class}`")?;
                }
            }
        }
        f.write_str(": known are ")?;
        for class in Class::ALL {
            write!(f, "{class}, ")?;
        }
        f.write_str("all, none")
    }
}

impl std::error::Error for ParseClassesError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_in_any_order() {
        for bits in 0..=Classes::all().0 {
            let set = Classes(bits);
            assert_eq!(set.to_string().parse(), Ok(set));
            let reversed: Vec<_> = set.iter().map(Class::as_str).collect();
            let reversed = reversed.into_iter().rev().collect::<Vec<_>>().join(" ,\t");
            assert!(set.is_empty() || reversed.parse() == Ok(set), "{reversed}");
        }
        assert_eq!("ALL".parse(), Ok(Classes::all()));
        assert_eq!(" Time , time".parse(), Ok(Classes::TIME));
        assert_eq!("none".parse(), Ok(Classes::none()));
    }

    #[test]
    fn an_error_suggests_the_nearest_name() {
        let nearest = |name| Class::nearest(name);
        assert_eq!(nearest("uid"), Some(Class::Uuid));
        assert_eq!(nearest("num"), Some(Class::Number));
        assert_eq!(nearest("timestamp"), Some(Class::Time));
        assert_eq!(nearest("ipv6"), Some(Class::Ip));
        assert_eq!(nearest("numebr"), Some(Class::Number));
        assert_eq!(nearest("paths"), Some(Class::Path));
        assert_eq!(nearest("level"), None);
        assert_eq!(nearest("x"), None);
        assert_eq!("time,,ip".parse::<Classes>(), Err(ParseClassesError::MissingName));
        assert_eq!("".parse::<Classes>(), Err(ParseClassesError::MissingName));
        let error = "lévél".parse::<Classes>().unwrap_err().to_string();
        assert!(error.starts_with("unknown class `lévél`: known are ansi, time,"), "{error}");
    }

    #[test]
    fn sets_are_sets() {
        let set = Classes::all().without(Class::Ip).without(Class::Ip);
        assert!(!set.contains(Class::Ip) && set.contains(Class::Hex));
        assert_eq!(set.with(Class::Ip), Classes::all());
        assert_eq!(set.iter().collect::<Classes>(), set);
        assert_eq!(set | Classes::IP, Classes::all());
        assert_eq!(format!("{:?}", Classes::TIME | Classes::IP), "{Time, Ip}");
    }
}
