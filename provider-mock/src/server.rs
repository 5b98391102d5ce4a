//! The servers of a simulated cloud: its API on a socket, and the clock that drives it.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::task::JoinHandle;

use crate::cloud::spec::{CloudSpec, SpecError};
use crate::live::LiveCloud;

/// A cloud with its API on a socket. Dropping it ends both.
pub struct SimulatedCloud {
    live: LiveCloud,
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a cloud could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The description contradicts itself.
    #[error("the simulated cloud cannot be built")]
    Spec(#[from] SpecError),
    /// No socket for the API.
    #[error("the simulated cloud's API could not listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
}
impl SimulatedCloud {
    /// Starts a cloud with its API on a free port of 127.0.0.1.
    pub async fn start(spec: CloudSpec) -> Result<Self, StartError> { let _ = spec; unimplemented!() }

    /// Starts a cloud with its API on this socket.
    pub async fn start_on(spec: CloudSpec, listener: TcpListener) -> Result<Self, StartError> { let _ = (spec, listener); unimplemented!() }

    /// The base URL of the API, as `http://127.0.0.1:40123/rest/v3.1/`.
    pub fn endpoint(&self) -> String {
        format!("http://{}/rest/v3.1/", self.address)
    }

    /// The handle for faults, clock and looks.
    pub fn live(&self) -> &LiveCloud {
        &self.live
    }
}

impl Drop for SimulatedCloud {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
