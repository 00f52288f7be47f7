//! What tells messages apart.

use crate::common::WINDOW;
use crate::harness::{FrontEnd, Pairs, Setup, World, on_each_front_end, when};
use quell::{Classes, Fields, Key, Level, Normalizer, Rule, SharedRules, Value};
use std::fmt::Display;

on_each_front_end! {
    level_target_text_and_fields_separate,
    order_and_origin_of_a_text_do_not_matter,
    fields_say_which_pairs_count,
    by_message_only_the_text_counts,
    by_callsite_texts_do_not_matter,
    numbers_in_a_text_may_be_left_out,
    the_highest_level_of_a_message_counts,
    a_window_of_several_has_one_example,
    a_long_text_has_a_short_exemplar,
    each_sink_is_told_of_the_first,
}

fn level_target_text_and_fields_separate<F: FrontEnd>() {
    let plain = [
        (Level::Error, "net", "refused"),
        (Level::Warn, "net", "refused"),
        (Level::Error, "a", "refused"),
        (Level::Error, "ar", "efused"),
        (Level::Error, "net", "refused!"),
    ];
    let (one, two) = (Value::U64(1), Value::U64(2));
    let fields: &[&Pairs<'_>] = &[
        &[("n", one)],
        &[("m", one)],
        &[("n", two)],
        &[("n", one), ("m", one)],
        &[("peer", "1".into()), ("id", "23".into())],
        &[("peer", "12".into()), ("id", "3".into())],
        &[("n", "1".into())],
        &[("n", Value::Display(&1))],
        &[("n", true.into())],
    ];
    let world = World::<F>::new(Rule::once());
    for _ in 0..2 {
        plain.iter().for_each(|&(level, target, text)| world.say(level, target, text));
        for pairs in fields {
            world.front_end.say(Level::Error, "net", &"refused", pairs);
        }
        assert_eq!(world.passed(), plain.len() + fields.len());
    }
}

fn order_and_origin_of_a_text_do_not_matter<F: FrontEnd>() {
    let world = World::<F>::new(Rule::once());
    let pieces = when(|f| {
        f.write_str("one ")?;
        2.fmt(f)
    });
    let texts: [&dyn Display; 3] = [&"one 2", &String::from("one 2"), &pieces];
    let (n, peer) = (("n", Value::U64(1)), ("peer", Value::Str("x")));
    for text in texts {
        world.say_with(text, &[n, peer]);
        world.say_with(text, &[peer, n]);
    }
    assert_eq!(world.record_texts(), ["one 2"]);
    assert_eq!(world.cache.stats().suppressed, 5);
}

fn fields_say_which_pairs_count<F: FrontEnd>() {
    for (fields, expected) in [
        (Fields::all(), 5),
        (Fields::except(["id", "not there"]), 3),
        (Fields::only(["peer", "not there"]), 3),
        (Fields::only(["id"]), 4),
        (Fields::none(), 1),
    ] {
        let setup = Setup { fields: Some(fields.clone()), ..Setup::default() };
        let world = World::<F>::with(setup);
        let (a, b) = (("peer", Value::Str("a")), ("peer", Value::Str("b")));
        let id = |n| ("id", Value::U64(n));
        let calls: [&Pairs<'_>; 5] = [&[a, id(1)], &[a, id(2)], &[a], &[b, id(1)], &[id(3)]];
        calls.into_iter().for_each(|pairs| world.say_with("x", pairs));
        assert_eq!(world.passed(), expected, "{fields:?}");
    }
    // Excluded ones are not in the summary's text, but in the line.
    let setup = Setup { fields: Some(Fields::except(["id"])), ..Setup::default() };
    let world = World::<F>::with(setup);
    for id in 1..4 {
        world.say_with("x", &[("peer", "a".into()), ("id", Value::U64(id))]);
    }
    world.front_end.guard().flush();
    assert_eq!(world.records()[0].pair("id"), Some("1"));
    assert_eq!(world.sums()[0].fields(), [("peer".to_string(), "a".to_string())]);
}

fn by_message_only_the_text_counts<F: FrontEnd>() {
    let world = World::<F>::with(Setup { key: Key::Message, ..Setup::default() });
    world.say(Level::Info, "net", "x");
    world.say(Level::Error, "store", "x");
    world.say_with("x", &[("n", Value::U64(1))]);
    world.say(Level::Info, "net", "y");
    assert_eq!(world.record_texts(), ["x", "y"]);
}

fn by_callsite_texts_do_not_matter<F: FrontEnd>() {
    let world = World::<F>::with(Setup { key: Key::Callsite, ..Setup::default() });
    for text in ["a", "b", "c"] {
        world.say(Level::Info, "net", text);
        world.say(Level::Error, "net", text);
    }
    assert_eq!(world.record_texts(), ["a", "a"], "one for each level");
}

fn numbers_in_a_text_may_be_left_out<F: FrontEnd>() {
    let normalizer = Normalizer::new(Classes::NUMBER | Classes::UUID);
    let world = World::<F>::with(Setup { normalizer, ..Setup::default() });
    for n in 0..5 {
        world.say(Level::Info, "net", format!("request {n} took {}ms", 7 * n));
        world.say(Level::Info, "net", format!("reply {n}"));
    }
    assert_eq!(world.record_texts(), ["request 0 took 0ms", "reply 0"]);
    assert_eq!(world.cache.stats().suppressed, 8);
}

fn a_window_of_several_has_one_example<F: FrontEnd>() {
    let rules = SharedRules::from(Rule::first_then_every(2, 2).unwrap());
    let world = World::<F>::with(Setup { key: Key::Message, rules, ..Setup::default() });
    let say = |level| world.say(level, "net", "x");
    // The error is suppressed, and one more passes after it.
    [Level::Info, Level::Warn, Level::Error, Level::Info, Level::Info].into_iter().for_each(say);
    world.front_end.guard().flush();
    let sums = world.sums();
    assert_eq!(sums.iter().filter_map(|sum| sum.suppressed()).sum::<u64>(), 2);
    // A `Logger` says on the line that passes what was suppressed before it.
    if F::TELLS_AGE {
        assert_eq!((sums.len(), sums[0].level), (1, Level::Error));
    }
    let rules = SharedRules::from(Rule::first(3).unwrap());
    let world = World::<F>::with(Setup { key: Key::Callsite, rules, ..Setup::default() });
    (0..5).for_each(|user| world.say(Level::Info, "net", format!("user {user}")));
    world.front_end.guard().flush();
    assert_eq!(world.sums()[0].text, "user 3", "the first that was suppressed");
}

fn the_highest_level_of_a_message_counts<F: FrontEnd>() {
    let world = World::<F>::with(Setup { key: Key::Message, ..Setup::default() });
    let say = |levels: &[Level]| levels.iter().for_each(|level| world.say(*level, "net", "x"));
    say(&[Level::Info, Level::Warn, Level::Error, Level::Warn]);
    world.front_end.guard().flush();
    say(&[Level::Info]);
    world.clock.advance(WINDOW);
    say(&[Level::Info, Level::Warn]);
    world.clock.advance(WINDOW);
    say(&[Level::Info, Level::Info]);
    world.front_end.guard().flush();
    let sums = world.sums();
    let of = |n: usize| (sums[n].level, sums[n].suppressed());
    // A window has one highest level, however often it is summed.
    let expected = [
        (Level::Error, Some(3)),
        (Level::Error, Some(1)),
        (Level::Warn, Some(1)),
        (Level::Info, Some(1)),
    ];
    for (n, expected) in expected.into_iter().enumerate() {
        if F::TELLS_AGE || n == 0 || n == 3 {
            assert_eq!(of(n), expected, "{n}");
        }
    }
}

fn a_long_text_has_a_short_exemplar<F: FrontEnd>() {
    let text = "é".repeat(1 << 19);
    let world = World::<F>::new(Rule::once());
    assert_eq!(world.pass(3, &text), 1);
    let mut told = Vec::new();
    world.cache.drain(|sum| told.push((sum.exemplar.unwrap().message.to_string(), sum.suppressed)));
    assert_eq!(told, [(format!("{}…", &text[..252]), 2)]);
}

fn each_sink_is_told_of_the_first<F: FrontEnd>() {
    let (cache, clock) = crate::harness::cache(1024);
    let [a, b] = [Level::Trace, Level::Warn].map(|least| {
        let setup = Setup { least, ..Setup::default() };
        World::<F>::over(&cache, &clock, setup)
    });
    for _ in 0..10 {
        for world in [&a, &b] {
            world.say(Level::Error, "net", "x");
            world.say(Level::Info, "net", "x");
        }
    }
    a.front_end.guard().flush();
    let sorted = |world: &World<F>| {
        let records = world.told().into_iter().filter(|line| !line.is_notice());
        let mut lines: Vec<_> = records.map(|line| (line.level, line.text)).collect();
        lines.sort();
        lines
    };
    let x = |level| [(level, "x".to_string()), (level, "x".to_string())];
    assert_eq!(sorted(&a), [x(Level::Info), x(Level::Error)].concat());
    assert_eq!(sorted(&b).len(), 1, "the flush was the other's");
    b.front_end.guard().flush();
    assert_eq!(sorted(&b), x(Level::Error), "what is off is neither told nor counted");
    assert_eq!(cache.stats().suppressed, 27);
}
