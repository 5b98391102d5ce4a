//! The simulated cloud of a lab: `berth-mock-cloud` with its fabric, as a process of the lab.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use provider_mock::{CloudSpec, Fault, PowerState};
use serde_json::{Value, json};

use super::binaries;
use super::condition::until;
use super::keeper::Keeper;
use super::layout::Layout;
use super::namespaces::Namespaces;
use super::place::Place;
use super::process::Process;

/// The running simulated cloud, and its control endpoint.
pub struct Cloud {
    spec: CloudSpec,
    process: Process,
    control: PathBuf,
    endpoint: String,
    credentials: String,
}

impl Cloud {
    /// Starts it and waits until the fabric carries packets.
    pub(super) fn start(place: &Place, keeper: &Keeper, layout: &Layout) -> Result<Cloud> {
        let file = place.dir().join("cloud.toml");
        let spec = toml::to_string(&layout.cloud).context("could not write the cloud's description")?;
        fs::write(&file, spec)?;
        let control = place.dir().join("control.sock");
        let log = place.dir().join("cloud.log");

        let inside = Namespaces { keeper: keeper.first(), network: None, host: false };
        let mut command = inside.command(binaries::find("berth-mock-cloud")?);
        command.arg("--cloud").arg(&file).args(["--fabric", &place.prefix()]).arg("--control").arg(&control);
        let process = Process::start("berth-mock-cloud", command, &log)?;

        let user = layout.cloud.users.first().context("the layout's cloud has no user")?;
        let credentials = format!("username = \"{}\"\napi_key = \"{}\"\n", user.username, user.api_key);
        let (address, port) = (layout.cloud.fabric.service_address, layout.cloud.fabric.service_port);
        let endpoint = format!("http://{address}:{port}/rest/v3.1/");
        let spec = layout.cloud.clone();
        let mut cloud = Cloud { spec, process, control, endpoint, credentials };
        cloud.wait_ready()?;
        Ok(cloud)
    }

    /// What it was made of at the start.
    pub fn spec(&self) -> &CloudSpec {
        &self.spec
    }

    /// The API as machines of the fabric reach it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The content of berthd's credentials file.
    pub(super) fn credentials(&self) -> &str {
        &self.credentials
    }

    /// What it logged last.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Everything there is in the cloud.
    ///
    /// # Errors
    /// The cloud does not answer.
    pub fn state(&self) -> Result<Value> {
        self.ask("GET", "/state", None)
    }

    /// The API calls so far.
    ///
    /// # Errors
    /// The cloud does not answer.
    pub fn requests(&self) -> Result<Value> {
        self.ask("GET", "/requests", None)
    }

    /// Puts a fault in force.
    ///
    /// # Errors
    /// The cloud does not answer, or refuses the fault.
    pub fn inject(&self, fault: &Fault) -> Result<()> {
        self.ask("POST", "/faults", Some(&serde_json::to_value(fault)?)).map(drop)
    }

    /// Ends all faults.
    ///
    /// # Errors
    /// The cloud does not answer.
    pub fn heal(&self) -> Result<()> {
        self.ask("DELETE", "/faults", None).map(drop)
    }

    /// Says through the API that a machine has this power state; its wires stay.
    ///
    /// # Errors
    /// The cloud does not answer, or has no such machine.
    pub fn set_power(&self, machine: &str, state: PowerState) -> Result<()> {
        let body = json!({ "state": state });
        self.ask("PUT", &format!("/machines/{machine}/power"), Some(&body)).map(drop)
    }

    /// One request to the control endpoint; `provider_mock::control` lists them.
    ///
    /// # Errors
    /// The cloud does not answer, or answers with an error.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let exchange = || -> Result<String> {
            let mut stream = UnixStream::connect(&self.control)?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            let body = body.map(Value::to_string).unwrap_or_default();
            write!(
                stream,
                "{method} {path} HTTP/1.0\r\nHost: cloud\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let what = || format!("the simulated cloud's control endpoint, {method} {path}");
        let answer = exchange().with_context(what)?;
        let (head, body) = answer.split_once("\r\n\r\n").with_context(what)?;
        let is_good = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
        ensure!(is_good, "{}: {body}", what());
        if body.is_empty() { Ok(Value::Null) } else { serde_json::from_str(body).with_context(what) }
    }

    fn wait_ready(&mut self) -> Result<()> {
        until(Duration::from_secs(30), "the simulated cloud answers", || {
            if let Some(status) = self.process.ended()? {
                bail!("the simulated cloud ended: {status}\n{}", self.process.log_tail());
            }
            Ok(self.state().ok().map(drop))
        })
        .with_context(|| self.process.log_tail())
    }
}
