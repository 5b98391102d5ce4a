//! A Docker host: a machine with daemons that can be started, stopped and killed in any order.
//!
//! Inside, all is where Docker's and Berth's users expect it (`/run/docker.sock`, `/etc/berth/berth.toml`):
//! `/run` and `/etc` are the host's own. Docker's data and berthd's state are in the lab's folder.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;

use super::binaries;
use super::cloud::Cloud;
use super::condition::until;
use super::config::Surroundings;
use super::daemon::Daemon;
use super::files;
use super::image;
use super::keeper::Keeper;
use super::layout::DockerHost;
use super::namespaces::{Namespaces, Said};
use super::place::Place;
use super::process::Process;
use super::sockets::HeldSockets;

/// dockerd gives each container 10 s to stop.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A Docker host.
pub struct Host {
    name: String,
    home: PathBuf,
    place: Place,
    options: DockerHost,
    around: Surroundings,
    power: Mutex<Option<Power>>,
}

/// What a host has only while it is on. Fields drop in this order.
struct Power {
    daemons: BTreeMap<Daemon, Process>,
    sockets: Option<HeldSockets>,
    keeper: Keeper,
}

impl Host {
    /// Puts a host's files in place and switches it on; no daemon runs yet.
    pub(super) fn boot(
        name: &str,
        place: &Place,
        options: DockerHost,
        cloud: &Cloud,
        etcd: Vec<String>,
    ) -> Result<Host> {
        let home = place.folder(name)?;
        let around = Surroundings { dir: home.clone(), cloud: cloud.endpoint().to_owned(), etcd };
        let host = Host {
            name: name.to_owned(),
            home,
            place: place.clone(),
            around,
            power: Mutex::new(None),
            options,
        };
        files::lay_out(&host.home, &host.options, cloud, &place.prefix(), name)?;
        files::remember_routes(&place.netns(name), &host.home)?;
        host.power_on(&host.options.boot_id)?;
        Ok(host)
    }

    /// Its name in the layout.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder: logs, Docker's data, berthd's state.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The host's first process as seen from outside, for `nsenter --target`.
    ///
    /// # Errors
    /// The host is off.
    pub fn first_process(&self) -> Result<i32> {
        Ok(self.inside()?.keeper.as_raw())
    }

    /// Where a path of the host is, seen from outside, while it is on.
    ///
    /// # Errors
    /// The host is off.
    pub fn outside(&self, path: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/{}/root{path}", self.first_process()?)))
    }

    // ── daemons ──

    /// Starts every daemon, each once the one before is ready, and gives Docker its image `busybox`.
    ///
    /// # Errors
    /// Which daemon is not ready in time, with the end of its log.
    pub fn start_all(&self) -> Result<()> {
        Daemon::ALL.into_iter().try_for_each(|daemon| self.start(daemon))?;
        self.import_image()
    }

    /// Starts a daemon and waits until it is ready.
    ///
    /// # Errors
    /// It runs already, or is not ready in time: with the end of its log.
    pub fn start(&self, daemon: Daemon) -> Result<()> {
        self.launch(daemon)?;
        self.wait_ready(daemon)
    }

    /// Starts a daemon and does not wait for it.
    ///
    /// # Errors
    /// It runs already, or ended at once.
    pub fn launch(&self, daemon: Daemon) -> Result<()> {
        let inside = self.inside()?;
        let mut power = self.power();
        let power = power.as_mut().context("the host is off")?;
        ensure!(!power.daemons.contains_key(&daemon), "{daemon} runs already on {}", self.name);
        let log = self.log(daemon);
        let what = format!("{daemon} on {}", self.name);
        let process = match (daemon, &power.sockets) {
            (Daemon::Berthd, Some(sockets)) => {
                sockets.start(&what, &inside, &binaries::find("berthd")?, &log)?
            }
            (Daemon::Berthd, None) => {
                let mut command = inside.command(binaries::find("berthd")?);
                command.args(["--config", "/etc/berth/berth.toml"]);
                Process::start(&what, command, &log)?
            }
            // Their options are in their files in /etc.
            (Daemon::Containerd | Daemon::Dockerd, _) => {
                Process::start(&what, inside.command(daemon.program()), &log)?
            }
        };
        power.daemons.insert(daemon, process);
        Ok(())
    }

    /// Waits until a daemon answers on its socket.
    ///
    /// # Errors
    /// It ended, or does not answer in time: with the end of its log.
    pub fn wait_ready(&self, daemon: Daemon) -> Result<()> {
        let socket = self.outside(daemon.socket())?;
        let what = format!("{daemon} on {} answers on {}", self.name, daemon.socket());
        let ready = until(daemon.limit(), &what, || {
            if let Some(status) = self.with(daemon, Process::ended)? {
                bail!("{daemon} on {} ended: {status}", self.name);
            }
            Ok(daemon.is_ready(&socket).then_some(()))
        });
        ready.with_context(|| self.log_tail(daemon))
    }

    /// Stops a daemon in order (SIGTERM) and waits for its end.
    ///
    /// # Errors
    /// It does not run, or does not end within a minute.
    pub fn stop(&self, daemon: Daemon) -> Result<()> {
        self.take(daemon)?.stop(STOP_LIMIT).map(drop)
    }

    /// Kills a daemon (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self, daemon: Daemon) -> Result<()> {
        let mut process = self.take(daemon)?;
        process.signal(Signal::SIGKILL)?;
        process.wait(STOP_LIMIT).map(drop)
    }

    /// Sends any signal to a daemon (SIGSTOP and SIGCONT, for instance).
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(&self, daemon: Daemon, signal: Signal) -> Result<()> {
        self.with(daemon, |process| process.signal(signal))
    }

    /// A daemon's process, as seen from outside the lab.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self, daemon: Daemon) -> Result<i32> {
        self.with(daemon, |process| Ok(process.pid()))
    }

    /// The log of a daemon, over all its starts.
    pub fn log(&self, daemon: Daemon) -> PathBuf {
        self.home.join(format!("{daemon}.log"))
    }

    /// The end of a daemon's log.
    pub fn log_tail(&self, daemon: Daemon) -> String {
        super::process::tail(&self.log(daemon))
    }

    // ── commands ──

    /// Runs a shell script on the host that must succeed; returns its standard output. `docker` and
    /// `berth` are in its PATH and find their daemons.
    ///
    /// # Errors
    /// All that it said, if it failed. A script has two minutes.
    pub fn sh(&self, script: &str) -> Result<String> {
        self.try_sh(script)?.success_of(script)
    }

    /// Runs a shell script on the host and returns how it ended and what it said.
    ///
    /// # Errors
    /// It could not be run at all.
    pub fn try_sh(&self, script: &str) -> Result<Said> {
        self.inside()?.sh(script)
    }

    /// Asks berthd through `berth -o json`, for instance `ask::<api::Status>("status")`.
    ///
    /// # Errors
    /// There is no such answer: what `berth` said instead.
    pub fn ask<T: DeserializeOwned>(&self, question: &str) -> Result<T> {
        let said = self.try_sh(&format!("berth -o json {question}"))?;
        // Exit status 1 is an answer too: no.
        let answer: Result<api::Answer<T>, _> = serde_json::from_str(&said.stdout);
        answer.map(|answer| answer.answer).with_context(|| {
            format!(
                "`berth {question}` gave no answer (status {}): {}{}",
                said.code, said.stdout, said.stderr
            )
        })
    }

    /// The address Docker gave a container; if it has several networks, the first by name.
    ///
    /// # Errors
    /// No such container, or it has no address.
    pub fn address_of(&self, container: &str) -> Result<IpAddr> {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let said = self.sh(&format!("docker inspect -f '{format}' {container}"))?;
        let first = said.split_whitespace().next();
        first.and_then(|word| word.parse().ok()).with_context(|| format!("{container} has no address"))
    }

    /// Gives Docker the image `busybox`, made of the machine's own static busybox.
    ///
    /// # Errors
    /// busybox is not static, or dockerd refuses.
    pub fn import_image(&self) -> Result<()> {
        let tar = image::tar(&self.place)?;
        self.sh(&format!("docker import --change 'CMD [\"sh\"]' {} busybox", tar.display())).map(drop)
    }

    // ── configuration and power ──

    /// Writes berthd's configuration anew, as it is; it counts from berthd's next start.
    ///
    /// # Errors
    /// The host is off.
    pub fn write_config(&self, text: &str) -> Result<()> {
        let path = self.outside("/etc/berth/berth.toml")?;
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))
    }

    /// Writes another configuration of the lab's usual shape; it counts from berthd's next start.
    ///
    /// # Errors
    /// The host is off.
    pub fn configure(&self, config: &super::BerthConfig) -> Result<()> {
        self.write_config(&config.render(&self.around))
    }

    /// Cuts the power: every process ends at once, and of the network stays what the cloud gave.
    ///
    /// # Errors
    /// The host's network could not be put back.
    pub fn power_off(&self) -> Result<()> {
        self.power().take();
        files::forget_network(&self.place.netns(&self.name), &self.home)
    }

    /// Switches the host on, with the boot id given; no daemon runs yet.
    ///
    /// # Errors
    /// It is on already, or its namespaces cannot be made.
    pub fn power_on(&self, boot_id: &str) -> Result<()> {
        let mut power = self.power();
        ensure!(power.is_none(), "{} is on already", self.name);
        fs::write(self.home.join("boot-id"), format!("{boot_id}\n"))?;
        let keeper = Keeper::of_host(&self.place, &self.name, &self.place.netns(&self.name), &self.home)?;
        let root = PathBuf::from(format!("/proc/{}/root", keeper.first()));
        files::write_config(&root, &self.options.berth.render(&self.around))?;
        let sockets = self.options.sockets_held.then(|| HeldSockets::bind(&root)).transpose()?;
        *power = Some(Power { daemons: BTreeMap::new(), sockets, keeper });
        Ok(())
    }

    fn power(&self) -> MutexGuard<'_, Option<Power>> {
        self.power.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inside(&self) -> Result<Namespaces> {
        let power = self.power();
        let keeper = &power.as_ref().with_context(|| format!("{} is off", self.name))?.keeper;
        Ok(Namespaces { keeper: keeper.first(), network: None, host: true })
    }

    fn with<T>(&self, daemon: Daemon, act: impl FnOnce(&mut Process) -> Result<T>) -> Result<T> {
        let mut power = self.power();
        let process = power.as_mut().and_then(|power| power.daemons.get_mut(&daemon));
        act(process.with_context(|| format!("{daemon} does not run on {}", self.name))?)
    }

    fn take(&self, daemon: Daemon) -> Result<Process> {
        let mut power = self.power();
        let process = power.as_mut().and_then(|power| power.daemons.remove(&daemon));
        process.with_context(|| format!("{daemon} does not run on {}", self.name))
    }
}
