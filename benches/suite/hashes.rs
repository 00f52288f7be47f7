//! The cost of the fingerprint of a message.

use super::common::quell::fingerprint;
use super::common::report::Hash;
use super::common::rounds::{Way, in_turn};
use super::common::threads::pin;
use super::options::Options;
use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;

const LENGTHS: [usize; 4] = [16, 60, 256, 4096];

pub(crate) fn measure(options: &Options) -> Vec<Hash> {
    pin(0);
    let secret = quell::Secret::from_bytes([7; 16]);
    let sip = siphasher::sip128::SipHasher13::new_with_key(&[7; 16]);
    let fold = foldhash::quality::FixedState::with_seed(7);
    let mut found = Vec::new();
    for length in LENGTHS {
        let message: Vec<u8> = (0..length).map(|i| b' ' + (i % 95) as u8).collect();
        let message = || black_box(&message[..]);
        let mut ways = [
            Way::new("quell, keyed, 128 bits", |_| {
                black_box(fingerprint(&secret, message()));
            }),
            Way::new("siphasher 1-3, 128 bits", |_| {
                black_box(sip.hash(message()));
            }),
            Way::new("xxh3, 128 bits", |_| {
                black_box(xxhash_rust::xxh3::xxh3_128_with_seed(message(), 7));
            }),
            Way::new("foldhash, 64 bits", |_| {
                let mut hasher = fold.build_hasher();
                hasher.write(message());
                black_box(hasher.finish());
            }),
        ];
        // As many bytes of each length, short ones counted as longer.
        let times = if options.quick { 20_000_000 } else { 200_000_000 } / (length as u64 + 60);
        let nanos = in_turn(&mut ways, options.rounds, times);
        let hash =
            |(way, nanos): (&Way<'_>, f64)| Hash { name: way.name.clone(), bytes: length, nanos };
        found.extend(ways.iter().zip(nanos).map(hash));
    }
    println!("\nthe hash of a message in one piece, ns");
    print!("{:26}", "");
    LENGTHS.iter().for_each(|length| print!("{:>9} B", length));
    println!();
    let rows = found.len() / LENGTHS.len();
    for row in 0..rows {
        print!("  {:24}", found[row].name);
        found.iter().skip(row).step_by(rows).for_each(|hash| print!("{:>11.1}", hash.nanos));
        println!();
    }
    found
}
