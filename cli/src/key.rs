//! The key of a line: what of its bytes is compared.

use crate::args::Args;
use crate::skip::Skip;
use quell::{Cache, Fingerprint, FingerprintHasher};
use regex::bytes::Regex;
use std::ops::Range;

/// The longest line that is held in memory, and that masks are applied to.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// Makes the keys of whole lines.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    blank: FingerprintHasher,
    skip: Skip,
    masks: Vec<Regex>,
    terminator: u8,
    /// What the masks matched in the line at hand; kept to be reused.
    cuts: Vec<Range<usize>>,
}

impl Keys {
    pub(crate) fn new(cache: &Cache, args: &Args, terminator: u8) -> Self {
        Self {
            blank: cache.hasher(),
            skip: Skip::new(args.skip_fields, args.skip_chars),
            masks: args.masks.clone(),
            terminator,
            cuts: Vec::new(),
        }
    }

    pub(crate) fn terminator(&self) -> u8 {
        self.terminator
    }

    /// The key of a line without its terminator.
    #[inline]
    pub(crate) fn of(&mut self, line: &[u8]) -> Fingerprint {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rest = { self.skip }.rest(line);
        let mut hasher = self.blank.clone();
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
            self.cuts.extend(mask.find_iter(line).map(|found| found.range()).filter(|cut| !cut.is_empty()));
        }
        if self.masks.len() > 1 {
            self.cuts.sort_unstable_by_key(|cut| cut.start);
        }
        let mut kept = 0;
        let mut open = false;
        for cut in &self.cuts {
            if !open || cut.start > kept {
                hasher.bytes(&line[kept..cut.start]);
                // No line contains its terminator, so the mark is like no text.
                hasher.bytes(&[self.terminator]);
                open = true;
            }
            kept = kept.max(cut.end);
        }
        hasher.bytes(&line[kept..]);
    }

    /// The key of a line that comes in parts.
    pub(crate) fn in_parts(&self) -> PartialKey {
        PartialKey { hasher: self.blank.clone(), skip: self.skip, cr: false }
    }
}

/// The key of a line too long to be held, without masks. Equals the key that
/// [`Keys::of`] gives a line of that length.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(masks: &[&str]) -> Keys {
        Keys {
            blank: Cache::builder().build().unwrap().hasher(),
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
}
