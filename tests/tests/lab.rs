//! What the lab itself promises to the tests that stand on it.

#[path = "lab/etcd.rs"]
mod etcd;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::lab::{Daemon, DockerHost, Lab, Layout, Way, remains, until};

#[test]
fn two_labs_live_side_by_side_with_the_same_addresses() -> Result<()> {
    let (one, other) = (Lab::build(Layout::one_host())?, Lab::build(Layout::one_host())?);
    assert_ne!(one.id(), other.id());

    let address_of = |lab: &Lab| lab.node("vm1")?.sh("ip -4 -o address show dev eth0");
    assert_eq!(address_of(&one)?, address_of(&other)?);

    // Each hears only its own.
    let heard = other.node("bm1")?.capture("eth0", "icmp")?;
    let bare_metal = one.node("bm1")?.address()?;
    one.node("vm1")?.sh(&format!("ping -c 1 -W 5 {bare_metal}"))?;
    assert_eq!(heard.finish()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_dropped_lab_leaves_nothing() -> Result<()> {
    let lab = Lab::build(Layout::one_host())?;
    let host = lab.host("h1")?;
    host.start(Daemon::Containerd)?;
    host.start(Daemon::Dockerd)?;
    host.import_image()?;
    host.sh("docker run -d --network none busybox sleep 1000")?;
    let (id, dir) = (lab.id().to_owned(), lab.dir().to_owned());
    assert_ne!(traces(&id, &dir)?, Vec::<String>::new(), "a lab that leaves no traces while it lives");

    drop(lab);
    assert_eq!(traces(&id, &dir)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_lab_whose_test_panics_leaves_nothing() -> Result<()> {
    let mut seen = None;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let lab = Lab::build(Layout::one_host()).expect("a lab");
        seen = Some((lab.id().to_owned(), lab.dir().to_owned()));
        panic!("as a failing test does");
    }));
    assert!(panicked.is_err());

    let (id, dir) = seen.context("no lab was built")?;
    assert_eq!(traces(&id, &dir)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_killed_lab_ends_all_its_processes_and_clean_removes_the_rest() -> Result<()> {
    let mut victim = Victim::start()?;
    let processes = processes_of(&victim.dir)?;
    assert_ne!(processes, Vec::<String>::new());

    victim.signal(Signal::SIGKILL)?;
    until(Duration::from_secs(10), "the victim's processes end", || {
        Ok(processes_of(&victim.dir)?.is_empty().then_some(()))
    })?;
    // Namespaces and files are for whoever comes next.
    remains::clean()?;
    assert_eq!(traces(&victim.id, &victim.dir)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_lab_that_is_interrupted_leaves_nothing() -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut victim = Victim::start()?;
        victim.signal(signal)?;
        assert_eq!(traces(&victim.id, &victim.dir)?, Vec::<String>::new(), "after {signal}");
    }
    Ok(())
}

#[test]
fn cleaning_leaves_living_labs_alone() -> Result<()> {
    let lab = Lab::build(Layout::one_host())?;
    let removed = remains::clean()?;
    assert!(!removed.contains(&lab.id().to_owned()));
    assert!(remains::living()?.contains(&lab.id().to_owned()));
    lab.node("vm1")?.sh("ip link show eth0")?;
    Ok(())
}

#[test]
fn a_cut_link_cuts_the_way_that_was_asked_for() -> Result<()> {
    let lab = Lab::build(Layout::one_host())?;
    let (vm, metal) = (lab.node("vm1")?, lab.node("bm1")?);
    let (vm_address, metal_address) = (vm.address()?, metal.address()?);
    let ping = format!("ping -c 1 -W 1 {metal_address}");
    vm.sh(&ping)?;

    // Out: the other hears nothing.
    vm.cut("eth0", Way::Out)?;
    let heard = metal.capture("eth0", "icmp")?;
    assert!(!vm.try_sh(&ping)?.is_success());
    assert_eq!(heard.finish()?, Vec::<String>::new());

    // In: the other hears and answers, in vain.
    vm.cut("eth0", Way::In)?;
    let heard = metal.capture("eth0", "icmp")?;
    assert!(!vm.try_sh(&ping)?.is_success());
    heard.wait_for(&format!("{metal_address} > {vm_address}: ICMP echo reply"))?;

    vm.mend("eth0")?;
    vm.sh(&ping)?;
    Ok(())
}

#[test]
fn the_cloud_tells_each_machine_who_it_is() -> Result<()> {
    let lab = Lab::build(Layout::one_host())?;
    let endpoint = lab.cloud().endpoint();
    for machine in ["h1", "vm1", "bm1"] {
        let ask = format!("busybox wget -q -O - {endpoint}SoftLayer_Resource_Metadata/getHostname.json");
        assert_eq!(lab.node(machine)?.sh(&ask)?, format!("\"{machine}\""));
    }
    Ok(())
}

#[test]
fn held_sockets_stay_open_while_berthd_is_away() -> Result<()> {
    let options = DockerHost { sockets_held: true, ..DockerHost::default() };
    let lab = Lab::build(Layout::one_host_with(options))?;
    let host = lab.host("h1")?;
    let plugin = host.outside("/run/docker/plugins/berth.sock")?;
    UnixStream::connect(&plugin).context("before berthd's first start")?;
    host.start(Daemon::Berthd)?;
    host.kill(Daemon::Berthd)?;
    UnixStream::connect(&plugin).context("after berthd was killed")?;
    host.start(Daemon::Berthd)?;
    host.stop(Daemon::Berthd)?;
    UnixStream::connect(&plugin).context("after berthd was stopped")?;
    Ok(())
}

#[test]
fn a_host_has_its_boot_id_and_name_and_own_files() -> Result<()> {
    let boot_id = "12345678-0000-4000-8000-000000000000";
    let options = DockerHost { boot_id: boot_id.to_owned(), ..DockerHost::default() };
    let lab = Lab::build(Layout::one_host_with(options))?;
    let host = lab.host("h1")?;
    let config = host.sh("cat /etc/berth/berth.toml")?;
    let file = config.lines().find_map(|line| line.strip_prefix("boot_id_file = "));
    assert_eq!(host.sh(&format!("cat {}", file.context("no boot_id_file")?))?.trim(), boot_id);
    assert_eq!(host.sh("hostname; cat /etc/hostname")?, "h1\nh1\n");

    host.sh("touch /etc/berth/mine /run/mine")?;
    assert!(!Path::new("/etc/berth/mine").exists() && !Path::new("/run/mine").exists());
    Ok(())
}

#[test]
fn a_power_cut_ends_every_process_and_forgets_what_the_kernel_was_told() -> Result<()> {
    let lab = Lab::build(Layout::one_host())?;
    let host = lab.host("h1")?;
    let network = "ip -o link; ip rule; ip route; ip neigh show proxy; nft list ruleset";
    let fresh = lab.node("h1")?.sh(network)?;
    host.start(Daemon::Containerd)?;
    host.sh(
        "ip link add br-mine type bridge && ip link set br-mine up && ip route add 10.50.0.9 dev br-mine \
         && ip rule add from 10.50.0.0/26 lookup 100 && ip route add default dev eth0 table 100 \
         && ip neigh add proxy 10.50.0.9 dev eth0 && nft add table inet mine && ip route del default",
    )?;

    host.power_off()?;
    assert_eq!(lab.node("h1")?.sh(network)?, fresh);
    assert!(host.sh("true").is_err(), "a shell on a host that is off");

    host.power_on("00000000-0000-4000-8000-000000000002")?;
    assert_eq!(fs::read_to_string(host.home().join("boot-id"))?, "00000000-0000-4000-8000-000000000002\n");
    host.start(Daemon::Containerd)?;
    Ok(())
}

#[test]
fn a_live_restored_container_outlives_both_docker_daemons() -> Result<()> {
    let options = DockerHost { live_restore: true, ..DockerHost::default() };
    let lab = Lab::build(Layout::one_host_with(options))?;
    let host = lab.host("h1")?;
    host.start(Daemon::Containerd)?;
    host.start(Daemon::Dockerd)?;
    host.import_image()?;
    host.sh("docker run -d --name sleeper --network none busybox sleep 1000")?;
    let pid = "docker inspect -f '{{.State.Running}} {{.State.Pid}}' sleeper";
    let before = host.sh(pid)?;
    ensure!(before.starts_with("true "), "{before}");

    host.kill(Daemon::Dockerd)?;
    host.kill(Daemon::Containerd)?;
    host.start(Daemon::Containerd)?;
    host.start(Daemon::Dockerd)?;
    assert_eq!(host.sh(pid)?, before);
    Ok(())
}

#[test]
fn dockerd_drops_forwarded_packets_where_it_manages_iptables_and_only_there() -> Result<()> {
    let options = DockerHost { iptables: true, ..DockerHost::default() };
    let lab = Lab::build(Layout::one_host_with(options).docker_host("h2", DockerHost::default()))?;
    let policy_on = |host: &str| -> Result<String> {
        let host = lab.host(host)?;
        host.start(Daemon::Containerd)?;
        host.start(Daemon::Dockerd)?;
        host.sh("iptables -S FORWARD | head -n 1")
    };
    assert_eq!(policy_on("h1")?, "-P FORWARD DROP\n");
    assert_eq!(policy_on("h2")?, "-P FORWARD ACCEPT\n");
    Ok(())
}

#[test]
fn a_daemon_that_cannot_start_says_why() -> Result<()> {
    let lab = Lab::build(Layout::one_host())?;
    let host = lab.host("h1")?;
    host.sh("echo nonsense >/etc/docker/daemon.json")?;
    let error = host.start(Daemon::Dockerd).expect_err("dockerd started with nonsense for options");
    let text = format!("{error:#}");
    assert!(text.contains("daemon.json"), "{text}");
    Ok(())
}

/// Another process that owns a lab and waits.
struct Victim {
    child: Child,
    id: String,
    dir: PathBuf,
}

impl Victim {
    fn start() -> Result<Victim> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_berth-lab"));
        let mut child = command.arg("hold").stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let mut line = || lines.next().context("the other lab did not come up")?.context("no line");
        let (id, dir) = (line()?, PathBuf::from(line()?));
        Ok(Victim { child, id, dir })
    }

    /// Sends a signal and waits for the process to end.
    fn signal(&mut self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal)?;
        self.child.wait()?;
        Ok(())
    }
}

/// All that can be seen of a lab from outside.
fn traces(id: &str, dir: &Path) -> Result<Vec<String>> {
    let mut traces = processes_of(dir)?;
    let name = format!("berthlab{id}");
    let mut look = |folder: &str, depth: &str| -> Result<()> {
        let find = ["-maxdepth", depth, "-name", &format!("{name}*")];
        let found = Command::new("find").arg(folder).args(find).output()?;
        traces.extend(String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned));
        Ok(())
    };
    look("/run/netns", "1")?;
    look("/sys/fs/cgroup", "2")?;
    if dir.exists() {
        traces.push(dir.display().to_string());
    }
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    traces.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&name) || line.contains(&*dir.to_string_lossy()))
            .map(str::to_owned),
    );
    Ok(traces)
}

/// The processes that have a lab's folder in their command line or are in one of its mounts.
fn processes_of(dir: &Path) -> Result<Vec<String>> {
    let dir = dir.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let read = |name: &str| fs::read(path.join(name)).unwrap_or_default();
        let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let mounts = String::from_utf8_lossy(&read("mounts")).into_owned();
        if command.contains(&dir) || mounts.contains(&dir) {
            found.push(format!("{} {command}", path.display()));
        }
    }
    Ok(found)
}
