use super::*;
use proptest::prelude::*;

pub(super) fn key(normalizer: Normalizer, text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut key = Vec::new();
    normalizer.write(text.as_ref(), |bytes| key.extend_from_slice(bytes));
    key
}

pub(super) fn shown(normalizer: Normalizer, text: &str) -> String {
    normalizer.display(text.as_bytes()).to_string()
}

fn all() -> Normalizer {
    Normalizer::new(Classes::all())
}

/// The key of a text that comes in chunks which end at `cuts`.
fn key_in_chunks(normalizer: Normalizer, text: &[u8], cuts: &[usize]) -> (Vec<u8>, Classes) {
    let mut key = Vec::new();
    let mut writer = normalizer.writer(|bytes: &[u8]| key.extend_from_slice(bytes));
    let mut from = 0;
    for cut in cuts {
        let cut = (*cut).clamp(from, text.len());
        writer.bytes(&text[from..cut]);
        from = cut;
    }
    writer.bytes(&text[from..]);
    let found = writer.finish();
    (key, found)
}

#[track_caller]
fn each(classes: &str, cases: &[(&str, &str)]) {
    let normalizer: Normalizer = classes.parse().unwrap();
    for (text, expected) in cases {
        assert_eq!(shown(normalizer, text), *expected, "{text:?} without {classes}");
    }
}

#[test]
fn times() {
    let whole = [
        "2024-01-02T03:04:05Z",
        "2024-01-02t03:04:05.678901234z",
        "2024-01-02T03:04:05,678+01:00",
        "2024-01-02 03:04:05.678",
        "2024-01-02 03:04:05 +0000 UTC",
        "2024-01-02 03:04:05 UTC",
        "2024-01-02 03:04:05-07",
        "2024-01-02 03:04",
        "2024-01-02_03:04:05",
        "0001-01-01T00:00:00Z",
        "2024-01-02",
        "2024/01/02",
        "2024/01/02 03:04:05.123456",
        "2024.01.02",
        "20240102-13:55:36:123",
        "20240102-3:5:6:12",
        "20240102T030405Z",
        "20240102T030405.678+0100",
        "20240102_030405",
        "081109 203615",
        "17/06/09 20:10:40",
        "01/02/2024",
        "01/02/2024, 3:04:05 PM",
        "31.12.2024 23:59:59",
        "03-17 16:13:38.811",
        "2005-06-03-15.42.50.675872",
        "Jan  2 03:04:05",
        "Jan 12 03:04:05.678",
        "Jan 2, 2024 3:04:05 AM",
        "Jan  2 2024 03:04:05",
        "Sun Dec 04 04:47:44 2005",
        "Tue Jan  2 03:04:05 UTC 2024",
        "Tue Jan  2 03:04:05 PST 2024",
        "Tue, 15 Nov 1994 08:12:31 GMT",
        "15 Nov 1994 08:12:31 +0100",
        "02-Jan-2024 03:04:05.678",
        "10/Oct/2000:13:55:36 -0700",
        "13:55:36",
        "3:55:36",
        "13:55:36.123",
        "13:55:36,123",
        "13:55:36:123",
        "23:59:60",
        "13:55:36Z",
    ];
    for time in whole {
        let normalizer = Normalizer::new(Classes::TIME);
        for (before, after) in [("", ""), ("[", "] x"), ("at ", " 17"), ("t=", ","), ("/", ": y")] {
            if time == "081109 203615" && before.ends_with(' ') {
                // Two numbers, most likely.
                continue;
            }
            let text = format!("{before}{time}{after}");
            let expected = format!("{before}<time>{after}");
            assert_eq!(shown(normalizer, &text), expected, "{text:?}");
        }
    }
}

#[test]
fn what_is_no_time() {
    for text in [
        "13:55",
        "25:00:00",
        "13:60:00",
        "113:55:36",
        "13:55:366",
        "13:55:36x",
        "x13:55:36",
        "00:1a:2b:3c:4d:5e",
        "2024-13-02",
        "2024-01-32",
        "2024-01-022",
        "12024-01-02",
        "2024-01/02",
        "2024-01-02x",
        "1.2.2024 1.2",
        "20241301-135536",
        "20240102",
        "089909 203615",
        "sent 190305 202603",
        "081109 203615x",
        "Jan 2",
        "Jan  2 foo",
        "Janus  2 x",
        "Marx 1 03:04:0",
        "Monday",
        "Mon Jan",
        "May 5 people",
        "12/34",
        "17/06/09",
        "1704164645.678",
        "version 1.2.3",
        "Oct/2000",
    ] {
        assert_eq!(shown(Normalizer::new(Classes::TIME), text), text);
    }
    each(
        "time",
        &[
            ("2024-01-02 -1234 bytes", "<time> -1234 bytes"),
            ("2024-01-02 03:04:05 -1234 bytes", "<time> -1234 bytes"),
            ("2024-01-02 03:04:05 2024 bytes", "<time> 2024 bytes"),
            ("Jan  2 03:04:05 2024 bytes", "<time> 2024 bytes"),
            ("2024-01-02, 5 of", "<time>, 5 of"),
            ("2024-01-02 13:55:36x", "<time> 13:55:36x"),
            ("13:55:36, 5 of", "<time>, 5 of"),
            ("13:55:36-14:00:00", "<time>-<time>"),
            ("2024-01-02-2024-01-03", "<time>-<time>"),
            ("2024-01-02.log", "<time>.log"),
            ("Tue, 2 more", "Tue, 2 more"),
            ("2024-01-02T03:04:05Z2024", "2024-01-02T03:04:05Z2024"),
        ],
    );
}

#[test]
fn what_is_left_out_is_handed_over() {
    let left_out = |classes: &str, text: &str| {
        let normalizer: Normalizer = classes.parse().unwrap();
        let (mut key_with, mut left_out) = (Vec::new(), Vec::new());
        let found = normalizer.write_with(
            text.as_bytes(),
            |bytes| key_with.extend_from_slice(bytes),
            |class, text| left_out.push((class, String::from_utf8(text.to_vec()).unwrap())),
        );
        assert_eq!(key_with, key(normalizer, text));
        assert_eq!(found, left_out.iter().map(|(class, _)| *class).collect());
        left_out
    };
    let text = "\x1b[31m13:55:36\x1b[0m took -17ms";
    let pieces = [
        (Class::Ansi, "\x1b[31m".to_owned()),
        (Class::Time, "13:55:36".to_owned()),
        (Class::Ansi, "\x1b[0m".to_owned()),
        (Class::Number, "-17ms".to_owned()),
    ];
    assert_eq!(left_out("all", text), pieces);
    assert_eq!(left_out("number", "a 1"), [(Class::Number, "1".to_owned())]);
    let long = format!("/a/{}", "x".repeat(300));
    let cut = left_out("path", &format!("in {long} 1"));
    assert!(cut.iter().all(|(class, _)| *class == Class::Path));
    assert_eq!(cut.into_iter().map(|(_, text)| text).collect::<String>(), long);
}

#[test]
fn uuids() {
    let id = "123e4567-e89b-12d3-a456-426614174000";
    each(
        "uuid",
        &[
            (id, "<uuid>"),
            (&format!("{{{id}}}"), "{<uuid>}"),
            (&format!("req_{id}-{id}"), "req_<uuid>-<uuid>"),
            (&id.to_uppercase(), "<uuid>"),
            (&format!("x{id}"), &format!("x{id}")),
            (&format!("{id}0"), &format!("{id}0")),
            (&id[..35], &id[..35]),
            (&id.replace("e89b-", "e89b_"), &id.replace("e89b-", "e89b_")),
        ],
    );
}

#[test]
fn addresses() {
    for ip in [
        "10.0.0.7",
        "255.255.255.255:65535",
        "0.0.0.0",
        "::1",
        "fe80::1",
        "2001:db8::8a2e:370:7334",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "0:0:0:0:0:0:0:0:2181",
        "[::1]:80",
        "[2001:db8::1]:65535",
        "::ffff:10.0.0.7",
        "64:ff9b::192.0.2.33",
        "1::",
        "[::]:8080",
    ] {
        let normalizer = Normalizer::new(Classes::IP);
        for (before, after) in [("", ""), ("from ", "."), ("(", ")"), ("/", "/x"), ("=", ": y")] {
            let text = format!("{before}{ip}{after}");
            let expected = format!("{before}<ip>{after}");
            assert_eq!(shown(normalizer, &text), expected, "{text:?}");
        }
    }
    for text in [
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.4a",
        "v1.2.3.4",
        "1..2.3",
        "std::io",
        "a::b",
        "dead::beef",
        "face::db2::connect",
        "Baz::add1",
        "::",
        "a :: b",
        "[::]",
        "12:30",
        "12:30:45",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8g",
        "00:1a:2b:3c:4d:5e",
        ":1",
    ] {
        assert_eq!(shown(Normalizer::new(Classes::IP), text), text);
    }
    each(
        "ip",
        &[
            ("10.0.0.7:123456", "<ip>:123456"),
            ("10.0.0.7:80x", "<ip>:80x"),
            ("10.0.0.0/24", "<ip>/24"),
            ("10.0.0.1-10.0.0.9", "<ip>-<ip>"),
            ("[10.0.0.7]", "[<ip>]"),
            ("[::1]", "[<ip>]"),
            ("fe80::1%eth0", "<ip>%eth0"),
        ],
    );
}

#[test]
fn paths() {
    for path in
        ["/a/b", "/var/log/x-1.log.gz", "/a//b/", "/a/..", "/dt=1/ä", r"C:\x", r"c:\a\\b.txt"]
    {
        let normalizer = Normalizer::new(Classes::PATH);
        for (before, after) in [("", ""), ("in ", "."), ("\"", "\""), ("p=", ":17:5"), ("(", ", x")]
        {
            if path.ends_with('.') && after == "." {
                continue;
            }
            let text = format!("{before}{path}{after}");
            let expected = format!("{before}<path>{after}");
            assert_eq!(shown(normalizer, &text), expected, "{text:?}");
        }
    }
    for text in [
        "/", "/tmp", "/tmp/", "and/or", "a/b/c", "./a/b", "../a/b", "~/a", "1/2/3", "//a", "</b>",
        "/ a/b", "C:", "CC:\\x", "C:\\", "C: \\x", "km/h", "HTTP/1.1", "é/a/b",
    ] {
        assert_eq!(shown(Normalizer::new(Classes::PATH), text), text);
    }
    each(
        "path",
        &[
            ("https://host/a/b?q=/c/d", "https://host<path>?q=<path>"),
            ("http://u@h:80/a/b.", "http://u@h:80<path>."),
            ("see http://host/a and /b/c", "see http://host/a and <path>"),
            ("http://a http://b/c/d", "http://a http://b<path>"),
            ("/a/b /c/d", "<path> <path>"),
        ],
    );
    each("all", &[("http://[::1]:80/a/b?x=1", "http://<ip><path>?x=<number>")]);
}

#[test]
fn hexadecimal_numbers() {
    for hex in [
        "0x7f",
        "0XFF",
        "0x0",
        "9f86d081",
        "A94A8FE5CCB19BA61C4C0873D391E987982FBBD3",
        "00:1a:2b:3c:4d:5e",
        "00-1A-2B-3C-4D-5E",
        "16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
    ] {
        let normalizer = Normalizer::new(Classes::HEX);
        for (before, after) in [("", ""), ("id_", "."), ("(", ")"), ("=", ": y"), ("-", "_z")] {
            let text = format!("{before}{hex}{after}");
            let expected = format!("{before}<hex>{after}");
            assert_eq!(shown(normalizer, &text), expected, "{text:?}");
        }
    }
    for text in [
        "deadbeef",
        "face",
        "12345678",
        "9f86d08",
        "9f86d081x",
        "x9f86d081",
        "0x",
        "0xfg",
        "10x7f",
        "00:1a:2b:3c:4d",
        "00:1a:2b-3c:4d:5e",
        "00:1a:2b:3c:4d:5ef",
        "added",
        "decade",
    ] {
        assert_eq!(shown(Normalizer::new(Classes::HEX), text), text);
    }
}

#[test]
fn numbers() {
    each(
        "number",
        &[
            ("17", "<number>"),
            ("-17 +3", "<number> <number>"),
            ("1.5 1,234 1,234.5 1,234,567", "<number> <number> <number> <number>"),
            ("1e9 1.5e-9 2E+3", "<number> <number> <number>"),
            ("1e x1e5 1e5z", "<number>e x<number>e<number> <number>e<number>z"),
            (
                "worker-17 blk_-123 12ms sshd[123]",
                "worker-<number> blk_<number> <number> sshd[<number>]",
            ),
            (
                "1ns 2us 3µs 3\u{3bc}s 4.5ms 6s",
                "<number> <number> <number> <number> <number> <number>",
            ),
            ("1m30.5s 2h0m 3d4h, -5s. (7m)", "<number> <number> <number>, <number>. (<number>)"),
            (
                "5sec 5mss 5m3 5µ x5s 5MB",
                "<number>sec <number>mss <number>m<number> <number>µ x<number>s <number>MB",
            ),
            ("version 1.2.3", "version <number>.<number>"),
            ("1,23 1,2345 1, 2", "<number>,<number> <number>,<number> <number>, <number>"),
            ("5-3 a-5 (-5) --5", "<number>-<number> a-<number> (<number>) -<number>"),
            ("end 5.", "end <number>."),
            ("10.0.0.7", "<number>.<number>"),
            ("-", "-"),
            ("- 5", "- <number>"),
            ("+x", "+x"),
        ],
    );
    // A sign is of a number only.
    each("all", &[("a -2024-01-02 -10.0.0.7 -0x7f", "a -<time> -<ip> -<hex>")]);
}

#[test]
fn terminal_sequences_are_removed() {
    each(
        "ansi",
        &[
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b[38;5;196mx\x1b[m", "x"),
            ("\x1b]0;title\x07x", "x"),
            ("\x1b]8;;http://a\x1b\\x", "x"),
            ("\x1b(B\x1b7x\x1bc", "x"),
            ("\x1b", "\x1b"),
            ("\x1b[31", "\x1b[31"),
            ("\x1b]0;title", "\x1b]0;title"),
        ],
    );
    each("all", &[("\x1b[1m10.0.0.7\x1b[0m \x1b[2m17\x1b[22mms", "<ip> <number>ms")]);
    // Those that stay do not count as a part of a word either.
    each("ip,number", &[("\x1b[1m10.0.0.7\x1b[0m", "\x1b[1m<ip>\x1b[0m")]);
    let found = all().write(b"\x1b[31mred", |_| {});
    assert_eq!(found, Classes::ANSI);
}

#[test]
fn the_order_of_precedence_is_fixed() {
    let text = "2024-01-02 123e4567-e89b-12d3-a456-426614174000 10.0.0.7 /a/0x7f 0x7f 7";
    each("all", &[(text, "<time> <uuid> <ip> <path> <hex> <number>")]);
    each(
        "number,hex,path,ip,uuid,time,ansi",
        &[(text, "<time> <uuid> <ip> <path> <hex> <number>")],
    );
    each("hex,number", &[("123e4567-e89b", "<hex>-e<number>b")]);
}

#[test]
fn long_tokens_are_one_placeholder() {
    for (unit, class) in [("7", Class::Number), ("a1", Class::Hex), ("/abcdefg", Class::Path)] {
        for count in [2, 31, 32, 63, 64, 65, 127, 128, 129, 1000] {
            let text = unit.repeat(count.max(8 / unit.len()));
            let shown = shown(all(), &format!("x {text} y"));
            assert_eq!(shown, format!("x {} y", class.placeholder()), "{count} times {unit}");
        }
    }
    // Judged by its beginning.
    let beginning = "a1".repeat(64);
    assert_eq!(shown(all(), &format!("{beginning}a1z")), "<hex>z");
    assert_eq!(
        shown(all(), &format!("{}z", &beginning[1..])),
        format!("{}z", &beginning[1..]).replace('1', "<number>")
    );
}

#[test]
fn no_text_spells_a_placeholder() {
    let bytes = [0xff, Class::Number as u8];
    assert_eq!(key(all(), b"7"), bytes);
    assert_eq!(key(all(), bytes), [0xff, 0xff, Class::Number as u8]);
    assert_ne!(key(all(), [0xff, b'7']), key(all(), [0xff, 0xff, b'7']));
    assert_ne!(key(all(), "<number>"), key(all(), "7"));
    // Nor does an escaped byte before a placeholder.
    assert_eq!(key(all(), [0xff, b'7']), [0xff, 0xff, 0xff, Class::Number as u8]);
}

#[test]
fn classes_that_were_found_are_told() {
    let text = b"2024-01-02 took 12ms";
    assert_eq!(all().write(text, |_| {}), Classes::TIME | Classes::NUMBER);
    assert_eq!(all().write(b"took long", |_| {}), Classes::none());
    assert_eq!(key_in_chunks(all(), text, &[3, 17]).1, Classes::TIME | Classes::NUMBER);
    let mut pieces = all().pieces(text);
    assert_eq!(pieces.found(), Classes::none());
    assert_eq!(pieces.by_ref().count(), 3);
    assert_eq!(pieces.found(), Classes::TIME | Classes::NUMBER);
}

#[test]
fn a_chunk_border_is_nothing() {
    let text =
        "Jan  2 03:04:05 h \x1b[1mx\x1b[0m[17]: http://[::1]:80/a/b 2024-01-02 03:04:05.6 -0700, "
            .repeat(20);
    for from in [0, 400, 500] {
        let text = &text.as_bytes()[from..];
        for cut in 0..text.len() {
            assert_eq!(key_in_chunks(all(), text, &[cut]).0, key(all(), text), "cut at {cut}");
        }
        let cuts: Vec<_> = (0..text.len()).collect();
        assert_eq!(key_in_chunks(all(), text, &cuts).0, key(all(), text));
    }
}

/// Tokens and fragments of them, which bytes at random would hardly make.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        prop::sample::select(vec![
            "Jan",
            "Tue, ",
            " ",
            "  ",
            "2024",
            "-01",
            "-",
            "/",
            ":",
            "::",
            ".",
            ",",
            "T",
            "Z",
            "03",
            "04:05",
            "1",
            "17",
            "255",
            "fe80",
            "a1",
            "deadbeef",
            "123e4567",
            "-e89b-12d3-a456-",
            "426614174000",
            "0x",
            "e",
            "+",
            "://",
            "h",
            "/a",
            "/b",
            "C:\\",
            "\\",
            "[",
            "]",
            "\x1b",
            "\x1b[1m",
            "\x1b]0;",
            "\x07",
            "é",
            "_",
            "word ",
            "10.0.0.7",
            "00:1a:2b:3c:4d:5e",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..4),
        ("[0-9a-f/:. -]", 1..200usize).prop_map(|(unit, count)| unit.repeat(count).into_bytes()),
    ];
    prop::collection::vec(fragment, 0..60).prop_map(|fragments| fragments.concat())
}

fn sets() -> impl Strategy<Value = Classes> {
    prop_oneof![
        Just(Classes::all()),
        prop::sample::subsequence(Class::ALL.to_vec(), 0..=7)
            .prop_map(|classes| classes.into_iter().collect())
    ]
}

/// A text of `class` as a program might write it.
fn value(class: Class) -> BoxedStrategy<String> {
    match class {
        Class::Ansi => "\x1b\\[[0-9;]{0,9}m".boxed(),
        Class::Time => {
            (1970..2100u32, 1..13u32, 1..29u32, 0..24u32, 0..60u32, "(\\.[0-9]{1,9})?Z?")
                .prop_map(|(y, m, d, h, min, rest)| {
                    format!("{y}-{m:02}-{d:02}T{h:02}:{min:02}:07{rest}")
                })
                .boxed()
        }
        Class::Uuid => "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}".boxed(),
        Class::Ip => prop_oneof![
            any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
            any::<std::net::SocketAddrV4>().prop_map(|ip| ip.to_string()),
            any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string()),
            any::<std::net::SocketAddrV6>().prop_map(|ip| std::net::SocketAddrV6::new(
                *ip.ip(),
                ip.port(),
                0,
                0
            )
            .to_string()),
        ]
        // Without a digit it is taken for a path of modules.
        .prop_filter("a digit", |ip| ip.bytes().any(|b| b.is_ascii_digit()))
        .boxed(),
        Class::Path => "(/[a-z][a-z0-9_.-]{0,20}[a-z]){2,9}".boxed(),
        Class::Hex => prop_oneof![
            any::<u64>().prop_map(|bits| format!("{bits:#x}")),
            "[0-9a-f]{7}a[0-9a-f]{3}7",
            "[0-9a-f]{2}(:[0-9a-f]{2}){5}",
        ]
        .boxed(),
        _ => prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
            any::<f32>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n}")),
        ]
        .boxed(),
    }
}

fn two_of_a_class() -> impl Strategy<Value = (String, String)> {
    prop::sample::select(Class::ALL.to_vec()).prop_flat_map(|class| (value(class), value(class)))
}

proptest! {
    #[test]
    fn chunks_do_not_matter(
        text in fragments(),
        classes in sets(),
        mut cuts in prop::collection::vec(0..3000usize, 0..20),
    ) {
        cuts.sort_unstable();
        let normalizer = Normalizer::new(classes);
        let mut whole = Vec::new();
        let found = normalizer.write(&text, |bytes| whole.extend_from_slice(bytes));
        prop_assert_eq!(key_in_chunks(normalizer, &text, &cuts), (whole, found));
    }

    #[test]
    fn pieces_spell_the_key(text in fragments(), classes in sets()) {
        let normalizer = Normalizer::new(classes);
        let mut pieces = normalizer.pieces(&text);
        let mut spelled = Vec::new();
        for piece in pieces.by_ref() {
            match piece {
                Piece::Text(text) => {
                    prop_assert!(!text.is_empty());
                    for byte in text {
                        spelled.extend(std::iter::repeat_n(*byte, 1 + usize::from(*byte == 0xff)));
                    }
                }
                Piece::Placeholder(class) => {
                    prop_assert!(classes.contains(class));
                    spelled.extend([0xff, class as u8]);
                }
            }
        }
        prop_assert_eq!(spelled, key(normalizer, &text));
        prop_assert_eq!(pieces.found() | classes, classes);
    }

    #[test]
    fn values_of_a_class_do_not_matter(
        (one, other) in two_of_a_class(),
        before in "([a-z]{1,9} ){0,20}",
        after in "( [a-z]{1,9}){0,20}",
    ) {
        let text = |value: &str| format!("{before}{value}{after}");
        prop_assert_eq!(shown(all(), &text(&one)), shown(all(), &text(&other)));
    }

    #[test]
    fn words_stay_as_they_are(text in "([a-zA-Zäß]{1,12}[ ,.;:!?()'\"=_-]{1,3}){0,30}", classes in sets()) {
        prop_assert_eq!(shown(Normalizer::new(classes), &text), text);
    }

    #[test]
    fn nothing_to_find_changes_nothing(text in fragments()) {
        let pieces: Vec<_> = Normalizer::default().pieces(&text).collect();
        prop_assert_eq!(pieces, if text.is_empty() { vec![] } else { vec![Piece::Text(&text)] });
    }

    #[test]
    fn a_shown_text_has_nothing_to_find(
        values in prop::collection::vec(two_of_a_class().prop_map(|(value, _)| value), 0..9),
    ) {
        let once = shown(all(), &values.join(" and "));
        prop_assert_eq!(shown(all(), &once), once);
    }
}

proptest! {
    /// Eight bytes at a time they are counted as one by one.
    #[test]
    fn runs_are_those_of_single_bytes(text in "[09AFGZafgz+-;\\[`{@\u{0}\u{1b}é]{0,40}", at in 0..48_usize) {
        let text = text.as_bytes();
        let rest = text.get(at..).unwrap_or_default();
        let count = |is: fn(&u8) -> bool| rest.iter().take_while(|byte| is(byte)).count();
        prop_assert_eq!(bytes::digits(text, at), count(u8::is_ascii_digit));
        prop_assert_eq!(bytes::hex_digits(text, at), count(u8::is_ascii_hexdigit));
        for i in 0..16 {
            let byte = bytes::byte(text, at + i);
            prop_assert_eq!(bytes::digit_bits(text, at) >> i & 1 == 1, byte.is_ascii_digit());
            let is_stop = byte.is_ascii_digit() || b"+-/:[\x1b".contains(&byte);
            let found = bytes::stops(text, at + i / 8 * 8) >> (i % 8 * 8) & 0x80 != 0;
            prop_assert!(found == is_stop || byte == b'Z', "{} {:?}", byte, rest);
        }
    }
}
