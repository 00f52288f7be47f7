//! The forms in which logs write dates and times.
//!
//! All functions take a window of text and a place in it, and return where what they look
//! for ends. Numbers have to be in their ranges, so that `99:99:99` is no time.

use super::bytes::{HIGH, byte, digits, ends_word, word};

/// Finds a time at the beginning of `w`, where a run of `run` digits begins a word after the
/// byte `prev`.
pub(super) fn at_digit(w: &[u8], run: usize, prev: u8) -> Option<usize> {
    let separator = byte(w, run);
    match (run, separator) {
        (1 | 2, b':') => {
            let end = of_day(w, 0, Context::Bare)?;
            // In pairs, and more of them than a time has.
            let goes_on = byte(w, end) == b':' && byte(w, end + 1).is_ascii_hexdigit();
            (!goes_on).then_some(end)
        }
        (4, b'-' | b'/' | b'.') => {
            let plausible = separator != b'.' || is_year(w, 0);
            (plausible && is_triple(w, 2, separator, DATE)).then(|| after_date(w, 10))?
        }
        (1 | 2, b' ' | b'/' | b'-') if byte(w, run + 1).is_ascii_alphabetic() => {
            day_and_month(w, run)
        }
        (2, b'-' | b'/' | b'.') => in_pairs(w, separator),
        // After a blank it is one of several numbers, such as sizes.
        (6, b' ') if prev != b' ' => {
            let end = 13;
            (is_short_date(w, 0) && is_compact(w, 7) && ends_word(w, end)).then_some(end)
        }
        (8, b'T' | b'-' | b'_' | b' ') => {
            number(w, 4, 1, 12)?;
            number(w, 6, 1, 31)?;
            if !is_year(w, 0) {
                return None;
            }
            if let Some(end) = of_day(w, 9, Context::Dated).or_else(|| of_day_unpadded(w, 9)) {
                return Some(end);
            }
            let end = is_compact(w, 9).then(|| zone(w, fraction(w, 15), Context::Dated))?;
            ends_word(w, end).then_some(end)
        }
        _ => None,
    }
}

/// Finds a time at the beginning of `w`, where a letter begins a word: `Jan  2 03:04:05`,
/// with or without a day of the week.
pub(super) fn at_letter(w: &[u8]) -> Option<usize> {
    if is_month(w, 0) {
        return month_and_day(w, 0, false);
    }
    if !is_weekday(w) {
        return None;
    }
    let at = blanks(w, 3 + usize::from(byte(w, 3) == b','))?;
    match digits(w, at) {
        0 => month_and_day(w, at, true),
        run @ (1 | 2) => day_and_month(&w[at..], run).map(|end| at + end),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Bare,
    /// After a date, where seconds may be missing and a zone may be short.
    Dated,
}

/// `2024` or `02`, and only if these digits are all.
fn number(w: &[u8], at: usize, min: u8, max: u8) -> Option<u8> {
    let [tens, ones] = w.get(at..)?.first_chunk::<2>()?.map(|byte| byte.wrapping_sub(b'0'));
    let value = tens.wrapping_mul(10).wrapping_add(ones);
    (tens < 10 && ones < 10 && (min..=max).contains(&value)).then_some(value)
}

/// The least and the greatest of three numbers, each in the byte where it begins.
type Ranges = [u64; 2];
const OF_DAY: Ranges = [0, 23 | 59 << 24 | 60 << 48];
/// The end of the year, month and day.
const DATE: Ranges = [1 << 24 | 1 << 48, 99 | 12 << 24 | 31 << 48];

/// Returns whether `03:04:05` is at `at`, of numbers in their ranges.
#[inline(always)]
fn is_triple(w: &[u8], at: usize, separator: u8, [least, greatest]: Ranges) -> bool {
    const STARTS: u64 = 1 | 1 << 24 | 1 << 48;
    // What is left of a digit is below 10, of a separator nothing.
    let form = [b'0', b'0', separator, b'0', b'0', separator, b'0', b'0'];
    let left = word(w, at) ^ u64::from_le_bytes(form);
    let above = (left & !HIGH) + u64::from_le_bytes(*b"vv\x7fvv\x7fvv");
    if (left | above) & HIGH != 0 {
        return false;
    }
    let value = (left & (0xff * STARTS)) * 10 + (left >> 8 & (0xff * STARTS));
    let high = 0x80 * STARTS;
    (value + high - least) & (greatest + high - value) & high == high
}

fn is_year(w: &[u8], at: usize) -> bool {
    number(w, at, 19, 20).is_some() && number(w, at + 2, 0, 99).is_some()
}

/// `081109`
fn is_short_date(w: &[u8], at: usize) -> bool {
    number(w, at, 0, 99).is_some()
        && number(w, at + 2, 1, 12).is_some()
        && number(w, at + 4, 1, 31).is_some()
}

/// `203615`
fn is_compact(w: &[u8], at: usize) -> bool {
    number(w, at, 0, 23).is_some()
        && number(w, at + 2, 0, 59).is_some()
        && number(w, at + 4, 0, 60).is_some()
}

fn is_month(w: &[u8], at: usize) -> bool {
    w.get(at..at + 3).is_some_and(|name| {
        matches!(
            name,
            b"Jan"
                | b"Feb"
                | b"Mar"
                | b"Apr"
                | b"May"
                | b"Jun"
                | b"Jul"
                | b"Aug"
                | b"Sep"
                | b"Oct"
                | b"Nov"
                | b"Dec"
        )
    })
}

fn is_weekday(w: &[u8]) -> bool {
    w.get(..3).is_some_and(|name| {
        matches!(name, b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun")
    })
}

/// Finds one blank or two.
fn blanks(w: &[u8], at: usize) -> Option<usize> {
    (byte(w, at) == b' ').then(|| at + 1 + usize::from(byte(w, at + 1) == b' '))
}

/// `03:04:05.678Z`; after a date also `03:04`.
fn of_day(w: &[u8], at: usize, context: Context) -> Option<usize> {
    if is_triple(w, at, b':', OF_DAY) {
        return end_of_day(w, fraction(w, at + 8), context);
    }
    let hour = digits(w, at);
    let in_range = hour == 1 || hour == 2 && number(w, at, 0, 23).is_some();
    let minute = at + hour + 1;
    if !in_range || byte(w, minute - 1) != b':' {
        return None;
    }
    number(w, minute, 0, 59)?;
    let mut end = minute + 2;
    if byte(w, end) == b':' && number(w, end + 1, 0, 60).is_some() {
        end = fraction(w, end + 3);
    } else if context == Context::Bare {
        return None;
    }
    end_of_day(w, end, context)
}

/// What may follow the seconds, at `at`.
#[inline]
fn end_of_day(w: &[u8], at: usize, context: Context) -> Option<usize> {
    let end = zone(w, meridiem(w, at), context);
    ends_word(w, end).then_some(end)
}

/// `0:7:20:44`
fn of_day_unpadded(w: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    for i in 0..4 {
        let run = digits(w, end + usize::from(i > 0));
        let fits = (1..=2).contains(&run) || (i == 3 && run == 3);
        if !fits || (i > 0 && byte(w, end) != b':') {
            return None;
        }
        end += usize::from(i > 0) + run;
    }
    ends_word(w, end).then_some(end)
}

/// `15.42.50.675872`
fn of_day_with_dots(w: &[u8], at: usize) -> Option<usize> {
    let end = fraction(w, at + 8);
    (is_triple(w, at, b'.', OF_DAY) && ends_word(w, end)).then_some(end)
}

/// `.123`, `,123`, and `:123` if it is three digits.
fn fraction(w: &[u8], at: usize) -> usize {
    match byte(w, at) {
        b'.' | b',' if byte(w, at + 1).is_ascii_digit() => at + 1 + digits(w, at + 1),
        b':' if digits(w, at + 1) == 3 && ends_word(w, at + 4) => at + 4,
        _ => at,
    }
}

/// ` PM`
fn meridiem(w: &[u8], at: usize) -> usize {
    let name = at + usize::from(byte(w, at) == b' ');
    let is_one = matches!(byte(w, name), b'A' | b'P') && byte(w, name + 1) == b'M';
    if is_one && ends_word(w, name + 2) { name + 2 } else { at }
}

/// `Z`, `+01:00`, ` -0700`, ` +0000 UTC`
fn zone(w: &[u8], at: usize, context: Context) -> usize {
    let sign = at + usize::from(byte(w, at) == b' ');
    match byte(w, sign) {
        b'+' | b'-' | b'U' | b'G' => {}
        b'Z' | b'z' if sign == at && ends_word(w, at + 1) => return at + 1,
        _ => return at,
    }
    let mut end = at;
    if matches!(byte(w, sign), b'+' | b'-') && number(w, sign + 1, 0, 14).is_some() {
        let colon = usize::from(byte(w, sign + 3) == b':' && byte(w, sign + 4).is_ascii_digit());
        let minutes = matches!(number(w, sign + 3 + colon, 0, 45), Some(0 | 15 | 30 | 45));
        let long = sign + 5 + colon;
        let range = byte(w, long) == b':' && byte(w, long + 1).is_ascii_digit();
        if minutes && ends_word(w, long) && !range && (sign == at || colon == 0) {
            end = long;
        } else if context == Context::Dated && sign == at && colon == 0 && ends_word(w, sign + 3) {
            end = sign + 3;
        }
    }
    let name = end + usize::from(byte(w, end) == b' ');
    let is_name = matches!(w.get(name..name + 3), Some(b"UTC" | b"GMT"));
    if is_name && ends_word(w, name + 3) { name + 3 } else { end }
}

/// Finds what may follow a date that ends at `at`: a time of day, or no more of a word.
fn after_date(w: &[u8], at: usize) -> Option<usize> {
    let time = match byte(w, at) {
        b'T' | b't' | b' ' | b'_' | b':' => of_day(w, at + 1, Context::Dated),
        b',' if byte(w, at + 1) == b' ' => of_day(w, at + 2, Context::Dated),
        b'-' => of_day(w, at + 1, Context::Dated).or_else(|| of_day_with_dots(w, at + 1)),
        _ => None,
    };
    time.or_else(|| ends_word(w, at).then_some(at))
}

/// `17/06/09 20:10:40`, `01/02/2024`, `03-17 16:13:38.811`
fn in_pairs(w: &[u8], separator: u8) -> Option<usize> {
    number(w, 0, 0, 99)?;
    number(w, 3, 1, 31)?;
    let is_day_and_month = (number(w, 0, 1, 31).is_some() && number(w, 3, 1, 12).is_some())
        || (number(w, 0, 1, 12).is_some() && number(w, 3, 1, 31).is_some());
    if byte(w, 5) == separator {
        match digits(w, 6) {
            4 if is_day_and_month && is_year(w, 6) => after_date(w, 10),
            2 if byte(w, 8) == b' ' => of_day(w, 9, Context::Dated),
            _ => None,
        }
    } else if byte(w, 5) == b' ' && is_day_and_month && separator != b'/' {
        of_day(w, 6, Context::Bare)
    } else {
        None
    }
}

/// `10/Oct/2000:13:55:36 -0700`, `15 Nov 1994 08:12:31 GMT`, `2 Jan 03:04:05`; the day has
/// `run` digits.
fn day_and_month(w: &[u8], run: usize) -> Option<usize> {
    let separator = byte(w, run);
    let end = run + 4;
    if !is_month(w, run + 1) || byte(w, end) != separator || !is_day(w, 0, run) {
        return None;
    }
    if digits(w, end + 1) == 4 && is_year(w, end + 1) {
        return after_date(w, end + 5);
    }
    if separator == b' ' { of_day(w, end + 1, Context::Bare) } else { None }
}

fn is_day(w: &[u8], at: usize, run: usize) -> bool {
    match run {
        1 => byte(w, at) != b'0',
        2 => number(w, at, 1, 31).is_some(),
        _ => false,
    }
}

/// `Jan  2 03:04:05`, `Jan 2, 2024 3:04:05 PM`, `Jan  2 03:04:05 UTC 2024`; the last only
/// after a day of the week, as a number that follows may be something else.
fn month_and_day(w: &[u8], at: usize, weekday: bool) -> Option<usize> {
    if !is_month(w, at) {
        return None;
    }
    let day = blanks(w, at + 3)?;
    let run = digits(w, day);
    if !is_day(w, day, run) {
        return None;
    }
    let next = blanks(w, day + run + usize::from(byte(w, day + run) == b','))?;
    if digits(w, next) == 4 && is_year(w, next) {
        return after_date(w, next + 4);
    }
    let end = of_day(w, next, Context::Bare)?;
    if !weekday {
        return Some(end);
    }
    let mut year = end;
    let letters = (1..5).take_while(|i| byte(w, end + i).is_ascii_uppercase()).count();
    if byte(w, end) == b' ' && letters >= 3 {
        year = end + 1 + letters;
    }
    let has_year = byte(w, year) == b' ' && digits(w, year + 1) == 4 && is_year(w, year + 1);
    Some(if has_year && ends_word(w, year + 5) { year + 5 } else { end })
}
