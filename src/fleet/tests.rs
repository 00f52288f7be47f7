//! A fleet in simulated time: members over one [`Memory`], each with a cache of a few lines; and
//! what must hold however events, lost requests and lost answers fall.

use super::fault::{Fault, Faults};
use super::known::{Known, Owner};
use super::member::{Ask, Kind, Member, Sum, lease};
use super::memory::Memory;
use super::store::Touch;
use super::wait::{Reply, Verdict};
use crate::{Fingerprint, Namespace, Tick};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

const WINDOW: u64 = 1000;
const SINK: Namespace = Namespace(0x8001);

fn fingerprint(message: u128) -> Fingerprint {
    Fingerprint::from_u128(message).with_namespace(SINK)
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Luck {
    Answered,
    NotCarriedOut,
    AnswerLost,
}

/// What the cache knows of a message.
#[derive(Clone, Copy, Default)]
struct Local {
    emitted: Option<u64>,
    pending: u64,
}

struct Process {
    member: Member,
    known: Arc<Known>,
    cache: HashMap<u128, Local>,
    retry_at: u64,
    is_alive: bool,
}

#[derive(Default)]
struct World {
    now: u64,
    memory: Memory,
    processes: Vec<Process>,
    waits: bool,
    luck: Option<Luck>,
    /// Until when nothing is answered.
    down_until: u64,
    fault: Option<Fault>,
    offered: BTreeMap<u128, u64>,
    /// Moment, message.
    lines: Vec<(u64, u128)>,
    /// Moment, message, count, of that in doubt.
    summaries: Vec<(u64, u128, u64, u64)>,
    touches: u64,
}

impl World {
    fn of(processes: usize, waits: bool) -> Self {
        let mut world = Self { waits, ..Self::default() };
        (0..processes).for_each(|_| world.join());
        world
    }

    fn join(&mut self) {
        let known = Arc::new(Known::new());
        let id = (self.processes.len() as u128 + 1) << 64;
        let faults = Faults::of(self.fault);
        let member = Member::new(id, 64, Arc::clone(&known), faults);
        let cache = HashMap::new();
        self.processes.push(Process { member, known, cache, retry_at: 0, is_alive: true });
    }

    /// Lets time pass; the threads look each millisecond that something is due.
    fn pass(&mut self, span: u64) {
        let end = self.now + span;
        loop {
            let due = |process: &Process| {
                let due = process.member.next_due()?;
                process.is_alive.then_some(due.max(process.retry_at))
            };
            let next = self.processes.iter().filter_map(due).min().map(|due| due.max(self.now));
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = next;
            (0..self.processes.len()).for_each(|n| self.work(n));
            self.now += 1;
        }
        self.now = self.now.max(end);
    }

    fn ask(&mut self, n: usize, message: u128, kind: Kind, count: u64, reply: Option<Arc<Reply>>) {
        let ask = Ask {
            message,
            fingerprint: fingerprint(message),
            exemplar: None,
            kind,
            count,
            since: Tick::from_millis(self.now),
            lease: lease(WINDOW),
            reply,
        };
        assert!(self.processes[n].member.ask(ask, self.now).is_ok());
    }

    /// An event, as `Fleet::admit` treats it.
    fn event(&mut self, n: usize, message: u128) {
        let now = self.now;
        *self.offered.entry(message).or_default() += 1;
        let local = self.processes[n].cache.entry(message).or_default();
        if local.emitted.is_some_and(|at| now - at < WINDOW) {
            local.pending += 1;
            return;
        }
        local.emitted = Some(now);
        let count = std::mem::take(&mut local.pending);
        match self.processes[n].known.get(message, now) {
            Owner::Other => return self.ask(n, message, Kind::Count, count + 1, None),
            Owner::Mine { until } if until - now > lease(WINDOW) / 4 => {
                self.ask(n, message, Kind::Count, count, None);
            }
            Owner::Mine { .. } => self.ask(n, message, Kind::Claim, count, None),
            Owner::Unknown if self.waits => {
                let reply = Arc::new(Reply::default());
                self.ask(n, message, Kind::Claim, count, Some(Arc::clone(&reply)));
                self.work(n);
                if reply.wait(Duration::ZERO) == Verdict::Lost {
                    return self.ask(n, message, Kind::Count, 1, None);
                }
            }
            Owner::Unknown => self.ask(n, message, Kind::Claim, count, None),
        }
        self.lines.push((now, message));
    }

    /// The worker's thread, and the guard's.
    fn work(&mut self, n: usize) {
        let now = self.now;
        let process = &mut self.processes[n];
        process.member.let_go(now);
        if !process.is_alive || now < process.retry_at {
            return;
        }
        let mut batch = Vec::new();
        for ready in process.member.ready(now, 512) {
            let local = process.cache.entry(ready.message).or_default();
            if ready.wants_count && local.pending != 0 {
                let count = std::mem::take(&mut local.pending);
                process.member.count(ready.message, count, Tick::from_millis(now));
            }
            if let Some(touch) = process.member.prepare(ready.message, now, true) {
                if self.fault == Some(Fault::TwoTouches) {
                    batch.push(touch.clone());
                }
                batch.push(touch);
            }
        }
        self.touches += batch.len() as u64;
        let luck = match self.luck.take() {
            _ if batch.is_empty() => return,
            _ if now < self.down_until => Luck::NotCarriedOut,
            luck => luck.unwrap_or(Luck::Answered),
        };
        let touch_at = |touch: &Touch| self.memory.touch_at("", touch, Duration::from_millis(now));
        match luck {
            Luck::Answered => {
                for touch in &batch {
                    let answer = touch_at(touch);
                    process.member.answered(touch, &answer, now, now);
                }
            }
            bad => {
                if bad == Luck::AnswerLost {
                    batch.iter().for_each(|touch| _ = touch_at(touch));
                }
                process.retry_at = now + 200;
                batch.iter().for_each(|touch| process.member.failed(touch, now, now + 200));
                for sum in process.member.unsent() {
                    process.cache.entry(sum.message).or_default().pending += sum.count;
                }
            }
        }
        while let Some(sum) = self.processes[n].member.next_sum(SINK, now) {
            self.write(n, &sum);
        }
    }

    fn write(&mut self, n: usize, sum: &Sum) {
        self.summaries.push((self.now, sum.message, sum.count, sum.doubt));
        if sum.is_taken {
            self.processes[n].member.written(sum.message, self.now);
        }
    }

    /// The end of a process: what `Fleet::settle` does.
    fn leave(&mut self, n: usize) {
        self.drain(n, true);
        self.processes[n].member.leave(SINK, self.now);
        for _ in 0..100 {
            if self.processes[n].member.has_left(SINK) || self.now < self.processes[n].retry_at {
                break;
            }
            self.work(n);
            self.now += 4;
        }
        for sum in self.processes[n].member.end_leave(SINK, self.now) {
            self.write(n, &sum);
        }
        for (message, local) in std::mem::take(&mut self.processes[n].cache) {
            self.summaries.push((self.now, message, local.pending, 0));
        }
        self.processes[n].is_alive = false;
    }

    /// The guard's look at the cache.
    fn drain(&mut self, n: usize, all: bool) {
        let now = self.now;
        let is_due = |local: &Local| local.emitted.is_none_or(|at| now - at >= WINDOW);
        let cache = self.processes[n].cache.iter_mut();
        let due = cache.filter(|(_, local)| local.pending != 0 && (all || is_due(local)));
        let due: Vec<_> = due.map(|(x, local)| (*x, std::mem::take(&mut local.pending))).collect();
        for (message, count) in due {
            self.ask(n, message, Kind::Ended, count, None);
        }
    }

    fn end(&mut self) {
        self.down_until = 0;
        self.luck = None;
        self.pass(20 * WINDOW);
        (0..self.processes.len())
            .filter(|&n| self.processes[n].is_alive)
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|n| self.leave(n));
    }

    /// Offered, told, and of that in doubt, of a message.
    fn books(&self, message: u128) -> (u64, u64, u64) {
        let own = self.summaries.iter().filter(|summary| summary.1 == message);
        let (told, doubt) = own.fold((0, 0), |(told, doubt), x| (told + x.2, doubt + x.3));
        let lines = self.lines.iter().filter(|line| line.1 == message).count() as u64;
        (self.offered.get(&message).copied().unwrap_or(0), lines + told, doubt)
    }

    /// Events in each millisecond, of one message, by all in turn.
    fn storm(&mut self, message: u128, span: u64) {
        for at in 0..span {
            let n = at as usize % self.processes.len();
            if self.processes[n].is_alive {
                self.event(n, message);
            }
            if at % 100 == 0 {
                (0..self.processes.len())
                    .filter(|n| self.processes[*n].is_alive)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|n| self.drain(n, false));
            }
            self.pass(1);
        }
    }

    /// The longest time without a line or a summary of a message.
    fn longest_gap(&self, message: u128) -> u64 {
        let lines = self.lines.iter().filter(|line| line.1 == message).map(|line| line.0);
        let summaries = self.summaries.iter().filter(|x| x.1 == message).map(|x| x.0);
        let mut told: Vec<u64> = lines.chain(summaries).collect();
        told.sort_unstable();
        told.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}

fn assert_exact(world: &World) {
    for message in world.offered.keys() {
        let (offered, told, doubt) = world.books(*message);
        assert_eq!((told, doubt), (offered, 0), "of message {message}");
    }
}

#[test]
fn one_line_a_window_with_waiting() {
    let mut world = World::of(8, true);
    world.storm(1, 10_000);
    let lines = world.lines.len();
    assert!((10..=11).contains(&lines), "{lines} lines");
    assert!(world.summaries.len() <= 12, "{} summaries", world.summaries.len());
    world.end();
    assert_exact(&world);
}

#[test]
fn without_waiting_one_more_for_each_process() {
    let mut world = World::of(8, false);
    world.storm(1, 10_000);
    let lines = world.lines.len();
    assert!((10..=18).contains(&lines), "{lines} lines");
    let early = world.lines.iter().filter(|line| line.0 < WINDOW).count();
    assert!(lines - early <= 10, "{} later on", lines - early);
    world.end();
    assert_exact(&world);
}

#[test]
fn who_joins_is_told() {
    let mut world = World::of(2, true);
    world.storm(1, 3_300);
    (0..4).for_each(|_| world.join());
    let before = world.lines.len();
    world.storm(1, 4_000);
    assert!(world.lines.len() - before <= 5, "{} lines", world.lines.len() - before);
    world.end();
    assert_exact(&world);
}

#[test]
fn a_killed_owner_is_followed() {
    let mut world = World::of(4, true);
    world.storm(1, 3_050);
    let owner =
        (0..4).find(|&n| matches!(world.processes[n].known.get(1, world.now), Owner::Mine { .. }));
    world.processes[owner.expect("somebody owns it")].is_alive = false;
    world.storm(1, 5_000);
    let gap = world.longest_gap(1);
    assert!(gap <= 2 * WINDOW + WINDOW / 5, "{gap} ms without a word");
}

#[test]
fn who_leaves_hands_over() {
    let mut world = World::of(3, true);
    world.storm(1, 2_500);
    (0..3).for_each(|n| world.leave(n));
    assert_exact(&world);
    assert_eq!(world.processes.iter().map(|x| x.member.pending()).sum::<u64>(), 0);
}

#[test]
fn entries_go_and_members_with_them() {
    let mut world = World::of(1, false);
    for message in 0..500 {
        world.event(0, message);
        world.event(0, message);
        world.pass(WINDOW);
        world.drain(0, false);
        world.pass(WINDOW);
    }
    world.end();
    assert_exact(&world);
    assert_eq!(world.processes[0].member.next_due(), None, "all of them forgotten");
}

#[test]
fn a_stopped_store_costs_lines_and_no_count() {
    for waits in [false, true] {
        let mut world = World::of(4, waits);
        world.storm(1, 2_300);
        world.down_until = world.now + 3_000;
        world.storm(1, 6_000);
        world.end();
        assert_exact(&world);
    }
}

#[test]
fn a_store_without_memory_is_never_under() {
    for phase in (0..WINDOW).step_by(70) {
        let mut world = World::of(4, true);
        world.storm(1, 3_000 + phase);
        world.memory.clear();
        world.storm(1, 3_000);
        world.end();
        let (offered, told, doubt) = world.books(1);
        assert!(told >= offered, "at {phase}: {told} of {offered}");
        assert!(told - offered <= doubt, "at {phase}: {told} of {offered}, {doubt} in doubt");
        assert!(told - offered <= WINDOW + WINDOW / 5, "at {phase}: {told} of {offered}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Event(usize, u128),
    Pass(u64),
    Drain(usize),
    Luck(Luck),
    Leave(usize),
    Join,
    Clear,
}

fn steps(clears: bool) -> impl Strategy<Value = Vec<Step>> {
    let luck = prop_oneof![Just(Luck::NotCarriedOut), Just(Luck::AnswerLost)];
    let step = prop_oneof![
        20 => (0..4usize, 0..3u128).prop_map(|(n, message)| Step::Event(n, message)),
        12 => (1..400u64).prop_map(Step::Pass),
        2 => (500..4000u64).prop_map(Step::Pass),
        3 => (0..4usize).prop_map(Step::Drain),
        3 => luck.prop_map(Step::Luck),
        // What a process that is gone has handed over, a store can lose.
        u32::from(!clears) => (0..4usize).prop_map(Step::Leave),
        1 => Just(Step::Join),
        u32::from(clears) => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..150)
}

fn run(world: &mut World, steps: Vec<Step>) {
    for step in steps {
        let live = |world: &World, n: usize| {
            Some(n % world.processes.len()).filter(|&n| world.processes[n].is_alive)
        };
        match step {
            Step::Event(n, message) => {
                if let Some(n) = live(world, n) {
                    world.event(n, message);
                }
            }
            Step::Pass(span) => world.pass(span),
            Step::Drain(n) => {
                if let Some(n) = live(world, n) {
                    world.drain(n, false);
                }
            }
            Step::Luck(luck) => world.luck = Some(luck),
            Step::Leave(n) => {
                // Not while the store is away: what is then in doubt is told.
                world.luck = None;
                if let Some(n) =
                    live(world, n).filter(|&n| world.now >= world.processes[n].retry_at)
                {
                    world.leave(n);
                }
            }
            Step::Join => world.join(),
            Step::Clear => world.memory.clear(),
        }
    }
    world.end();
}

proptest! {
    #[test]
    fn whatever_gets_lost_counts_add_up(steps in steps(false), waits: bool) {
        let mut world = World::of(3, waits);
        run(&mut world, steps);
        for message in world.offered.keys() {
            let (offered, told, _) = world.books(*message);
            prop_assert_eq!(told, offered, "of message {}", message);
        }
    }

    #[test]
    fn a_store_that_forgets_is_never_under(steps in steps(true), waits: bool) {
        let mut world = World::of(3, waits);
        run(&mut world, steps);
        for message in world.offered.keys() {
            let (offered, told, doubt) = world.books(*message);
            prop_assert!(told >= offered, "{} of {}", told, offered);
            prop_assert!(told - offered <= doubt, "{} of {}, {} in doubt", told, offered, doubt);
        }
    }
}

/// Each fault breaks what the tests above assert: they would notice it.
#[cfg(quell_faults)]
mod controls {
    use super::*;

    fn world(processes: usize, waits: bool, fault: Fault) -> World {
        let mut world = World { waits, fault: Some(fault), ..World::default() };
        (0..processes).for_each(|_| world.join());
        world
    }

    fn books_of(fault: Fault, each: impl Fn(&mut World)) -> (u64, u64) {
        let mut world = world(4, true, fault);
        world.storm(1, 5_300);
        each(&mut world);
        world.storm(1, 3_000);
        world.end();
        let (offered, told, _) = world.books(1);
        (offered, told)
    }

    #[test]
    fn two_touches_tell_twice() {
        let (offered, told) = books_of(Fault::TwoTouches, |_| {});
        assert!(told > offered, "{told} of {offered}");
    }

    #[test]
    fn deltas_count_twice_what_is_retried() {
        let (offered, told) = books_of(Fault::Deltas, |world| world.luck = Some(Luck::AnswerLost));
        assert!(told > offered, "{told} of {offered}");
    }

    #[test]
    fn reused_members_lose_counts() {
        let (offered, told) = books_of(Fault::ReusedMember, |_| {});
        assert!(told < offered, "{told} of {offered}");
    }

    /// The longest gap after the owner is killed, at whatever phase.
    fn gap(fault: Option<Fault>) -> u64 {
        (0..8).map(|phase| gap_at(fault, 3_050 + 270 * phase)).max().unwrap_or(0)
    }

    fn gap_at(fault: Option<Fault>, killed: u64) -> u64 {
        let mut world = World { waits: true, fault, ..World::default() };
        (0..4).for_each(|_| world.join());
        world.storm(1, killed);
        let owner = (0..4)
            .find(|&n| matches!(world.processes[n].known.get(1, world.now), Owner::Mine { .. }));
        world.processes[owner.expect("somebody owns it")].is_alive = false;
        world.storm(1, 6_000);
        world.longest_gap(1)
    }

    #[test]
    fn a_long_lease_is_a_long_silence() {
        let (right, wrong) = (gap(None), gap(Some(Fault::LongLease)));
        assert!(wrong >= right + WINDOW / 2, "{wrong} instead of {right}");
    }

    #[test]
    fn who_does_not_ask_again_hands_nothing_over() {
        let pending = |fault| {
            let mut world = World { waits: true, fault, ..World::default() };
            (0..4).for_each(|_| world.join());
            world.storm(1, 10_000);
            world.processes.iter().map(|x| x.member.pending()).max()
        };
        let (right, wrong) = (pending(None), pending(Some(Fault::NoReask)));
        assert!(wrong > right, "{wrong:?} instead of {right:?}");
    }
}
