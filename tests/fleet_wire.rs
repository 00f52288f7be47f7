//! What processes of various builds must agree on: version 1 of the fleet's fingerprints, as each
//! front end makes them. A vector that changes is a new version, `quell::fleet`'s in each key.
#![cfg(feature = "fleet")]

use quell::fleet::{Answer, Away, Fleet, Refused, Store, Touch};
use quell::{
    Cache, Clock, Fingerprint, FingerprintHasher, Key, Level, Logger, Secret, Sink, Value,
};
use std::sync::{Arc, Mutex};

const SECRET: Secret = Secret::from_bytes(*b"sixteen byte key");

/// Keeps what it is asked, and is away.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<(String, u128)>>>);

impl Store for Asked {
    fn touch(
        &mut self,
        fleet: &str,
        batch: &[Touch],
        answers: &mut Vec<Result<Answer, Refused>>,
    ) -> Result<(), Away> {
        let mut asked = self.0.lock().unwrap();
        asked.extend(batch.iter().map(|touch| (fleet.into(), touch.message)));
        answers.extend(batch.iter().map(|_| Ok(Answer { mine: true, ..Answer::default() })));
        Ok(())
    }
}

fn cache() -> Arc<Cache> {
    Arc::new(Cache::builder().secret(SECRET).build().unwrap())
}

/// What the fleet is asked when `log` logs one message.
fn asked(log: impl FnOnce(Arc<Cache>, &Fleet)) -> (String, u128) {
    let (store, cache) = (Asked::default(), cache());
    let fleet = Fleet::builder(store.clone()).name("f").build(&cache).unwrap();
    log(cache, &fleet);
    loop {
        if let Some(asked) = store.0.lock().unwrap().first() {
            return asked.clone();
        }
        std::thread::yield_now();
    }
}

fn assert_vector((fleet, message): (String, u128), expected: u128) {
    assert_eq!(fleet, "quell:1:f4ef70af:f");
    assert_eq!(message, expected, "got {message:#034x}");
}

struct Nowhere;
impl Sink for Nowhere {
    fn write(&self, _: &quell::Event<'_>) {}
    fn summary(&self, _: &quell::Summary) {}
}

fn logger<C: Clock>(cache: Arc<Cache<C>>, fleet: &Fleet, key: Key) -> Logger<Nowhere, C> {
    Logger::builder(cache, Nowhere).key(key).fleet(fleet, "sink").unwrap().build()
}

#[test]
fn vectors_of_the_hash() {
    let mut hasher = FingerprintHasher::new(&SECRET);
    assert_eq!(hasher.finish(), Fingerprint::from_u128(0x00007909a7aca7578733cb0d3d2dd021));
    hasher.bytes("disk 7 füll".as_bytes());
    assert_eq!(hasher.finish(), Fingerprint::from_u128(0x0000df2dcb8252e95b16acea0b404c14));
    let values = [
        ("null", Value::Null),
        ("bool", Value::Bool(true)),
        ("i64", Value::I64(-7)),
        ("u64", Value::U64(7)),
        ("i128", Value::I128(-7)),
        ("u128", Value::U128(7)),
        ("f64", Value::F64(0.5)),
        ("char", Value::Char('x')),
        ("str", Value::Str("db1")),
        ("bytes", Value::Bytes(b"db1")),
        ("display", Value::Display(&"db1")),
        ("debug", Value::Debug(&"db1")),
    ];
    for (name, value) in values {
        hasher.field(name, value);
    }
    assert_eq!(hasher.finish(), Fingerprint::from_u128(0x0000226f872958e52bf99e43fd8f7fa0));
}

#[test]
fn vectors_of_loggers() {
    let event = asked(|cache, fleet| {
        let log = logger(cache, fleet, Key::Event).with_group("net").with_attr("shard", 3u64);
        log.log_with(Level::Error, format_args!("refused {}", 1), &[("peer", Value::Str("db1"))]);
    });
    assert_vector(event, 0xd945d4f198176e1174bd3dd810ef573b);
    let message = asked(|cache, fleet| {
        logger(cache, fleet, Key::Message).warn(format_args!("refused"));
    });
    assert_vector(message, 0xd945dc1d4e1d17eecb02390edfbb21db);
}

#[test]
#[cfg(feature = "log")]
fn vectors_of_log() {
    struct Off;
    impl log::Log for Off {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &log::Record<'_>) {}
        fn flush(&self) {}
    }
    let vector = |key| {
        asked(|cache, fleet| {
            let builder = quell::front::log::Dedup::builder(cache, Off);
            let dedup = builder.key(key).fleet(fleet, "sink").unwrap().build();
            log::Log::log(
                &dedup,
                &log::Record::builder()
                    .level(log::Level::Error)
                    .target("net")
                    .file(Some("src/net.rs"))
                    .line(Some(7))
                    .key_values(&[("peer", "db1")])
                    .args(format_args!("refused {}", 1))
                    .build(),
            );
        })
    };
    assert_vector(vector(Key::Event), 0xd945d6292188926010b30e10815fd931);
    assert_vector(vector(Key::Callsite), 0xd9453fcc3c0c5c9c69c94270b52ed4f6);
}

#[test]
#[cfg(feature = "slog")]
fn vectors_of_slog() {
    struct Off;
    impl slog::Drain for Off {
        type Ok = ();
        type Err = slog::Never;
        fn log(&self, _: &slog::Record<'_>, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
            Ok(())
        }
    }
    let vector = |key| {
        asked(|cache, fleet| {
            let builder = quell::front::slog::Dedup::builder(cache, Off);
            let dedup = builder.key(key).fleet(fleet, "sink").unwrap().build();
            let location = slog::RecordLocation {
                file: "src/net.rs",
                line: 7,
                column: 1,
                function: "",
                module: "net",
            };
            let rstatic =
                slog::RecordStatic { location: &location, tag: "", level: slog::Level::Error };
            let log = slog::Logger::root(slog::Fuse(dedup), slog::o!("shard" => 3u64));
            let text = format_args!("refused");
            log.log(&slog::Record::new(&rstatic, &text, slog::b!("peer" => "db1")));
        })
    };
    assert_vector(vector(Key::Event), 0xd94504ec2ff417fe2282eb90f6faefbf);
    assert_vector(vector(Key::Callsite), 0xd945e59e7ec6315c9c58f2bd1592e9f0);
}

#[test]
#[cfg(feature = "tracing")]
fn vectors_of_tracing() {
    use tracing_subscriber::prelude::*;
    struct Off;
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Off {}
    let vector = |key| {
        asked(|cache, fleet| {
            let builder = quell::front::tracing::Dedup::builder(cache);
            let dedup = builder.key(key).fleet(fleet, "sink").unwrap().build();
            let stack = tracing_subscriber::registry().with(dedup.wrap(Off));
            tracing::subscriber::with_default(stack, || {
                // Its line belongs to the vector of call sites: not to be moved.
                #[rustfmt::skip]
                tracing::error!(target: "net", peer = "db1", tries = 7u64, cause = ?Some(1), "refused {}", 1);
            });
        })
    };
    assert_vector(vector(Key::Event), 0xd94585a527ba7c6c7f55ad384e282a86);
    assert_vector(vector(Key::Callsite), 0xd9459cffba55f22377d6ff0a652511c2);
}
