//! quell stops a program from logging the same thing over and over.

#![deny(unsafe_code)]

mod builder;
mod cache;
mod clock;
mod engine;
mod fingerprint;
mod level;
mod summary;

pub use builder::{Builder, ConfigError};
pub use cache::{Cache, Decision, Stats};
pub use clock::{Clock, Coarse, Manual, Monotonic, Tick};
#[cfg(feature = "seize")]
pub use engine::Seize;
pub use engine::{Epoch, Reclaim};
pub use fingerprint::{FieldsHash, Fingerprint, FingerprintHasher, Namespace, Secret, Value};
pub use level::Level;
pub use summary::{Exemplar, Summary};
