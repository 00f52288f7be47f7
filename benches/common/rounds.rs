//! Rounds in which all take their turn, and what is made of them.

use std::time::Instant;

/// A round is disturbed if the floor took more than so many times its best in it.
const DISTURBED: f64 = 1.3;

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The rounds that count.
pub(crate) struct Good {
    pub(crate) rounds: Vec<usize>,
    /// The number of them that were undisturbed: all, or less than `LEAST`.
    pub(crate) undisturbed: usize,
}

/// The number of rounds that count in any case, the least disturbed ones if need be.
const LEAST: usize = 3;

impl Good {
    /// Chooses rounds by the times of the floor at the beginning and at the end of each.
    pub(crate) fn of(floors: &[(f64, f64)]) -> Self {
        let best =
            floors.iter().flat_map(|&(begin, end)| [begin, end]).fold(f64::INFINITY, f64::min);
        let worse = |round: usize| floors[round].0.max(floors[round].1);
        let mut rounds: Vec<usize> = (0..floors.len()).collect();
        rounds.sort_by(|&a, &b| worse(a).total_cmp(&worse(b)));
        let undisturbed = rounds.iter().filter(|&&round| worse(round) <= DISTURBED * best).count();
        rounds.truncate(undisturbed.max(LEAST));
        Self { rounds, undisturbed }
    }
}

/// A way to do something, as often as it is told to.
pub(crate) struct Way<'a> {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnMut(u64) + 'a>,
}

impl<'a> Way<'a> {
    pub(crate) fn new(name: impl Into<String>, mut once: impl FnMut(u64) + 'a) -> Self {
        let run = move |times| (0..times).for_each(&mut once);
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// Nanoseconds a time, for each way: medians of `rounds` rounds in turn, without those in
/// which the first way was disturbed. One more round warms up.
pub(crate) fn in_turn(ways: &mut [Way<'_>], rounds: usize, times: u64) -> Vec<f64> {
    let mut nanos = vec![Vec::new(); ways.len()];
    for round in 0..=rounds {
        for (way, nanos) in ways.iter_mut().zip(&mut nanos) {
            let start = Instant::now();
            (way.run)(times);
            if round > 0 {
                nanos.push(start.elapsed().as_nanos() as f64 / times as f64);
            }
        }
    }
    let firsts: Vec<_> = nanos[0].iter().map(|&first| (first, first)).collect();
    let good = Good::of(&firsts);
    nanos.iter().map(|nanos| median(good.rounds.iter().map(|&round| nanos[round]))).collect()
}
