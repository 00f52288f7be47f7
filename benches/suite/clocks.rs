//! The cost that the clock adds to a suppressed call.

use super::common::quell::Clocked;
use super::common::report::Cost;
use super::common::rounds::{Way, in_turn};
use super::common::threads::pin;
use super::common::workloads::mix;
use super::options::Options;
use quell::{Coarse, Monotonic};
use std::hint::black_box;
use std::time::Instant;

pub(crate) fn measure(options: &Options) -> Vec<Cost> {
    pin(0);
    let (told, monotonic, coarse) = (
        Clocked::new(Monotonic::new()),
        Clocked::new(Monotonic::new()),
        Clocked::new(Coarse::new()),
    );
    let key = || black_box(mix(7));
    let mut ways = [
        Way::new("check_at", |i| {
            black_box(told.check_at(key(), i >> 20));
        }),
        Way::new("check, Monotonic", |_| {
            black_box(monotonic.check(key()));
        }),
        Way::new("check, Coarse", |_| {
            black_box(coarse.check(key()));
        }),
        Way::new("Instant::now alone", |_| {
            black_box(Instant::now());
        }),
    ];
    let times = if options.quick { 200_000 } else { 4_000_000 };
    let nanos = in_turn(&mut ways, options.rounds, times);
    println!("\nthe clocks: a suppressed call, and what it takes over check_at");
    let cost = |(way, &nanos): (&Way<'_>, &f64)| Cost { name: way.name.clone(), nanos };
    let costs: Vec<Cost> = ways.iter().zip(&nanos).map(cost).collect();
    for cost in &costs {
        print!("  {:18}{:>9.2} ns", cost.name, cost.nanos);
        if cost.name.starts_with("check,") {
            print!("  {:+.2}", cost.nanos - costs[0].nanos);
        }
        println!();
    }
    costs
}
