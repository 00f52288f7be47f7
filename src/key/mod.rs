//! The key of an event: equal for two events that are the same message.

mod fields;
mod fingerprint;
mod siphash;
mod value;
mod writer;

pub use fields::Fields;
pub use fingerprint::{FieldsHash, Fingerprint, FingerprintHasher, Namespace, Secret};
pub use value::{AttrValue, Value};
#[allow(unreachable_pub)]
pub use writer::KeyWriter;
pub(crate) use writer::fingerprint;

/// The properties in which two events agree if they are the same message. Chosen [`Fields`]
/// join each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Key {
    /// Level, target (slog: tag), text and fields: two events are the same if their lines
    /// would be, timestamps aside. All fields belong to it unless chosen otherwise.
    #[default]
    Event,
    /// The place in the source: whatever is logged there is one message. No field belongs
    /// to it unless chosen.
    Callsite,
    /// The text alone: events of other levels and targets hide each other's repeats. No
    /// field belongs to it unless chosen.
    Message,
}
