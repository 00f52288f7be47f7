//! What a slog record has and other front ends' records have not.

use slog::{Level, Record, RecordLocation};

/// Enough to make a record that says it is from where another was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// slog has one level more than [`crate::Level`].
    pub(super) level: Level,
    /// Whether the exemplar's target is the tag; the module, if not.
    pub(super) tagged: bool,
    file: &'static str,
    line: u32,
    column: u32,
    function: &'static str,
    module: &'static str,
}

impl Origin {
    pub(super) fn of(record: &Record<'_>) -> Self {
        Self {
            level: record.level(),
            tagged: !record.tag().is_empty(),
            file: record.file(),
            line: record.line(),
            column: record.column(),
            function: record.function(),
            module: record.module(),
        }
    }

    /// Of records that are about no one message.
    pub(super) const fn own() -> Self {
        Self {
            level: Level::Warning,
            tagged: true,
            file: file!(),
            line: line!(),
            column: column!(),
            function: "",
            module: module_path!(),
        }
    }

    pub(super) fn location(&self) -> RecordLocation {
        RecordLocation {
            file: self.file,
            line: self.line,
            column: self.column,
            function: self.function,
            module: self.module,
        }
    }
}
