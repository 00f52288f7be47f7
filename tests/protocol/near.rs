//! Counts near the thread, against renewals, evictions, drains and relabelling.
//!
//! One fingerprint, F, in a table of two slots; how it gets into a slot is one step here
//! (see `claims`). Each thread has one near entry, which it gives to F or to another
//! message, G.

mod scenarios;
mod visit;

use crate::explore::{Label, Model, Next};

const SLOTS: usize = 2;
const THREADS: usize = 3;
/// An entry is fresh until its tick is as old as this.
const WINDOW: u8 = 2;

/// A state word and where it is. Its kind is LIVE of F, TAKEN, or anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Word {
    slot: u8,
    turn: u8,
    kind: Kind,
    tick: u8,
    noticed: bool,
    counted: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Kind {
    /// Room, for F.
    #[default]
    Other,
    Taken,
    Live,
}

/// A count word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Count {
    turn: u8,
    count: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Name {
    #[default]
    Nobody,
    F,
    G,
}

/// A thread's near entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Near {
    label: Name,
    /// A tick; 0 is void.
    mark: u8,
    /// The slot and the turn of the mark. Not in the engine: only checked.
    of: (u8, u8),
    count: u8,
    taken: u8,
}

/// The task of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    /// A call of F at this tick.
    Call(u8),
    /// A suppressed call of G that is counted near.
    Other,
    Evict,
    Drain,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum At {
    #[default]
    Start,
    /// The near entry's mark was fresh.
    Hit,
    Find,
    Notice,
    Count,
    CountInTable,
    TakeOwn,
    FindOwn,
    MoveOwn,
    Unlabel,
    Relabel,
    Mark,
    ReadAgain,
    Void,
    CountNear,
    /// Renewal, eviction: the CAS.
    Decide,
    /// Their look into the near tables, and a drain's.
    SeeLabel,
    SeeMark,
    VoidMark,
    SeeTaken,
    SeeLabelFirst,
    SeeCount,
    SeeLabelAgain,
    Take,
    TakeWord,
    Publish,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Thread {
    at: At,
    /// The number of its operations that are over.
    done: u8,
    /// The state of F that it acts upon.
    word: Word,
    /// The near table of a look, and what was read of its entry.
    table: u8,
    mark: u8,
    taken: u8,
    count: u8,
    /// The count that it took from its own entry.
    hand: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    words: [Word; SLOTS],
    counts: [Count; SLOTS],
    near: [Near; THREADS],
    threads: [Thread; THREADS],
    /// Suppressed calls and reported ones, of F and of G.
    suppressed: [u8; 2],
    reported: [u8; 2],
}

impl State {
    /// F's entry, if it is in the table.
    fn entry(&self) -> Option<Word> {
        self.words.iter().copied().find(|word| word.kind == Kind::Live)
    }

    fn report(&mut self, name: Name, count: u8) {
        self.reported[usize::from(name == Name::G)] += count;
    }

    fn suppress(&mut self, name: Name) {
        self.suppressed[usize::from(name == Name::G)] += 1;
    }

    /// Adds to a slot's count word, if it is still of that turn; otherwise to the orphans.
    fn add(&mut self, word: Word, count: u8) {
        let now = &mut self.counts[word.slot as usize];
        if now.turn == word.turn { now.count += count } else { self.report(Name::F, count) }
    }

    /// CASes a slot's state word from what was seen.
    fn exchange(&mut self, seen: Word, new: Word) -> bool {
        let now = &mut self.words[seen.slot as usize];
        let won = *now == seen;
        if won {
            *now = new;
        }
        won
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The owner does not read the slot's state again after it wrote the mark.
    NoReread,
    /// The winner voids marks before its CAS.
    VoidsFirst,
    NoVoid,
    /// A taker does not look at the label again.
    NoSecondLook,
    /// A taker stores what it took.
    TakesBlindly,
    /// A renewal clears COUNTED.
    ClearsCounted,
    /// A drain passes by near entries of an entry that is not COUNTED.
    DrainsCountedOnly,
}

#[derive(Clone, Copy, Debug)]
struct Counts {
    /// The slots, their count words and the near entries at the start.
    words: [Word; SLOTS],
    near: [Near; THREADS],
    scripts: &'static [&'static [Op]],
    fault: Fault,
}

impl Counts {
    fn access(&self, state: &mut State, thread: usize, op: Op) -> Label {
        let mut me = state.threads[thread];
        let own = state.near[thread];
        let (name, now) = match op {
            Op::Call(now) => (Name::F, now),
            _ => (Name::G, 0),
        };
        let label = match me.at {
            At::Start => match op {
                Op::Call(_) => {
                    let hit = own.label == Name::F
                        && own.mark != 0
                        && now.saturating_sub(own.mark) < WINDOW;
                    me.at = if hit { At::Hit } else { At::Find };
                    Label(
                        if hit { "finds F near, at {}" } else { "finds nothing near, at {}" },
                        now,
                    )
                }
                Op::Other => {
                    me.at = if own.label == Name::G { At::CountNear } else { At::TakeOwn };
                    Label("counts G near", 0)
                }
                Op::Evict | Op::Drain => self.begin(state, &mut me, op),
            },
            At::Find => return self.find(state, thread, now),
            At::Notice => {
                let noticed = Word { noticed: true, counted: true, ..me.word };
                let won = state.exchange(me.word, noticed);
                (me.at, me.word) =
                    if won { (At::Count, noticed) } else { (At::Find, Word::default()) };
                Label(if won { "notices: first" } else { "does not notice" }, 0)
            }
            At::Count => unreachable!("two outcomes"),
            At::CountInTable => {
                state.suppress(Name::F);
                state.add(me.word, 1);
                end(&mut me);
                Label("counts F in the table", 0)
            }
            At::TakeOwn => {
                me.hand = own.count - own.taken;
                state.near[thread].taken = own.count;
                let to_table = own.label == Name::F && me.hand != 0;
                me.at = if to_table { At::FindOwn } else { At::Unlabel };
                if !to_table {
                    state.report(own.label, std::mem::take(&mut me.hand));
                }
                Label("takes what its entry holds", 0)
            }
            At::FindOwn => {
                let found = state.entry().filter(|word| word.counted);
                me.at = At::MoveOwn;
                // F gives way to G here: the word is not needed for anything else.
                me.word = found.unwrap_or_default();
                Label("looks where to move it", 0)
            }
            At::MoveOwn => {
                let hand = std::mem::take(&mut me.hand);
                if me.word.kind == Kind::Live {
                    state.add(me.word, hand)
                } else {
                    state.report(Name::F, hand)
                }
                (me.at, me.word) = (At::Unlabel, Word::default());
                Label("moves it", 0)
            }
            At::Unlabel => {
                state.near[thread].label = Name::Nobody;
                me.at = At::Relabel;
                Label("takes the label off", 0)
            }
            At::Relabel => {
                state.near[thread].label = name;
                me.at = At::Mark;
                Label(if name == Name::F { "labels its entry F" } else { "labels its entry G" }, 0)
            }
            At::Mark => {
                (state.near[thread].mark, state.near[thread].of) =
                    (me.word.tick, (me.word.slot, me.word.turn));
                let checks = name == Name::F && self.fault != Fault::NoReread;
                me.at = if checks { At::ReadAgain } else { At::CountNear };
                Label("marks its entry {}", me.word.tick)
            }
            At::ReadAgain => {
                let now = state.words[me.word.slot as usize];
                let stands =
                    now.kind == Kind::Live && now.turn == me.word.turn && now.tick == me.word.tick;
                me.at = if stands { At::CountNear } else { At::Void };
                Label(if stands { "sees F as it was" } else { "sees F changed" }, 0)
            }
            At::Void => {
                state.near[thread].mark = 0;
                me.at = At::CountNear;
                Label("voids its mark", 0)
            }
            At::Hit | At::CountNear => {
                state.near[thread].count += 1;
                state.suppress(name);
                end(&mut me);
                Label(if name == Name::F { "counts F near" } else { "counts G near" }, 0)
            }
            _ => self.visit(state, &mut me, op),
        };
        state.threads[thread] = me;
        label
    }

    /// Looks for F in the table.
    fn find(&self, state: &mut State, thread: usize, now: u8) -> Label {
        let me = &mut state.threads[thread];
        let Some(word) = state.words.iter().copied().find(|word| word.kind == Kind::Live) else {
            let Some(room) = state.words.iter_mut().find(|word| word.kind == Kind::Other) else {
                end(me);
                return Label("fails open", 0);
            };
            let turn = room.turn + 1;
            *room =
                Word { turn, kind: Kind::Live, tick: now, noticed: false, counted: false, ..*room };
            state.counts[room.slot as usize] = Count { turn, count: 0 };
            end(me);
            return Label("enters F and emits, at {}", now);
        };
        let fresh = now.saturating_sub(word.tick) < WINDOW;
        me.word = word;
        if !fresh {
            (me.at, me.table) = (At::Decide, 0);
            if self.fault == Fault::VoidsFirst && word.counted {
                me.at = At::SeeLabel;
            }
        } else {
            me.at = if word.noticed { At::Count } else { At::Notice };
        }
        Label(if fresh { "finds F fresh, at {}" } else { "finds F expired, at {}" }, now)
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
        let counts = self.words.map(|word| Count { turn: word.turn, count: 0 });
        let suppressed = self.near.iter().map(|near| near.count).sum();
        let threads = [Thread::default(); THREADS];
        State {
            words: self.words,
            counts,
            near: self.near,
            threads,
            suppressed: [suppressed, 0],
            reported: [0; 2],
        }
    }

    fn ended(&self, state: &State, thread: usize) -> bool {
        state.threads[thread].done as usize == self.scripts[thread].len()
    }

    fn step(&self, state: &State, thread: usize, next: &mut Next<State>) {
        let me = &state.threads[thread];
        if me.at == At::Count {
            // Either way may be admitted.
            let own = state.near[thread].label == Name::F;
            for at in [At::CountInTable, if own { At::Mark } else { At::TakeOwn }] {
                let mut to = state.clone();
                to.threads[thread].at = at;
                let mut label =
                    self.access(&mut to, thread, self.scripts[thread][me.done as usize]);
                label.1 = 0;
                next.push((to, label));
            }
            return;
        }
        let mut to = state.clone();
        let label = self.access(&mut to, thread, self.scripts[thread][me.done as usize]);
        next.push((to, label));
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let reported_too_much = (0..2).any(|n| state.reported[n] > state.suppressed[n]);
        if reported_too_much { Err("reported more than was suppressed".into()) } else { Ok(()) }
    }

    fn check_end(&self, state: &State) -> Result<(), String> {
        let entry = state.entry();
        for near in state.near.iter().filter(|near| near.label == Name::F && near.mark != 0) {
            let of_it = |word: &Word| (word.slot, word.turn) == near.of && word.tick == near.mark;
            match entry.filter(of_it) {
                None => return Err("a near mark outlives its entry".into()),
                Some(word) if !word.noticed => return Err("a near mark hides who is first".into()),
                Some(_) => {}
            }
        }
        // What a drain would find now.
        let mut left = state.reported;
        if let Some(word) = entry.filter(|word| word.counted) {
            left[0] += state.counts[word.slot as usize].count;
        }
        let passed_by =
            self.fault == Fault::DrainsCountedOnly && entry.is_some_and(|word| !word.counted);
        for near in state.near {
            match near.label {
                Name::F if passed_by => {}
                Name::F => left[0] += near.count - near.taken,
                _ => left[1] += near.count - near.taken,
            }
        }
        if left != state.suppressed {
            return Err(format!(
                "counts are lost: of F and G {:?} were suppressed, {left:?} reported",
                state.suppressed
            ));
        }
        Ok(())
    }
}
