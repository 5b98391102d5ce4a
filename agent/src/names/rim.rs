//! The sockets: packets in, packets out. Whatever comes, no packet ends this, and nothing grows without bound.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use names::{Code, Heard, Query, Way};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::resolver::Resolver;

/// The largest question over UDP. Nobody asks with more, and what is cut off is no packet.
const QUESTION_MAX: usize = 4_096;

/// So many questions of one socket wait for somebody's word at once.
const WAITING_MAX: usize = 1_024;

/// So many connections at once.
const CONNECTIONS_MAX: usize = 128;

/// How long a connection may be silent: long enough for a second question.
const IDLE: Duration = Duration::from_secs(10);

/// How long a socket rests that the kernel says is not well.
const REST: Duration = Duration::from_millis(100);

/// What is to be done with a packet.
enum Todo {
    /// This is answered.
    Answer(Vec<u8>),
    /// Somebody has to be asked first.
    Ask(Box<Query>),
    /// Nothing.
    Nothing,
}

fn hear(resolver: &Resolver, packet: &[u8], from: IpAddr, way: Way) -> Todo {
    let query = match Query::read(packet) {
        Heard::Nothing => return Todo::Nothing,
        Heard::Wrong(answer) => {
            return if resolver.may_ask(from) { Todo::Answer(answer) } else { Todo::Nothing };
        }
        Heard::Query(query) => query,
    };
    if !resolver.may_ask(from) {
        return Todo::Answer(query.fail(Code::Refused));
    }
    match resolver.at_once(&query, way) {
        Some(answer) => Todo::Answer(answer),
        None => Todo::Ask(query),
    }
}

/// Questions and answers of one datagram each.
pub(super) struct Udp {
    socket: Arc<UdpSocket>,
}

impl Udp {
    pub(super) fn new(socket: UdpSocket) -> Self {
        Self { socket: Arc::new(socket) }
    }

    pub(super) async fn serve(self, resolver: Arc<Resolver>, tasks: TaskTracker, stop: CancellationToken) {
        let waiting = Arc::new(Semaphore::new(WAITING_MAX));
        let mut packet = vec![0; QUESTION_MAX];
        loop {
            let heard = tokio::select! {
                () = stop.cancelled() => return,
                heard = self.socket.recv_from(&mut packet) => heard,
            };
            let (length, from) = match heard {
                Ok(heard) => heard,
                Err(error) => {
                    tracing::debug!(%error, "a socket for names is not well");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            match hear(&resolver, packet.get(..length).unwrap_or_default(), from.ip(), Way::Udp) {
                Todo::Nothing => {}
                Todo::Answer(answer) => self.send(&answer, from).await,
                Todo::Ask(query) => match Arc::clone(&waiting).try_acquire_owned() {
                    Err(_) => self.send(&query.fail(Code::Failed), from).await,
                    Ok(place) => {
                        let (own, resolver) =
                            (Self { socket: Arc::clone(&self.socket) }, Arc::clone(&resolver));
                        let stop = stop.clone();
                        tasks.spawn(async move {
                            tokio::select! {
                                () = stop.cancelled() => {}
                                answer = resolver.answer(&query, Way::Udp, from.ip()) => {
                                    own.send(&answer, from).await;
                                }
                            }
                            drop(place);
                        });
                    }
                },
            }
        }
    }

    async fn send(&self, answer: &[u8], to: SocketAddr) {
        // Who asked over UDP asks again if nothing comes.
        if let Err(error) = self.socket.send_to(answer, to).await {
            tracing::debug!(%error, %to, "cannot send an answer");
        }
    }
}

/// Questions and answers with their length before them.
pub(super) struct Tcp {
    listener: TcpListener,
}

impl Tcp {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener }
    }

    pub(super) async fn serve(self, resolver: Arc<Resolver>, tasks: TaskTracker, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "a socket for names is not well");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            // Who may not ask is hung up on, and so is who comes when all places are taken.
            let place = resolver.may_ask(from.ip()).then(|| Arc::clone(&places).try_acquire_owned());
            if let Some(Ok(place)) = place {
                let (resolver, stop) = (Arc::clone(&resolver), stop.clone());
                tasks.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        // A connection that breaks is its client's business.
                        _ = talk(stream, from.ip(), &resolver) => {}
                    }
                    drop(place);
                });
            }
        }
    }
}

/// Answers one question after the other, as long as they come.
async fn talk(mut stream: TcpStream, from: IpAddr, resolver: &Resolver) -> io::Result<()> {
    loop {
        let packet = timeout(IDLE, async {
            let mut packet = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut packet).await?;
            io::Result::Ok(packet)
        });
        let packet = packet.await??;
        let answer = match hear(resolver, &packet, from, Way::Tcp) {
            Todo::Nothing => return Ok(()),
            Todo::Answer(answer) => answer,
            Todo::Ask(query) => resolver.answer(&query, Way::Tcp, from).await,
        };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        timeout(IDLE, stream.write_all(&[&length.to_be_bytes()[..], &answer].concat())).await??;
    }
}
