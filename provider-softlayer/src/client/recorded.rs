//! A server that gives recorded answers, for tests.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use provider::Secret;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

use super::Client;
use crate::Credentials;

/// A server that gives recorded answers, one a connection, and keeps what it was asked.
pub(crate) struct Recorded {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Status and headers, and body.
pub(crate) type Reply = (&'static str, String);

pub(crate) async fn recorded(replies: impl IntoIterator<Item = Reply>) -> Recorded {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (mut replies, log): (VecDeque<Reply>, _) = (replies.into_iter().collect(), asked.clone());
    tokio::spawn(async move {
        while let Some(reply) = replies.pop_front() {
            let (stream, _) = listener.accept().await.unwrap();
            let question = answer(stream, reply).await;
            log.lock().await.push(question);
        }
    });
    Recorded { address, asked }
}

async fn answer(stream: TcpStream, (head, body): Reply) -> String {
    let mut stream = BufStream::new(stream);
    let (mut question, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        question += &line;
        if line.trim().is_empty() {
            break;
        }
    }
    let mut posted = vec![0; length];
    stream.read_exact(&mut posted).await.unwrap();
    question += &String::from_utf8(posted).unwrap();
    if !head.is_empty() {
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
    question
}

impl Recorded {
    pub(crate) fn client(&self) -> Client {
        let credentials = Credentials::new("SL123456", Secret::new("key"));
        Client::new(&format!("http://{}/rest/v3.1", self.address), credentials).unwrap()
    }

    pub(crate) async fn asked(&self) -> Vec<String> {
        self.asked.lock().await.clone()
    }
}

/// A good answer.
pub(crate) fn ok(body: &str) -> Reply {
    ("200 OK", body.to_owned())
}
