//! A filter for the layers of `tracing-subscriber`. TODO

mod address;
mod builder;
mod callsites;
mod channel;
mod companion;
mod dedup;
mod deliver;
mod filter;
mod init;
mod key;
mod level;
mod memo;
mod shared;
mod site;
mod spans;
mod visit;

pub use address::NoSummaries;
pub use builder::Builder;
pub use companion::Companion;
pub use dedup::{Behind, Dedup};
pub use filter::DedupFilter;
pub use init::{InitError, init};
pub use key::{CustomKey, Key};
#[doc(no_inline)]
pub use tracing_core::LevelFilter;
