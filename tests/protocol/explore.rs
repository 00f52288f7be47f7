//! Explores every state that the threads of a model can reach, in every order of their
//! steps, breadth first, sequentially consistent.
//!
//! A thread may stand still forever at any step: no state is left out because a thread
//! was not scheduled. That the others complete follows from two findings. No thread ever
//! waits: each has a step until it has ended. And no run goes round in a circle: then every
//! run is finite, whoever takes part in it.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The description of a step: a text, and the number that stands for its `{}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label(pub(crate) &'static str, pub(crate) u8);

/// The states that a step may lead to, and what it does.
pub(crate) type Next<S> = Vec<(S, Label)>;

/// A protocol: a few threads, what they share, and what must hold.
pub(crate) trait Model {
    /// The shared memory, and the position of each thread.
    type State: Clone + Eq + Hash;
    /// Says how many threads there are.
    fn threads(&self) -> usize;
    /// Gives the state from which they start.
    fn initial(&self) -> Self::State;
    /// Adds each state to which one step of the thread may lead: one access to what is
    /// shared.
    fn step(&self, state: &Self::State, thread: usize, next: &mut Next<Self::State>);
    /// Says whether the thread has nothing more to do.
    fn ended(&self, state: &Self::State, thread: usize) -> bool;
    /// Checks what holds at any moment.
    fn check(&self, state: &Self::State) -> Result<(), String>;
    /// Checks what holds once all threads have ended.
    fn check_end(&self, state: &Self::State) -> Result<(), String>;
}

/// Says whether the large scenarios run, too.
pub(crate) fn full() -> bool {
    std::env::var("QUELL_CHECKER").is_ok_and(|value| value == "full")
}

/// Fails unless the model holds in every state. A limit that is reached is a failure.
pub(crate) fn holds<M: Model>(name: &str, model: &M) {
    match Search::new(model).run() {
        Ok((states, ends)) => println!("holds {name}: {states} states, {ends} ends"),
        Err(Broken { message, trace, states }) => {
            panic!("{name}: {message}, after {states} states\n{}", listed(&trace));
        }
    }
}

/// Fails unless the model with this fault is found broken, with the message expected.
pub(crate) fn caught<M: Model>(name: &str, fault: impl std::fmt::Debug, model: &M, expected: &str) {
    match Search::new(model).run() {
        Ok((states, _)) => panic!("{name}, {fault:?}: not caught in {states} states"),
        Err(Broken { message, trace, states }) => {
            let found = format!("{message}, after {states} states\n{}", listed(&trace));
            assert!(
                message.contains(expected),
                "{name}, {fault:?}: expected {expected:?}, but: {found}"
            );
            println!(
                "caught {name}, {fault:?}: after {states} states, trace length {}",
                trace.len()
            );
            if std::env::var_os("QUELL_TRACES").is_some() {
                println!("{found}");
            }
        }
    }
}

struct Broken {
    message: String,
    trace: Vec<String>,
    states: usize,
}

fn listed(trace: &[String]) -> String {
    trace.iter().map(|line| format!("  {line}\n")).collect()
}

/// The states seen, by their hashes; each has its number in the order in which it was
/// found.
struct Search<'m, M: Model> {
    model: &'m M,
    limit: usize,
    numbers: HashMap<u64, u32, BuildHasherDefault<Mixed>>,
    hashes: Vec<u64>,
    /// The state from which each was found first.
    parents: Vec<u32>,
    /// The targets of the steps of each state: `edges[bounds[n]..bounds[n + 1]]`.
    edges: Vec<u32>,
    bounds: Vec<u32>,
}

impl<'m, M: Model> Search<'m, M> {
    fn new(model: &'m M) -> Self {
        let limit = if full() { 200_000_000 } else { 4_000_000 };
        let (numbers, hashes, parents) = (HashMap::default(), Vec::new(), Vec::new());
        Self { model, limit, numbers, hashes, parents, edges: Vec::new(), bounds: vec![0] }
    }

    /// Gives how many states there are, and in how many of them all threads have ended.
    fn run(mut self) -> Result<(usize, usize), Broken> {
        let model = self.model;
        let mut queue = VecDeque::from([model.initial()]);
        self.number(&model.initial(), 0);
        let (mut current, mut ends) = (0, 0);
        let mut next = Vec::new();
        while let Some(state) = queue.pop_front() {
            let mut found = model.check(&state);
            let mut running = false;
            for thread in 0..model.threads() {
                if model.ended(&state, thread) {
                    continue;
                }
                running = true;
                let before = next.len();
                model.step(&state, thread, &mut next);
                if next.len() == before {
                    found = found.and(Err(format!("T{thread} waits for another")));
                }
            }
            if !running {
                ends += 1;
                found = found.and_then(|()| model.check_end(&state));
            }
            if let Err(message) = found {
                return Err(self.broken(message, self.path_to(current)));
            }
            for (state, _) in next.drain(..) {
                let (number, new) = self.number(&state, current);
                self.edges.push(number);
                if new {
                    queue.push_back(state);
                }
            }
            self.bounds.push(u32::try_from(self.edges.len()).expect("fewer edges than 2^32"));
            current += 1;
            if self.hashes.len() > self.limit {
                let message = format!("gave up at the limit of {} states", self.limit);
                return Err(self.broken(message, Vec::new()));
            }
        }
        match self.circle() {
            Some((start, circle)) => {
                let mut path = self.path_to(start);
                path.extend(circle);
                Err(self.broken("a circle in which nobody completes".into(), path))
            }
            None => Ok((self.hashes.len(), ends)),
        }
    }

    /// Finds a state's number, or gives it one.
    ///
    /// Two states with one hash of 64 bits would pass for one: with ten million states that
    /// happens once in some 400,000 searches.
    fn number(&mut self, state: &M::State, parent: u32) -> (u32, bool) {
        let hash = hash_of(state);
        let new = u32::try_from(self.hashes.len()).expect("fewer states than 2^32");
        let number = *self.numbers.entry(hash).or_insert(new);
        if number == new {
            self.hashes.push(hash);
            self.parents.push(parent);
        }
        (number, number == new)
    }

    fn path_to(&self, number: u32) -> Vec<u32> {
        let mut path = vec![number];
        while let Some(&last) = path.last().filter(|&&last| last != 0) {
            path.push(self.parents[last as usize]);
        }
        path.reverse();
        path
    }

    /// Finds a circle: a walk in depth that comes back to a state on its way.
    fn circle(&self) -> Option<(u32, Vec<u32>)> {
        const NEW: u8 = 0;
        const OPEN: u8 = 1;
        const CLOSED: u8 = 2;
        let mut marks = vec![NEW; self.hashes.len()];
        let mut way = vec![(0u32, self.bounds[0])];
        marks[0] = OPEN;
        while let Some((number, edge)) = way.last_mut() {
            if *edge == self.bounds[*number as usize + 1] {
                marks[*number as usize] = CLOSED;
                way.pop();
                continue;
            }
            let to = self.edges[*edge as usize];
            *edge += 1;
            match marks[to as usize] {
                NEW => {
                    marks[to as usize] = OPEN;
                    way.push((to, self.bounds[to as usize]));
                }
                OPEN => {
                    let states = way.iter().map(|&(number, _)| number);
                    let round = states.skip_while(|&number| number != to).skip(1).chain([to]);
                    return Some((to, round.collect()));
                }
                _ => {}
            }
        }
        None
    }

    /// Goes the path again and writes down what each step does.
    fn broken(&self, message: String, path: Vec<u32>) -> Broken {
        let mut state = self.model.initial();
        let mut trace = Vec::new();
        for &number in path.iter().skip(1) {
            let hash = self.hashes[number as usize];
            let mut found = None;
            for thread in
                (0..self.model.threads()).filter(|&thread| !self.model.ended(&state, thread))
            {
                let mut next = Vec::new();
                self.model.step(&state, thread, &mut next);
                let same = next.into_iter().find(|(to, _)| hash_of(to) == hash);
                found = found.or(same.map(|step| (thread, step)));
            }
            let (thread, (to, Label(text, at))) = found.expect("a step that was taken once");
            trace.push(format!("T{thread} {}", text.replace("{}", &at.to_string())));
            state = to;
        }
        Broken { message, trace, states: self.hashes.len() }
    }
}

fn hash_of(state: &impl Hash) -> u64 {
    let mut mixed = Mixed(0x9e37_79b9_7f4a_7c15);
    state.hash(&mut mixed);
    mixed.finish()
}

/// A hasher for small fields that is fast without optimization, too.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word =
                chunk.iter().fold(chunk.len() as u64, |word, &byte| word << 8 | u64::from(byte));
            self.write_u64(word);
        }
    }
    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }
    fn write_isize(&mut self, value: isize) {
        self.write_u64(value as u64);
    }
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value) * u128::from(0xd1b5_4a32_d192_ed03_u64);
        self.0 = (product as u64 ^ (product >> 64) as u64).rotate_left(23) ^ 0x2545_f491_4f6c_dd1d;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}
