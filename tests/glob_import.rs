//! `use quell::*` stands beside the logging crates: their names stay theirs.
#![cfg(all(feature = "log", feature = "slog", feature = "tracing"))]

use quell::*;

#[test]
fn the_logging_crates_keep_their_names() {
    let cache = std::sync::Arc::new(Cache::builder().build().unwrap());
    let dedup = front::log::Dedup::builder(cache, log::logger()).build();
    log::info!(logger: dedup, "x");
    log::info!(logger: dedup, "x");
    assert!(!tracing::enabled!(tracing::Level::INFO), "no subscriber is there");
    let root = slog::Logger::root(slog::Discard, slog::o!("a" => 1));
    slog::info!(root, "x");
    assert_eq!(dedup.cache().stats().emitted, 0, "the logger behind is off");
}
