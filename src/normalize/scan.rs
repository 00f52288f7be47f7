//! One pass over a text, which finds what is of a class.
//!
//! What is found at a byte depends on nothing but the byte before it and the
//! [`LOOK`] bytes from it on (and on where the path of a URL begins, which an
//! earlier byte's window told). So a text that comes in chunks is scanned as the
//! whole, as soon as so many bytes are there. Bytes that are passed over in a hurry are
//! those at which nothing can begin.

use super::bytes::{byte, digits, ends_word, hex_digits, letters};
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

/// The state between two steps.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    classes: Classes,
    /// A mask for [`FLAGS`]: the bytes at which something may begin.
    mask: u16,
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
        Self {
            classes,
            mask: mask(classes),
            prev: 0,
            tail: None,
            url_path: usize::MAX,
            found: Classes::none(),
        }
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
    #[inline]
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
        let mut i = from;
        loop {
            let prev = if i > origin { text[i - 1] } else { self.prev };
            i = self.skip(text, i, limit, prev.is_ascii_alphanumeric());
            if i > origin {
                self.prev = text[i - 1];
            }
            if i >= limit {
                return Step::Nothing(i);
            }
            origin = i;
            let window = &text[i..text.len().min(i + LOOK)];
            if window[0] == ESC {
                let len = escape_sequence(window);
                if len > 0 {
                    // Neither letters nor digits of it touch what is around it.
                    let end = i + len;
                    if self.classes.contains(Class::Ansi) {
                        self.found |= Classes::ANSI;
                        let class = Class::Ansi;
                        return Step::Found(Token { start: i, end, class, removed: true });
                    }
                    i = end;
                    origin = end;
                    continue;
                }
            } else if let Some((class, len)) = self.at(window, i) {
                return self.token(text, i, len, class);
            }
            i += 1;
        }
    }

    /// Returns the next place before `limit` at which something may begin; `in_word` tells of
    /// the byte before `i`.
    ///
    /// Most of a text is passed over here: words eight letters at a time, each with the byte
    /// after it, which is a blank most often.
    #[inline(always)]
    fn skip(&self, text: &[u8], mut i: usize, limit: usize, mut in_word: bool) -> usize {
        let mask = self.mask;
        while i < limit {
            let first = text[i];
            let flags = FLAGS[usize::from(first)] & mask;
            if flags & LETTER == 0 {
                if may_follow(flags, byte(text, i + 1)) {
                    return i;
                }
                i += 1;
                in_word = false;
                continue;
            }
            let run = letters(text, i);
            let next = byte(text, i + run);
            if !in_word && may_begin(first, run, next) {
                return i;
            }
            in_word = FLAGS[usize::from(next)] & mask != 0;
            i = limit.min(i + run + usize::from(!in_word));
        }
        i
    }

    #[inline]
    fn token(&mut self, text: &[u8], start: usize, len: usize, class: Class) -> Step {
        let end = start + len;
        self.found |= class.into();
        self.prev = text[end - 1];
        if len >= LOOK {
            self.tail = Some(class);
        }
        Step::Found(Token { start, end, class, removed: false })
    }

    /// Looks at a place at which something may begin.
    #[inline]
    fn at(&mut self, w: &[u8], at: usize) -> Option<(Class, usize)> {
        let in_word = self.prev.is_ascii_alphanumeric();
        match w[0] {
            b'0'..=b'9' => self.at_digit(w, in_word, self.prev),
            b'a'..=b'z' | b'A'..=b'Z' if in_word => None,
            b'a'..=b'z' | b'A'..=b'Z' => self.at_letter(w),
            _ => self.at_mark(w, at),
        }
    }

    /// Looks at a letter that begins a word.
    fn at_letter(&self, w: &[u8]) -> Option<(Class, usize)> {
        if self.classes.contains(Class::Time) {
            if let Some(end) = time::at_letter(w) {
                return Some((Class::Time, end));
            }
        }
        let run = hex_digits(w, 0);
        if run > 0 {
            if let Some(found) = self.at_hex(w, run) {
                return Some(found);
            }
        }
        if self.classes.contains(Class::Path) && byte(w, 1) == b':' && byte(w, 2) == b'\\' {
            return windows_path(w).map(|end| (Class::Path, end));
        }
        None
    }

    #[inline]
    fn at_digit(&self, w: &[u8], in_word: bool, prev: u8) -> Option<(Class, usize)> {
        let run = digits(w, 0);
        if !in_word {
            let next = byte(w, run);
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
                let end = ipv6(w, 1, true)?;
                let closed = byte(w, end) == b']' && port(w, end + 1) > end + 1;
                closed.then(|| (Class::Ip, port(w, end + 1)))
            }
            b'+' | b'-' if byte(w, 1).is_ascii_digit() && !prev.is_ascii_alphanumeric() => {
                match self.at_digit(&w[1..], false, w[0]) {
                    Some((Class::Number, len)) => Some((Class::Number, 1 + len)),
                    // The sign is no part of what comes next.
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

const ESC: u8 = 0x1b;

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

/// What each byte may begin, or be in.
static FLAGS: [u16; 256] = {
    let mut flags = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        flags[i] = match byte {
            b'J' | b'F' | b'M' | b'A' | b'S' | b'O' | b'N' | b'D' | b'T' | b'W' => {
                LETTER | IN_PATH | NAME
            }
            b'a'..=b'z' | b'A'..=b'Z' => LETTER | IN_PATH,
            b'0'..=b'9' => DIGIT | IN_PATH,
            b'/' => SLASH,
            b':' => COLON,
            b'[' => BRACKET,
            b'+' | b'-' => SIGN | IN_PATH,
            ESC => ESCAPE,
            0x80.. | b'_' | b'.' | b'@' | b'%' | b'~' | b'$' | b'=' => IN_PATH,
            _ => 0,
        };
        i += 1;
    }
    flags
};

/// Returns the mask of the bytes at which `classes` can begin. Letters and digits are in it,
/// as words are made of them.
fn mask(classes: Classes) -> u16 {
    classes.iter().fold(LETTER | DIGIT | ESCAPE, |mask, class| {
        mask | match class {
            Class::Ip => COLON | BRACKET,
            Class::Path => SLASH | COLON,
            Class::Number => SIGN,
            _ => 0,
        }
    })
}

/// Returns whether anything can begin with a word's first `run` letters if `next` follows: a
/// month or a day, hexadecimal digits, a drive.
#[inline(always)]
fn may_begin(first: u8, run: usize, next: u8) -> bool {
    if FLAGS[usize::from(next)] & (DIGIT | COLON | SIGN) != 0 {
        first.is_ascii_hexdigit() || run == 1
    } else {
        run == 3 && FLAGS[usize::from(first)] & NAME != 0
    }
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
    let mut end = 8;
    for group in [4, 4, 4, 12] {
        if byte(w, end) != b'-' || hex_digits(w, end + 1) != group {
            return false;
        }
        end += 1 + group;
    }
    ends_word(w, end)
}

/// Finds four numbers below 256; a fifth would make a version of it.
fn ipv4(w: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    for i in 0..4 {
        if i > 0 {
            if byte(w, end) != b'.' {
                return None;
            }
            end += 1;
        }
        let run = digits(w, end);
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
    let mut components = 0;
    let mut end = 1;
    while end < w.len() && FLAGS[usize::from(w[end])] & (IN_PATH | SLASH) != 0 {
        components += usize::from(w[end - 1] == b'/' && w[end] != b'/');
        end += 1;
    }
    (components >= 2).then(|| without_dots(w, end))
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
