//! Count words against renewal, eviction and drains.
//!
//! One slot and two messages that evict each other from it. Who enters a message is decided
//! elsewhere (see `claims`): here whoever takes the slot enters his own.

use crate::explore::{Label, Model, Next, caught, full, holds};

const THREADS: usize = 3;
/// An entry is fresh until its tick is as old as this.
const WINDOW: u8 = 2;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Kind {
    #[default]
    Taken,
    Live,
}

/// The state word, and whose entry it is: the number of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Word {
    kind: Kind,
    turn: u8,
    of: u8,
    tick: u8,
    noticed: bool,
    counted: bool,
}

/// The count word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Count {
    turn: u8,
    count: u8,
}

/// The task of a thread.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// A call of this message at this tick.
    Call(u8, u8),
    Drain,
}
use Op::{Call, Drain};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum At {
    #[default]
    Start,
    Notice,
    Count,
    Renew,
    TakeRenewed,
    Evict,
    TakeEvicted,
    Enter,
    TakeDrained,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Thread {
    at: At,
    done: u8,
    /// The state that it acts upon.
    word: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    word: Word,
    count: Count,
    threads: [Thread; THREADS],
    /// Of all calls.
    emitted: u8,
    /// Of each message.
    suppressed: [u8; 2],
    reported: [u8; 2],
    /// In the present window: how many were told that they are first.
    told: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Takes counts of any turn.
    TakesAnyTurn,
    /// Adds to counts of any turn.
    AddsToAnyTurn,
    /// The first that is suppressed does not set COUNTED.
    NoCountedMark,
    /// A renewal clears COUNTED.
    ClearsCounted,
    /// Stores NOTICED.
    NoticesBlindly,
}

#[derive(Clone, Copy, Debug)]
struct Counts {
    scripts: &'static [&'static [Op]],
    fault: Fault,
}

impl Counts {
    /// Takes the count at a turn, for a message; a new turn if the slot has one.
    fn take(&self, state: &mut State, word: Word, turn: u8) {
        if state.count.turn == word.turn || self.fault == Fault::TakesAnyTurn {
            state.reported[word.of as usize] += state.count.count;
            state.count = Count { turn, count: 0 };
        }
    }

    fn begin(state: &mut State, me: &mut Thread, op: Op) -> Label {
        let word = state.word;
        me.word = word;
        let (of, now) = match op {
            Call(of, now) => (of, now),
            Drain if word.kind == Kind::Live && word.counted => {
                me.at = At::TakeDrained;
                return Label("drains", 0);
            }
            Drain => {
                end(me);
                return Label("finds nothing to drain", 0);
            }
        };
        if word.kind == Kind::Taken {
            state.emitted += 1;
            end(me);
            return Label("fails open", 0);
        }
        if word.of != of {
            me.at = At::Evict;
            return Label("finds another instead of {}", of);
        }
        if now.saturating_sub(word.tick) >= WINDOW {
            me.at = At::Renew;
            return Label("finds {} expired", of);
        }
        me.at = if word.noticed { At::Count } else { At::Notice };
        Label("finds {} fresh", of)
    }

    fn access(&self, state: &mut State, thread: usize, op: Op) -> Label {
        let mut me = state.threads[thread];
        let (word, won) = (me.word, state.word == me.word);
        let of = word.of as usize;
        let label = match me.at {
            At::Start => Self::begin(state, &mut me, op),
            At::Notice if won || self.fault == Fault::NoticesBlindly => {
                state.word =
                    Word { noticed: true, counted: self.fault != Fault::NoCountedMark, ..word };
                state.told += 1;
                me.at = At::Count;
                Label("notices: first", 0)
            }
            At::Renew if won => {
                let Call(_, now) = op else { unreachable!("a call renews") };
                let counted = word.counted && self.fault != Fault::ClearsCounted;
                state.word = Word { tick: now, noticed: false, counted, ..word };
                (state.emitted, state.told) = (state.emitted + 1, 0);
                if word.counted {
                    me.at = At::TakeRenewed
                } else {
                    end(&mut me)
                }
                Label("renews and emits, at {}", now)
            }
            At::Evict if won => {
                state.word = Word { kind: Kind::Taken, turn: word.turn + 1, ..Word::default() };
                state.told = 0;
                me.at = At::TakeEvicted;
                Label("evicts {}", word.of)
            }
            At::Notice | At::Renew | At::Evict => {
                (me.at, me.word) = (At::Start, Word::default());
                Label("does not win", 0)
            }
            At::Count => {
                state.suppressed[of] += 1;
                if state.count.turn == word.turn || self.fault == Fault::AddsToAnyTurn {
                    state.count.count += 1;
                } else {
                    state.reported[of] += 1;
                }
                end(&mut me);
                Label("counts {}", word.of)
            }
            At::TakeEvicted => {
                // Who is not COUNTED has nothing to take: a plain store.
                if word.counted {
                    self.take(state, word, word.turn + 1);
                } else {
                    state.count = Count { turn: word.turn + 1, count: 0 };
                }
                me.at = At::Enter;
                Label("takes the counts of {} to the orphans", word.of)
            }
            At::Enter => {
                let Call(of, now) = op else { unreachable!("a call enters") };
                state.word = Word { kind: Kind::Live, of, tick: now, ..state.word };
                state.emitted += 1;
                end(&mut me);
                Label("enters {} and emits", of)
            }
            At::TakeRenewed | At::TakeDrained => {
                let turn =
                    if self.fault == Fault::TakesAnyTurn { state.count.turn } else { word.turn };
                self.take(state, word, turn);
                end(&mut me);
                Label("takes the counts of {}", word.of)
            }
        };
        state.threads[thread] = me;
        label
    }
}

/// Ends the operation.
fn end(me: &mut Thread) {
    *me = Thread { done: me.done + 1, ..Thread::default() };
}

impl Model for Counts {
    type State = State;

    fn threads(&self) -> usize {
        self.scripts.len()
    }

    fn initial(&self) -> State {
        let word =
            Word { kind: Kind::Live, turn: 1, of: 0, tick: 1, noticed: false, counted: false };
        let (count, threads) = (Count { turn: 1, count: 0 }, [Thread::default(); THREADS]);
        State { word, count, threads, emitted: 0, suppressed: [0; 2], reported: [0; 2], told: 0 }
    }

    fn ended(&self, state: &State, thread: usize) -> bool {
        state.threads[thread].done as usize == self.scripts[thread].len()
    }

    fn step(&self, state: &State, thread: usize, next: &mut Next<State>) {
        let mut to = state.clone();
        let op = self.scripts[thread][state.threads[thread].done as usize];
        let label = self.access(&mut to, thread, op);
        next.push((to, label));
    }

    fn check(&self, state: &State) -> Result<(), String> {
        if (0..2).any(|of| state.reported[of] > state.suppressed[of]) {
            return Err(format!(
                "reported {:?}, but suppressed {:?}",
                state.reported, state.suppressed
            ));
        }
        if state.told != u8::from(state.word.noticed) {
            return Err(format!("first was told {} times in a window", state.told));
        }
        Ok(())
    }

    fn check_end(&self, state: &State) -> Result<(), String> {
        let mut left = state.reported;
        if state.word.counted {
            left[state.word.of as usize] += state.count.count;
        }
        if left != state.suppressed {
            return Err(format!(
                "counts are lost: suppressed {:?}, reported {left:?}",
                state.suppressed
            ));
        }
        let calls = self
            .scripts
            .iter()
            .flat_map(|script| script.iter())
            .filter(|op| matches!(op, Call(..)))
            .count();
        let decided = state.emitted + state.suppressed.iter().sum::<u8>();
        if decided as usize == calls {
            Ok(())
        } else {
            Err(format!("{decided} of {calls} calls were decided"))
        }
    }
}

fn runs(name: &str, scripts: &'static [&'static [Op]]) {
    holds(name, &Counts { scripts, fault: Fault::None });
}

#[test]
fn counts_against_renewal_and_eviction() {
    runs(
        "counts, two renewals",
        &[&[Call(0, 2), Call(0, 2)], &[Call(0, 2), Call(0, 3)], &[Call(0, 3)]],
    );
    runs(
        "counts, an eviction",
        &[&[Call(0, 2), Call(0, 2)], &[Call(0, 2)], &[Call(1, 2), Call(1, 2)]],
    );
    runs(
        "counts, both",
        &[&[Call(0, 2), Call(0, 2)], &[Call(0, 3), Call(0, 3)], &[Call(1, 2), Call(1, 2)]],
    );
    runs(
        "counts, evicted and back",
        &[&[Call(0, 2), Call(1, 2)], &[Call(0, 2), Call(0, 2)], &[Call(1, 2), Call(0, 2)]],
    );
    if full() {
        let scripts: &[&[Op]] = &[
            &[Call(0, 2), Call(1, 2), Call(0, 3)],
            &[Call(1, 2), Call(0, 2), Call(1, 3)],
            &[Call(0, 2), Drain, Call(0, 4)],
        ];
        runs("counts, three by three", scripts);
    }
}

#[test]
fn counts_against_drains() {
    runs(
        "a drain, a renewal",
        &[&[Call(0, 2), Call(0, 2)], &[Drain, Drain], &[Call(0, 3), Call(0, 3)]],
    );
    runs(
        "a drain, an eviction",
        &[&[Call(0, 2), Call(0, 2)], &[Drain, Drain], &[Call(1, 2), Call(1, 2)]],
    );
}

#[test]
fn faults_in_counting_are_caught() {
    let back: &[&[Op]] = &[&[Call(0, 2), Call(0, 3)], &[Call(1, 3), Call(1, 3)]];
    let cases = [
        (Fault::TakesAnyTurn, back, "reported"),
        (Fault::AddsToAnyTurn, &[&[Call(0, 2)], &[Call(1, 2)]], "counts are lost"),
        (Fault::NoCountedMark, &[&[Call(0, 2)], &[Call(1, 2)]], "counts are lost"),
        (Fault::ClearsCounted, &[&[Call(0, 2)], &[Call(0, 3)]], "counts are lost"),
        (Fault::NoticesBlindly, &[&[Call(0, 2)], &[Call(0, 2)]], "first was told 2 times"),
    ];
    for (fault, scripts, expected) in cases {
        caught("counts", fault, &Counts { scripts, fault }, expected);
    }
}
