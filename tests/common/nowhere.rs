//! A drain for tests that only count what reaches it.

/// Takes all, and is on, which `slog::Discard` is not.
pub(crate) struct Nowhere;
impl slog::Drain for Nowhere {
    type Ok = ();
    type Err = slog::Never;
    fn log(&self, _: &slog::Record<'_>, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
        Ok(())
    }
}
