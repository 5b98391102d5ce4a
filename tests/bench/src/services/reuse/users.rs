//! Who ask for the service all the while, from another machine, and what they are answered.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};

use super::SERVICES;
use crate::services::dns::question;

const PATIENCE: Duration = Duration::from_millis(500);

/// Where nobody answers for the moment.
const REST: Duration = Duration::from_millis(2);

/// What is asked for.
const NAME: &str = "web.lab.internal";

/// What was answered: by the service, by the other one, by nobody.
#[derive(Default)]
pub(super) struct Counts([AtomicUsize; 3]);

impl Counts {
    pub(super) fn read(&self) -> [usize; 3] {
        [0, 1, 2].map(|at| self.0[at].load(Ordering::Relaxed))
    }

    fn note(&self, answer: Option<String>) {
        let at = match answer.as_deref() {
            Some(body) if body == SERVICES[0] => 0,
            Some(body) if SERVICES.contains(&body) => 1,
            _ => 2,
        };
        self.0[at].fetch_add(1, Ordering::Relaxed);
        if at == 2 {
            thread::sleep(REST);
        }
    }
}

/// Asks at the virtual address.
pub(super) fn by_address(netns: &Path, front: IpAddr, over: &AtomicUsize, counts: &Counts) -> Result<()> {
    enter(netns)?;
    while over.load(Ordering::Relaxed) == 0 {
        counts.note(asked(front));
    }
    Ok(())
}

/// Asks for the name, and then at each address that it has.
pub(super) fn by_name(netns: &Path, dns: IpAddr, over: &AtomicUsize, counts: &Counts) -> Result<()> {
    enter(netns)?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((dns, 53))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut id = 0_u16;
    while over.load(Ordering::Relaxed) == 0 {
        id = id.wrapping_add(1);
        socket.send(&question(id))?;
        let mut buffer = [0; 512];
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        for address in addresses(&buffer[..length], id) {
            counts.note(asked(address));
        }
    }
    Ok(())
}

fn enter(netns: &Path) -> Result<()> {
    let there = File::open(netns).with_context(|| format!("cannot open {}", netns.display()))?;
    setns(there, CloneFlags::CLONE_NEWNET).context("cannot enter the user's machine")
}

/// What is answered at an address; nothing where nobody answers.
fn asked(address: IpAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address, 80), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// The addresses of an answer to a question for A. Source: RFC 1035, section 4.1: the answers come after the question,
/// each with a pointer as its name.
fn addresses(packet: &[u8], id: u16) -> Vec<IpAddr> {
    if packet.get(..2) != Some(&id.to_be_bytes()) {
        return Vec::new();
    }
    let count = packet.get(6..8).map_or(0, |count| usize::from(u16::from_be_bytes([count[0], count[1]])));
    let answers = 12 + NAME.len() + 2 + 4;
    let record = |nth: usize| packet.get(answers + nth * 16..answers + (nth + 1) * 16);
    let address = |record: &[u8]| {
        (record[2..4] == [0, 1])
            .then(|| IpAddr::from(Ipv4Addr::new(record[12], record[13], record[14], record[15])))
    };
    (0..count).filter_map(|nth| address(record(nth)?)).collect()
}
