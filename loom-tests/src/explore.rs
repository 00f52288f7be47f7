//! Runs a model, says how far it was explored, and runs negative controls.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

/// The limits of an exploration.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    preemptions: Option<usize>,
    executions: Option<usize>,
}

impl Bound {
    /// All executions.
    #[must_use]
    pub fn exhaustive() -> Self {
        Self { preemptions: None, executions: None }
    }

    /// All executions in which threads are preempted at most so many times, and loom's own
    /// choice runs on once they have been: then it is the first thread's turn whenever one
    /// ends.
    #[must_use]
    pub fn preemptions(most: usize) -> Self {
        Self { preemptions: Some(most), executions: None }
    }

    /// Limits the executions to about `n`. Depth first, so it is the late choices that
    /// are explored.
    #[must_use]
    pub fn executions(self, most: usize) -> Self {
        Self { executions: Some(most), ..self }
    }

    /// `QUELL_LOOM_PREEMPTIONS` and `QUELL_LOOM_EXECUTIONS`, a number or `all`, replace
    /// what the model says, for a longer look.
    fn or_from_env(self) -> Self {
        let limit = |name, own| match std::env::var(name).as_deref() {
            Err(_) => own,
            Ok("all") => None,
            Ok(value) => Some(value.parse().expect("a number or `all`")),
        };
        Self {
            preemptions: limit("QUELL_LOOM_PREEMPTIONS", self.preemptions),
            executions: limit("QUELL_LOOM_EXECUTIONS", self.executions),
        }
    }
}

/// Executions between two looks at whether there have been enough.
const INTERVAL: usize = 256;

/// Atomic operations of an execution, beyond which it must be going in circles.
const MAX_BRANCHES: usize = 5_000;

pub(crate) const STACK_WORDS: usize = 1 << 15;

struct Outcome {
    executions: usize,
    took: Duration,
    failure: Option<String>,
}

fn explore(bound: Bound, scenario: &Arc<impl Fn() + Send + Sync + 'static>) -> Outcome {
    let executions = Arc::new(AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound.preemptions;
    builder.max_branches = MAX_BRANCHES;
    builder.max_permutations = bound.executions;
    builder.checkpoint_interval = INTERVAL;
    let start = Instant::now();
    let run = {
        let executions = Arc::clone(&executions);
        let scenario = Arc::clone(scenario);
        quietly(move || {
            builder.check(move || {
                executions.fetch_add(1, Ordering::Relaxed);
                let scenario = Arc::clone(&scenario);
                // Not on loom's main thread: its stack is too small.
                let thread =
                    loom::thread::Builder::new().stack_size(STACK_WORDS).spawn(move || scenario());
                thread.expect("a thread").join().expect("no panic");
            });
        })
    };
    Outcome {
        executions: executions.load(Ordering::Relaxed),
        took: start.elapsed(),
        failure: run.err().map(|panic| text_of(&*panic)),
    }
}

/// The model holds in all executions that `bound` permits.
///
/// # Panics
/// If it does not.
pub fn holds(name: &str, bound: Bound, scenario: impl Fn() + Send + Sync + 'static) {
    let bound = bound.or_from_env();
    let outcome = explore(bound, &Arc::new(scenario));
    let (n, took) = (outcome.executions, outcome.took.as_secs_f32());
    let extent = match bound.preemptions {
        None => "exhaustive".to_owned(),
        Some(n) => format!("preemptions <= {n}"),
    };
    let cut = if bound.executions.is_some_and(|most| n + 1 >= most) { ", cut off" } else { "" };
    match outcome.failure {
        None => println!("holds   {name}: {n} executions in {took:.1} s, {extent}{cut}"),
        Some(_) if is_weakened() => {
            println!("fails   {name}");
            std::process::exit(1);
        }
        Some(failure) => panic!("{name} fails in execution {n}: {failure}"),
    }
}

/// Returns whether `ci/orderings` has weakened something and looks for a model that fails:
/// the first one ends the run, and controls are left out.
fn is_weakened() -> bool {
    std::env::var_os("QUELL_LOOM_WEAKENED").is_some()
}

/// The executions in which a negative control looks for one with fewer preemptions than it
/// may have.
const BRIEFLY: usize = 10_000;

/// The model, broken by a fault, fails with a message that contains `expected`, in an
/// execution with at most `preemptions` preemptions. Looks briefly for one with fewer.
///
/// # Panics
/// If it holds, or fails in another way.
pub fn must_fail(
    name: &str,
    preemptions: usize,
    expected: &str,
    scenario: impl Fn() + Send + Sync + 'static,
) {
    if is_weakened() {
        return;
    }
    let scenario = Arc::new(scenario);
    let mut before = 0;
    for most in 0..=preemptions {
        let bound = Bound::preemptions(most);
        let outcome =
            explore(if most < preemptions { bound.executions(BRIEFLY) } else { bound }, &scenario);
        let (n, took) = (before + outcome.executions, outcome.took.as_secs_f32());
        before = n;
        if std::env::var_os("QUELL_LOOM_VERBOSE").is_some() {
            println!(
                "        {name}: {n} executions, {took:.1} s, preemptions <= {most} {:?}",
                outcome.failure
            );
        }
        if let Some(failure) = outcome.failure {
            assert!(
                failure.contains(expected),
                "{name} fails in execution {n}, but not with `{expected}`: {failure}"
            );
            return println!(
                "caught  {name}: in execution {n}, {took:.1} s, preemptions <= {most}, {expected}"
            );
        }
    }
    panic!("{name}: not caught in {before} executions");
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Catches a panic without a message on the terminal.
fn quietly<T>(f: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    QUIET.set(false);
    result
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (None, Some(text)) => (*text).to_owned(),
        (None, None) => "a panic without a text".to_owned(),
    }
}
