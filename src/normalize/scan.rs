//! One pass over a text, which finds what is of a class.
//!
//! What is found at a byte depends on nothing but the byte before it and the
//! [`LOOK`] bytes from it on (and on where the path of a URL begins, which an
//! earlier byte's window told). So a text that comes in chunks is scanned as the
//! whole, as soon as so many bytes are there. Most bytes are passed over eight at a time, up
//! to a stop: a byte at which something may begin, or which comes first in any token that
//! begins with a word, so that this is looked at from its stop.

use super::bytes::{ESC, byte, digit_bits, digits, ends_word, hex_digits, stops};
use super::classes::{Class, Classes};
use super::time;

/// The scanner's reach: what is longer is judged by so many bytes.
pub(super) const LOOK: usize = 128;

/// A stretch of text that was found.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) class: Class,
    /// Nothing stands in its place: a terminal sequence, or what continues a token.
    pub(super) removed: bool,
}

impl Token {
    /// Returns the class that stands in its place.
    #[inline]
    pub(super) fn placeholder(&self) -> Option<Class> {
        (!self.removed).then_some(self.class)
    }
}

/// The outcome of [`Scan::next`].
#[derive(Debug)]
pub(super) enum Step {
    Found(Token),
    /// Nothing up to here.
    Nothing(usize),
}

/// The start, the class and the length of what was found.
type Place = (usize, Class, usize);

/// The state between two steps.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    classes: Classes,
    /// The byte before the next one, terminal sequences left out.
    prev: u8,
    /// The class of a token that went beyond the window: what continues it belongs to it.
    tail: Option<Class>,
    /// The start of the path of a URL, even though a letter is before it.
    url_path: usize,
    found: Classes,
}

impl Scan {
    #[inline]
    pub(super) fn new(classes: Classes) -> Self {
        Self { classes, prev: 0, tail: None, url_path: usize::MAX, found: Classes::none() }
    }

    pub(super) fn found(&self) -> Classes {
        self.found
    }

    /// Tells that `count` bytes are gone from the beginning of the text.
    pub(super) fn shift(&mut self, count: usize) {
        // Before the text there is none to come.
        self.url_path = self.url_path.checked_sub(count).unwrap_or(usize::MAX);
    }

    /// Looks for the first token from `from` on that begins before `limit`. All of the text
    /// must be there, or [`LOOK`] bytes from each byte before `limit` on.
    #[inline(always)]
    pub(super) fn next(&mut self, text: &[u8], from: usize, limit: usize) -> Step {
        if let Some(class) = self.tail {
            let end = (from..limit).find(|i| !continues(class, text[*i])).unwrap_or(limit);
            if end < limit {
                self.tail = None;
            }
            if end > from {
                self.prev = text[end - 1];
                return Step::Found(Token { start: from, end, class, removed: true });
            }
        }
        // What is before is in `self.prev`.
        let mut origin = from;
        let mut base = from;
        let mut ahead = stops(text, base);
        'text: loop {
            while ahead == 0 {
                base += 8;
                if base >= text.len() {
                    break 'text;
                }
                ahead = stops(text, base);
            }
            let at = base + ahead.trailing_zeros() as usize / 8;
            ahead &= ahead - 1;
            let flags = FLAGS[usize::from(text[at])];
            if at > origin && ends_token(FLAGS[usize::from(text[at - 1])], flags) {
                if let Some(place) = self.before(text, origin, at, limit) {
                    return self.token(text, place);
                }
            }
            if at >= limit {
                break 'text;
            }
            if !may_follow(flags, byte(text, at + 1)) {
                continue;
            }
            if at > origin {
                self.prev = text[at - 1];
                origin = at;
            }
            let window = &text[at..text.len().min(at + LOOK)];
            if flags & ESCAPE != 0 {
                let len = escape_sequence(window);
                if len > 0 {
                    // Neither letters nor digits of it touch what is around it.
                    let end = at + len;
                    if self.classes.contains(Class::Ansi) {
                        self.found |= Classes::ANSI;
                        let class = Class::Ansi;
                        return Step::Found(Token { start: at, end, class, removed: true });
                    }
                    if end >= limit {
                        return Step::Nothing(end);
                    }
                    (origin, base) = (end, end);
                    ahead = stops(text, base);
                }
            } else if let Some((class, len)) = self.at(window, at) {
                return self.token(text, (at, class, len));
            }
        }
        if limit > origin {
            self.prev = text[limit - 1];
        }
        Step::Nothing(limit)
    }

    /// Looks at what only the stop after it, at `at`, tells from other words: hexadecimal
    /// letters, the letter of a drive, a month with or without the day of the week before it.
    #[inline(never)]
    fn before(&self, text: &[u8], origin: usize, at: usize, limit: usize) -> Option<Place> {
        let word = |start| {
            let prev = if start > origin { text[start - 1] } else { self.prev };
            if start >= limit || prev.is_ascii_alphanumeric() {
                return None;
            }
            let window = &text[start..text.len().min(start + LOOK)];
            self.at_letter(window).map(|(class, len)| (start, class, len))
        };
        if text[at - 1] == b' ' {
            let month = name_start(text, origin, at)?;
            return name_start(text, origin, month).and_then(word).or_else(|| word(month));
        }
        let is_hex = |byte: &&u8| FLAGS[usize::from(**byte)] & HEX_LETTER != 0;
        let hex = text[origin..at].iter().rev().take_while(is_hex).count();
        let drive = usize::from(text[at] == b':' && byte(text, at + 1) == b'\\');
        if hex.max(drive) > 0 { word(at - hex.max(drive)) } else { None }
    }

    #[inline]
    fn token(&mut self, text: &[u8], (start, class, len): Place) -> Step {
        let end = start + len;
        self.found |= class.into();
        self.prev = text[end - 1];
        if len >= LOOK {
            self.tail = Some(class);
        }
        Step::Found(Token { start, end, class, removed: false })
    }

    /// Looks at a stop.
    #[inline(always)]
    fn at(&mut self, w: &[u8], at: usize) -> Option<(Class, usize)> {
        let in_word = self.prev.is_ascii_alphanumeric();
        if w[0].is_ascii_digit() {
            let run = digits(w, 0);
            let joins = if in_word { IN_PATH | COMMA } else { IN_PATH | COMMA | JOINS };
            let whole = FLAGS[usize::from(byte(w, run))] & joins == 0;
            if whole && self.classes.contains(Class::Number) {
                return Some((Class::Number, run));
            }
            self.at_digit(w, run, in_word, self.prev)
        } else if in_word && FLAGS[usize::from(w[0])] & (SIGN | SLASH) != 0 && self.url_path != at {
            None
        } else {
            self.at_mark(w, at)
        }
    }

    /// Looks at a letter that begins a word.
    fn at_letter(&self, w: &[u8]) -> Option<(Class, usize)> {
        if self.classes.contains(Class::Time) {
            if let Some(end) = time::at_letter(w) {
                return Some((Class::Time, end));
            }
        }
        if let Some(found) = self.at_hex(w, hex_digits(w, 0)) {
            return Some(found);
        }
        if self.classes.contains(Class::Path) && byte(w, 1) == b':' && byte(w, 2) == b'\\' {
            return windows_path(w).map(|end| (Class::Path, end));
        }
        None
    }

    /// Looks at `run` digits.
    fn at_digit(&self, w: &[u8], run: usize, in_word: bool, prev: u8) -> Option<(Class, usize)> {
        let next = byte(w, run);
        if !in_word && FLAGS[usize::from(next)] & (IN_PATH | JOINS) != 0 {
            if self.classes.contains(Class::Time) && run <= 8 {
                if let Some(end) = time::at_digit(w, run, prev) {
                    return Some((Class::Time, end));
                }
            }
            if run <= 3 && next == b'.' && prev != b'.' && self.classes.contains(Class::Ip) {
                if let Some(end) = ipv4(w, 0) {
                    return Some((Class::Ip, port(w, end)));
                }
            }
            if next.is_ascii_alphabetic() || matches!(next, b':' | b'-') {
                if let Some(found) = self.at_hex(w, run + hex_digits(w, run)) {
                    return Some(found);
                }
            }
        }
        self.classes.contains(Class::Number).then(|| (Class::Number, number(w, run, in_word)))
    }

    /// Looks at a word that begins with `run` hexadecimal digits.
    #[inline]
    fn at_hex(&self, w: &[u8], run: usize) -> Option<(Class, usize)> {
        let next = byte(w, run);
        if run == 8 && next == b'-' && self.classes.contains(Class::Uuid) && is_uuid(w) {
            return Some((Class::Uuid, UUID_LEN));
        }
        let pairs = || {
            let is_pair = run == 2 && matches!(next, b':' | b'-');
            if is_pair { pairs(w, next) } else { None }
        };
        if next == b':' && run <= 4 && self.classes.contains(Class::Ip) {
            // More pairs than an address has are a fingerprint.
            if pairs().is_none_or(|end| end <= 8 * 3) {
                if let Some(end) = ipv6(w, 0, false) {
                    return Some((Class::Ip, end));
                }
            }
        }
        if self.classes.contains(Class::Hex) {
            if let Some(end) = pairs() {
                return Some((Class::Hex, end));
            }
            if run >= 8 && ends_word(w, run) {
                let digit = w[..run].iter().any(u8::is_ascii_digit);
                let letter = w[..run].iter().any(u8::is_ascii_alphabetic);
                return (digit && letter).then_some((Class::Hex, run));
            }
            if run == 1 && w[0] == b'0' && matches!(next, b'x' | b'X') {
                let run = hex_digits(w, 2);
                return (run > 0 && ends_word(w, 2 + run)).then_some((Class::Hex, 2 + run));
            }
        }
        None
    }

    /// Looks at a byte that is neither a letter nor a digit.
    fn at_mark(&mut self, w: &[u8], at: usize) -> Option<(Class, usize)> {
        let prev = self.prev;
        match w[0] {
            b'/' if self.classes.contains(Class::Path) => {
                let url = self.url_path == at;
                // Else it is in a relative path, in `and/or` or in a rate.
                let begins = !(prev.is_ascii_alphanumeric()
                    || prev >= 0x80
                    || matches!(prev, b'/' | b'.' | b'~' | b'_' | b'-' | b'\\' | b'*' | b'<'));
                let end = if begins || url { unix_path(w) } else { None };
                end.map(|end| (Class::Path, end))
            }
            b':' => {
                if byte(w, 1) == b'/' && byte(w, 2) == b'/' && prev.is_ascii_alphanumeric() {
                    let host = w[3..].iter().take_while(|b| is_host(**b)).count();
                    self.url_path = at + 3 + host;
                    return None;
                }
                let begins = byte(w, 1) == b':' && !prev.is_ascii_alphanumeric() && prev != b':';
                let end = if begins && self.classes.contains(Class::Ip) {
                    ipv6(w, 0, false)
                } else {
                    None
                };
                end.map(|end| (Class::Ip, end))
            }
            b'[' if self.classes.contains(Class::Ip) => {
                // With a port only: else the brackets are not of the address.
                let run = hex_digits(w, 1);
                if run > 4 || byte(w, 1 + run) != b':' {
                    return None;
                }
                let end = ipv6(w, 1, true)?;
                let closed = byte(w, end) == b']' && port(w, end + 1) > end + 1;
                closed.then(|| (Class::Ip, port(w, end + 1)))
            }
            b'+' | b'-' if byte(w, 1).is_ascii_digit() && !prev.is_ascii_alphanumeric() => {
                match self.at_digit(&w[1..], digits(w, 1), false, w[0]) {
                    Some((Class::Number, len)) => Some((Class::Number, 1 + len)),
                    // The sign is no part of what comes next.
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

const LETTER: u16 = 1;
const DIGIT: u16 = 1 << 1;
const SLASH: u16 = 1 << 2;
const COLON: u16 = 1 << 3;
const BRACKET: u16 = 1 << 4;
const SIGN: u16 = 1 << 5;
const ESCAPE: u16 = 1 << 6;
/// May be in a component of a path.
const IN_PATH: u16 = 1 << 7;
/// The initial of a month or a day of the week.
const NAME: u16 = 1 << 8;
const ANY: u16 = 1 << 9;
const HEX_LETTER: u16 = 1 << 10;
const BLANK: u16 = 1 << 11;
const COMMA: u16 = 1 << 12;
/// With [`IN_PATH`]: what may be between the digits of a time or an address.
const JOINS: u16 = SLASH | COLON | BLANK;

/// What each byte may begin, or be in.
static FLAGS: [u16; 256] = {
    let mut flags = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        flags[i] = match byte {
            b'A' | b'D' | b'F' => LETTER | IN_PATH | NAME | HEX_LETTER,
            b'J' | b'M' | b'S' | b'O' | b'N' | b'T' | b'W' => LETTER | IN_PATH | NAME,
            b'a'..=b'f' | b'B' | b'C' | b'E' => LETTER | IN_PATH | HEX_LETTER,
            b'a'..=b'z' | b'A'..=b'Z' => LETTER | IN_PATH,
            b'0'..=b'9' => DIGIT | IN_PATH,
            b'/' => SLASH,
            b':' => COLON,
            b'[' => BRACKET,
            b'+' | b'-' => SIGN | IN_PATH,
            ESC => ESCAPE,
            b' ' => BLANK,
            b',' => COMMA,
            0x80.. | b'_' | b'.' | b'@' | b'%' | b'~' | b'$' | b'=' => IN_PATH,
            _ => 0,
        };
        i += 1;
    }
    flags
};

/// Returns whether a word may be something that ends with a byte, or is before that blank, if
/// a stop follows; by their flags.
#[inline(always)]
fn ends_token(prev: u16, stop: u16) -> bool {
    prev & HEX_LETTER != 0 && stop & (DIGIT | COLON | SIGN) != 0
        || prev & BLANK != 0 && stop & DIGIT != 0
        || prev & LETTER != 0 && stop & COLON != 0
}

/// Returns where the word of three letters begins that may be the name of a day or a month
/// and ends before the blanks before `end`.
fn name_start(text: &[u8], from: usize, end: usize) -> Option<usize> {
    let text = text[from..end].strip_suffix(b" ")?;
    let text = text.strip_suffix(b" ").unwrap_or(text);
    let text = text.strip_suffix(b",").unwrap_or(text);
    let start = text.len().checked_sub(3)?;
    (FLAGS[usize::from(text[start])] & NAME != 0).then_some(from + start)
}

/// Returns whether what may begin at a byte with `flags`, at most one, can if `next` follows.
#[inline(always)]
fn may_follow(flags: u16, next: u8) -> bool {
    static FOLLOWERS: [u16; 17] = {
        let mut followers = [0; 17];
        followers[DIGIT.trailing_zeros() as usize] = ANY;
        followers[SLASH.trailing_zeros() as usize] = IN_PATH;
        followers[COLON.trailing_zeros() as usize] = COLON | SLASH;
        followers[BRACKET.trailing_zeros() as usize] = LETTER | DIGIT | COLON;
        followers[SIGN.trailing_zeros() as usize] = DIGIT;
        followers[ESCAPE.trailing_zeros() as usize] = ANY;
        followers
    };
    FOLLOWERS[flags.trailing_zeros() as usize] & (FLAGS[usize::from(next)] | ANY) != 0
}

/// Returns whether `byte` goes on with a token that is longer than the window.
fn continues(class: Class, byte: u8) -> bool {
    match class {
        Class::Path => is_path(byte) || matches!(byte, b'/' | b'\\'),
        Class::Hex => byte.is_ascii_hexdigit(),
        _ => byte.is_ascii_digit(),
    }
}

/// Returns the length of an escape sequence (ECMA-48), or zero. One that does not end in
/// the window is none.
fn escape_sequence(w: &[u8]) -> usize {
    let skip = |at: usize, from: u8, to: u8| {
        at + w[at.min(w.len())..].iter().take_while(|b| (from..=to).contains(*b)).count()
    };
    match byte(w, 1) {
        // A control sequence: parameters, intermediates and a final byte.
        b'[' => {
            let end = skip(skip(2, 0x30, 0x3f), 0x20, 0x2f);
            if matches!(byte(w, end), 0x40..=0x7e) { end + 1 } else { 0 }
        }
        // A string, up to BEL or ESC \.
        b']' | b'P' | b'X' | b'^' | b'_' => {
            match w.iter().skip(2).position(|b| matches!(*b, 0x07 | ESC)) {
                Some(len) if byte(w, 2 + len) == 0x07 => 2 + len + 1,
                Some(len) if byte(w, 2 + len + 1) == b'\\' => 2 + len + 2,
                _ => 0,
            }
        }
        _ => {
            let end = skip(1, 0x20, 0x2f);
            if matches!(byte(w, end), 0x30..=0x7e) { end + 1 } else { 0 }
        }
    }
}

const UUID_LEN: usize = 36;

/// Returns whether the eight hexadecimal digits at the beginning are those of a UUID.
fn is_uuid(w: &[u8]) -> bool {
    [8, 13, 18, 23].iter().all(|at| byte(w, *at) == b'-')
        && [9, 14, 19].iter().all(|at| hex_digits(w, *at) == 4)
        && hex_digits(w, 24) == 12
        && ends_word(w, UUID_LEN)
}

/// Finds four numbers below 256; a fifth would make a version of it.
fn ipv4(w: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    let bits = digit_bits(w, at);
    for i in 0..4 {
        if i > 0 {
            if byte(w, end) != b'.' {
                return None;
            }
            end += 1;
        }
        let run = (bits >> (end - at)).trailing_ones() as usize;
        if run == 0 || run > 3 {
            return None;
        }
        if run == 3 && w[end..].first_chunk().is_some_and(|of| of > b"255") {
            return None;
        }
        end += run;
    }
    let goes_on = byte(w, end) == b'.' && byte(w, end + 1).is_ascii_digit();
    (ends_word(w, end) && !goes_on).then_some(end)
}

/// Returns the end of a port, if there is one at `at`.
fn port(w: &[u8], at: usize) -> usize {
    if byte(w, at) != b':' {
        return at;
    }
    let end = at + 1 + digits(w, at + 1);
    if (at + 2..at + 7).contains(&end) && ends_word(w, end) { end } else { at }
}

/// Finds eight groups, or fewer around one `::`; with an IPv4 address at the end, and a
/// port. Unless `any`, there must be a digit, as `add::bad` is more likely something else.
fn ipv6(w: &[u8], at: usize, any: bool) -> Option<usize> {
    let mut i = at;
    let (mut groups, mut gap, mut digit) = (0, false, any);
    if byte(w, i) == b':' && byte(w, i + 1) == b':' {
        gap = true;
        i += 2;
    }
    loop {
        let run = hex_digits(w, i);
        if run == 0 || run > 4 {
            break;
        }
        if byte(w, i + run) == b'.' {
            if let Some(end) = ipv4(w, i) {
                groups += 2;
                digit = true;
                i = end;
                break;
            }
        }
        if !ends_word(w, i + run) {
            break;
        }
        groups += 1;
        digit |= w[i..i + run].iter().any(u8::is_ascii_digit);
        i += run;
        if byte(w, i) != b':' {
            break;
        }
        if byte(w, i + 1) == b':' {
            if gap {
                return None;
            }
            gap = true;
            i += 2;
            continue;
        }
        let next = hex_digits(w, i + 1);
        if groups == 8 || next == 0 || next > 4 || !ends_word(w, i + 1 + next) {
            break;
        }
        i += 1;
    }
    let whole = if gap { groups <= 7 } else { groups == 8 };
    let goes_on = byte(w, i) == b':' && byte(w, i + 1) == b':';
    (whole && digit && ends_word(w, i) && !goes_on).then(|| port(w, i))
}

/// Finds six pairs of hexadecimal digits or more with `separator` between them.
fn pairs(w: &[u8], separator: u8) -> Option<usize> {
    let mut end = 2;
    while byte(w, end) == separator && hex_digits(w, end + 1) == 2 {
        end += 3;
    }
    (end >= 6 * 3 - 1 && ends_word(w, end)).then_some(end)
}

/// Returns whether `byte` may be in a component of a path.
fn is_path(byte: u8) -> bool {
    FLAGS[usize::from(byte)] & IN_PATH != 0
}

/// Returns whether `byte` may be between `://` and the path.
fn is_host(byte: u8) -> bool {
    is_path(byte) || matches!(byte, b':' | b'[' | b']')
}

fn unix_path(w: &[u8]) -> Option<usize> {
    if !is_path(byte(w, 1)) {
        return None;
    }
    let in_path = |byte: &&u8| FLAGS[usize::from(**byte)] & (IN_PATH | SLASH) != 0;
    let end = w.iter().take_while(in_path).count();
    let first = 1 + w[1..end].iter().position(|byte| *byte == b'/')?;
    w[first..end].iter().any(|byte| *byte != b'/').then(|| without_dots(w, end))
}

fn windows_path(w: &[u8]) -> Option<usize> {
    let len = w[3..].iter().take_while(|b| is_path(**b) || matches!(b, b'/' | b'\\')).count();
    (len > 0).then(|| without_dots(w, 3 + len))
}

/// Finds a path that ends at `end`, without the dots that end a sentence.
fn without_dots(w: &[u8], end: usize) -> usize {
    if end >= LOOK {
        return end;
    }
    let dots = w[..end].iter().rev().take_while(|b| **b == b'.').count();
    // `/a/..` is a path to its end.
    if dots == 2 || end == dots { end } else { end - dots }
}

/// Returns the end of a number that begins with `run` digits: `1`, `1.5`, `1,234`, `1e-5`,
/// `1.5ms`, `1m30s`; in a word there is neither an exponent nor a unit.
#[inline]
fn number(w: &[u8], run: usize, in_word: bool) -> usize {
    let mut end = run;
    if end <= 3 {
        while byte(w, end) == b',' && digits(w, end + 1) == 3 {
            end += 4;
        }
    }
    if byte(w, end) == b'.' {
        let run = digits(w, end + 1);
        end += if run > 0 { 1 + run } else { 0 };
    }
    if in_word || ends_word(w, end) && byte(w, end).is_ascii() {
        return end;
    }
    if matches!(byte(w, end), b'e' | b'E') {
        let sign = usize::from(matches!(byte(w, end + 1), b'+' | b'-'));
        let run = digits(w, end + 1 + sign);
        if run > 0 && ends_word(w, end + 1 + sign + run) {
            end += 1 + sign + run;
        }
    }
    duration(w, end).unwrap_or(end)
}

/// Finds the unit of a duration whose number ends at `at`, and the smaller units after it.
#[inline]
fn duration(w: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    loop {
        end += match w.get(end..)? {
            [0xc2, 0xb5, b's', ..] | [0xce, 0xbc, b's', ..] => 3,
            [b'n' | b'u' | b'm', b's', ..] => 2,
            [b's' | b'm' | b'h' | b'd', ..] => 1,
            _ => return None,
        };
        if ends_word(w, end) {
            return Some(end);
        }
        let run = digits(w, end);
        if run == 0 {
            return None;
        }
        end += run;
        let fraction = digits(w, end + 1);
        if byte(w, end) == b'.' && fraction > 0 {
            end += 1 + fraction;
        }
    }
}
