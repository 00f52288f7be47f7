//! `--ignore`: what is left out of the comparison.

use crate::harness::both;

#[track_caller]
fn kept(args: &[&str], input: &str) -> Vec<String> {
    let ran = both(args, input.as_bytes());
    assert_eq!(ran.code, Some(0));
    String::from_utf8(ran.out).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn lines_of_many_formats_collapse() {
    // Of each format two that say the same, and one that does not.
    let formats = [
        "2026-11-26T07:00:01.123Z ERROR [worker-3] request 4711 took 12ms",
        "2026-11-27 08:15:59,004 ERROR [worker-11] request 9 took 3400ms",
        "2026-11-26T07:00:01.123Z ERROR [worker-3] request 4711 failed",
        "Nov 26 07:00:01 web1 sshd[812]: Failed password for root from 10.0.0.7 port 51234 ssh2",
        "Dec  2 17:10:59 web1 sshd[90210]: Failed password for root from 192.168.1.20 port 22 ssh2",
        "Nov 26 07:00:01 web1 sshd[812]: Accepted password for root from 10.0.0.7 port 51234 ssh2",
        "10.0.0.7 - - [26/Nov/2026:07:00:01 +0000] \"GET /a/b HTTP/1.1\" 200 512",
        "10.9.8.7 - - [27/Nov/2026:11:12:13 +0100] \"GET /c/d/e HTTP/1.1\" 404 7",
        "10.0.0.7 - - [26/Nov/2026:07:00:01 +0000] \"PUT /a/b HTTP/1.1\" 200 512",
        "081109 203615 148 INFO dfs.DataNode: Received block blk_38865049064139660 of size 67108864",
        "081110 103615 3 INFO dfs.DataNode: Received block blk_-7 of size 91178",
        "081109 203615 148 INFO dfs.DataNode: Deleting block blk_38865049064139660 of size 67108864",
        "job 550e8400-e29b-41d4-a716-446655440000 done by 0x7ffdeadbeef",
        "job 67e55044-10b1-426f-9247-bb680e5fe0c8 done by 0x55aa",
        "job 550e8400-e29b-41d4-a716-446655440000 lost by 0x7ffdeadbeef",
        "\u{1b}[31mERROR\u{1b}[0m disk sda1 is 91% full",
        "ERROR disk sda7 is 3% full",
        "WARN disk sda1 is 91% full",
    ];
    for lines in formats.chunks(3) {
        let got = kept(&["--ignore", "all"], &format!("{}\n", lines.join("\n")));
        assert_eq!(got, [lines[0], lines[2]]);
        assert_eq!(kept(&[], &format!("{}\n", lines.join("\n"))).len(), 3);
    }
}

#[test]
fn only_the_named_classes_are_ignored() {
    let input = "10.0.0.7 took 5\n10.0.0.8 took 5\n10.0.0.7 took 6\n";
    assert_eq!(kept(&["--ignore", "ip"], input), ["10.0.0.7 took 5", "10.0.0.7 took 6"]);
    for both in ["ip,number", "number, ip"] {
        assert_eq!(kept(&["--ignore", both], input), ["10.0.0.7 took 5"]);
    }
    assert_eq!(kept(&["--ignore=none"], input).len(), 3);
}

#[test]
fn strings_of_fields_are_normalized() {
    let input =
        "{\"msg\":\"job 1\",\"n\":1}\n{\"msg\":\"job 22\",\"n\":1}\n{\"msg\":\"job 1\",\"n\":2}\n";
    let got = kept(&["--key", "msg,n", "--ignore", "number"], input);
    assert_eq!(got, ["{\"msg\":\"job 1\",\"n\":1}", "{\"msg\":\"job 1\",\"n\":2}"]);
}

#[test]
fn an_unknown_class_is_an_error() {
    let ran = both(&["--ignore", "time,uid"], b"a\n");
    let error = &ran.err;
    assert_eq!(ran.code, Some(2));
    assert!(error.contains("uid") && error.contains("uuid"), "{error}");
}
