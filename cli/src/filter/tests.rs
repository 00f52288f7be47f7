//! Cases that need an input made for them.

use super::*;
use clap::Parser;
use rustix::pipe::{PipeFlags, pipe, pipe_with};
use std::fs::File;
use std::io::Read;

/// `/proc/kmsg` says that it is a regular file, and waits for messages.
#[test]
fn a_regular_file_may_block() {
    let args = Args::parse_from(["quell", "--no-summary"]);
    let (blocks, mut kernel) = {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        (Input::of_nonblocking(File::from(reader)), File::from(writer))
    };
    let (shown, out) = pipe().unwrap();
    let mut filter = Filter::new(&args, Output::of(File::from(out)), true).unwrap();
    filter.use_threads();
    kernel.write_all(b"a\na\n").unwrap();
    let reads = std::thread::spawn(move || {
        let mut blocks = blocks;
        let end = filter.read(&mut blocks, &Signals::new(false).unwrap()).unwrap();
        assert!(matches!(end, End::Done));
    });
    let mut shown = File::from(shown);
    for line in [b"a\n", b"b\n"] {
        // Shows although nothing more comes.
        let mut text = [0; 2];
        shown.read_exact(&mut text).unwrap();
        assert_eq!(&text, line);
        kernel.write_all(b"b\n").unwrap();
    }
    drop(kernel);
    reads.join().unwrap();
}
