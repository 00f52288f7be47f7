//! What every store must do.

use super::store::{Answer, Refused, Store, Touch, Want};
use std::time::Duration;

/// Checks that a store does what [`Touch`] says: for the tests of whoever writes one.
///
/// Takes a second or so. Uses messages of a fleet that nobody else has, so the store may be in use.
///
/// ```
/// quell::fleet::conformance(quell::fleet::Memory::new());
/// ```
///
/// # Panics
/// If the store does not.
pub fn conformance<S: Store>(store: S) {
    let fleet = format!("quell:1:00000000:conformance-{:032x}", super::random());
    let run = || Run { store: store.clone(), fleet: fleet.clone() };
    owners_and_leases(run());
    totals_and_reports(run());
    takers(run());
    unknown_members(run());
    batches(run());
}

struct Run<S> {
    store: S,
    fleet: String,
}

const LEASE: Duration = Duration::from_millis(400);

/// A touch of nothing; messages and members are far apart, with high bits.
fn touch(message: u8, member: u8, want: Want) -> Touch {
    Touch {
        message: (u128::from(message) + 1) << 100 | 7,
        member: (u128::from(member) + 1) << 96 | 1,
        want,
        writes: true,
        lease: LEASE,
        total: 0,
        base: 0,
        doubt: 0,
        ack: 0,
        incarnation: 0,
    }
}

fn deposit(message: u8, member: u8, want: Want, total: u64) -> Touch {
    Touch { total, ..touch(message, member, want) }
}

impl<S: Store> Run<S> {
    fn all(&mut self, batch: &[Touch]) -> Vec<Answer> {
        let mut answers = Vec::new();
        self.store.touch(&self.fleet, batch, &mut answers).expect("the store answers");
        assert_eq!(answers.len(), batch.len(), "an answer for each");
        let answers: Result<Vec<Answer>, Refused> = answers.into_iter().collect();
        answers.expect("and refuses nothing")
    }

    fn ask(&mut self, touch: Touch) -> Answer {
        self.all(&[touch]).remove(0)
    }
}

fn owners_and_leases<S: Store>(mut run: Run<S>) {
    let first = run.ask(touch(0, 0, Want::Claim));
    assert!(first.mine && first.incarnation != 0, "who is first owns: {first:?}");
    assert!(first.left > LEASE / 2 && first.left <= LEASE, "for its lease: {first:?}");
    let other = run.ask(touch(0, 1, Want::Claim));
    assert!(!other.mine && other.left <= LEASE && other.left > Duration::ZERO, "{other:?}");
    assert_eq!(other.incarnation, first.incarnation);
    std::thread::sleep(LEASE / 2);
    let again = run.ask(touch(0, 0, Want::Claim));
    assert!(again.mine && again.left > LEASE / 2, "an owner renews its own lease: {again:?}");
    let looked = run.ask(touch(0, 0, Want::Deposit));
    assert!(looked.mine && looked.left <= again.left, "and sees that it is its own: {looked:?}");
    std::thread::sleep(LEASE / 2);
    assert!(!run.ask(touch(0, 1, Want::Claim)).mine, "which has not ended by now");
    std::thread::sleep(LEASE);
    let over = run.ask(touch(0, 0, Want::Collect));
    assert!(!over.mine && over.left.is_zero(), "it ends by itself: {over:?}");
    assert!(run.ask(touch(0, 1, Want::Claim)).mine, "then another has it");
    assert!(!run.ask(touch(0, 0, Want::Claim)).mine, "and the first has not");
}

fn totals_and_reports<S: Store>(mut run: Run<S>) {
    let claimed = run.ask(deposit(1, 0, Want::Claim, 5));
    let numbers = |x: &Answer| (x.sum, x.processes, x.doubt, x.position, x.reported);
    assert_eq!(numbers(&claimed), (5, 1, 0, 5, 0), "a claim takes what is there");
    for _ in 0..2 {
        let other = run.ask(deposit(1, 1, Want::Deposit, 3));
        assert_eq!(numbers(&other), (0, 0, 0, 8, 0), "totals are absolute");
    }
    assert_eq!(run.ask(deposit(1, 1, Want::Deposit, 2)).position, 8, "an old one changes nothing");
    let ack = Touch { ack: 5, incarnation: claimed.incarnation, ..deposit(1, 0, Want::Deposit, 5) };
    let stale = Touch { incarnation: claimed.incarnation ^ 1, ..ack.clone() };
    assert_eq!(run.ask(stale).reported, 0, "of another life");
    for _ in 0..2 {
        assert_eq!(numbers(&run.ask(ack.clone())), (0, 0, 0, 8, 5));
    }
    let more = run.ask(deposit(1, 0, Want::Claim, 6));
    assert_eq!(numbers(&more), (4, 2, 0, 9, 5), "what was not acknowledged, of two members");
    let all = Touch { ack: 9, incarnation: more.incarnation, ..deposit(1, 0, Want::Claim, 6) };
    assert_eq!(numbers(&run.ask(all)), (0, 0, 0, 9, 9));
    let wild =
        Touch { ack: 1 << 40, incarnation: more.incarnation, ..deposit(1, 0, Want::Deposit, 6) };
    assert_eq!(run.ask(wild).reported, 9, "never above what was deposited");
    let large = 1 << 50;
    let large = run.ask(deposit(1, 2, Want::Leave, large));
    assert_eq!((large.sum, large.position), (1 << 50, 9 + (1 << 50)), "large numbers are exact");
}

fn takers<S: Store>(mut run: Run<S>) {
    assert!(run.ask(touch(2, 0, Want::Claim)).mine);
    assert_eq!(run.ask(deposit(2, 1, Want::Collect, 4)).sum, 0, "not while another owns it");
    assert_eq!(run.ask(deposit(2, 0, Want::Deposit, 1)).sum, 0, "nor without being asked");
    let mute = Touch { writes: false, ..deposit(2, 0, Want::Collect, 1) };
    assert_eq!(run.ask(mute).sum, 0, "nor who cannot write");
    let owner = run.ask(deposit(2, 0, Want::Collect, 1));
    assert_eq!((owner.sum, owner.processes), (5, 2));
    assert_eq!(run.ask(deposit(2, 1, Want::Leave, 4)).sum, 0, "one at a time");
    assert_eq!(run.ask(deposit(2, 0, Want::Collect, 1)).sum, 5, "the same may ask again");
    let ack = Touch { ack: 5, incarnation: owner.incarnation, ..deposit(2, 0, Want::Deposit, 1) };
    assert_eq!(run.ask(ack).reported, 5);
    assert_eq!(run.ask(deposit(2, 1, Want::Leave, 6)).sum, 2, "who leaves takes, whoever owns");
    std::thread::sleep(LEASE + LEASE / 4);
    assert_eq!(run.ask(deposit(2, 0, Want::Collect, 2)).sum, 0, "another is still at it");
    let ack = Touch { ack: 7, incarnation: owner.incarnation, ..deposit(2, 1, Want::Leave, 6) };
    assert_eq!(run.ask(ack).sum, 1, "acknowledges, then takes");
}

fn unknown_members<S: Store>(mut run: Run<S>) {
    let back = Touch { total: 10, base: 4, doubt: 3, ..touch(3, 0, Want::Claim) };
    let answer = run.ask(back.clone());
    assert_eq!((answer.sum, answer.doubt), (6, 3), "begins at its base, in doubt");
    let answer = run.ask(Touch { total: 12, doubt: 6, ..back.clone() });
    assert_eq!((answer.sum, answer.doubt), (8, 3), "a known one is in no doubt");
    let ack = Touch { total: 12, ack: 8, incarnation: answer.incarnation, ..back.clone() };
    assert_eq!(run.ask(ack).reported, 8);
    let answer = run.ask(Touch { total: 13, ..back });
    assert_eq!((answer.sum, answer.doubt), (1, 0), "which ends with the report");
    let all = deposit(4, 0, Want::Claim, 2);
    let answer = run.ask(all.clone());
    let ack = Touch { ack: 2, incarnation: answer.incarnation, base: 2, ..all.clone() };
    assert_eq!(run.ask(ack).reported, 2);
    let forget = Touch { want: Want::Forget, base: 2, ..all.clone() };
    assert_eq!(run.ask(forget.clone()), Answer::default());
    let after = run.ask(Touch { base: 2, ..all });
    assert_eq!((after.position, after.incarnation), (2, answer.incarnation), "only the member is");
    let nothing = Touch { message: touch(5, 0, Want::Claim).message, ..forget };
    assert_eq!(run.ask(nothing), Answer::default(), "nor is a message made by it");
}

fn batches<S: Store>(mut run: Run<S>) {
    let batch: Vec<Touch> =
        (0..200).map(|n| deposit(20 + n, n, Want::Claim, u64::from(n) + 1)).collect();
    for (answer, touch) in run.all(&batch).iter().zip(&batch) {
        assert_eq!((answer.mine, answer.sum), (true, touch.total), "answers are in their order");
    }
    let mut other = Run { store: run.store.clone(), fleet: run.fleet.clone() };
    assert!(!other.ask(touch(20, 250, Want::Claim)).mine, "clones share what is stored");
    let mut elsewhere = Run { fleet: format!("{}x", run.fleet), ..run };
    assert!(elsewhere.ask(touch(20, 250, Want::Claim)).mine, "fleets share nothing");
}
