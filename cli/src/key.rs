//! The key of a line: a hash of the bytes that are compared.

use crate::args::Args;
use crate::fields::Choice;
use crate::records::Records;
use crate::varying::{Kind, LeftOut, Sums};
use quell::{Cache, Fingerprint, FingerprintHasher, Normalizer};
use regex::bytes::Regex;
use std::ops::Range;

/// The length of the longest line that is held in memory and that masks apply to.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// Makes the keys of whole lines.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// Begins the key of a text.
    empty_hasher: FingerprintHasher,
    /// Begins the key of fields.
    field_hasher: FingerprintHasher,
    skip: Skip,
    masks: Vec<Regex>,
    /// Leaves classes of text out, besides the masks.
    normalizer: Option<Normalizer>,
    choice: Option<Choice>,
    records: Option<Records>,
    terminator: u8,
    /// A text may contain the terminator.
    inner_ends: bool,
    /// The matches of the masks in the current line. A field only so that its memory is
    /// reused.
    cuts: Vec<Range<usize>>,
    /// The positions of marks in what is compared; likewise.
    marks: Vec<usize>,
    /// What is compared of the current line, or of its fields; likewise.
    form: Vec<u8>,
    /// The pieces left out of the current line, if that is to be told.
    sums: Option<Sums>,
}

impl Keys {
    pub(crate) fn new(cache: &Cache, args: &Args, terminator: u8) -> Self {
        let (choice, records) = (args.choice(), args.records());
        let inner_ends = choice.is_some() || records.is_some();
        let [mut empty_hasher, mut field_hasher] = [cache.hasher(), cache.hasher()];
        if choice.is_some() {
            empty_hasher.bytes(b"text");
            field_hasher.bytes(b"fields");
        }
        Self {
            empty_hasher,
            field_hasher,
            skip: Skip::new(args.skip_fields, args.skip_chars),
            masks: args.masks.clone(),
            normalizer: (!args.ignore.is_empty()).then(|| Normalizer::new(args.ignore)),
            choice,
            records,
            terminator,
            inner_ends,
            cuts: Vec::new(),
            marks: Vec::new(),
            form: Vec::new(),
            sums: args.tells_varying().then(Sums::default),
        }
    }

    pub(crate) fn terminator(&self) -> u8 {
        self.terminator
    }

    /// Returns how lines make up records, to be given back by
    /// [`set_records`](Self::set_records).
    pub(crate) fn take_records(&mut self) -> Option<Records> {
        self.records.take()
    }

    pub(crate) fn set_records(&mut self, records: Records) {
        self.records = Some(records);
    }

    /// Returns the key of a line, which is given without its terminator.
    #[inline]
    pub(crate) fn of(&mut self, line: &[u8]) -> Fingerprint {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(sums) = &mut self.sums {
            *sums = Sums::default();
        }
        if line.len() <= MAX_LINE && self.choice.is_some() {
            if let Some(key) = self.of_fields(line) {
                return key;
            }
        }
        let mut hasher = self.empty_hasher.clone();
        let rest = { self.skip }.rest(line);
        if line.len() > MAX_LINE || (self.masks.is_empty() && self.normalizer.is_none()) {
            hasher.bytes(rest);
        } else {
            // Many small pieces are hashed faster in one.
            let mut form = std::mem::take(&mut self.form);
            form.clear();
            self.write_text(rest, &mut |bytes| form.extend_from_slice(bytes));
            hasher.bytes(&form);
            self.form = form;
        }
        hasher.finish()
    }

    /// Returns what was left out of the line whose key was made last, if that is to be told.
    #[inline]
    pub(crate) fn left_out(&self) -> Option<LeftOut> {
        self.sums.as_ref().map(Sums::finish)
    }

    /// Returns the key of the fields that are compared, if there are any.
    fn of_fields(&mut self, line: &[u8]) -> Option<Fingerprint> {
        let choice = self.choice.take()?;
        let mut form = std::mem::take(&mut self.form);
        form.clear();
        let found = choice.collect(line, &mut form, &mut |text, form| {
            self.write_text(text.as_bytes(), &mut |bytes| form.extend_from_slice(bytes));
        });
        let mut hasher = self.field_hasher.clone();
        hasher.bytes(&form);
        self.choice = Some(choice);
        self.form = form;
        found.then(|| hasher.finish())
    }

    /// Gives what is compared of a text to `write`: the one place that says what is left of
    /// a line, or of a string in its fields.
    fn write_text(&mut self, text: &[u8], write: &mut impl FnMut(&[u8])) {
        if self.masks.is_empty() {
            self.write_part(text, write);
        } else {
            self.masked(text, write);
        }
    }

    /// Gives what `--ignore` leaves of a text to `write`. Returns how long that is.
    fn write_part(&mut self, text: &[u8], write: &mut impl FnMut(&[u8])) -> usize {
        let Some(normalizer) = self.normalizer else {
            write(text);
            return text.len();
        };
        let mut len = 0;
        let write = |bytes: &[u8]| {
            len += bytes.len();
            write(bytes);
        };
        match &mut self.sums {
            None => normalizer.write(text, write),
            Some(sums) => {
                normalizer.write_with(text, write, |class, text| sums.add(Kind::Of(class), text))
            }
        };
        len
    }

    /// Gives `line` to `write` with a mark in place of each stretch that masks cover.
    fn masked(&mut self, line: &[u8], write: &mut impl FnMut(&[u8])) {
        self.cuts.clear();
        for mask in &self.masks {
            self.cuts.extend(
                mask.find_iter(line).map(|found| found.range()).filter(|cut| !cut.is_empty()),
            );
        }
        if self.masks.len() > 1 {
            self.cuts.sort_unstable_by_key(|cut| cut.start);
        }
        let (mut from, mut kept) = (0, 0);
        let mut open = false;
        let mut written = 0;
        self.marks.clear();
        for i in 0..self.cuts.len() {
            let cut = self.cuts[i].clone();
            if !open || cut.start > kept {
                if open {
                    self.leave_out(&line[from..kept]);
                }
                from = cut.start;
                written += self.write_part(&line[kept..cut.start], write);
                // The mark is the terminator: no line contains it, so no text equals a
                // mark.
                write(&[self.terminator]);
                written += 1;
                self.marks.push(written);
                open = true;
            }
            kept = kept.max(cut.end);
        }
        if open {
            self.leave_out(&line[from..kept]);
        }
        self.write_part(&line[kept..], write);
        if self.inner_ends {
            // A terminator may then be text as well: where the marks are tells.
            self.marks.iter().for_each(|at| write(&at.to_le_bytes()));
            write(&self.marks.len().to_le_bytes());
        }
    }

    /// Takes note of what masks cover.
    fn leave_out(&mut self, text: &[u8]) {
        if let Some(sums) = &mut self.sums {
            sums.add(Kind::Mask, text);
        }
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

/// Returns whether `byte` separates fields. A newline does, which is inside a line with
/// `-z`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(masks: &[&str]) -> Keys {
        let hasher = Cache::builder().build().unwrap().hasher();
        Keys {
            empty_hasher: hasher.clone(),
            field_hasher: hasher,
            skip: Skip::new(0, 0),
            masks: masks.iter().map(|mask| Regex::new(mask).unwrap()).collect(),
            normalizer: None,
            choice: None,
            records: None,
            terminator: b'\n',
            inner_ends: false,
            cuts: Vec::new(),
            marks: Vec::new(),
            form: Vec::new(),
            sums: None,
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
    fn masked_text_is_ignored_but_not_its_place() {
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
    fn a_mark_is_no_end_of_a_line_in_a_text() {
        let mut keys = keys(&["[0-9]+"]);
        keys.inner_ends = true;
        let [a, b, c, d] = ["a 1 b", "a 22 b", "a \n b", "a 1 \n"].map(|s| keys.of(s.as_bytes()));
        assert!(a == b && a != c && a != d && c != d);
        assert_ne!(keys.of(b"\n1"), keys.of(b"1\n"));
    }

    #[test]
    fn what_is_ignored_counts_after_the_masks() {
        let mut keys = keys(&["<[^>]*>"]);
        keys.normalizer = Some("number,time".parse().unwrap());
        for inner_ends in [false, true] {
            keys.inner_ends = inner_ends;
            let lines = ["at 1 <x> 22", "at 333 <long 4> 5", "at <x> 22", "at 1 <x> y", "at 1 22"];
            let [a, b, c, d, e] = lines.map(|line| keys.of(line.as_bytes()));
            assert!(a == b && a != c && a != d && a != e && c != e);
        }
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
