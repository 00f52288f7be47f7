//! The axum server, asked by several clients at once and then ended by SIGTERM.
#![cfg(unix)]

mod common;

use common::{add_up, assert_adds_up};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;

/// Ends the server, should the test fail.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Returns once the response is there, and so all that the request logs.
fn get(address: &str, id: u64, tenant: Option<&str>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let tenant = tenant.map(|tenant| format!("x-tenant: {tenant}\r\n")).unwrap_or_default();
    let request =
        format!("GET /orders/{id} HTTP/1.1\r\nhost: test\r\n{tenant}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
}

#[test]
fn lines_and_summaries_of_requests_add_up() {
    const CLIENTS: [Option<&str>; 5] =
        [Some("acme"), Some("globex"), None, Some("acme"), Some("globex")];
    const REQUESTS: u64 = 40;

    let mut server = Server(
        Command::new(env!("CARGO_BIN_EXE_axum"))
            .arg("127.0.0.1:0")
            // By target, and by a field of the span.
            .env("RUST_LOG", "info,tower_http=debug,[request{tenant=acme}]=debug")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut stdout = BufReader::new(server.0.stdout.take().unwrap());
    let mut log = String::new();
    stdout.read_line(&mut log).unwrap();
    let listening: Value = serde_json::from_str(&log).unwrap();
    let address = listening["fields"]["address"].as_str().unwrap();
    // All the while: the server waits for who reads its log.
    let reader = thread::spawn(move || {
        stdout.read_to_string(&mut log).unwrap();
        log
    });

    thread::scope(|scope| {
        for tenant in CLIENTS {
            scope.spawn(move || (0..REQUESTS).for_each(|id| get(address, id, tenant)));
        }
    });
    kill_process(Pid::from_child(&server.0), Signal::TERM).unwrap();
    let log = reader.join().unwrap();
    assert_eq!(server.0.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));

    let mut offered = BTreeMap::from([(format!("axum: listening address=\"{address}\""), 1)]);
    for tenant in CLIENTS {
        let mut offer = |what: &str, times| {
            let tenant = tenant.map(|tenant| format!(" tenant=\"{tenant}\"")).unwrap_or_default();
            *offered.entry(format!("{what}{tenant}")).or_default() += times;
        };
        let classification = "classification=\"Status code: 503 Service Unavailable\"";
        offer("axum: connection refused peer=\"10.0.0.7\"", REQUESTS);
        offer("tower_http::trace::on_request: started processing request", REQUESTS);
        offer("tower_http::trace::on_response: finished processing request status=503", REQUESTS);
        offer(
            &format!("tower_http::trace::on_failure: response failed {classification}"),
            REQUESTS,
        );
        if tenant == Some("acme") {
            offer("axum: looking the order up shard=0", REQUESTS / 2);
            offer("axum: looking the order up shard=1", REQUESTS / 2);
        }
    }
    assert_adds_up(&add_up(&log, &["latency"]), &offered);
}
