//! Stands between a store and an etcd on loopback, and loses what it is told to.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Both ways.
    Passes,
    /// Requests vanish, and then the connection breaks.
    CutBefore,
    /// Requests arrive, answers vanish, and then the connection breaks.
    CutAfter,
    /// Nothing passes and nothing breaks, as with a pulled cable.
    Silent,
}

/// Ends with the runtime.
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    mode: Arc<watch::Sender<Mode>>,
}

impl Proxy {
    pub(crate) async fn before(endpoint: &str) -> Proxy {
        let server: SocketAddr =
            endpoint.trim_start_matches("http://").parse().expect("an address with a port");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let mode = Arc::new(watch::Sender::new(Mode::Passes));
        let modes = Arc::clone(&mode);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, modes.subscribe()));
            }
        });
        Proxy { endpoint, mode }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Silent {
            if mode.changed().await.is_err() {
                return;
            }
            continue;
        }
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return },
            read = client.read(&mut up) => match read {
                Ok(1..) if now == Mode::CutBefore => return,
                Ok(bytes @ 1..) => if server.write_all(&up[..bytes]).await.is_err() { return },
                _ => return,
            },
            read = server.read(&mut down) => match read {
                Ok(1..) if now == Mode::CutAfter => return,
                Ok(bytes @ 1..) => if client.write_all(&down[..bytes]).await.is_err() { return },
                _ => return,
            },
        }
    }
}
