//! Asks others about what is not ours: the host's own resolvers, one after the other.
//!
//! One question that many ask at once goes out once. So what comes back to us, because a resolver of the host asks us
//! in turn, waits for its own answer, and ends when patience does.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use names::{Query, Way, answers_to, cut, id_of, says_nothing, with_id};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::resolv_conf::ResolvConf;

/// How long one resolver may take. Docker's own resolver waits four seconds for us, clients five: with two tries this
/// is less.
const PATIENCE: Duration = Duration::from_millis(1_700);

/// So many tries, over all resolvers.
const TRIES: usize = 2;

/// So many questions are out at once: bounds sockets and memory. Whoever comes then is told that it cannot be told.
const OUT_MAX: usize = 512;

/// Room for an answer over UDP. Nobody takes more there.
const ANSWER_MAX: usize = 4_096;

/// What many ask at once: name, type, whether signatures are asked for, and how.
type Same = (String, u16, bool, Way);

/// Asks others.
pub(super) struct Forward {
    resolvers: ResolvConf,
    out: Semaphore,
    under_way: Mutex<HashMap<Same, watch::Receiver<Option<Vec<u8>>>>>,
}

impl Forward {
    pub(super) fn new(resolvers: ResolvConf) -> Self {
        Self { resolvers, out: Semaphore::new(OUT_MAX), under_way: Mutex::default() }
    }

    /// Who is asked now; we ourselves, at these addresses, never.
    pub(super) async fn resolvers(&self, own: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut resolvers = self.resolvers.read().await;
        resolvers.retain(|resolver| !own.contains(resolver));
        resolvers
    }

    /// The answer of the first who has one, for who asked `query`; none if nobody has.
    pub(super) async fn ask(&self, query: &Query, way: Way, own: &[SocketAddr]) -> Option<Vec<u8>> {
        let (name, kind, signed) = query.same();
        let same = (name, kind, signed, way);
        let place = {
            let mut under_way = self.under_way();
            match under_way.get(&same) {
                Some(other) => Err(other.clone()),
                None => {
                    let (told, answer) = watch::channel(None);
                    under_way.insert(same.clone(), answer);
                    Ok(told)
                }
            }
        };
        let packet = query.packet();
        let answer = match place {
            Err(mut other) => other.wait_for(Option::is_some).await.ok()?.clone()?,
            Ok(told) => {
                let _over = Over { forward: self, same };
                let answer = self.ask_around(&packet, way, own).await?;
                told.send_replace(Some(answer.clone()));
                answer
            }
        };
        Some(with_id(cut(&answer, query.room(way))?, id_of(&packet)?))
    }

    async fn ask_around(&self, packet: &[u8], way: Way, own: &[SocketAddr]) -> Option<Vec<u8>> {
        let _out = self.out.try_acquire().ok()?;
        let resolvers = self.resolvers(own).await;
        let mut last = None;
        for resolver in resolvers.iter().cycle().take(if resolvers.is_empty() { 0 } else { TRIES }) {
            // A number of our own, from a port of our own: who would answer in another's place must guess both.
            let packet = with_id(packet.to_vec(), rand::random());
            let asked = timeout(PATIENCE, exchange(&packet, *resolver, way)).await;
            match asked {
                Ok(Ok(answer)) if !says_nothing(&answer) => return Some(answer),
                Ok(Ok(answer)) => last = Some(answer),
                Ok(Err(error)) => tracing::debug!(%error, %resolver, "a resolver does not answer"),
                Err(_) => tracing::debug!(%resolver, "a resolver does not answer in time"),
            }
        }
        last
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Same, watch::Receiver<Option<Vec<u8>>>>> {
        // Every change is one insertion or removal, so a panic leaves the map whole.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a question off the list, also where its asker is cut off.
struct Over<'a> {
    forward: &'a Forward,
    same: Same,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.forward.under_way().remove(&self.same);
    }
}

async fn exchange(packet: &[u8], resolver: SocketAddr, way: Way) -> io::Result<Vec<u8>> {
    match way {
        Way::Udp => over_udp(packet, resolver).await,
        Way::Tcp => over_tcp(packet, resolver).await,
    }
}

async fn over_udp(packet: &[u8], resolver: SocketAddr) -> io::Result<Vec<u8>> {
    let any: IpAddr =
        if resolver.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // From now on only this resolver is heard, and if nobody listens there, that.
    socket.connect(resolver).await?;
    socket.send(packet).await?;
    let mut answer = vec![0; ANSWER_MAX];
    loop {
        let length = socket.recv(&mut answer).await?;
        let heard = answer.get(..length).unwrap_or_default();
        if answers_to(packet, heard) {
            return Ok(heard.to_vec());
        }
    }
}

async fn over_tcp(packet: &[u8], resolver: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(resolver).await?;
    let length = u16::try_from(packet.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], packet].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    if answers_to(packet, &answer) { Ok(answer) } else { Err(io::Error::other("it answers something else")) }
}
