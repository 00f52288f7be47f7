//! What makes two events the same message.

use super::site::Site;
use super::visit::{KeyVisitor, Names, Seen};
use crate::{Fields, FingerprintHasher, Level};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;
use std::sync::Arc;
use tracing_core::Event;

/// A key of your own; see [`Key::custom`].
pub type CustomKey =
    Arc<dyn Fn(&Event<'_>, &mut FingerprintHasher) + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// What makes two events the same message. Span fields that were chosen with
/// [`Builder::span_fields`](super::Builder::span_fields) join each of them.
///
/// Records that came over the bridge from `log` are taken for what they were: with their
/// own target, file and line.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Key {
    /// Level, target, text and fields, with their types: two events are the same message if
    /// their lines would be, wherever in a module they are logged.
    #[default]
    Event,
    /// The call site alone, whatever its arguments. The fastest key, as nothing is formatted;
    /// but then one line speaks for all messages of a helper that logs for others. Fields join if
    /// [`Builder::fields`](super::Builder::fields) names them.
    Callsite,
    /// The text alone, whatever the level, the target and (unless
    /// [`Builder::fields`](super::Builder::fields) names them) the fields.
    Message,
    /// What a function writes into the hasher.
    Custom(CustomKey),
}

impl Key {
    /// A key of your own: two events are the same message if `write` writes the same.
    ///
    /// `write` must not call tracing's macros. If it panics, the event passes.
    ///
    /// ```
    /// use quell::tracing::Key;
    /// let by_file = Key::custom(|event, hasher| {
    ///     hasher.bytes(event.metadata().file().unwrap_or_default().as_bytes());
    /// });
    /// ```
    pub fn custom(
        write: impl Fn(&Event<'_>, &mut FingerprintHasher)
        + Send
        + Sync
        + UnwindSafe
        + RefUnwindSafe
        + 'static,
    ) -> Self {
        Self::Custom(Arc::new(write))
    }

    /// Whether level and target belong to it.
    #[inline]
    pub(super) fn is_located(&self) -> bool {
        matches!(self, Key::Event)
    }

    /// Writes an event into `hasher`, and notes in `seen` which of the chosen span fields
    /// it has itself.
    #[inline]
    pub(super) fn write(
        &self,
        event: &Event<'_>,
        site: &Site<'_>,
        fields: Option<&Fields>,
        span_fields: &Names,
        seen: &mut Seen,
        hasher: &mut FingerprintHasher,
    ) -> fmt::Result {
        let all = const { &Fields::all() };
        let (message, fields) = match self {
            Key::Event => (true, Some(fields.unwrap_or(all))),
            Key::Message => (true, fields),
            Key::Callsite => {
                hash_site(site, hasher);
                (false, fields)
            }
            Key::Custom(write) => {
                write(event, hasher);
                (false, None)
            }
        };
        let mut visitor =
            KeyVisitor::new(hasher, message, fields, span_fields, seen, site.is_bridged());
        if message || fields.is_some() {
            event.record(&mut visitor);
        }
        visitor.finish()
    }
}

fn hash_site(site: &Site<'_>, hasher: &mut FingerprintHasher) {
    match site {
        Site::Here(metadata) => hasher
            .bytes(&ptr::from_ref::<tracing_core::Metadata<'_>>(metadata).addr().to_le_bytes()),
        // All records of a level share one call site.
        Site::Bridged(metadata) => {
            hasher.bytes(&[Level::from(*metadata.level()) as u8]);
            for part in [Some(metadata.target()), metadata.module_path(), metadata.file()] {
                let part = part.unwrap_or_default();
                hasher.bytes(&(part.len() as u64).to_le_bytes());
                hasher.bytes(part.as_bytes());
            }
            hasher.bytes(&metadata.line().unwrap_or_default().to_le_bytes());
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Key::Event => "Event",
            Key::Callsite => "Callsite",
            Key::Message => "Message",
            Key::Custom(_) => "Custom(..)",
        })
    }
}
