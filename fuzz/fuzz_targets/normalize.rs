//! Texts without what varies: the key in chunks is that of the whole, its pieces spell it,
//! and it is found in the set only.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use quell::{Class, Classes, Normalizer, Piece};

#[derive(Arbitrary, Debug)]
struct Text {
    classes: [bool; 7],
    chunks: Vec<Vec<u8>>,
    /// Repeated, the text is longer than the buffer and the window.
    times: u8,
}

fuzz_target!(|input: Text| {
    let classes: Classes = Class::ALL
        .into_iter()
        .zip(input.classes)
        .filter_map(|(class, is)| is.then_some(class))
        .collect();
    let normalizer = Normalizer::new(classes);
    let times = usize::from(input.times % 32);

    let text = input.chunks.concat().repeat(times);
    let mut whole = Vec::new();
    let found = normalizer.write(&text, |bytes| whole.extend_from_slice(bytes));

    let mut chunked = Vec::new();
    let mut writer = normalizer.writer(|bytes: &[u8]| chunked.extend_from_slice(bytes));
    for chunk in input.chunks.iter().cycle().take(input.chunks.len() * times) {
        writer.bytes(chunk);
    }
    assert_eq!(writer.finish(), found);
    assert_eq!(chunked, whole);

    let mut spelled = Vec::new();
    let mut pieces = normalizer.pieces(&text);
    for piece in pieces.by_ref() {
        match piece {
            Piece::Text(text) => {
                for byte in text {
                    spelled.extend(std::iter::repeat_n(*byte, 1 + usize::from(*byte == 0xff)));
                }
            }
            Piece::Placeholder(class) => {
                assert!(classes.contains(class) && found.contains(class));
                spelled.extend([0xff, class as u8]);
            }
        }
    }
    assert_eq!(spelled, whole);
    assert_eq!(pieces.found(), found);
    assert_eq!(found | classes, classes);
    if found.is_empty() {
        assert_eq!(
            whole.iter().filter(|byte| **byte != 0xff).count(),
            text.iter().filter(|byte| **byte != 0xff).count()
        );
    }
    let _ = normalizer.display(&text).to_string();
});
