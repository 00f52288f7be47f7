//! Looks for claims, kills all but one of them, and decides that one.

use super::{At, Claims, F, Fault, Kind, Print, SLOTS, State, Thread, Word, again, end, look};
use crate::explore::Label;

impl Claims {
    /// Does the next access of a call that knows a claim.
    pub(super) fn finish(&self, state: &mut State, me: &mut Thread, print: Print) -> Label {
        let number = me.slot as usize;
        let slot = state.slots[number.min(SLOTS - 1)];
        let same = |word: Word| slot.word == word;
        match me.at {
            At::LookState => {
                me.word = slot.word;
                let may = self.agrees(slot.word, slot.word.turn, print);
                if may {
                    me.at = At::LookKey
                } else {
                    self.note(me, None)
                }
                Label(
                    if may { "looks at the state of slot {}" } else { "looks past slot {}" },
                    number as u8,
                )
            }
            At::LookKey => {
                let agrees = slot.key == print.key && self.agrees(me.word, slot.key_turn, print);
                if agrees {
                    me.at = At::LookRest
                } else {
                    self.note(me, None)
                }
                Label(
                    if agrees {
                        "looks at the key of slot {}"
                    } else {
                        "sees another key in slot {}"
                    },
                    number as u8,
                )
            }
            At::LookRest => {
                let agrees = slot.rest == print.rest;
                if agrees {
                    me.at = At::LookStateAgain
                } else {
                    self.note(me, None)
                }
                Label(
                    if agrees {
                        "looks at the rest of slot {}"
                    } else {
                        "sees another rest in slot {}"
                    },
                    number as u8,
                )
            }
            At::LookStateAgain if same(me.word) => {
                let word = me.word;
                self.note(me, Some(word));
                Label(
                    if word.kind == Kind::Live {
                        "sees LIVE in slot {}"
                    } else {
                        "sees CLAIMED in slot {}"
                    },
                    number as u8,
                )
            }
            At::LookStateAgain => {
                me.at = At::LookState;
                me.word = Word::default();
                if self.fault == Fault::PassesByChanged {
                    self.note(me, None);
                }
                Label("sees the state of slot {} changed", number as u8)
            }
            At::Kill => self.kill(state, me),
            At::Decide => {
                let (number, word) = me.known;
                let slot = &mut state.slots[number as usize];
                let won = slot.word == word;
                if won {
                    slot.word = Word { kind: Kind::Live, identity: 0, fresh: true, ..word };
                    state.emitted += u8::from(print == F);
                    end(me);
                } else {
                    look(me);
                }
                Label(
                    if won { "decides slot {} and emits" } else { "does not decide slot {}" },
                    number,
                )
            }
            _ => unreachable!("of find"),
        }
    }

    /// The claim that must go, of those seen: for a LIVE entry each, else all but the
    /// lowest.
    fn condemned(&self, seen: &[Word; SLOTS]) -> Option<usize> {
        let live = seen.iter().any(|word| word.kind == Kind::Live);
        let mut claims = (0..SLOTS).filter(|&slot| seen[slot].kind == Kind::Claimed);
        if !live {
            claims.next();
        }
        claims.next().filter(|_| self.fault != Fault::NoKill)
    }

    /// Notes a slot of the look, if it is of this fingerprint, and goes on to the next.
    fn note(&self, me: &mut Thread, found: Option<Word>) {
        if let Some(word) = found {
            me.seen[me.slot as usize] = word;
        }
        me.slot += 1;
        self.go_on(me);
    }

    /// Goes on with the look, or concludes from it.
    fn go_on(&self, me: &mut Thread) {
        let over = me.slot as usize == self.start.len();
        (me.word, me.key_turn) = (Word::default(), 0);
        if (over || self.at_once) && self.condemned(&me.seen).is_some() {
            me.at = At::Kill;
        } else if !over {
            me.at = At::LookState;
        } else if me.seen.iter().any(|word| word.kind == Kind::Live) {
            again(me);
        } else if let Some(lowest) = me.seen.iter().position(|word| word.kind == Kind::Claimed) {
            let claim = (lowest as u8, me.seen[lowest]);
            let known = claim == me.known || self.fault == Fault::DecidesUnknown;
            me.known = claim;
            look(me);
            if known {
                me.at = At::Decide;
            }
        } else {
            again(me);
        }
    }

    fn kill(&self, state: &mut State, me: &mut Thread) -> Label {
        let number = self.condemned(&me.seen).expect("a claim that must go");
        let (word, now) = (me.seen[number], &mut state.slots[number].word);
        let live =
            self.fault == Fault::KillsLive && now.kind == Kind::Live && now.turn == word.turn;
        let killed = *now == word || live;
        if killed {
            *now = Word { turn: word.turn, ..Word::default() };
            me.seen[number] = Word::default();
            self.go_on(me);
        } else {
            look(me);
        }
        Label(if killed { "kills slot {}" } else { "does not kill slot {}" }, number as u8)
    }
}
