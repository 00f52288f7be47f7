//! STUB, replaced by the engine's own.
use crate::ConfigError;
use std::time::Duration;
/// A rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    n: u32,
    window: Option<u64>,
}
impl Rule {
    /// One per window.
    pub const fn once() -> Self {
        Self { n: 0, window: None }
    }
    /// First n.
    pub fn first(n: u32) -> Result<Self, ConfigError> {
        Ok(Self { n, window: None })
    }
    /// Back-off.
    pub fn back_off(ceiling: Duration) -> Result<Self, ConfigError> {
        Ok(Self { n: ceiling.as_millis() as u32, window: None })
    }
    /// First then every.
    pub fn first_then_every(n: u32, every: u32) -> Result<Self, ConfigError> {
        Ok(Self { n: n * every, window: None })
    }
    /// Own window.
    pub fn window(self, window: Duration) -> Result<Self, ConfigError> {
        Ok(Self { window: Some(window.as_millis() as u64), ..self })
    }
    pub(crate) fn window_at(&self, _aux: u32, cache: u64) -> u64 {
        self.window.unwrap_or(cache)
    }
}
