//! The start of a line that is left out of its key, by the rules of `uniq`.

/// Skips fields, then bytes. A line may come in several parts.
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

    /// What is left of the next part of the line.
    #[inline]
    pub(crate) fn rest<'a>(&mut self, mut part: &'a [u8]) -> &'a [u8] {
        while self.fields > 0 {
            // A field is a run of blanks and then a run of others; either may be empty.
            let Some(len) = part.iter().position(|b| blank(*b) == self.in_field) else { return &[] };
            part = &part[len..];
            self.fields -= usize::from(self.in_field);
            self.in_field = !self.in_field;
        }
        let cut = self.chars.min(part.len());
        self.chars -= cut;
        &part[cut..]
    }
}

/// A newline is one within a line of `-z`.
fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(fields: usize, chars: usize, line: &str) -> String {
        let whole = Skip::new(fields, chars).rest(line.as_bytes()).to_vec();
        let mut skip = Skip::new(fields, chars);
        let bytewise: Vec<u8> =
            line.as_bytes().iter().flat_map(|b| skip.rest(std::slice::from_ref(b)).to_vec()).collect();
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
