//! Looks for an entry, renews it, or takes a slot and publishes a claim.

use super::Start::Fresh;
use super::{
    At, Claims, F, Fault, Kind, Print, Role, SLOTS, State, TURNS, Thread, Word, again, end, look,
};
use crate::explore::{Label, Next};

impl Claims {
    /// Does the next access of a call that has no claim yet.
    pub(super) fn find(&self, state: &mut State, me: &mut Thread, print: Print) -> Label {
        let number = me.slot as usize;
        let slot = state.slots[number.min(SLOTS - 1)];
        let same = |word: Word| slot.word == word;
        match me.at {
            At::FindKey if number == self.start.len() => {
                (me.at, me.slot) = (At::Take, 0);
                Label("finds none", 0)
            }
            At::FindKey if slot.key != print.key => {
                me.slot += 1;
                Label("finds another key in slot {}", me.slot - 1)
            }
            At::FindKey => {
                (me.key_turn, me.at) = (slot.key_turn, At::FindState);
                Label("finds the key in slot {}", me.slot)
            }
            At::FindState => {
                let agrees = self.agrees(slot.word, me.key_turn, print);
                me.word = slot.word;
                if agrees {
                    me.at = At::FindRest
                } else {
                    pass(me)
                }
                Label(
                    if agrees {
                        "finds its state in slot {}"
                    } else {
                        "finds no such state in slot {}"
                    },
                    number as u8,
                )
            }
            At::FindRest if slot.rest != print.rest => {
                pass(me);
                Label("finds another rest in slot {}", number as u8)
            }
            At::FindRest => {
                me.at = At::FindKeyAgain;
                if self.fault == Fault::NoKeyAgain {
                    self.found(state, me, print);
                }
                Label("finds the rest in slot {}", number as u8)
            }
            At::FindKeyAgain => {
                let equal = slot.key == print.key
                    && (slot.key_turn == me.key_turn || self.fault == Fault::IgnoresTurn);
                if equal {
                    self.found(state, me, print)
                } else {
                    pass(me)
                }
                Label(
                    if equal {
                        "finds the entry in slot {}"
                    } else {
                        "finds the key gone from slot {}"
                    },
                    number as u8,
                )
            }
            At::Renew => {
                let won = same(me.word) || self.fault == Fault::RenewsBlindly;
                if won {
                    state.slots[number].word = Word { fresh: true, ..me.word };
                    state.emitted += u8::from(print == F);
                    end(me);
                } else {
                    again(me);
                }
                Label(
                    if won { "renews slot {} and emits" } else { "does not renew slot {}" },
                    number as u8,
                )
            }
            At::Take => unreachable!("several outcomes"),
            At::WriteKey => {
                (state.slots[number].key, state.slots[number].key_turn) = (print.key, me.key_turn);
                me.at = At::WriteRest;
                Label("writes the key of slot {}", me.slot)
            }
            At::WriteRest => {
                state.slots[number].rest = print.rest;
                me.at = At::Publish;
                Label("writes the rest of slot {}", me.slot)
            }
            At::Publish => {
                let word = Word {
                    kind: Kind::Claimed,
                    turn: me.key_turn,
                    identity: print.rest,
                    fresh: false,
                };
                state.slots[number].word = word;
                me.known = (me.slot, word);
                look(me);
                if self.fault == Fault::NoLookAfterPublishing {
                    me.at = At::Decide;
                }
                Label("publishes slot {}", number as u8)
            }
            _ => unreachable!("of finish"),
        }
    }

    /// Concludes from a slot where the entry was found.
    fn found(&self, state: &mut State, me: &mut Thread, print: Print) {
        match me.word.kind {
            Kind::Live if me.word.fresh => {
                let known = state.emitted != 0 || self.start.contains(&Fresh(F));
                state.early |= print == F && !known;
                end(me);
            }
            Kind::Live => me.at = At::Renew,
            _ => {
                me.known = (me.slot, me.word);
                look(me);
            }
        }
    }
    /// Takes a slot: each that might be chosen.
    pub(super) fn take(&self, state: &State, thread: usize, next: &mut Next<State>) {
        let Role { print, evicts, .. } = self.roles[thread];
        let slots = &state.slots[..self.start.len()];
        let full = slots.iter().all(|slot| slot.word.kind != Kind::Free);
        let before = next.len();
        for (number, slot) in slots.iter().enumerate() {
            let victim = slot.word.kind == Kind::Live && (evicts || full);
            if slot.word.kind != Kind::Free && !victim {
                continue;
            }
            let (mut to, mut me, at) = (state.clone(), state.threads[thread], number as u8);
            let label = if victim && slot.is_live(print) {
                again(&mut me);
                Label("finds itself as the victim in slot {}", at)
            } else {
                to.forgotten += u8::from(slot.is_live(F) && slot.word.fresh);
                let turn = (slot.word.turn + 1) % TURNS;
                to.slots[number].word = Word { kind: Kind::Taken, turn, ..Word::default() };
                (me.at, me.slot, me.key_turn) = (At::WriteKey, at, turn);
                if victim { Label("evicts from slot {}", at) } else { Label("takes slot {}", at) }
            };
            to.threads[thread] = me;
            next.push((to, label));
        }
        if next.len() == before {
            let mut to = state.clone();
            to.opened += u8::from(print == F);
            end(&mut to.threads[thread]);
            next.push((to, Label("fails open", 0)));
        }
    }
}

/// Passes by a slot of the first look.
fn pass(me: &mut Thread) {
    (me.at, me.slot, me.key_turn, me.word) = (At::FindKey, me.slot + 1, 0, Word::default());
}
