//! The plugin that dockerd calls: HTTP on a unix socket, one route a call.
//!
//! A call that was read is finished, whatever becomes of its caller: dockerd may be killed in the middle,
//! and what was begun must be either done or undone.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::addresses::Addresses;
use super::driver::{CallError, Driver};
use super::wire::{self, BODY_BYTES_MAX, CONTENT_TYPE, Form, fixed};

/// How long a call may take. dockerd itself waits for ever, with its locks held; it gives up connecting
/// after 15 s, and so should whoever waits for it.
pub const CALL_DEADLINE: Duration = Duration::from_secs(13);

/// Serves dockerd on this socket until `stop`, and returns when every call that was read is answered.
///
/// The socket is the caller's: where systemd holds it, calls wait in it until the next agent reads them.
pub async fn serve<A: Addresses>(
    listener: UnixListener,
    driver: Driver<A>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    serve_within(listener, driver, stop, CALL_DEADLINE).await
}

async fn serve_within<A: Addresses>(
    listener: UnixListener,
    driver: Driver<A>,
    stop: CancellationToken,
    deadline: Duration,
) -> std::io::Result<()> {
    let plugin = Plugin { driver, calls: TaskTracker::new(), deadline };
    let calls = plugin.calls.clone();
    let served = axum::serve(listener, router(plugin)).with_graceful_shutdown(stop.cancelled_owned()).await;
    calls.close();
    calls.wait().await;
    served
}

#[derive(Clone)]
struct Plugin<A> {
    driver: Driver<A>,
    calls: TaskTracker,
    deadline: Duration,
}

fn router<A: Addresses>(plugin: Plugin<A>) -> Router {
    // One handler for all: an unknown call, too, must be answered in Docker's form.
    Router::new().fallback(receive::<A>).with_state(plugin)
}

async fn receive<A: Addresses>(State(plugin): State<Plugin<A>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let form = Form::of(&path);
    if request.method() != Method::POST {
        return respond(StatusCode::METHOD_NOT_ALLOWED, &form.error("dockerd calls its plugins with POST"));
    }
    let Ok(body) = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await else {
        let text = format!("the call's body broke off or has more than {BODY_BYTES_MAX} bytes");
        return respond(StatusCode::OK, &form.error(&text));
    };
    match plugin.finish(path.clone(), body).await {
        Ok(answer) => respond(StatusCode::OK, &answer),
        Err(error) => {
            tracing::warn!(call = path, %error, "refused a call of Docker's");
            // Docker takes "not found" for a call that an older plugin need not know.
            let unknown = matches!(error, CallError::UnknownCall(_));
            let status = if unknown { StatusCode::NOT_FOUND } else { StatusCode::OK };
            respond(status, &form.error(&error.to_string()))
        }
    }
}

impl<A: Addresses> Plugin<A> {
    /// Runs a call to its end in a task of its own, and waits for it as long as Docker should.
    async fn finish(&self, path: String, body: Bytes) -> Result<Value, CallError> {
        let driver = self.driver.clone();
        let call = self.calls.spawn(async move { dispatch(&driver, &path, &body).await });
        match tokio::time::timeout(self.deadline, call).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(CallError::Panicked),
            Err(_) => Err(CallError::Deadline(self.deadline.as_secs())),
        }
    }
}

/// Every call of Docker's, as libnetwork's `docs/remote.md` and `docs/ipam.md` name them.
async fn dispatch<A: Addresses>(driver: &Driver<A>, path: &str, body: &[u8]) -> Result<Value, CallError> {
    match path {
        "/Plugin.Activate" => Ok(fixed::activate()),
        "/IpamDriver.GetCapabilities" => Ok(fixed::ipam_capabilities()),
        "/IpamDriver.GetDefaultAddressSpaces" => Ok(fixed::address_spaces()),
        "/IpamDriver.RequestPool" => read(body, |call| driver.request_pool(call)).await,
        "/IpamDriver.ReleasePool" => read(body, |call| driver.release_pool(call)).await,
        "/IpamDriver.RequestAddress" => read(body, |call| driver.request_address(call)).await,
        "/IpamDriver.ReleaseAddress" => read(body, |call| driver.release_address(call)).await,
        "/NetworkDriver.GetCapabilities" => Ok(fixed::network_capabilities()),
        "/NetworkDriver.CreateNetwork" => read(body, |call| driver.create_network(call)).await,
        "/NetworkDriver.DeleteNetwork" => read(body, |call| driver.delete_network(call)).await,
        "/NetworkDriver.CreateEndpoint" => read(body, |call| driver.create_endpoint(call)).await,
        "/NetworkDriver.EndpointOperInfo" => read(body, |call| driver.endpoint_info(call)).await,
        "/NetworkDriver.DeleteEndpoint" => read(body, |call| driver.delete_endpoint(call)).await,
        "/NetworkDriver.Join" => read(body, |call| driver.join(call)).await,
        "/NetworkDriver.Leave" => read(body, |call| driver.leave(call)).await,
        "/NetworkDriver.ProgramExternalConnectivity" => read(body, |call| driver.open_ports(call)).await,
        "/NetworkDriver.RevokeExternalConnectivity" => read(body, |call| driver.close_ports(call)).await,
        "/NetworkDriver.DiscoverNew" | "/NetworkDriver.DiscoverDelete" => {
            read(body, |call| driver.discover(call)).await
        }
        unknown => Err(CallError::UnknownCall(unknown.chars().take(100).collect())),
    }
}

async fn read<T: DeserializeOwned, F: Future<Output = Result<Value, CallError>>>(
    body: &[u8],
    call: impl FnOnce(T) -> F,
) -> Result<Value, CallError> {
    call(wire::read(body)?).await
}

fn respond(status: StatusCode, answer: &Value) -> Response {
    let mut response = Response::new(Body::from(answer.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(CONTENT_TYPE));
    // One call a connection: an idle one that we close while dockerd writes to it would come again with
    // an empty body, and be lost.
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests;
