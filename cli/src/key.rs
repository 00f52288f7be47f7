//! The key of a line: a hash of the bytes that are compared.

use crate::args::Args;
use quell::{Cache, Fingerprint, FingerprintHasher};
use regex::bytes::Regex;
use std::ops::Range;

/// The length of the longest line that is held in memory and that masks apply to.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// Makes the keys of whole lines.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    empty_hasher: FingerprintHasher,
    skip: Skip,
    masks: Vec<Regex>,
    terminator: u8,
    /// What the masks match in the current line. A field only so that its memory is
    /// reused.
    cuts: Vec<Range<usize>>,
}

impl Keys {
    pub(crate) fn new(cache: &Cache, args: &Args, terminator: u8) -> Self {
        Self {
            empty_hasher: cache.hasher(),
            skip: Skip::new(args.skip_fields, args.skip_chars),
            masks: args.masks.clone(),
            terminator,
            cuts: Vec::new(),
        }
    }

    pub(crate) fn terminator(&self) -> u8 {
        self.terminator
    }

    /// Returns the key of a line, which is given without its terminator.
    #[inline]
    pub(crate) fn of(&mut self, line: &[u8]) -> Fingerprint {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rest = { self.skip }.rest(line);
        let mut hasher = self.empty_hasher.clone();
        if self.masks.is_empty() || line.len() > MAX_LINE {
            hasher.bytes(rest);
        } else {
            self.masked(&mut hasher, rest);
        }
        hasher.finish()
    }

    /// Hashes `line` with a mark in place of each stretch that masks cover.
    fn masked(&mut self, hasher: &mut FingerprintHasher, line: &[u8]) {
        self.cuts.clear();
        for mask in &self.masks {
            self.cuts.extend(
                mask.find_iter(line).map(|found| found.range()).filter(|cut| !cut.is_empty()),
            );
        }
        if self.masks.len() > 1 {
            self.cuts.sort_unstable_by_key(|cut| cut.start);
        }
        let mut kept = 0;
        let mut open = false;
        for cut in &self.cuts {
            if !open || cut.start > kept {
                hasher.bytes(&line[kept..cut.start]);
                // The mark is the terminator: no line contains it, so no text equals a mark.
                hasher.bytes(&[self.terminator]);
                open = true;
            }
            kept = kept.max(cut.end);
        }
        hasher.bytes(&line[kept..]);
    }

    /// Begins the key of a line that comes in parts.
    pub(crate) fn in_parts(&self) -> PartialKey {
        PartialKey { hasher: self.empty_hasher.clone(), skip: self.skip, cr: false }
    }
}

/// The key of a line that is too long to be held. It equals the one that [`Keys::of`]
/// returns for the whole line, which no mask applies to either.
#[derive(Debug)]
pub(crate) struct PartialKey {
    hasher: FingerprintHasher,
    skip: Skip,
    /// The last part ended in a CR, which counts only if more follows.
    cr: bool,
}

impl PartialKey {
    pub(crate) fn add(&mut self, part: &[u8]) {
        if part.is_empty() {
            return;
        }
        if self.cr {
            self.hasher.bytes(self.skip.rest(b"\r"));
        }
        let text = part.strip_suffix(b"\r");
        self.cr = text.is_some();
        self.hasher.bytes(self.skip.rest(text.unwrap_or(part)));
    }

    pub(crate) fn finish(&self) -> Fingerprint {
        self.hasher.finish()
    }
}

/// Skips the start of a line by the rules of `uniq`: fields, then bytes. The line may come
/// in several parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Skip {
    fields: usize,
    chars: usize,
    in_field: bool,
}

impl Skip {
    pub(crate) fn new(fields: usize, chars: usize) -> Self {
        Self { fields, chars, in_field: false }
    }

    /// Returns what is left of the next part of the line.
    #[inline]
    pub(crate) fn rest<'a>(&mut self, mut part: &'a [u8]) -> &'a [u8] {
        while self.fields > 0 {
            // A field is a run of blanks and then a run of others; either may be empty.
            let Some(len) = part.iter().position(|b| is_blank(*b) == self.in_field) else {
                return &[];
            };
            part = &part[len..];
            self.fields -= usize::from(self.in_field);
            self.in_field = !self.in_field;
        }
        let cut = self.chars.min(part.len());
        self.chars -= cut;
        &part[cut..]
    }
}

/// Whether `byte` separates fields. A newline does, which is inside a line with `-z`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(masks: &[&str]) -> Keys {
        Keys {
            empty_hasher: Cache::builder().build().unwrap().hasher(),
            skip: Skip::new(0, 0),
            masks: masks.iter().map(|mask| Regex::new(mask).unwrap()).collect(),
            terminator: b'\n',
            cuts: Vec::new(),
        }
    }

    #[track_caller]
    fn same(masks: &[&str], a: &str, b: &str) {
        let mut keys = keys(masks);
        assert_eq!(keys.of(a.as_bytes()), keys.of(b.as_bytes()), "{masks:?}: {a:?} {b:?}");
    }

    #[track_caller]
    fn differ(masks: &[&str], a: &str, b: &str) {
        let mut keys = keys(masks);
        assert_ne!(keys.of(a.as_bytes()), keys.of(b.as_bytes()), "{masks:?}: {a:?} {b:?}");
    }

    #[test]
    fn one_cr_at_the_end_does_not_count() {
        same(&[], "a", "a\r");
        differ(&[], "a", "a\r\r");
        differ(&[], "ab", "a\rb");
        same(&["[bc]$"], "ab\r", "ac");
    }

    #[test]
    fn what_is_masked_does_not_count_but_where_it_was_does() {
        same(&["[0-9]+"], "a 1 b 22", "a 333 b 4");
        differ(&["[0-9]+"], "a 1", "1a ");
        differ(&["[0-9]+"], "1a", "a1");
        differ(&["[0-9]+"], "a", "a1");
        differ(&["[0-9]+"], "1a1", "1a");
        differ(&["[0-9]+"], "a 1", "b 1");
    }

    #[test]
    fn matches_that_touch_or_overlap_are_one() {
        same(&["[0-9]"], "a1", "a234");
        same(&["ab", "bc"], "xabcy", "xaby");
        same(&["b", "abc"], "xabcy", "xby");
        same(&["^a", "z$"], "amz", "amz");
        differ(&["^a", "z$"], "amz", "mz");
    }

    #[test]
    fn an_empty_match_cuts_nothing() {
        differ(&["x*"], "ab", "ba");
        same(&["x*"], "ab", "ab");
    }

    #[test]
    fn a_line_in_parts_has_the_key_of_the_whole() {
        let mut keys = keys(&[]);
        keys.skip = Skip::new(1, 2);
        for line in ["field  text\rmore\r", "field \r\r", "f", "", "field a\r", "\r"] {
            let whole = keys.of(line.as_bytes());
            for cut in 0..=line.len() {
                let mut parts = keys.in_parts();
                parts.add(&line.as_bytes()[..cut]);
                parts.add(&line.as_bytes()[cut..]);
                assert_eq!(parts.finish(), whole, "{line:?} cut at {cut}");
            }
        }
    }

    fn rest(fields: usize, chars: usize, line: &str) -> String {
        let whole = Skip::new(fields, chars).rest(line.as_bytes()).to_vec();
        let mut skip = Skip::new(fields, chars);
        let bytewise: Vec<u8> = line
            .as_bytes()
            .iter()
            .flat_map(|b| skip.rest(std::slice::from_ref(b)).to_vec())
            .collect();
        assert_eq!(whole, bytewise, "{line:?} in parts");
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn a_field_is_blanks_and_then_others() {
        assert_eq!(rest(0, 0, " a b"), " a b");
        assert_eq!(rest(1, 0, "a b c"), " b c");
        assert_eq!(rest(1, 0, "  a b c"), " b c");
        assert_eq!(rest(2, 0, "a \t b\tc"), "\tc");
        assert_eq!(rest(1, 0, "a\nb"), "\nb");
        assert_eq!(rest(3, 0, "a b"), "");
        assert_eq!(rest(1, 0, "   "), "");
        assert_eq!(rest(1, 0, ""), "");
    }

    #[test]
    fn bytes_are_skipped_after_fields() {
        assert_eq!(rest(0, 2, "abc"), "c");
        assert_eq!(rest(1, 2, "abc de"), "e");
        assert_eq!(rest(0, 9, "abc"), "");
        assert_eq!(rest(1, usize::MAX, "abc de"), "");
    }
}
