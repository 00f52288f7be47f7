//! The claim protocol: who enters a fingerprint into the table, and so emits it.
//!
//! Looks, takes, publishes, finishes, kills, helps and renews as ENGINE.md's section 2
//! says. All calls happen at one moment: an entry is fresh or has expired.

mod find;
mod finish;
mod scenarios;

use crate::explore::{Label, Model, Next};

const SLOTS: usize = 4;
const THREADS: usize = 4;
/// More turns than any scenario takes.
const TURNS: u8 = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Kind {
    #[default]
    Free,
    Taken,
    Claimed,
    Live,
}

/// A fingerprint: the bits that the key word holds, and the rest. `TWIN` has the same key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Print {
    key: u8,
    rest: u8,
}
const F: Print = Print { key: 1, rest: 1 };
const TWIN: Print = Print { key: 1, rest: 2 };
const OTHER: Print = Print { key: 2, rest: 3 };
const THIRD: Print = Print { key: 3, rest: 4 };
/// Never called: it only fills slots.
const FILLER: Print = Print { key: 4, rest: 5 };

/// A state word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Word {
    kind: Kind,
    turn: u8,
    /// In CLAIMED.
    identity: u8,
    /// In LIVE.
    fresh: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Slot {
    key: u8,
    key_turn: u8,
    rest: u8,
    word: Word,
}

impl Slot {
    fn is_live(&self, print: Print) -> bool {
        let own =
            self.key == print.key && self.rest == print.rest && self.key_turn == self.word.turn;
        own && self.word.kind == Kind::Live
    }
}

/// The position of a thread: what its next step does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Hash)]
enum At {
    #[default]
    FindKey,
    FindState,
    FindRest,
    FindKeyAgain,
    Renew,
    Take,
    WriteKey,
    WriteRest,
    Publish,
    LookState,
    LookKey,
    LookRest,
    LookStateAgain,
    Kill,
    Decide,
    Ended,
}

impl At {
    /// Says whether reading or writing a whole slot would do this step along with the one
    /// before.
    fn is_part(self) -> bool {
        matches!(self, At::FindState | At::FindRest | At::FindKeyAgain | At::WriteRest)
            || matches!(self, At::LookKey | At::LookRest | At::LookStateAgain)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Thread {
    at: At,
    calls: u8,
    stopped: bool,
    /// The slot looked at, and what was read of it so far.
    slot: u8,
    key_turn: u8,
    word: Word,
    /// The findings of the present look, slot by slot.
    seen: [Word; SLOTS],
    /// The claim seen before the present look began.
    known: (u8, Word),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    slots: [Slot; SLOTS],
    threads: [Thread; THREADS],
    /// Of `F`: emissions from the table, evictions while it was fresh, calls that failed
    /// open.
    emitted: u8,
    forgotten: u8,
    opened: u8,
    /// It was suppressed before it was emitted.
    early: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Decides a claim in the same look in which it was found.
    DecidesUnknown,
    NoLookAfterPublishing,
    NoKill,
    KillsLive,
    /// Compares a key without its turn.
    IgnoresTurn,
    /// Does not read the key again after the rest.
    NoKeyAgain,
    /// Renews by a store.
    RenewsBlindly,
    /// Goes on to the next slot if a state changed while it was read.
    PassesByChanged,
}

#[derive(Clone, Copy, Debug)]
struct Role {
    print: Print,
    /// Takes what is LIVE though something is FREE.
    evicts: bool,
    calls: u8,
    /// May stand still forever anywhere.
    stops: bool,
}

const CLAIMER: Role = Role { print: F, evicts: false, calls: 1, stops: false };
const TWICE: Role = Role { calls: 2, ..CLAIMER };
const STOPPER: Role = Role { stops: true, ..CLAIMER };
const EVICTOR: Role = Role { print: OTHER, evicts: true, ..CLAIMER };
const TWIN_EVICTOR: Role = Role { print: TWIN, ..EVICTOR };
const THIRD_EVICTOR: Role = Role { print: THIRD, ..EVICTOR };

/// The contents of a slot at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Free,
    Fresh(Print),
    Expired(Print),
}
use Start::{Expired, Fresh};

#[derive(Clone, Copy, Debug)]
struct Claims {
    start: &'static [Start],
    roles: &'static [Role],
    /// Reads a slot word by word; otherwise as a whole.
    split: bool,
    /// Kills during the look; otherwise after it.
    at_once: bool,
    fault: Fault,
}

impl Claims {
    /// Says whether a state word and a key's turn can be of one entry of this fingerprint.
    fn agrees(&self, word: Word, key_turn: u8, print: Print) -> bool {
        let claimed = word.kind == Kind::Claimed && word.identity == print.rest;
        (claimed || word.kind == Kind::Live)
            && (word.turn == key_turn || self.fault == Fault::IgnoresTurn)
    }

    /// Does the thread's next access.
    fn access(&self, state: &mut State, thread: usize) -> Label {
        let print = self.roles[thread].print;
        let mut me = state.threads[thread];
        let label = if me.at < At::LookState {
            self.find(state, &mut me, print)
        } else {
            self.finish(state, &mut me, print)
        };
        state.threads[thread] = me;
        label
    }
}

/// Starts the look of `finish`, with what is known.
fn look(me: &mut Thread) {
    *me = Thread { at: At::LookState, calls: me.calls, known: me.known, ..Thread::default() };
}
/// Starts the call over.
fn again(me: &mut Thread) {
    *me = Thread { calls: me.calls, ..Thread::default() };
}

/// Ends the call.
fn end(me: &mut Thread) {
    again(me);
    me.calls -= 1;
    if me.calls == 0 {
        me.at = At::Ended;
    }
}
impl Model for Claims {
    type State = State;

    fn threads(&self) -> usize {
        self.roles.len()
    }

    fn initial(&self) -> State {
        let slot = |start: Start| {
            let (Fresh(print) | Expired(print)) = start else { return Slot::default() };
            let word =
                Word { kind: Kind::Live, turn: 1, identity: 0, fresh: start == Fresh(print) };
            Slot { key: print.key, key_turn: 1, rest: print.rest, word }
        };
        let slots = std::array::from_fn(|n| {
            self.start.get(n).map_or(Slot::default(), |&start| slot(start))
        });
        let thread = |n| Thread {
            calls: self.roles.get(n).map_or(0, |role: &Role| role.calls),
            ..Thread::default()
        };
        let threads = std::array::from_fn(thread);
        State { slots, threads, emitted: 0, forgotten: 0, opened: 0, early: false }
    }

    fn ended(&self, state: &State, thread: usize) -> bool {
        state.threads[thread].stopped || state.threads[thread].at == At::Ended
    }

    fn step(&self, state: &State, thread: usize, next: &mut Next<State>) {
        if self.roles[thread].stops {
            let mut to = state.clone();
            to.threads[thread].stopped = true;
            next.push((to, Label("stands still forever", 0)));
        }
        if state.threads[thread].at == At::Take {
            return self.take(state, thread, next);
        }
        let mut to = state.clone();
        let mut label = self.access(&mut to, thread);
        while !self.split && to.threads[thread].at.is_part() {
            label = self.access(&mut to, thread);
        }
        next.push((to, label));
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let slots = &state.slots[..self.start.len()];
        for print in [F, TWIN, OTHER, THIRD] {
            if slots.iter().filter(|slot| slot.is_live(print)).count() > 1 {
                return Err(format!("two LIVE slots of {print:?}"));
            }
        }
        let allowed = u8::from(!self.start.contains(&Fresh(F))) + state.forgotten;
        if state.emitted > allowed {
            return Err(format!("emitted too often: {} times, not {allowed}", state.emitted));
        }
        if state.early {
            return Err("suppressed before it was emitted".into());
        }
        Ok(())
    }

    fn check_end(&self, state: &State) -> Result<(), String> {
        let fresh = self.start.contains(&Fresh(F));
        let stopped = state.threads.iter().any(|thread| thread.stopped);
        // Whoever went on emitted, or was suppressed for an emission; see `early`.
        if !fresh && state.emitted + state.opened == 0 {
            return Err("nobody emitted".into());
        }
        let open = |slot: &Slot| matches!(slot.word.kind, Kind::Taken | Kind::Claimed);
        if !stopped && state.slots.iter().any(open) {
            return Err("a slot stays CLAIMED or TAKEN".into());
        }
        Ok(())
    }
}
