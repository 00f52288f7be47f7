//! Rules as texts: what is read, what is written, what an error points at, the environment,
//! and serde.

use proptest::prelude::*;
use quell::{
    Cache, ConfigError, Level, Logger, ParseRulesError, ParseRulesErrorKind as Kind, Rule, Rules,
    WriteSink,
};
use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn once(millis: u64) -> Rule {
    Rule::once().window(Duration::from_millis(millis)).unwrap()
}

fn first(n: u32) -> Rule {
    Rule::first(n).unwrap()
}

fn every(n: u32, every: u32) -> Rule {
    Rule::first_then_every(n, every).unwrap()
}

fn back_off(millis: u64) -> Rule {
    Rule::back_off(Duration::from_millis(millis)).unwrap()
}

fn windowed(rule: Rule, millis: u64) -> Rule {
    rule.window(Duration::from_millis(millis)).unwrap()
}

fn error(text: &str) -> ParseRulesError {
    match text.parse::<Rules>() {
        Ok(rules) => panic!("{text:?} was read as {rules}"),
        Err(error) => error,
    }
}

#[test]
fn every_kind_of_rule_is_read_and_written() {
    for (text, rule, written) in [
        ("once", Rule::once(), "once"),
        ("250ms", once(250), "250ms"),
        ("once/10s", once(10_000), "10s"),
        ("first(10)", first(10), "first(10)"),
        (" First ( 10 ) / 5s ", windowed(first(10), 5000), "first(10)/5s"),
        ("first(5)+100", every(5, 100), "first(5)+100"),
        ("first(5) + 100 /1h", windowed(every(5, 100), 3_600_000), "first(5)+100/1h"),
        ("FIRST( 5 , 100 )", every(5, 100), "first(5)+100"),
        ("back_off(1h)", back_off(3_600_000), "back_off(1h)"),
        ("back_off(1d)/90s", windowed(back_off(86_400_000), 90_000), "back_off(1d)/1m30s"),
        ("1h1d2ms", once(90_000_002), "1d1h2ms"),
        ("60m", once(3_600_000), "1h"),
        ("18446744073709551615ms", once(u64::MAX), "213503982334d14h25m51s615ms"),
    ] {
        assert_eq!(text.parse(), Ok(rule), "{text}");
        assert_eq!(rule.to_string(), written);
        assert_eq!(written.parse(), Ok(rule), "{written}");
        assert_eq!(text.parse(), Ok(Rules::new(rule)), "{text}, as that for everything");
        assert_eq!(format!("a=warn:{text}").parse(), {
            Ok(Rules::default().target_at("a", Level::Warn, rule))
        });
    }
}

#[test]
fn directives_are_those_of_the_builder() {
    let new = || Rules::new(Rule::once());
    for (text, rules) in [
        ("http=first(10)", new().target("http", first(10))),
        ("http::client=5s", new().target("http::client", once(5000))),
        ("http::client=error:5s", new().target_at("http::client", Level::Error, once(5000))),
        ("audit=exempt", new().exempt_target("audit")),
        ("ERROR:exempt", new().exempt_level(Level::Error)),
        ("info:first(3),info:2s", new().level(Level::Info, once(2000))),
        (" a = warn : once , b.c=exempt ", {
            new().target_at("a", Level::Warn, Rule::once()).exempt_target("b.c")
        }),
        ("a/b=once,5=once", new().target("a/b", Rule::once()).target("5", Rule::once())),
        // The window of the rule for everything, in any order, unless it has its own.
        ("60s,first(2),a=first(3)", {
            Rules::new(windowed(first(2), 60_000)).target("a", first(3))
        }),
        ("first(2),60s", Rules::new(windowed(first(2), 60_000))),
        ("first(2)/1s,60s", Rules::new(windowed(first(2), 1000))),
        ("10s,20s", Rules::new(once(20_000))),
        ("exempt", new().exempt_target("")),
        ("exempt,error:once", new().exempt_target("").level(Level::Error, Rule::once())),
        ("exempt,first(2)", Rules::new(first(2))),
    ] {
        assert_eq!(text.parse(), Ok(rules.clone()), "{text}");
        assert_eq!(rules.to_string().parse(), Ok(rules.clone()), "{text}, as {rules}");
    }
    let exempt: Rules = "exempt,error:once".parse().unwrap();
    assert_eq!(exempt.find(Level::Info, "a"), None);
    assert_eq!(exempt.find(Level::Error, "a"), Some(Rule::once()));
}

#[test]
fn errors_point_at_what_is_wrong() {
    let first = Kind::Malformed { expected: "first(10), first(5)+100 or first(5,100)" };
    for (text, position, piece, kind) in [
        ("", 0, "", Kind::MissingDirective),
        ("a=once,", 7, "", Kind::MissingDirective),
        ("once, ,once", 6, "", Kind::MissingDirective),
        ("=once", 0, "", Kind::MissingTarget),
        ("a=", 2, "", Kind::MissingRule),
        ("once,a= error:", 14, "", Kind::MissingRule),
        ("10s,error", 4, "error", Kind::MissingRule),
        ("a=warn", 2, "warn", Kind::MissingRule),
        ("10s, http::client", 5, "http::client", Kind::MissingRule),
        ("a=/5s", 2, "", Kind::MissingRule),
        ("(a)=once", 0, "(a)", Kind::BadTarget),
        ("first(10,a=once,b=once", 0, "first(10,a", Kind::BadTarget),
        ("é,a=once", 0, "é", Kind::UnknownRule),
        ("a=loud:once", 2, "loud", Kind::UnknownLevel),
        ("60s,ab=frist(10)", 7, "frist(10)", Kind::UnknownRule),
        ("a=b=once", 2, "b=once", Kind::UnknownRule),
        ("once()", 0, "once()", Kind::Malformed { expected: "once" }),
        ("exempt(1)", 0, "exempt(1)", Kind::Malformed { expected: "exempt" }),
        ("back_off", 0, "back_off", Kind::Malformed { expected: "back_off(1h)" }),
        ("back_off(1h)x", 0, "back_off(1h)x", Kind::Malformed { expected: "back_off(1h)" }),
        ("a=first", 2, "first", first.clone()),
        ("first(1", 0, "first(1", first.clone()),
        ("first(1)-2", 0, "first(1)-2", first.clone()),
        ("first(1,2)+3", 0, "first(1,2)+3", first.clone()),
        ("first()", 6, "", Kind::BadNumber),
        ("first(+1)", 6, "+1", Kind::BadNumber),
        ("first(1,2,3)", 8, "2,3", Kind::BadNumber),
        ("first(1)+", 9, "", Kind::BadNumber),
        ("first(4294967296)", 6, "4294967296", Kind::BadNumber),
        ("first(0)", 6, "0", Kind::Config(ConfigError::RuleOutOfRange { asked: 0 })),
        ("first(1,0)", 8, "0", Kind::Config(ConfigError::RuleOutOfRange { asked: 0 })),
        ("first(0)+1", 6, "0", Kind::Config(ConfigError::RuleOutOfRange { asked: 0 })),
        ("a=60", 2, "60", Kind::BadDuration),
        ("a=1.5s", 2, "1.5s", Kind::BadDuration),
        ("5sec", 0, "5sec", Kind::BadDuration),
        ("1m 30s", 0, "1m 30s", Kind::BadDuration),
        ("once/", 5, "", Kind::BadDuration),
        ("18446744073709551615ms1ms", 0, "18446744073709551615ms1ms", Kind::BadDuration),
        ("213503982335d", 0, "213503982335d", Kind::BadDuration),
        ("back_off(s)", 9, "s", Kind::BadDuration),
        ("0s", 0, "0s", Kind::Config(ConfigError::ZeroWindow)),
        ("back_off(0s)", 9, "0s", Kind::Config(ConfigError::ZeroCeiling)),
        ("5s/5s", 3, "5s", Kind::StrayWindow),
        ("a=exempt/5s", 9, "5s", Kind::StrayWindow),
    ] {
        let error = error(text);
        assert_eq!((error.position, &*error.text, &error.kind), (position, piece, &kind), "{text}");
    }
    for text in ["back_off(1s),1m", "1m,back_off(1s)"] {
        let error = error(text);
        assert_eq!(error.text, "1m", "{text}");
        assert!(matches!(error.kind, Kind::Config(ConfigError::CeilingBelowWindow { .. })));
    }
    assert_eq!("exempt".parse::<Rule>().unwrap_err().kind, Kind::Exempt);
}

#[test]
fn errors_say_what_may_have_been_meant() {
    for (text, begin) in [
        (
            "60s,cd=frist(10)",
            "at 7: unknown rule \"frist(10)\", perhaps \"first\"; known are once,",
        ),
        ("backoff(1h)", "at 0: unknown rule \"backoff(1h)\", perhaps \"back_off\"; known"),
        ("xyz", "at 0: unknown rule \"xyz\"; known are once,"),
        ("eror:once", "at 0: unknown level \"eror\", perhaps \"error\"; known are trace, debug,"),
        ("a=warn", "at 2: there is no rule for \"warn\""),
        ("first(0)", "at 6: a rule's number must be from 1 to 500000, got 0: \"0\""),
    ] {
        let message = error(text).to_string();
        assert!(message.starts_with(begin), "{message}");
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    let window = prop_oneof![Just(None), (1u64..100_000_000).prop_map(Some)];
    let policy = prop_oneof![
        Just(Rule::once()),
        (1..=Rule::MAX).prop_map(first),
        (1..=Rule::MAX, 1..=Rule::MAX).prop_map(|(n, m)| every(n, m)),
        (100_000_000u64..u64::MAX).prop_map(back_off),
    ];
    let rule = (policy, window)
        .prop_map(|(rule, window)| window.map_or(rule, |window| windowed(rule, window)))
        .boxed();
    let level = prop::sample::select(vec![Level::Trace, Level::Info, Level::Error]);
    let entry = ("[ab]{0,2}", prop::option::of(level), prop::option::of(rule.clone()));
    (rule, prop::collection::vec(entry, 0..8)).prop_map(|(rule, entries)| {
        entries.into_iter().fold(Rules::new(rule), |rules, entry| match entry {
            (target, None, Some(rule)) => rules.target(&target, rule),
            (target, None, None) => rules.exempt_target(&target),
            (target, Some(level), Some(rule)) => rules.target_at(&target, level, rule),
            (_, Some(level), None) => rules.exempt_level(level),
        })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(rules in rules()) {
        prop_assert_eq!(rules.to_string().parse(), Ok(rules.clone()), "{}", rules);
    }

    #[test]
    fn any_text_is_read_or_the_error_is_in_it(
        text in prop_oneof![
            any::<String>(),
            prop::collection::vec(prop::sample::select(vec![
                "first", "once", "back_off", "exempt", "error", "(", ")", ",", "=", ":", "::", "/",
                "+", "1", "0", "99999999999", "5s", "1m30s", "ms", " ", "é", "a",
            ]), 0..12).prop_map(|parts| parts.concat()),
        ],
    ) {
        match text.parse::<Rules>() {
            Ok(rules) => prop_assert_eq!(rules.to_string().parse(), Ok(rules)),
            Err(error) => {
                let rest = text.get(error.position..).expect("a position in the text");
                prop_assert!(rest.starts_with(&error.text), "{}", error);
            }
        }
        let _ = text.parse::<Rule>();
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs in a process of its own, whose environment nobody changes.
#[test]
fn child_with_an_environment() {
    let Ok(expected) = std::env::var("QUELL_TEST_EXPECTED") else { return };
    let lines = Lines::default();
    let cache = Arc::new(Cache::builder().build().unwrap());
    let builder = Logger::builder(cache, WriteSink::new(lines.clone())).rules(first(2));
    let seen = match builder.rules_from_env() {
        Ok(builder) => {
            let log = builder.build();
            for _ in 0..9 {
                log.log(Level::Error, format_args!("x"));
            }
            let lines = lines.0.lock().unwrap();
            lines.iter().filter(|byte| **byte == b'\n').count().to_string()
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(seen, expected);
}

fn child(value: Option<&std::ffi::OsStr>, expected: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child_with_an_environment"]).env_remove("QUELL");
    if let Some(value) = value {
        child.env("QUELL", value);
    }
    let output = child.env("QUELL_TEST_EXPECTED", expected).output().unwrap();
    let output = (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned());
    assert!(output.0 && output.1.contains("1 passed"), "{value:?}: {}", output.1);
}

#[test]
fn a_builder_reads_the_environment() {
    child(None, "2");
    for (value, expected) in [
        ("", "2"),
        (" ", "2"),
        ("once", "1"),
        ("error:first(3)", "3"),
        ("exempt", "9"),
        (
            "once,error:5",
            "QUELL: at 11: cannot read the duration \"5\", which is a number and ms, \
                          s, m, h or d, or a sum such as 1m30s",
        ),
    ] {
        child(Some(value.as_ref()), expected);
    }
    #[cfg(unix)]
    child(
        Some(std::os::unix::ffi::OsStrExt::from_bytes(b"once\xff,x")),
        "QUELL: at 4: not Unicode: \"\u{fffd},x\"",
    );
    assert_eq!(Rules::from_env("QUELL_TEST_NOT_SET"), Ok(None));
    assert_eq!(Rules::from_env("=\0"), Ok(None));
}

#[cfg(feature = "serde")]
#[test]
fn serde_has_rules_as_texts() {
    #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)]
    struct Settings {
        rules: Rules,
        one: Rule,
    }
    let settings = Settings {
        rules: Rules::new(first(2)).target_at("a::b", Level::Warn, once(5000)),
        one: every(5, 100),
    };
    let json = r#"{"rules":"first(2),a::b=warn:5s","one":"first(5)+100"}"#;
    assert_eq!(serde_json::to_string(&settings).unwrap(), json);
    assert_eq!(serde_json::from_str::<Settings>(json).unwrap(), settings);
    assert_eq!(serde_json::from_value::<Rule>("5s".into()).unwrap(), once(5000), "owned");

    let error = serde_json::from_str::<Rules>(r#""60s,frist""#).unwrap_err().to_string();
    assert!(error.starts_with("at 4: unknown rule \"frist\", perhaps \"first\""), "{error}");
    let error = serde_json::from_str::<Rules>("7").unwrap_err().to_string();
    assert!(error.contains("expected a text of rules"), "{error}");
    assert!(serde_json::from_str::<Rule>(r#""exempt""#).is_err());
    for target in ["a,b", "a=b", "a(", ")", " a", "a "] {
        let rules = Rules::default().target(target, first(2));
        assert!(serde_json::to_string(&rules).is_err(), "{target:?}: {rules}");
    }
}
