//! A look at bytes that may end, and at eight of them at a time.

/// Returns the byte at `at`; after the end there are zeros.
#[inline(always)]
pub(super) fn byte(w: &[u8], at: usize) -> u8 {
    w.get(at).copied().unwrap_or(0)
}

/// Returns whether a word that reaches to `at` is at its end.
#[inline(always)]
pub(super) fn ends_word(w: &[u8], at: usize) -> bool {
    !byte(w, at).is_ascii_alphanumeric()
}

pub(super) const ESC: u8 = 0x1b;

/// Counts the decimal digits at `at`.
#[inline(always)]
pub(super) fn digits(w: &[u8], at: usize) -> usize {
    run(w, at, |word| within(word, b'0', b'9'))
}

/// Tells of each of the 16 bytes at `at` whether it is a decimal digit, the first lowest.
#[inline(always)]
pub(super) fn digit_bits(w: &[u8], at: usize) -> u32 {
    let [low, high] = [at, at + 8].map(|at| {
        let marks = within(word(w, at), b'0', b'9') >> 7;
        (marks.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    });
    low | high << 8
}

/// Counts the hexadecimal digits at `at`.
#[inline(always)]
pub(super) fn hex_digits(w: &[u8], at: usize) -> usize {
    run(w, at, |word| within(word, b'0', b'9') | within(word | LOWER, b'a', b'f'))
}

/// Sets the highest bit of each of the eight bytes at `at` at which something may begin, or
/// which tells that a word before it may be something: digits and `+ - / : [ ESC`. After the
/// first there may be others.
#[inline(always)]
pub(super) fn stops(w: &[u8], at: usize) -> u64 {
    let word = word(w, at);
    let ascii = word & !HIGH;
    let range = (ascii + (0x80 - 0x2b) * ONES) & !(ascii + (0x7f - 0x3a) * ONES);
    // Of what is between `+` and `:` all but `,` and `.`, which differ in one bit.
    let point = (ascii & !(2 * ONES)) ^ (0x2c * ONES);
    // As do `[` and an escape. A `Z` after one of them may seem to be one, too.
    let bracket = (word & !(0x40 * ONES)) ^ (0x1b * ONES);
    let bracket = bracket.wrapping_sub(ONES) & !bracket;
    (range & (point + 0x7f * ONES) & !word | bracket) & HIGH
}

const ONES: u64 = 0x0101_0101_0101_0101;
pub(super) const HIGH: u64 = 0x80 * ONES;
/// The bit that makes a letter lower case. What it makes of other bytes is no letter.
const LOWER: u64 = 0x20 * ONES;

/// Sets the highest bit of each byte that is in a range of ASCII, and clears all others.
#[inline(always)]
fn within(word: u64, from: u8, to: u8) -> u64 {
    let add = |byte: u8| (word & !HIGH) + u64::from(byte) * ONES;
    add(0x80 - from) & !add(0x7f - to) & !word & HIGH
}

/// Counts the bytes from `at` on that `set` marks, without a branch for each of them.
#[inline(always)]
fn run(w: &[u8], at: usize, set: impl Fn(u64) -> u64) -> usize {
    let mut end = at;
    loop {
        let run = (set(word(w, end)) ^ HIGH).trailing_zeros() as usize / 8;
        end += run;
        if run < 8 {
            return end - at;
        }
    }
}

/// Returns the eight bytes at `at`, the first lowest.
#[inline(always)]
pub(super) fn word(w: &[u8], at: usize) -> u64 {
    match w.get(at..).and_then(<[u8]>::first_chunk) {
        Some(word) => u64::from_le_bytes(*word),
        None => last_word(w, at),
    }
}

#[inline(never)]
fn last_word(w: &[u8], at: usize) -> u64 {
    let rest = w.get(at..).unwrap_or_default();
    match w.last_chunk() {
        _ if rest.is_empty() => 0,
        Some(word) => u64::from_le_bytes(*word) >> (64 - 8 * rest.len()),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}
