//! Where a node would serve: a port on loopback that answers the watcher's canary, until it falls silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// Connections that the kernel keeps for a door that does not take them; beyond that it drops what comes, as a dead host does.
const QUEUE: u32 = 8;
/// A connection on loopback that is not there by then is not coming.
const DROPPED_AFTER: Duration = Duration::from_millis(100);

/// One node's public port.
pub struct Door {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    serving: Option<JoinHandle<()>>,
    /// Whoever stands in the queue of a door that has fallen silent.
    crowd: Vec<TcpStream>,
}

impl Door {
    /// Opens one. Every address of 127.0.0.0/8 is this machine's.
    pub fn open(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let listener = Arc::new(socket.listen(QUEUE).unwrap());
        let mut door = Door { address, listener, serving: None, crowd: Vec::new() };
        door.serve();
        door
    }

    /// Answers again.
    pub fn serve(&mut self) {
        self.crowd.clear();
        let listener = self.listener.clone();
        self.serving = Some(tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream));
                }
            }
        }));
    }

    /// From here on nothing answers, not even to a knock: the queue is full, and the kernel drops what comes.
    pub async fn fall_silent(&mut self) {
        self.serving.take().unwrap().abort();
        while let Ok(Ok(stream)) = tokio::time::timeout(DROPPED_AFTER, TcpStream::connect(self.address)).await {
            self.crowd.push(stream);
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.serving.take().map(|serving| serving.abort()).unwrap_or_default();
    }
}

/// What Traefik and the watcher behind it say to a probe; to all else, that there is no such route.
async fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(count) if count > 0 => head.extend_from_slice(&part[..count]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or_default();
    let said = match path.strip_prefix("/.well-known/bouquet/") {
        Some(nonce) => {
            let body = format!("{nonce} garden door\n");
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        }
        None => "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned(),
    };
    // Who asked may have gone.
    let _ = stream.write_all(said.as_bytes()).await;
}
