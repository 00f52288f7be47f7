//! An axum server that logs JSON lines, each within the span of its request, filtered by
//! `RUST_LOG`; moved to quell by the lines marked so.
//!
//! ```text
//! RUST_LOG=info,tower_http=debug cargo run -p quell-examples --bin axum -- 127.0.0.1:3000
//! curl -H 'x-tenant: acme' http://127.0.0.1:3000/orders/17
//! ```

use axum::{Router, extract::Path, extract::Request, http::StatusCode, routing::get};
use quell::{Cache, Fields, front::tracing::Dedup};
use std::{env, error::Error, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::sleep};
use tower_http::trace::TraceLayer;
use tracing::{Span, debug, error, error_span, info};
use tracing_subscriber::{EnvFilter, fmt, prelude::*, registry};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Each tenant has first lines of its own; how long a request took makes no new message.
    let dedup = Dedup::builder(Arc::new(Cache::builder().build()?)) // quell
        .span_fields(["tenant"])
        .fields(Fields::except(["latency"]))
        .build();
    // Was `.with(fmt::layer().json().with_filter(EnvFilter::from_default_env()))`:
    registry()
        .with(dedup.wrap_filtered(EnvFilter::from_default_env(), fmt::layer().json())) // quell
        .init();
    let _guard = dedup.guard()?; // quell
    // A server without a shutdown of its own ends by ^C and SIGTERM.
    quell::flush_on_signals()?; // quell

    let app = Router::new()
        .route("/orders/{id}", get(order))
        .layer(TraceLayer::new_for_http().make_span_with(request_span));
    let address = env::args().nth(1).unwrap_or("127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    info!(address = %listener.local_addr()?, "listening");
    axum::serve(listener, app).await?;
    Ok(())
}

/// An error span is there whatever `RUST_LOG` lets pass, and with it the tenant.
fn request_span(request: &Request) -> Span {
    let tenant = request.headers().get("x-tenant").and_then(|value| value.to_str().ok());
    error_span!("request", method = %request.method(), path = request.uri().path(), tenant)
}

/// Looks for an order while the database is away, which takes now longer, now shorter to see.
async fn order(Path(id): Path<u64>) -> Result<String, StatusCode> {
    debug!(shard = id % 2, "looking the order up");
    sleep(Duration::from_millis(id % 20)).await;
    error!(peer = "10.0.0.7", "connection refused");
    Err(StatusCode::SERVICE_UNAVAILABLE)
}
