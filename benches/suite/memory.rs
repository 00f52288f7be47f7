//! The bytes of heap that a tracked key takes.

use super::common::Contender;
use super::common::contenders::{self, About, Visitor};
use super::common::quell::Quell;
use super::common::report::Memory;
use super::common::threads::pin;
use super::common::workloads::mix;
use super::heap::Count;
use super::options::Options;
use std::process::Command;

const WINDOW: u64 = 60_000;
/// A flood has so many times the keys that there is room for, by so many threads.
const FLOOD: u64 = 4;
const THREADS: u64 = 4;

/// Each is filled in a process of its own: what one has left to reclaim later would be
/// freed at another's expense.
struct Entries<'a> {
    options: &'a Options,
    sizes: Vec<usize>,
    found: Vec<Memory>,
}

impl Visitor for Entries<'_> {
    fn visit<C: Contender + 'static>(&mut self, about: About, _: fn(usize, u64) -> C) {
        if !self.options.takes(about.name) || about.name == "counted floor" {
            return;
        }
        let before = self.found.len();
        for max_entries in &self.sizes {
            let program = std::env::current_exe().expect("this program has a path");
            let child =
                Command::new(program).args([FILL, about.name, &max_entries.to_string()]).output();
            let output = child.expect("this program can be run again").stdout;
            self.found.push(serde_json::from_slice(&output).expect("what `fill_and_tell` tells"));
        }
        print_row(&self.found[before..]);
    }
}

/// The first argument of the program as it fills one contender, whose name and size follow.
pub(crate) const FILL: &str = "--fill";

/// Fills the contender that the command line names and prints what that took.
pub(crate) fn fill_and_tell(name: &str, max_entries: usize) {
    struct One<'a>(&'a str, usize);
    impl Visitor for One<'_> {
        fn visit<C: Contender + 'static>(&mut self, about: About, new: fn(usize, u64) -> C) {
            if about.name == self.0 {
                let found = fill(about.name, self.1, new);
                println!("{}", serde_json::to_string(&found).expect("numbers and a name"));
            }
        }
    }
    contenders::all(&mut One(name, max_entries));
}

fn fill<C: Contender>(name: &str, max_entries: usize, new: fn(usize, u64) -> C) -> Memory {
    let count = Count::begin();
    let contender = &new(max_entries, WINDOW);
    (0..max_entries as u64).for_each(|i| {
        contender.check(mix(i), 0);
    });
    // Some need to be asked to do their housekeeping.
    let tracked = contender.tracked().unwrap_or(0);
    let bytes = count.live();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                pin(thread);
                for i in 0..FLOOD * max_entries as u64 / THREADS {
                    contender.check(mix((thread + 1) << 40 | i), 0);
                }
            });
        }
    });
    let peak = count.peak();
    drop(count);
    let bound = (name == "quell").then(|| Quell::new(max_entries, WINDOW).memory_bound());
    Memory { contender: name.into(), max_entries, bytes, tracked, peak, bound }
}

fn print_row(found: &[Memory]) {
    let row = |title: &str, of: &dyn Fn(&Memory) -> f64| {
        print!("  {title:28}");
        found.iter().for_each(|memory| print!("{:>10.1}", of(memory)));
        println!();
    };
    let name = &found[0].contender;
    row(name, &|memory| memory.bytes as f64 / memory.tracked as f64);
    row("  tracked of the keys, %", &|memory| {
        100.0 * memory.tracked as f64 / memory.max_entries as f64
    });
    row("  peak in a flood, an entry", &|memory| memory.peak as f64 / memory.max_entries as f64);
    if found.iter().all(|memory| memory.bound.is_some()) {
        row("  memory_bound(), an entry", &|memory| {
            memory.bound.unwrap_or(0) as f64 / memory.max_entries as f64
        });
    }
}

pub(crate) fn measure(options: &Options) -> Vec<Memory> {
    let sizes: Vec<usize> = if options.quick {
        vec![256, 1024, 16_384, 65_536]
    } else {
        vec![256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576]
    };
    // Powers of two, at which quell's tables are full and hashbrown's half empty: 34 bytes
    // a key at its best.
    println!("\nbytes of heap a tracked key, by the most entries, filled with as many keys");
    print!("{:30}", "");
    sizes.iter().for_each(|size| print!("{size:>10}"));
    println!();
    let mut entries = Entries { options, sizes, found: Vec::new() };
    contenders::all(&mut entries);
    entries.found
}
