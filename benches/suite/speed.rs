//! The cost of a call, by workload and number of threads, in times the floor.

use super::common::Contender;
use super::common::contenders::{self, About, FLOOR, Slow, Visitor};
use super::common::floor::Floor;
use super::common::reference::{Reference, is_right};
use super::common::report::Speed;
use super::common::rounds::{Good, median};
use super::common::threads::run_threads;
use super::common::workloads::Workload;
use super::options::Options;
use std::time::{Duration, Instant};

/// Slow contenders make so many times fewer calls.
const SLOW: u64 = 16;

/// The floor once more, at the end of each round: how far this one is from 1 is how far to
/// trust the others, and whether it or the first was disturbed decides on the round.
const AGAIN: About = About { name: "floor again", ..FLOOR };

/// A contender at work, and how it did.
struct Entry<'a> {
    about: About,
    /// The index of its pace.
    pace: usize,
    /// Takes the number of threads, that of the first call, and how many each thread makes.
    run: Box<dyn Fn(u64, u64, u64) -> (Duration, u64) + 'a>,
    /// Emissions so far, the warm-up's included.
    emitted: u64,
    wrong: bool,
    /// One value for each round of the current number of threads.
    nanos: Vec<f64>,
    emissions: Vec<u64>,
}

struct Entries<'a> {
    options: &'a Options,
    workload: &'a Workload,
    entries: Vec<Entry<'a>>,
}

impl Visitor for Entries<'_> {
    fn visit<C: Contender + 'static>(&mut self, about: About, new: fn(usize, u64) -> C) {
        if about.name != FLOOR.name && about.name != AGAIN.name && !self.options.takes(about.name) {
            return;
        }
        let workload = self.workload;
        let contender = new(workload.max_entries, workload.window);
        self.entries.push(Entry {
            about,
            pace: usize::from(match about.slow {
                Slow::Nowhere => false,
                Slow::OnFewKeys => workload.has_few_keys(),
                Slow::Everywhere => true,
            }),
            run: Box::new(move |threads, from, calls| {
                run_threads(workload, &contender, threads, from, calls)
            }),
            emitted: 0,
            wrong: false,
            nanos: Vec::new(),
            emissions: Vec::new(),
        });
    }
}

/// The place of the contenders of one pace in the stream, and what it implies up to there.
struct Pace {
    slower: u64,
    at: u64,
    reference: Reference,
    implied: u64,
    /// One value for each round of the current number of threads.
    rounds: Vec<u64>,
}

impl Pace {
    fn new(slower: u64) -> Self {
        Self { slower, at: 0, reference: Reference::default(), implied: 0, rounds: Vec::new() }
    }

    /// Goes on by so many calls of each thread; returns the first one.
    fn go_on(&mut self, workload: &Workload, threads: u64, calls: u64) -> u64 {
        let from = self.at;
        let implied = self.reference.after(workload, threads, from, calls);
        self.at += calls;
        self.rounds.push(implied - self.implied);
        self.implied = implied;
        from
    }
}

/// Measures all contenders under one workload.
pub(crate) fn measure(options: &Options, workload: &Workload) -> Vec<Speed> {
    let mut entries = Entries { options, workload, entries: Vec::new() };
    contenders::all(&mut entries);
    if workload.name.starts_with("hot") {
        contenders::ruled(&mut entries);
    }
    entries.visit(AGAIN, Floor::<false>::new);
    let mut entries = entries.entries;
    let mut paces = [Pace::new(1), Pace::new(SLOW)];

    for pace in &mut paces {
        pace.go_on(workload, 1, workload.warm_up);
    }
    for entry in &mut entries {
        entry.emitted = (entry.run)(1, 0, workload.warm_up).1;
        entry.check(workload, 1, paces[0].implied);
    }

    let (mut found, began) = (Vec::new(), Instant::now());
    for &threads in &options.threads {
        let calls = workload.calls / if options.quick { 16 } else { 1 } / threads;
        paces.iter_mut().for_each(|pace| pace.rounds.clear());
        for entry in &mut entries {
            entry.nanos.clear();
            entry.emissions.clear();
        }
        // Some more in place of those that were disturbed.
        for round in 0..2 * options.rounds {
            let late = began.elapsed() > options.patience();
            let enough = Good::of(&floors(&entries)).undisturbed >= options.rounds;
            if round >= options.rounds && (enough || late) {
                break;
            }
            let from =
                paces.each_mut().map(|pace| pace.go_on(workload, threads, calls / pace.slower));
            for entry in &mut entries {
                let (pace, from) = (&paces[entry.pace], from[entry.pace]);
                let calls = calls / pace.slower;
                let (time, emitted) = (entry.run)(threads, from, calls);
                entry.nanos.push(time.as_nanos() as f64 / (calls * threads) as f64);
                entry.emissions.push(emitted);
                entry.emitted += emitted;
                entry.check(workload, threads, pace.implied);
            }
        }
        found.extend(evaluate(workload, threads, calls, &entries, &paces));
    }
    found
}

impl Entry<'_> {
    fn check(&mut self, workload: &Workload, threads: u64, implied: u64) {
        // Rules have emissions of their own; that they are few is seen in the table.
        let right = is_right(self.about.promise, workload, threads, self.emitted, implied);
        if !right && !self.wrong {
            let (name, emitted) = (self.about.name, self.emitted);
            eprintln!(
                "WRONG: {name} emitted {emitted} of {implied} in {} at {threads} thread(s)",
                workload.name
            );
        }
        self.wrong |= !right;
    }
}

/// Returns the times of the floor at the beginning and at the end of each round.
fn floors(entries: &[Entry<'_>]) -> Vec<(f64, f64)> {
    let [first, .., last] = entries else { unreachable!("the floor is there twice") };
    first.nanos.iter().copied().zip(last.nanos.iter().copied()).collect()
}

fn evaluate(
    workload: &Workload,
    threads: u64,
    calls: u64,
    entries: &[Entry<'_>],
    paces: &[Pace],
) -> Vec<Speed> {
    let floors = floors(entries);
    let good = Good::of(&floors);
    entries
        .iter()
        .map(|entry| {
            let pace = &paces[entry.pace];
            // Against the floor at the beginning alone, so that the one at the end tells
            // what chance does.
            let ratio = |&round: &usize| entry.nanos[round] / floors[round].0;
            Speed {
                workload: workload.name.into(),
                threads,
                contender: entry.about.name.into(),
                nanos: median(good.rounds.iter().map(|&round| entry.nanos[round])),
                times_the_floor: median(good.rounds.iter().map(ratio)),
                rounds: good.rounds.len(),
                undisturbed: good.undisturbed,
                dropped: floors.len() - good.rounds.len(),
                calls: calls / pace.slower * threads * floors.len() as u64,
                emitted: entry.emissions.iter().sum(),
                implied: pace.rounds.iter().sum(),
                right: !entry.wrong,
            }
        })
        .collect()
}

/// Prints what `measure` found under one workload.
pub(crate) fn print(workload: &Workload, threads: &[u64], found: &[Speed]) {
    println!("\n{}: {}; {} entries", workload.name, workload.about, workload.max_entries);
    print!("{:20}", "");
    threads.iter().for_each(|threads| print!("{:>20}", format!("{threads} thread(s)")));
    println!("   emitted, %");
    let rows = found.len() / threads.len();
    for row in 0..rows {
        let cells: Vec<&Speed> = found.iter().skip(row).step_by(rows).collect();
        print!("  {:18}", cells[0].contender);
        for cell in &cells {
            print!("{:>9.2} ns {:>6.2} x", cell.nanos, cell.times_the_floor);
        }
        let sum = |of: fn(&Speed) -> u64| cells.iter().map(|cell| of(cell)).sum::<u64>() as f64;
        let percent = |number: f64| 100.0 * number / sum(|cell| cell.calls);
        print!(
            "   {:.3} of {:.3}",
            percent(sum(|cell| cell.emitted)),
            percent(sum(|cell| cell.implied))
        );
        println!("{}", if cells.iter().all(|cell| cell.right) { "" } else { "  WRONG" });
    }
    print!("{:20}", "  rounds");
    for cell in found.iter().step_by(rows) {
        let Speed { rounds, undisturbed, dropped, .. } = cell;
        let disturbed = if undisturbed < rounds {
            format!(", {} bad", rounds - undisturbed)
        } else {
            "".into()
        };
        print!("{:>20}", format!("{rounds} of {}{disturbed}", rounds + dropped));
    }
    println!();
    // Its throughput against its own by the fewest threads.
    if let Some(quell) = found.iter().position(|cell| cell.contender == "quell") {
        let cells: Vec<&Speed> = found.iter().skip(quell).step_by(rows).collect();
        print!("{:20}", "  quell, throughput");
        for cell in &cells {
            print!("{:>20}", format!("{:.2} x", cells[0].nanos / cell.nanos));
        }
        println!();
    }
}
