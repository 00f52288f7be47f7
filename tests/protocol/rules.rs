//! The rule word: rules that count, against renewal, eviction and return.
//!
//! One slot and one message. The state word decides windows; the rule word decides inside a
//! window and is stale once the turn or the tick is another. Each decision is compared with
//! the specification's, at the access that makes it.

mod scenarios;

use crate::explore::{Label, Model, Next};

const THREADS: usize = 3;
const WINDOWS: usize = 8;
/// An entry is fresh until its tick is as old as this.
const LENGTH: u8 = 2;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Kind {
    #[default]
    Other,
    Taken,
    Live,
}

/// The state word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Word {
    kind: Kind,
    turn: u8,
    tick: u8,
    noticed: bool,
}

/// The rule word. `noticed` is only used by a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct RuleWord {
    turn: u8,
    tick: u8,
    aux: u8,
    noticed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Once,
    /// The first so many of a window.
    First(u8),
    /// The first so many, and every n-th of those after them.
    FirstThenEvery(u8, u8),
}

impl Rule {
    /// Decides a call inside a window: whether it is emitted, and the next `aux`.
    fn decide(self, aux: u8) -> (bool, u8) {
        let (n, every) = match self {
            Rule::Once => return (false, aux),
            Rule::First(n) => (n, 0),
            Rule::FirstThenEvery(n, every) => (n, every),
        };
        if aux + 1 < n {
            return (true, aux + 1);
        }
        if every == 0 {
            return (false, aux);
        }
        let nth = (aux + 1 - n) % every + 1;
        if nth == every { (true, n - 1) } else { (false, n - 1 + nth) }
    }
}

/// The task of a thread.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// A call under this rule, at this tick.
    Call(Rule, u8),
    Evict,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum At {
    #[default]
    Start,
    ReadRule,
    ReadAgain,
    /// The CAS of the state: a renewal, or the mark of the first that is suppressed.
    Renew,
    Notice,
    /// The CAS of the rule word.
    Write,
    /// Suppressed by the rule word: the mark into the state, while the window is the same.
    Mark,
    /// In TAKEN.
    Reset,
    Publish,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Thread {
    at: At,
    done: u8,
    word: Word,
    rule: RuleWord,
}

/// The state that the specification has of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Window {
    turn: u8,
    tick: u8,
    aux: u8,
    suppressed: u8,
    told: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    word: Word,
    rule: RuleWord,
    threads: [Thread; THREADS],
    windows: [Window; WINDOWS],
    wrong: Option<&'static str>,
}

impl State {
    fn window(&mut self, word: Word) -> &mut Window {
        let same = |window: &&mut Window| (window.turn, window.tick) == (word.turn, word.tick);
        self.windows.iter_mut().find(same).expect("a window that was opened")
    }

    /// Opens the window of an emission.
    fn open(&mut self, word: Word) {
        let free = self.windows.iter_mut().find(|window| window.turn == 0).expect("enough windows");
        *free = Window { turn: word.turn, tick: word.tick, ..Window::default() };
    }

    /// Compares a decision inside a window with the specification's.
    fn decide(&mut self, word: Word, rule: Rule, emit: bool) {
        let window = self.window(word);
        let (should, aux) = rule.decide(window.aux);
        window.aux = aux;
        window.suppressed += u8::from(!emit);
        if emit && !should {
            self.wrong = Some("emitted more than the rule allows");
        } else if !emit && should {
            self.wrong = Some("suppressed what the rule allows");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Does not read the state again after the rule word.
    NoSecondRead,
    /// The rule word's turn is not compared.
    NoTurn,
    /// The rule word's tick is not compared.
    NoTick,
    /// The one that sets NOTICED in the rule word is first, whatever happens to the state.
    FirstByRuleWord,
    /// Writes the rule word by a store.
    WritesBlindly,
    /// Marks the state of another window.
    MarksAnyWindow,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    scripts: &'static [&'static [Op]],
    /// True if TAKEN's owner resets the rule word: not before the array exists.
    resets: bool,
    fault: Fault,
}

impl Rules {
    /// Reads what the rule word says of the state's window.
    fn effective(&self, word: Word, rule: RuleWord) -> (u8, bool) {
        let turn = rule.turn == word.turn || self.fault == Fault::NoTurn;
        let tick = rule.tick == word.tick || self.fault == Fault::NoTick;
        let by_rule = rule.noticed && turn && tick && self.fault == Fault::FirstByRuleWord;
        (if turn && tick { rule.aux } else { 0 }, word.noticed || by_rule)
    }

    fn written(&self, word: Word, aux: u8, noticed: bool) -> RuleWord {
        let turn = if self.fault == Fault::NoTurn { 0 } else { word.turn };
        let tick = if self.fault == Fault::NoTick { 0 } else { word.tick };
        RuleWord { turn, tick, aux, noticed: noticed && self.fault == Fault::FirstByRuleWord }
    }

    /// Decides inside a window, at the second read of the state if nothing is to be
    /// written.
    fn inside(&self, state: &mut State, me: &mut Thread, rule: Rule) {
        let (aux, noticed) = self.effective(me.word, me.rule);
        let (emit, new) = rule.decide(aux);
        if emit || new != aux || (!noticed && self.fault == Fault::FirstByRuleWord) {
            me.at = At::Write;
        } else if noticed {
            state.decide(me.word, rule, false);
            end(me);
        } else {
            me.at = At::Notice;
        }
    }

    fn call(&self, state: &mut State, thread: usize, rule: Rule, now: u8) -> Label {
        let mut me = state.threads[thread];
        let (word, stands) = (me.word, state.word == me.word);
        let label = match me.at {
            At::Start => match state.word.kind {
                Kind::Taken => {
                    end(&mut me);
                    Label("fails open", 0)
                }
                Kind::Other => {
                    state.word =
                        Word { kind: Kind::Taken, turn: state.word.turn + 1, ..Word::default() };
                    me.at = At::Reset;
                    Label("takes the slot", 0)
                }
                Kind::Live => {
                    me.word = state.word;
                    let over = now.saturating_sub(me.word.tick) >= LENGTH;
                    match rule {
                        _ if over => me.at = At::Renew,
                        Rule::Once if me.word.noticed => {
                            state.decide(me.word, rule, false);
                            end(&mut me);
                        }
                        Rule::Once => me.at = At::Notice,
                        _ => me.at = At::ReadRule,
                    }
                    Label("reads the state, at {}", now)
                }
            },
            At::ReadRule => {
                me.rule = state.rule;
                me.at = At::ReadAgain;
                if self.fault == Fault::NoSecondRead {
                    self.inside(state, &mut me, rule);
                }
                Label("reads the rule word, with {}", state.rule.aux)
            }
            At::ReadAgain => {
                if stands {
                    self.inside(state, &mut me, rule)
                } else {
                    over(&mut me)
                }
                Label(if stands { "reads the state again" } else { "reads another state" }, 0)
            }
            At::Renew if stands => {
                state.word = Word { tick: now, noticed: false, ..word };
                state.open(state.word);
                end(&mut me);
                Label("renews and emits, at {}", now)
            }
            At::Notice if stands => {
                state.word.noticed = true;
                state.decide(word, rule, false);
                state.window(word).told += 1;
                end(&mut me);
                Label("notices: first", 0)
            }
            At::Renew | At::Notice => {
                over(&mut me);
                Label("does not win the state", 0)
            }
            At::Write if state.rule == me.rule || self.fault == Fault::WritesBlindly => {
                let (aux, noticed) = self.effective(word, me.rule);
                let (emit, new) = rule.decide(aux);
                state.rule = self.written(word, new, noticed || !emit);
                state.decide(word, rule, emit);
                if !emit && !noticed && self.fault == Fault::FirstByRuleWord {
                    state.window(word).told += 1;
                }
                if emit || word.noticed {
                    end(&mut me)
                } else {
                    me.at = At::Mark
                }
                Label(if emit { "writes {} and emits" } else { "writes {}, suppressed" }, new)
            }
            At::Write => {
                over(&mut me);
                Label("does not write the rule word", 0)
            }
            At::Mark => {
                let now = &mut state.word;
                let same = (now.kind, now.turn, now.tick) == (Kind::Live, word.turn, word.tick);
                let marks = (same || self.fault == Fault::MarksAnyWindow && now.kind == Kind::Live)
                    && !now.noticed;
                now.noticed |= marks;
                if marks && self.fault != Fault::FirstByRuleWord {
                    state.window(word).told += 1;
                }
                end(&mut me);
                Label(if marks { "marks the state: first" } else { "has nothing to mark" }, 0)
            }
            At::Reset => {
                self.reset(state);
                me.at = At::Publish;
                Label("resets the rule word", 0)
            }
            At::Publish => {
                state.word = Word { kind: Kind::Live, tick: now, ..state.word };
                state.open(state.word);
                end(&mut me);
                Label("enters and emits, at {}", now)
            }
        };
        state.threads[thread] = me;
        label
    }

    fn evict(&self, state: &mut State, thread: usize) -> Label {
        let me = &mut state.threads[thread];
        match me.at {
            At::Start if state.word.kind == Kind::Live => {
                state.word =
                    Word { kind: Kind::Taken, turn: state.word.turn + 1, ..Word::default() };
                me.at = At::Reset;
                Label("evicts", 0)
            }
            At::Reset => {
                me.at = At::Publish;
                self.reset(state);
                Label("resets the rule word", 0)
            }
            At::Publish => {
                state.word.kind = Kind::Other;
                end(me);
                Label("enters another", 0)
            }
            _ => {
                end(me);
                Label("finds nothing to evict", 0)
            }
        }
    }

    fn reset(&self, state: &mut State) {
        if self.resets {
            state.rule = self.written(state.word, 0, false);
        }
    }
}

/// Starts the call over.
fn over(me: &mut Thread) {
    *me = Thread { done: me.done, ..Thread::default() };
}

/// Ends the operation.
fn end(me: &mut Thread) {
    *me = Thread { done: me.done + 1, ..Thread::default() };
}

impl Model for Rules {
    type State = State;

    fn threads(&self) -> usize {
        self.scripts.len()
    }

    fn initial(&self) -> State {
        let word = Word { kind: Kind::Live, turn: 1, tick: 1, noticed: false };
        let rule = if self.resets {
            self.written(Word { tick: 0, ..word }, 0, false)
        } else {
            RuleWord::default()
        };
        let threads = [Thread::default(); THREADS];
        let mut state =
            State { word, rule, threads, windows: [Window::default(); WINDOWS], wrong: None };
        state.open(word);
        state
    }

    fn ended(&self, state: &State, thread: usize) -> bool {
        state.threads[thread].done as usize == self.scripts[thread].len()
    }

    fn step(&self, state: &State, thread: usize, next: &mut Next<State>) {
        let mut to = state.clone();
        let label = match self.scripts[thread][state.threads[thread].done as usize] {
            Op::Call(rule, now) => self.call(&mut to, thread, rule, now),
            Op::Evict => self.evict(&mut to, thread),
        };
        next.push((to, label));
    }

    fn check(&self, state: &State) -> Result<(), String> {
        if let Some(wrong) = state.wrong {
            return Err(wrong.into());
        }
        if state.windows.iter().any(|window| window.told > 1) {
            return Err("first was told twice in a window".into());
        }
        Ok(())
    }

    fn check_end(&self, state: &State) -> Result<(), String> {
        // A window that ended between a call's rule word and its mark may have had no
        // first.
        let last =
            |window: &&Window| (window.turn, window.tick) == (state.word.turn, state.word.tick);
        let window = state.windows.iter().find(last).filter(|_| state.word.kind == Kind::Live);
        match window {
            Some(window) if window.suppressed != 0 && window.told == 0 => {
                Err("first was never told".into())
            }
            _ => Ok(()),
        }
    }
}
