//! Lines in the shapes of well-known log formats: three that are one message, and one that
//! is another.

use super::tests::{key, shown};
use super::{Classes, Normalizer};

struct Format {
    name: &'static str,
    same: [&'static str; 3],
    other: &'static str,
    shown: &'static str,
}

const FORMATS: &[Format] = &[
    Format {
        name: "syslog, sshd",
        same: [
            "Jan  2 03:04:05 web1 sshd[2422]: Failed password for root from 10.0.0.7 port 51022 ssh2",
            "Jan 12 23:59:59 web2 sshd[11]: Failed password for root from 192.168.100.201 port 22 ssh2",
            "Dec  9 00:00:00 web9 sshd[999999]: Failed password for root from 2001:db8::7 port 1 ssh2",
        ],
        other: "Jan  2 03:04:05 web1 sshd[2422]: Failed password for admin from 10.0.0.7 port 51022 ssh2",
        shown: "<time> web<number> sshd[<number>]: Failed password for root from <ip> port <number> ssh<number>",
    },
    Format {
        name: "syslog of RFC 5424",
        same: [
            "<34>1 2024-01-02T03:04:05.003Z host app 8710 ID47 - disk sda1 is full",
            "<35>1 2024-12-31T23:59:59.999999+01:00 host app 1 ID8 - disk sda2 is full",
            "<3>1 2023-02-28T00:00:00-08:00 host app 22 ID9 - disk sda15 is full",
        ],
        other: "<34>1 2024-01-02T03:04:05.003Z host app 8710 ID47 - disk sda1 is fine",
        shown: "<<number>><number> <time> host app <number> ID<number> - disk sda<number> is full",
    },
    Format {
        name: "combined log of a web server",
        same: [
            r#"10.0.0.7 - ann [10/Oct/2000:13:55:36 -0700] "GET /img/a.gif HTTP/1.0" 200 2326"#,
            r#"10.0.0.8 - ann [01/Jan/2024:00:00:00 +0000] "GET /static/css/x-1.css HTTP/1.1" 304 0"#,
            r#"::1 - ann [31/Dec/1999:23:59:59 +0530] "GET /a/b/c/ HTTP/2.0" 500 17"#,
        ],
        other: r#"10.0.0.7 - ann [10/Oct/2000:13:55:36 -0700] "POST /img/a.gif HTTP/1.0" 200 2326"#,
        shown: r#"<ip> - ann [<time>] "GET <path> HTTP/<number>" <number> <number>"#,
    },
    Format {
        name: "error log of Apache",
        same: [
            "[Sun Dec 04 04:47:44 2005] [error] [client 10.0.0.7] script not found: /var/www/cgi",
            "[Mon Jan  2 14:00:01 2006] [error] [client 10.1.2.3] script not found: /srv/x/y.pl",
            "[Sat Jul 15 23:59:59.123456 2017] [error] [client 8.8.8.8] script not found: /a/b",
        ],
        other: "[Sun Dec 04 04:47:44 2005] [notice] [client 10.0.0.7] script not found: /var/www/cgi",
        shown: "[<time>] [error] [client <ip>] script not found: <path>",
    },
    Format {
        name: "error log of nginx",
        same: [
            "2024/01/02 03:04:05 [error] 31#31: *4711 connect() failed, upstream: http://10.0.0.7:8080/api/v1",
            "2024/01/02 23:04:05 [error] 7#0: *1 connect() failed, upstream: http://10.0.0.8:80/x/y/z",
            "2023/11/30 00:00:00 [error] 900#12: *99 connect() failed, upstream: http://127.0.0.1/a/b",
        ],
        other: "2024/01/02 03:04:05 [error] 31#31: *4711 recv() failed, upstream: http://10.0.0.7:8080/api/v1",
        shown: "<time> [error] <number>#<number>: *<number> connect() failed, upstream: http://<ip><path>",
    },
    Format {
        name: "log4j with a comma",
        same: [
            "2015-07-29 17:41:44,747 - INFO  [peer[id=1]/0:0:0:0:0:0:0:0:2181:Election@774] - timed out: 3200",
            "2015-07-29 19:04:12,394 - INFO  [peer[id=2]/0:0:0:0:0:0:0:1:2182:Election@775] - timed out: 60000",
            "2016-01-01 00:00:00,001 - INFO  [peer[id=33]/10.10.34.11:3888:Election@7] - timed out: 1",
        ],
        other: "2015-07-29 17:41:44,747 - WARN  [peer[id=1]/0:0:0:0:0:0:0:0:2181:Election@774] - timed out: 3200",
        shown: "<time> - INFO  [peer[id=<number>]/<ip>:Election@<number>] - timed out: <number>",
    },
    Format {
        name: "Spark",
        same: [
            "17/06/09 20:10:40 INFO storage.BlockManager: Found block rdd_42_24 locally, 1.5 MB left",
            "17/06/10 00:00:00 INFO storage.BlockManager: Found block rdd_2_3 locally, 12 MB left",
            "18/12/31 23:59:59 INFO storage.BlockManager: Found block rdd_100_1 locally, 1,024 MB left",
        ],
        other: "17/06/09 20:10:40 INFO storage.BlockManager: Found no block rdd_42_24 locally, 1.5 MB left",
        shown: "<time> INFO storage.BlockManager: Found block rdd_<number>_<number> locally, <number> MB left",
    },
    Format {
        name: "HDFS",
        same: [
            "081109 203615 148 INFO dfs.DataNode: Receiving blk_-1608999687919862906 src: /10.250.19.102:54106",
            "081110 000000 19 INFO dfs.DataNode: Receiving blk_7503483334202473044 src: /10.251.215.16:5",
            "081231 235959 1 INFO dfs.DataNode: Receiving blk_-3 src: /127.0.0.1:50010",
        ],
        other: "081109 203615 148 INFO dfs.DataNode: Deleting blk_-1608999687919862906 src: /10.250.19.102:54106",
        shown: "<time> <number> INFO dfs.DataNode: Receiving blk_<number> src: /<ip>",
    },
    Format {
        name: "BGL",
        same: [
            "- 1117838570 2005.06.03 R02-M1-N0 2005-06-03-15.42.50.675872 RAS KERNEL cache parity error",
            "- 1117838571 2005.06.04 R23-M0-N7 2005-06-04-00.00.00.000001 RAS KERNEL cache parity error",
            "- 1 2006.12.31 R7-M12-N1 2006-12-31-23.59.59.999999 RAS KERNEL cache parity error",
        ],
        other: "- 1117838570 2005.06.03 R02-M1-N0 2005-06-03-15.42.50.675872 RAS APP cache parity error",
        shown: "- <number> <time> R<number>-M<number>-N<number> <time> RAS KERNEL cache parity error",
    },
    Format {
        name: "Android",
        same: [
            "03-17 16:13:38.811  1702  2395 D WindowManager: setting 0x7f3a, flags 1",
            "03-18 00:00:00.000  1702  8671 D WindowManager: setting 0x0, flags 22",
            "12-31 23:59:59.999  9  1 D WindowManager: setting 0xFFFFFFFF, flags 333",
        ],
        other: "03-17 16:13:38.811  1702  2395 D PowerManager: setting 0x7f3a, flags 1",
        shown: "<time>  <number>  <number> D WindowManager: setting <hex>, flags <number>",
    },
    Format {
        name: "a health app",
        same: [
            "20171223-22:15:29:606|Step_LSC|30002312|onStandStepChanged 3579",
            "20171224-0:0:0:7|Step_LSC|30002312|onStandStepChanged 1",
            "20180101-23:59:59:999|Step_LSC|1|onStandStepChanged 99999",
        ],
        other: "20171223-22:15:29:606|Step_LSC|30002312|onExtend 3579",
        shown: "<time>|Step_LSC|<number>|onStandStepChanged <number>",
    },
    Format {
        name: "OpenStack",
        same: [
            "2017-05-16 00:00:00.008 25746 INFO nova [req-38101a0b-2096-447d-96ea-a692162415ae] 10.11.10.1 status: 200 time: 0.2477829",
            "2017-05-16 00:00:00.272 1 INFO nova [req-9bc36dd9-91c5-4314-898a-47625eb93b09] 10.11.10.2 status: 404 time: 12",
            "2018-12-31 23:59:59.999 7 INFO nova [req-00000000-0000-0000-0000-000000000000] 10.11.10.3 status: 500 time: 1e-3",
        ],
        other: "2017-05-16 00:00:00.008 25746 INFO glance [req-38101a0b-2096-447d-96ea-a692162415ae] 10.11.10.1 status: 200 time: 0.2477829",
        shown: "<time> <number> INFO nova [req-<uuid>] <ip> status: <number> time: <number>",
    },
    Format {
        name: "servicing of Windows",
        same: [
            r"2016-09-28 04:30:30, Info  CBS  Loaded C:\Windows\winsxs\x86_1.dll, id 30546174_2463",
            r"2016-09-29 00:00:00, Info  CBS  Loaded D:\a\b.dll, id 1_2",
            r"2017-01-01 23:59:59, Info  CBS  Loaded c:\x, id 999_1",
        ],
        other: r"2016-09-28 04:30:30, Info  CSI  Loaded C:\Windows\winsxs\x86_1.dll, id 30546174_2463",
        shown: "<time>, Info  CBS  Loaded <path>, id <number>_<number>",
    },
    Format {
        name: "JSON",
        same: [
            r#"{"ts":"2024-01-02T03:04:05.678Z","level":"error","msg":"job 17 failed","ms":12.5,"trace":"4bf92f3577b34da6a3ce929d0e0e4736"}"#,
            r#"{"ts":"2024-01-02T03:04:05Z","level":"error","msg":"job 4 failed","ms":7,"trace":"00f067aa0ba902b7"}"#,
            r#"{"ts":"2025-11-30T23:59:59.1+02:00","level":"error","msg":"job 100 failed","ms":1e3,"trace":"9f86d081884c7d65"}"#,
        ],
        other: r#"{"ts":"2024-01-02T03:04:05.678Z","level":"error","msg":"job 17 ended","ms":12.5,"trace":"4bf92f3577b34da6a3ce929d0e0e4736"}"#,
        shown: r#"{"ts":"<time>","level":"error","msg":"job <number> failed","ms":<number>,"trace":"<hex>"}"#,
    },
    Format {
        name: "logfmt",
        same: [
            "ts=2024-01-02T03:04:05.678Z caller=head.go:812 msg=\"compacted\" dur=1.5ms mint=1704160800000",
            "ts=2024-01-02T03:04:06Z caller=head.go:7 msg=\"compacted\" dur=1m30.5s mint=1",
            "ts=2024-02-29T00:00:00.1Z caller=head.go:81 msg=\"compacted\" dur=3ms mint=-17",
        ],
        other: "ts=2024-01-02T03:04:05.678Z caller=wal.go:812 msg=\"compacted\" dur=1.5ms mint=1704160800000",
        shown: "ts=<time> caller=head.go:<number> msg=\"compacted\" dur=<number> mint=<number>",
    },
    Format {
        name: "glog of Kubernetes",
        same: [
            "E0102 03:04:05.123456 1234 kubelet.go:2183] node \"node-7\" not found, tried 3 times",
            "E1231 23:59:59.000001 1 kubelet.go:1] node \"node-12\" not found, tried 4 times",
            "E0229 00:00:00.999999 999999 kubelet.go:99] node \"node-100\" not found, tried 50 times",
        ],
        other: "W0102 03:04:05.123456 1234 kubelet.go:2183] node \"node-7\" not found, tried 3 times",
        shown: "E<number> <time> <number> kubelet.go:<number>] node \"node-<number>\" not found, tried <number> times",
    },
    Format {
        name: "tracing-subscriber in colour",
        same: [
            "\x1b[2m2024-01-02T03:04:05.678901Z\x1b[0m \x1b[31mERROR\x1b[0m \x1b[2mapp::db\x1b[0m: lost 10.0.0.7:5432 \x1b[3mtries\x1b[0m=7",
            "\x1b[2m2024-01-03T00:00:00.000001Z\x1b[0m \x1b[31mERROR\x1b[0m app::db: lost 10.0.0.8:1 tries=12",
            "2024-12-31T23:59:59Z ERROR app::db: lost [fe80::1]:5432 tries=1",
        ],
        other: "2024-12-31T23:59:59Z ERROR app::http: lost [fe80::1]:5432 tries=1",
        shown: "<time> ERROR app::db: lost <ip> tries=<number>",
    },
    Format {
        name: "PostgreSQL",
        same: [
            "2024-01-02 03:04:05.678 UTC [4711] ann@shop LOG:  duration: 1234.567 ms  execute S_1",
            "2024-01-02 03:04:06.1 UTC [1] ann@shop LOG:  duration: 0.02 ms  execute S_22",
            "2023-12-31 23:59:59.000 GMT [99] ann@shop LOG:  duration: 7 ms  execute S_333",
        ],
        other: "2024-01-02 03:04:05.678 UTC [4711] ann@shop FATAL:  duration: 1234.567 ms  execute S_1",
        shown: "<time> [<number>] ann@shop LOG:  duration: <number> ms  execute S_<number>",
    },
    Format {
        name: "the kernel",
        same: [
            "[12345.678901] eth0: renamed from veth1a, mac 00:1a:2b:3c:4d:5e, at ffff888012345abc",
            "[1.000001] eth1: renamed from veth2a, mac 02-42-ac-11-00-02, at ffffffff81000000",
            "[99.9] eth22: renamed from veth3a, mac 11:22:33:44:55:66, at 0x7ffd1234",
        ],
        other: "[12345.678901] wlan0: renamed from veth1a, mac 00:1a:2b:3c:4d:5e, at ffff888012345abc",
        shown: "[<number>] eth<number>: renamed from veth<number>a, mac <hex>, at <hex>",
    },
    Format {
        name: "a Rust panic",
        same: [
            "thread 'worker-3' panicked at /home/ann/src/main.rs:17:5: index 7 of 4",
            "thread 'worker-14' panicked at /build/x/lib.rs:1200:33: index 19 of 19",
            "thread 'worker-0' panicked at /a/b:1:1: index 0 of 0",
        ],
        other: "thread 'reader-3' panicked at /home/ann/src/main.rs:17:5: index 7 of 4",
        shown: "thread 'worker-<number>' panicked at <path>:<number>:<number>: index <number> of <number>",
    },
];

#[test]
fn lines_of_a_format_have_one_key() {
    let normalizer = Normalizer::new(Classes::all());
    for format in FORMATS {
        for line in format.same {
            assert_eq!(shown(normalizer, line), format.shown, "{}: {line}", format.name);
            assert_eq!(key(normalizer, line), key(normalizer, format.same[0]), "{}", format.name);
        }
    }
}

#[test]
fn another_line_of_the_format_has_not() {
    let normalizer = Normalizer::new(Classes::all());
    for format in FORMATS {
        assert_ne!(
            key(normalizer, format.other),
            key(normalizer, format.same[0]),
            "{}",
            format.name
        );
    }
}
