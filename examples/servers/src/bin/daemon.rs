//! A daemon on tokio that takes samples as lines, `temperature 21.5`, and logs JSON lines into a
//! file; moved to quell by the three lines marked so.
//!
//! ```text
//! RUST_LOG=info cargo run -p quell-examples --bin daemon -- 127.0.0.1:3001 daemon.log
//! ```
//!
//! It says what its process id is, and ends by SIGTERM.

use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};
use quell::{Cache, front::tracing::Dedup};
use std::{env, error::Error, fs::File, io, process, sync::Arc};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::{EnvFilter, fmt, prelude::*, registry};

fn main() -> Result<(), Box<dyn Error>> {
    // What may fail fails while somebody sees it.
    let mut args = env::args().skip(1);
    let (Some(address), Some(file)) = (args.next(), args.next()) else {
        return Err("usage: daemon ADDRESS FILE".into());
    };
    let listener = std::net::TcpListener::bind(address)?;
    let file = File::options().create(true).append(true).open(file)?;
    println!("listening on {}", listener.local_addr()?);
    // Before the runtime and before quell's guard: a fork has only the thread that forks. The one
    // that writes summaries would be started again by the next line that passes, tokio's never.
    daemonize()?;

    let dedup = Dedup::new(Arc::new(Cache::builder().build()?)); // quell
    let json = fmt::layer().json().with_writer(Arc::new(file));
    // Was `.with(json.with_filter(EnvFilter::from_default_env()))`:
    registry().with(dedup.wrap_filtered(EnvFilter::from_default_env(), json)).init(); // quell
    let _guard = dedup.guard()?; // quell

    run(listener)?;
    // The runtime has ended, and with it what logs: the guard's drop writes the last summaries.
    Ok(())
}

/// Ends the process, and goes on as its child, in a session of its own and without a terminal.
fn daemonize() -> io::Result<()> {
    // SAFETY: there is no other thread, whose locks the child would find locked.
    if let ForkResult::Parent { child } = unsafe { fork() }? {
        println!("pid {child}");
        process::exit(0);
    }
    setsid()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

/// Serves until SIGTERM.
#[tokio::main]
async fn run(listener: std::net::TcpListener) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    info!("started");
    loop {
        tokio::select! {
            connection = listener.accept() => match connection {
                Ok((stream, _)) => drop(tokio::spawn(take_samples(stream))),
                // It may fail as fast as it is called, when descriptors run out.
                Err(error) => warn!(%error, "connection not accepted"),
            },
            _ = terminate.recv() => {
                info!("stopping");
                return Ok(());
            }
        }
    }
}

/// Answers each line.
async fn take_samples(stream: TcpStream) -> io::Result<()> {
    // By `log`, as many libraries do.
    log::info!(target: "net", "connection accepted");
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await? != 0 {
        let (sensor, value) = line.trim().split_once(' ').unwrap_or_default();
        let answer = match value.parse::<f64>() {
            Ok(_) => "taken\n",
            Err(error) => {
                warn!(sensor, %error, "not a sample");
                "refused\n"
            }
        };
        stream.write_all(answer.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}
