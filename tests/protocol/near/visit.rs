//! Renews, evicts and drains: the CAS of the state, then the look into each near table.

use super::{At, Count, Counts, Fault, Kind, Name, Op, State, Thread, WINDOW, Word, end};
use crate::explore::Label;

impl Counts {
    /// Begins an eviction or a drain with F's state.
    pub(super) fn begin(&self, state: &State, me: &mut Thread, op: Op) -> Label {
        let entry = state.entry();
        me.word = entry.unwrap_or_default();
        let counted_only = self.fault == Fault::DrainsCountedOnly;
        me.at = match (op, entry) {
            (Op::Evict, Some(word)) if self.fault == Fault::VoidsFirst && word.counted => {
                At::SeeLabel
            }
            (Op::Evict, Some(_)) => At::Decide,
            (Op::Drain, Some(word)) if word.counted => At::TakeWord,
            (Op::Drain, Some(_)) if !counted_only => At::SeeLabel,
            (Op::Drain, None) => At::SeeLabel,
            _ => {
                end(me);
                return Label("has nothing to do", 0);
            }
        };
        Label(if op == Op::Evict { "chooses F to go" } else { "drains" }, 0)
    }

    /// Does the next access of a winner or a drain.
    pub(super) fn visit(&self, state: &mut State, me: &mut Thread, op: Op) -> Label {
        let near = state.near[(me.table as usize).min(state.near.len() - 1)];
        let table = me.table;
        match me.at {
            At::Decide => self.decide(state, me, op),
            At::SeeLabel => {
                let voids = op != Op::Drain && self.fault != Fault::NoVoid;
                let next = if voids { At::SeeMark } else { At::SeeTaken };
                self.unless(near.label != Name::F, me, next, op);
                Label("sees the label in table {}", table)
            }
            At::SeeMark => {
                me.mark = near.mark;
                // A renewal: older than the new tick; an eviction: not newer than the
                // victim's.
                let newest = if let Op::Call(now) = op { now - 1 } else { me.word.tick };
                me.at =
                    if near.mark != 0 && near.mark <= newest { At::VoidMark } else { At::SeeTaken };
                if me.at == At::SeeTaken {
                    me.mark = 0;
                }
                Label("sees the mark in table {}", table)
            }
            At::VoidMark => {
                let mark = &mut state.near[table as usize].mark;
                if *mark == me.mark {
                    *mark = 0;
                }
                (me.mark, me.at) = (0, At::SeeTaken);
                Label("voids the mark in table {}", table)
            }
            At::SeeTaken => {
                (me.taken, me.at) = (near.taken, At::SeeLabelFirst);
                Label("sees what was taken in table {}", table)
            }
            At::SeeLabelFirst => {
                self.unless(near.label != Name::F, me, At::SeeCount, op);
                Label("sees the label in table {} once more", table)
            }
            At::SeeCount => {
                me.count = near.count;
                let next =
                    if self.fault == Fault::NoSecondLook { At::Take } else { At::SeeLabelAgain };
                self.unless(near.count == me.taken, me, next, op);
                Label("sees the count in table {}", table)
            }
            At::SeeLabelAgain => {
                self.unless(near.label != Name::F, me, At::Take, op);
                Label("sees the label in table {} again", table)
            }
            At::Take => {
                let won = near.taken == me.taken || self.fault == Fault::TakesBlindly;
                if won {
                    state.near[table as usize].taken = me.count;
                    state.report(Name::F, me.count - me.taken);
                    self.next_table(me, op);
                } else {
                    (me.taken, me.count, me.at) = (0, 0, At::SeeTaken);
                }
                Label(
                    if won { "takes from table {}" } else { "does not take from table {}" },
                    table,
                )
            }
            At::TakeWord => {
                let word = me.word;
                let evicts = op == Op::Evict;
                let now = state.counts[word.slot as usize];
                // Of an evictor: what was counted before it writes the new turn is taken.
                if now.turn == word.turn {
                    let turn = word.turn + u8::from(evicts);
                    state.counts[word.slot as usize] = Count { turn, count: 0 };
                    state.report(Name::F, if evicts && !word.counted { 0 } else { now.count });
                }
                match op {
                    Op::Evict => me.at = At::Publish,
                    Op::Drain => me.at = At::SeeLabel,
                    _ => end(me),
                }
                Label("takes the count word", 0)
            }
            At::Publish => {
                state.words[me.word.slot as usize].kind = Kind::Other;
                end(me);
                Label("enters another", 0)
            }
            _ => unreachable!("not of a look"),
        }
    }

    /// CASes the state word: a renewal or an eviction.
    fn decide(&self, state: &mut State, me: &mut Thread, op: Op) -> Label {
        let word = me.word;
        let (new, text) = match op {
            Op::Call(now) => {
                debug_assert!(now - word.tick >= WINDOW, "expired");
                let counted = word.counted && self.fault != Fault::ClearsCounted;
                (Word { tick: now, noticed: false, counted, ..word }, "renews F and emits, was {}")
            }
            _ => (
                Word { slot: word.slot, turn: word.turn + 1, kind: Kind::Taken, ..Word::default() },
                "evicts F, was {}",
            ),
        };
        if !state.exchange(word, new) {
            *me = Thread {
                done: me.done,
                at: if op == Op::Evict { At::Start } else { At::Find },
                ..Thread::default()
            };
            return Label("does not win F, was {}", word.tick);
        }
        let visited = self.fault == Fault::VoidsFirst && word.counted;
        match op {
            _ if word.counted && !visited => (me.at, me.table) = (At::SeeLabel, 0),
            Op::Evict => me.at = At::TakeWord,
            _ if visited => me.at = At::TakeWord,
            _ => end(me),
        }
        Label(text, word.tick)
    }

    /// Goes on to the next table under this condition, otherwise to this step.
    fn unless(&self, passes: bool, me: &mut Thread, at: At, op: Op) {
        if passes { self.next_table(me, op) } else { me.at = at }
    }

    fn next_table(&self, me: &mut Thread, op: Op) {
        *me = Thread {
            done: me.done,
            word: me.word,
            table: me.table + 1,
            at: At::SeeLabel,
            ..Thread::default()
        };
        if (me.table as usize) < self.scripts.len() {
            return;
        }
        me.table = 0;
        match op {
            Op::Drain => end(me),
            _ if self.fault == Fault::VoidsFirst => me.at = At::Decide,
            _ => me.at = At::TakeWord,
        }
    }
}
