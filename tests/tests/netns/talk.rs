//! Connections between namespaces: who answers, and whom he sees.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::namespace::Namespace;

const PATIENCE: Duration = Duration::from_secs(2);

/// Answers one TCP connection on `port`, and tells whom it saw.
pub(crate) struct Server {
    saw: JoinHandle<SocketAddr>,
}

impl Server {
    pub(crate) fn start(at: &Namespace, port: u16) -> Self {
        let listener = at.enter(|| TcpListener::bind(("0.0.0.0", port)).unwrap());
        let answer = move || {
            let (mut stream, peer) = listener.accept().unwrap();
            stream.write_all(b"hello").unwrap();
            peer
        };
        Self { saw: thread::spawn(answer) }
    }

    /// The address the connection came from.
    pub(crate) fn saw(self) -> IpAddr {
        self.saw.join().unwrap().ip()
    }
}

/// Connects and hears the greeting.
pub(crate) fn greets(from: &Namespace, to: &str) -> bool {
    let to: SocketAddr = to.parse().unwrap();
    from.enter(|| {
        let Ok(mut stream) = TcpStream::connect_timeout(&to, PATIENCE) else { return false };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut greeting = String::new();
        stream.read_to_string(&mut greeting).is_ok() && greeting == "hello"
    })
}

/// Sends one datagram to an echo at the other side and hears it back.
pub(crate) fn echoes(from: &Namespace, to: &str, at: &Namespace, port: u16) -> bool {
    let socket = at.enter(|| UdpSocket::bind(("0.0.0.0", port)).unwrap());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let echo = thread::spawn(move || {
        let mut buffer = [0; 16];
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { return };
        socket.send_to(&buffer[..length], peer).unwrap();
    });
    let heard = from.enter(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(to).unwrap();
        socket.send(b"ping").unwrap();
        let mut buffer = [0; 16];
        socket.recv(&mut buffer).is_ok_and(|length| &buffer[..length] == b"ping")
    });
    echo.join().unwrap();
    heard
}

/// Does a datagram arrive there, on the discard port, answered or not?
pub(crate) fn arrives(from: &Namespace, to: &str, at: &Namespace) -> bool {
    let socket = at.enter(|| UdpSocket::bind("0.0.0.0:9").unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    from.enter(|| UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"ping", to).unwrap());
    socket.recv(&mut [0; 16]).is_ok()
}
