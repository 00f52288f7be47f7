//! Records of fourteen formats of logs, made up; also for `benches/presets.rs`.

/// The messages of a format. What stands between « and » differs from record to record.
pub(crate) const FORMATS: &[(&str, &[&str])] = &[
    (
        "Apache's combined log",
        &[
            r#"«ip» - - [«DD»/«Mon»/«YYYY»:«hh:mm:ss» +0000] "GET «path» HTTP/1.1" «n» «n» "-" "curl/8.5.0""#,
            r#"«ip» - - [«DD»/«Mon»/«YYYY»:«hh:mm:ss» +0000] "POST «path» HTTP/1.1" «n» «n» "-" "curl/8.5.0""#,
            r#"«ip6» - - [«DD»/«Mon»/«YYYY»:«hh:mm:ss» +0000] "HEAD «path»?id=«n» HTTP/1.1" «n» - "https://example.com«path»" "Mozilla/5.0 (X11; Linux x86_64)""#,
        ],
    ),
    (
        "nginx's error log",
        &[
            r#"«YYYY»/«MM»/«DD» «hh:mm:ss» [error] «n»#«n»: *«n» connect() failed (111: Connection refused) while connecting to upstream, client: «ip», server: example.com, request: "GET «path» HTTP/1.1", upstream: "http://«ip»:«port»«path»", host: "example.com""#,
            r#"«YYYY»/«MM»/«DD» «hh:mm:ss» [warn] «n»#«n»: *«n» an upstream response is buffered to a temporary file «path» while reading upstream, client: «ip», server: example.com"#,
            "«YYYY»/«MM»/«DD» «hh:mm:ss» [notice] «n»#«n»: signal 17 (SIGCHLD) received from «n»",
        ],
    ),
    (
        "syslog",
        &[
            "«Mon» «_D» «hh:mm:ss» web1 sshd[«n»]: Failed password for invalid user admin from «ip» port «port» ssh2",
            "«Mon» «_D» «hh:mm:ss» web1 CRON[«n»]: (root) CMD (test -x /usr/sbin/anacron)",
            "«Mon» «_D» «hh:mm:ss» web1 kernel: [«n».«us»] eth0: IN= OUT= MAC=«mac» SRC=«ip» DST=«ip» LEN=«n» TTL=«n» ID=«n» PROTO=TCP SPT=«port» DPT=«port»",
            "«Mon» «_D» «hh:mm:ss» web1 dhclient[«n»]: DHCPACK of «ip» from «ip» (xid=0x«h8»)",
        ],
    ),
    (
        "journald, short-iso",
        &[
            "«YYYY»-«MM»-«DD»T«hh:mm:ss»+0100 db1 systemd[1]: session-«n».scope: Deactivated successfully.",
            "«YYYY»-«MM»-«DD»T«hh:mm:ss»+0100 db1 systemd[1]: Consumed «dur» CPU time.",
            "«YYYY»-«MM»-«DD»T«hh:mm:ss»+0100 db1 dockerd[«n»]: time=\"«YYYY»-«MM»-«DD»T«hh:mm:ss».«ns»Z\" level=info msg=\"ignoring event\" container=«h32»«h32» module=libcontainerd",
        ],
    ),
    (
        "logfmt",
        &[
            "ts=«YYYY»-«MM»-«DD»T«hh:mm:ss».«ms»Z caller=compact.go:519 level=info component=tsdb msg=\"write block\" mint=«n» maxt=«n» ulid=«uuid» duration=«dur»",
            "ts=«YYYY»-«MM»-«DD»T«hh:mm:ss».«ms»Z caller=head.go:812 level=info component=tsdb msg=\"Head GC completed\" duration=«dur»",
            "ts=«YYYY»-«MM»-«DD»T«hh:mm:ss».«ms»Z caller=scrape.go:1313 level=warn target=http://«ip»:«port»/metrics err=\"context deadline exceeded\" elapsed=«dur»",
        ],
    ),
    (
        "JSON lines",
        &[
            r#"{"timestamp":"«YYYY»-«MM»-«DD»T«hh:mm:ss».«us»Z","level":"INFO","fields":{"message":"request finished","latency_ms":«f»,"status":«n»},"target":"api::http","span":{"request_id":"«uuid»","peer":"«ip»:«port»"}}"#,
            r#"{"timestamp":"«YYYY»-«MM»-«DD»T«hh:mm:ss».«us»Z","level":"WARN","fields":{"message":"slow query","elapsed":"«dur»","rows":«n»},"target":"api::db","trace_id":"«h32»"}"#,
            r#"{"level":30,"time":«n»,"pid":«n»,"hostname":"web","reqId":"«uuid»","req":{"method":"GET","url":"«path»","remotePort":«port»},"msg":"incoming request"}"#,
        ],
    ),
    (
        "log4j",
        &[
            "«YYYY»-«MM»-«DD» «hh:mm:ss»,«ms» [http-nio-8080-exec-«n»] ERROR c.e.shop.OrderService - Order «uuid» failed after «n» ms: Connection reset",
            "«YYYY»-«MM»-«DD» «hh:mm:ss»,«ms» [pool-«n»-thread-«n»] WARN  c.z.h.p.HikariPool - HikariPool-1 - Thread starvation or clock leap detected (housekeeper delta=«dur»).",
            "«YYYY»-«MM»-«DD» «hh:mm:ss»,«ms» [kafka-coordinator-heartbeat-thread | shop] INFO  o.a.k.c.c.i.AbstractCoordinator - Attempt to heartbeat failed since group is rebalancing, generation «n»",
            "«YYYY»-«MM»-«DD» «hh:mm:ss»,«ms» [main] DEBUG o.h.SQL - com.example.Order@«h8» bound to «n»",
        ],
    ),
    (
        "klog",
        &[
            "I«MM»«DD» «hh:mm:ss».«us»       «n» reconciler.go:224] \"operationExecutor.VerifyControllerAttachedVolume started\" volume=\"kube-api-access\" (UniqueName: \"kubernetes.io/projected/«uuid»-kube-api-access\")",
            "W«MM»«DD» «hh:mm:ss».«us»       «n» watcher.go:93] Error while processing event (\"«path»\": 0x«h8» == IN_CREATE|IN_ISDIR): no such file or directory",
            "I«MM»«DD» «hh:mm:ss».«us»       «n» trace.go:219] Trace[«n»]: \"List\" url:/api/v1/pods,client:«ip» (total time: «dur»):",
        ],
    ),
    (
        "tracing's fmt",
        &[
            "\x1b[2m«YYYY»-«MM»-«DD»T«hh:mm:ss».«us»Z\x1b[0m \x1b[32m INFO\x1b[0m \x1b[1mrequest\x1b[0m\x1b[1m{\x1b[0m\x1b[3mid\x1b[0m\x1b[2m=\x1b[0m«uuid»\x1b[1m}\x1b[0m\x1b[2m:\x1b[0m \x1b[2mapi\x1b[0m\x1b[2m:\x1b[0m close \x1b[3mtime.busy\x1b[0m\x1b[2m=\x1b[0m«dur» \x1b[3mtime.idle\x1b[0m\x1b[2m=\x1b[0m«dur»",
            "«YYYY»-«MM»-«DD»T«hh:mm:ss».«us»Z  WARN ThreadId(«n») api::db: src/db.rs:«n»: slow query elapsed=«dur» rows=«n» peer=«ip»:«port»",
            "«YYYY»-«MM»-«DD»T«hh:mm:ss».«us»Z ERROR api::worker: job failed job=«n» error=Os { code: 111, kind: ConnectionRefused } retry_in=«dur»",
        ],
    ),
    (
        "Python's logging",
        &[
            "«YYYY»-«MM»-«DD» «hh:mm:ss»,«ms» - celery.worker - INFO - Task shop.tasks.send[«uuid»] succeeded in «f»s: None",
            "«YYYY»-«MM»-«DD» «hh:mm:ss»,«ms» - urllib3.connectionpool - WARNING - Retrying (Retry(total=«n», connect=None)) after connection broken by 'NewConnectionError('<HTTPSConnection object at 0x7f«h8»>: refused')': «path»",
            "WARNING:root:«YYYY»-«MM»-«DD» «hh:mm:ss».«us» took «f» seconds",
        ],
    ),
    (
        "PostgreSQL",
        &[
            "«YYYY»-«MM»-«DD» «hh:mm:ss».«ms» UTC [«n»] app@shop LOG:  duration: «f» ms  statement: SELECT * FROM orders WHERE id = «n»",
            "«YYYY»-«MM»-«DD» «hh:mm:ss».«ms» UTC [«n»] app@shop ERROR:  deadlock detected at character «n»",
            "«YYYY»-«MM»-«DD» «hh:mm:ss».«ms» UTC [«n»] LOG:  checkpoint complete: wrote «n» buffers (0.«n»%); write=«f» s, sync=«f» s, total=«f» s; sync files=«n», longest=«f» s, average=«f» s; distance=«n» kB, estimate=«n» kB",
            "«YYYY»-«MM»-«DD» «hh:mm:ss».«ms» UTC [«n»] LOG:  connection received: host=«ip» port=«port»",
        ],
    ),
    (
        "Redis",
        &[
            "«n»:M «DD» «Mon» «YYYY» «hh:mm:ss».«ms» * Background saving started by pid «n»",
            "«n»:C «DD» «Mon» «YYYY» «hh:mm:ss».«ms» * Fork CoW for RDB: current «n» MB, peak «n» MB, average «n» MB",
            "«n»:S «DD» «Mon» «YYYY» «hh:mm:ss».«ms» # Connection with replica «ip»:«port» lost.",
            "«n»:M «DD» «Mon» «YYYY» «hh:mm:ss».«ms» * «n» changes in «n» seconds. Saving...",
        ],
    ),
    (
        "HAProxy",
        &[
            r#"«Mon» «_D» «hh:mm:ss» lb1 haproxy[«n»]: «ip»:«port» [«DD»/«Mon»/«YYYY»:«hh:mm:ss».«ms»] https~ app/web1 «n»/«n»/«n»/«n»/«n» «n» «n» - - ---- «n»/«n»/«n»/«n»/«n» «n»/«n» "GET «path» HTTP/1.1""#,
            r#"«Mon» «_D» «hh:mm:ss» lb1 haproxy[«n»]: «ip»:«port» [«DD»/«Mon»/«YYYY»:«hh:mm:ss».«ms»] https~ app/<NOSRV> -1/-1/-1/-1/«n» 503 «n» - - SC-- «n»/«n»/«n»/«n»/0 «n»/«n» "GET «path» HTTP/1.1""#,
            "«Mon» «_D» «hh:mm:ss» lb1 haproxy[«n»]: Server app/web1 is DOWN, reason: Layer4 timeout, check duration: «n»ms. «n» active and «n» backup servers left.",
        ],
    ),
    (
        "AWS's balancer and functions",
        &[
            r#"https «YYYY»-«MM»-«DD»T«hh:mm:ss».«us»Z app/shop/50dc6c495c0c9188 «ip»:«port» «ip»:«port» «f» «f» «f» 200 200 «n» «n» "GET https://shop.example.com:443«path» HTTP/1.1" "curl/8.5.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 "Root=1-«h8»-«h24»""#,
            "START RequestId: «uuid» Version: $LATEST",
            "REPORT RequestId: «uuid»\tDuration: «f» ms\tBilled Duration: «n» ms\tMemory Size: 128 MB\tMax Memory Used: «n» MB",
            "«YYYY»-«MM»-«DD»T«hh:mm:ss».«ms»Z\t«uuid»\tERROR\tTask timed out after «f» seconds",
        ],
    ),
];

/// Numbers that look like chance and are the same each time.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// `len` hexadecimal digits, of which the first two are a digit and a letter.
    fn hex(&mut self, len: usize) -> String {
        let digit = char::from(b'0' + self.below(10) as u8);
        let letter = char::from(b'a' + self.below(6) as u8);
        let rest = (2..len).map(|_| format!("{:x}", self.below(16)));
        [digit.to_string(), letter.to_string()].into_iter().chain(rest).collect()
    }

    /// A number of one to six digits.
    fn number(&mut self) -> u64 {
        let digits = self.between(1, 6) as u32;
        self.below(10_u64.pow(digits))
    }

    fn value(&mut self, name: &str) -> String {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        match name {
            "YYYY" => self.between(1999, 2029).to_string(),
            "Mon" => MONTHS[self.below(12) as usize].to_owned(),
            "MM" => format!("{:02}", self.between(1, 12)),
            "DD" => format!("{:02}", self.between(1, 28)),
            "_D" => format!("{:2}", self.between(1, 28)),
            "hh:mm:ss" => {
                format!("{:02}:{:02}:{:02}", self.below(24), self.below(60), self.below(60))
            }
            "ms" => format!("{:03}", self.below(1000)),
            "us" => format!("{:06}", self.below(1_000_000)),
            "ns" => format!("{:09}", self.below(1_000_000_000)),
            "n" => self.number().to_string(),
            "f" => format!("{}.{:03}", self.number(), self.below(1000)),
            "port" => self.between(1, 65_535).to_string(),
            "ip" => {
                format!(
                    "{}.{}.{}.{}",
                    self.between(1, 223),
                    self.below(256),
                    self.below(256),
                    self.below(256)
                )
            }
            "ip6" => format!("2001:db8::{:x}:{:x}", self.below(65_536), self.below(65_536)),
            "mac" => (0..6).map(|_| self.hex(2)).collect::<Vec<_>>().join(":"),
            "uuid" => {
                format!(
                    "{}-{}-4{}-a{}-{}",
                    self.hex(8),
                    self.hex(4),
                    self.hex(3),
                    self.hex(3),
                    self.hex(12)
                )
            }
            "path" => {
                let parts = self.between(2, 5);
                (0..parts).map(|_| format!("/{}-{}", self.hex(3), self.number())).collect()
            }
            "dur" => match self.below(6) {
                0 => format!("{}ns", self.number()),
                1 => format!("{}.{}µs", self.below(1000), self.below(100)),
                2 => format!("{}.{}ms", self.below(1000), self.below(100)),
                3 => format!("{}.{:03}s", self.below(60), self.below(1000)),
                4 => format!("{}m{}.{}s", self.between(1, 59), self.below(60), self.below(10)),
                _ => format!("{}h{}m{}s", self.number(), self.below(60), self.below(60)),
            },
            _ => self.hex(name.strip_prefix('h').unwrap().parse().unwrap()),
        }
    }

    pub(crate) fn record(&mut self, message: &str) -> String {
        let mut parts = message.split(['«', '»']);
        let mut record = parts.next().unwrap().to_owned();
        while let (Some(name), Some(text)) = (parts.next(), parts.next()) {
            record += &self.value(name);
            record += text;
        }
        record
    }
}
