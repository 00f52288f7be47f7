//! Exemplars: written once, shared by carries, dropped once by each table.

use loom_tests::{Bound, Caller, World, fp, holds, must_fail, racer};
use quell::model::{Fault, Model};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

const X: u128 = 1;
const P: u128 = 11;
const O: u128 = 12;
const KEYS: [u128; 4] = [21, 22, 23, 24];

/// A length that no other allocation has: the allocator counts the texts.
const LENGTH: usize = 251;

fn text(of: &str) -> String {
    of.repeat(LENGTH)
}

thread_local! {
    static TEXTS: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: the system's, with a count beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() == LENGTH {
            TEXTS.set(TEXTS.get() + 1);
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() == LENGTH {
            TEXTS.set(TEXTS.get() - 1);
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// X has an exemplar, of which the model keeps a share to look at its count. Two
/// threads race. Whatever is drained has the text of its key, and in the end no text
/// and no share is left.
fn shared(fault: Option<Fault>, claims: usize, a: fn(&mut Caller), b: fn(&mut Caller)) -> impl Fn() {
    move || {
        let texts = TEXTS.get();
        let mut world = World::<Model>::new(claims, fault).may_forget(&[fp(X)]);
        let probe = world.alone(|me| {
            me.check_with(fp(X), 0, &text("x"));
            me.check(fp(X), 1);
            let probe = me.drain().pop().and_then(|summary| summary.exemplar).expect("kept");
            me.check(fp(X), 2);
            if claims == 3 {
                me.check(fp(P), 2);
                me.check(fp(O), 2);
            } else {
                me.check(fp(KEYS[0]), 2);
                me.check(fp(KEYS[1]), 2);
            }
            probe
        });
        assert_eq!(Arc::strong_count(&probe), 2, "shares: the cache's and the model's");
        world.race(vec![racer(a), racer(b)]);
        world.alone(drain);
        world.finish();
        assert_eq!(Arc::strong_count(&probe), 1, "shares: left behind");
        drop(probe);
        assert_eq!(TEXTS.get(), texts, "shares: texts left behind");
    }
}

/// A summary comes with its own key's text, or the exemplar came too late.
fn drain(me: &mut Caller) {
    for summary in me.drain() {
        let own = if summary.fingerprint == Some(fp(X)) { 'x' } else { 'k' };
        let right = summary.exemplar.is_none_or(|exemplar| exemplar.text.chars().all(|c| c == own || c == 'X'));
        assert!(right, "text: another key's");
    }
}

fn carry(me: &mut Caller) {
    me.check(fp(KEYS[0]), 5);
    me.check(fp(X), 5);
}

/// X's table is cleared, and used again for a key that gets its slot.
fn reuse(me: &mut Caller) {
    me.check(fp(KEYS[2]), 5);
    me.check_with(fp(KEYS[3]), 5, &text("k"));
    me.check(fp(KEYS[3]), 6);
}

fn expire(me: &mut Caller) {
    me.check_with(fp(X), 100, &text("x"));
}

#[test]
fn drained_against_carry() {
    holds("exemplars: drain against carry", Bound::preemptions(2), shared(None, 3, drain, carry));
}

#[test]
fn share_exemplar_uncounted() {
    let fault = Some(Fault::ShareExemplarUncounted);
    must_fail("exemplars: ShareExemplarUncounted", 2, "shares", shared(fault, 3, drain, carry));
}

#[test]
fn drained_against_reuse() {
    holds("exemplars: drain against clearing and reuse", Bound::preemptions(2), shared(None, 1, drain, reuse));
}

#[test]
fn stale_exemplar() {
    let fault = Some(Fault::StaleExemplar);
    must_fail("exemplars: StaleExemplar", 2, "text", shared(fault, 1, drain, reuse));
}

#[test]
fn carried_against_emission() {
    holds("exemplars: carry against emission", Bound::preemptions(2), shared(None, 3, expire, carry));
}

/// X has no exemplar yet. Two emissions offer one, and one of them is kept.
fn attached() -> impl Fn() {
    move || {
        let texts = TEXTS.get();
        let mut world = World::<Model>::new(3, None);
        world.alone(|me| me.check(fp(X), 0));
        world.race(vec![
            racer(|me| me.check_with(fp(X), 100, &text("x"))),
            racer(|me| me.check_with(fp(X), 200, &text("x"))),
        ]);
        world.alone(|me| me.check(fp(X), 201));
        world.finish();
        assert_eq!(TEXTS.get(), texts, "shares: texts left behind");
    }
}

#[test]
fn attached_twice() {
    holds("exemplars: attached twice", Bound::preemptions(3), attached());
}
