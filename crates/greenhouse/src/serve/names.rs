//! Name servers on sockets: each on one port, for UDP and TCP.

use super::{ServeError, accept};
use crate::dns::message::Transport;
use crate::dns::{self, Server};
use crate::world::World;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// Ports that are tried: one that is free for TCP may be somebody's for UDP.
const TRIES: usize = 16;
/// The largest datagram that is read: no question is as large.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// Listens on a port of loopback.
pub(super) async fn listen(
    world: &World,
    server: Server,
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<SocketAddr, ServeError> {
    let (udp, tcp) = bind().await?;
    let at = tcp.local_addr().map_err(ServeError::io("a name server's socket"))?;
    tasks.push(tokio::spawn(datagrams(world.clone(), server, udp)));
    let world = world.clone();
    tasks.push(accept(tcp, move |stream| {
        let world = world.clone();
        Box::pin(async move { connection(world, server, stream).await })
    }));
    Ok(at)
}

async fn bind() -> Result<(UdpSocket, TcpListener), ServeError> {
    let mut last = None;
    for _ in 0..TRIES {
        let tcp = super::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let at = tcp.local_addr().map_err(ServeError::io("a name server's socket"))?;
        match UdpSocket::bind(at).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) => last = Some(ServeError::io(format!("listening on {at} for datagrams"))(error)),
        }
    }
    Err(last.unwrap_or_else(|| ServeError::io("a name server")(std::io::ErrorKind::AddrInUse.into())))
}

async fn datagrams(world: World, server: Server, socket: UdpSocket) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // An error is one asker's, who has gone away.
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let asked = buffer.get(..length).unwrap_or_default();
        if let Some(answer) = dns::serve(&world, server, Transport::Udp, asked) {
            let _ = socket.send_to(&answer, peer).await;
        }
    }
}

/// One question after the other, until the asker ends it. RFC 7766 §6.2.1.
async fn connection(world: World, server: Server, mut stream: TcpStream) {
    while let Ok(length) = stream.read_u16().await {
        let mut asked = vec![0; usize::from(length)];
        if stream.read_exact(&mut asked).await.is_err() {
            return;
        }
        let Some(answer) = dns::serve(&world, server, Transport::Tcp, &asked) else { return };
        let length = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes();
        if stream.write_all(&[&length[..], &answer].concat()).await.is_err() {
            return;
        }
    }
}
