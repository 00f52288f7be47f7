//! A look at bytes that may end.

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

/// Counts the decimal digits at `at`.
#[inline]
pub(super) fn digits(w: &[u8], at: usize) -> usize {
    let mut end = at;
    while byte(w, end).is_ascii_digit() {
        end += 1;
    }
    end - at
}
