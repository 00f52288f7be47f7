//! Loom models of the engine.
