//! The plugin of an agent that has nothing to answer from: its own state cannot be read, or the host lacks
//! what it needs. dockerd is told so at once, instead of waiting in a socket that nobody reads.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::response::Response;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::wire::{self, Form, fixed};

/// Refuses every call with `reason` until `stop`, but for those that only ask what we are.
pub async fn serve(listener: UnixListener, reason: String, stop: CancellationToken) -> std::io::Result<()> {
    let router = Router::new().fallback(refuse).with_state(Arc::<str>::from(reason));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn refuse(State(reason): State<Arc<str>>, request: Request) -> Response {
    let answer = match request.uri().path() {
        "/Plugin.Activate" => fixed::activate(),
        "/IpamDriver.GetCapabilities" => fixed::ipam_capabilities(),
        "/IpamDriver.GetDefaultAddressSpaces" => fixed::address_spaces(),
        "/NetworkDriver.GetCapabilities" => fixed::network_capabilities(),
        call => {
            tracing::warn!(call, "refused a call of Docker's: {reason}");
            Form::of(call).error(&format!("berthd cannot work: {reason}"))
        }
    };
    let mut response = Response::new(Body::from(answer.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, axum::http::HeaderValue::from_static(wire::CONTENT_TYPE));
    headers.insert(CONNECTION, axum::http::HeaderValue::from_static("close"));
    response
}
