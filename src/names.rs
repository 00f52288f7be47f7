//! Names that people write: which one was probably meant.

/// Returns the name of `known` that was probably meant by `name`.
pub(crate) fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    // Nobody means a short name by a text this long, and the search would take long.
    if name.len() > 64 {
        return None;
    }
    let begins = |known: &&str| {
        name.len() > 1 && !known.is_empty() && (known.starts_with(name) || name.starts_with(known))
    };
    let near = || {
        known.iter().copied().min_by_key(|known| edit_distance(name, known)).filter(|known| {
            let distance = edit_distance(name, known);
            distance <= 2 && distance < name.len().min(known.len())
        })
    };
    known.iter().copied().find(begins).or_else(near)
}

/// Returns how many bytes have to be put in, taken out or changed to make `a` of `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
