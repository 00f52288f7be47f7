//! Panics of other people's code, kept from going further.

use std::any::Any;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What stands in a text where a `Display` or `Debug` panicked.
pub(crate) const PANICKED: &str = "<panicked while formatting>";
/// What stands in a text where a `Display` or `Debug` returned an error.
pub(crate) const FAILED: &str = "<error while formatting>";

/// Runs `f`; `None` if it panicked.
///
/// The callers see to it that whatever `f` leaves half done is either local to
/// it or safe to look at in any state.
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(payload) => {
            discard(payload);
            None
        }
    }
}

/// Drops a panic's payload, which may itself panic when dropped.
#[cold]
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

/// Writes `text` to `out`. Where it panics or returns an error of its own, what
/// was written until then stands and a marker follows. Errors and panics of
/// `out` go on to the caller.
pub(crate) fn write_guarded(out: &mut dyn Write, text: fmt::Arguments<'_>) -> fmt::Result {
    let mut watched = Watched { out, inside: false, failed: false };
    let outcome = catch_unwind(AssertUnwindSafe(|| watched.write_fmt(text)));
    let Watched { out, inside, failed } = watched;
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if failed => Err(error),
        Ok(Err(_)) => out.write_str(FAILED),
        Err(payload) if inside => resume_unwind(payload),
        Err(payload) => {
            discard(payload);
            out.write_str(PANICKED)
        }
    }
}

/// Tells a fault of `out` from one of the text that is written to it.
struct Watched<'a> {
    out: &'a mut dyn Write,
    inside: bool,
    failed: bool,
}

impl Write for Watched<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.inside = true;
        let result = self.out.write_str(text);
        self.inside = false;
        self.failed |= result.is_err();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bad(bool);
    impl fmt::Display for Bad {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("so far")?;
            if self.0 { panic!("in Display") } else { Err(fmt::Error) }
        }
    }

    #[test]
    fn faults_of_the_text_become_markers() {
        let mut text = String::new();
        assert_eq!(write_guarded(&mut text, format_args!("{};", Bad(true))), Ok(()));
        assert_eq!(write_guarded(&mut text, format_args!("{};", Bad(false))), Ok(()));
        assert_eq!(text, format!("so far{PANICKED}so far{FAILED}"));
    }

    #[test]
    fn faults_of_the_writer_go_on() {
        struct Full;
        impl Write for Full {
            fn write_str(&mut self, _: &str) -> fmt::Result {
                Err(fmt::Error)
            }
        }
        assert_eq!(write_guarded(&mut Full, format_args!("x")), Err(fmt::Error));

        struct Panics(u32);
        impl Write for Panics {
            fn write_str(&mut self, _: &str) -> fmt::Result {
                self.0 += 1;
                if self.0 == 1 { panic!("in the writer") } else { Ok(()) }
            }
        }
        let mut writer = Panics(0);
        assert!(caught(|| write_guarded(&mut writer, format_args!("x"))).is_none());
        assert_eq!(writer.0, 1, "no marker is written to a writer that panicked");
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_discarded() {
        struct Nasty;
        impl Drop for Nasty {
            fn drop(&mut self) {
                std::panic::panic_any(Nasty);
            }
        }
        assert_eq!(caught(|| std::panic::panic_any(Nasty)), None::<()>);
    }
}
