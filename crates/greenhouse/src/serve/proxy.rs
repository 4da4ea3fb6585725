//! One port that speaks SOCKS5 (RFC 1928, no authentication, CONNECT) and HTTP CONNECT, as a userspace tailscaled offers
//! them, into the simulated network.

use super::http;
use crate::dns;
use crate::net::From;
use crate::world::World;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::{Error, Route};

/// The longest head of a CONNECT request that is read.
const HEAD_BYTES_MAX: usize = 8192;

/// Serves one connection.
pub(super) async fn serve(world: World, mut stream: TcpStream) {
    let mut first = [0_u8; 1];
    let asked = match stream.peek(&mut first).await {
        Ok(1) if first[0] == 5 => socks(&mut stream).await.map(|to| (to, true)),
        Ok(1) => connect(&mut stream).await.map(|to| (to, false)),
        _ => return,
    };
    let Ok(((host, port), is_socks)) = asked else { return };
    let host = resolved(&world, host);
    let reached = world.connect(From::Operator, Route::Mesh, &host, port).await;
    let answer = match (&reached, is_socks) {
        (Ok(_), true) => socks_answer(0),
        (Err(Error::NoSuchHost(_)), true) => socks_answer(4),
        (Err(Error::Refused(_)), true) => socks_answer(5),
        (Err(_), true) => socks_answer(1),
        (Ok(_), false) => b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec(),
        (Err(error), false) => {
            let text = error.to_string();
            format!("HTTP/1.1 502 Bad Gateway\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes()
        }
    };
    if stream.write_all(&answer).await.is_err() {
        return;
    }
    if let Ok((endpoint, peer)) = reached {
        http::machine(world, endpoint, peer, (host, port), stream).await;
    }
}

/// A name that has several addresses leads to one of them for as long as the connection lasts.
fn resolved(world: &World, host: String) -> String {
    if host.parse::<IpAddr>().is_ok() {
        return host;
    }
    let found = world.with(|state| dns::resolve(state, From::Operator, &host));
    found.first().map_or(host, IpAddr::to_string)
}

fn socks_answer(code: u8) -> Vec<u8> {
    vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

async fn socks(stream: &mut TcpStream) -> io::Result<(String, u16)> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).await?;
    let mut methods = vec![0; usize::from(greeting[1])];
    stream.read_exact(&mut methods).await?;
    if !methods.contains(&0) {
        stream.write_all(&[5, 0xff]).await?;
        return Err(wrong("no method without authentication"));
    }
    stream.write_all(&[5, 0]).await?;
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    if request[1] != 1 {
        stream.write_all(&socks_answer(7)).await?;
        return Err(wrong("not CONNECT"));
    }
    let host = match request[3] {
        1 => Ipv4Addr::from(stream.read_u32().await?).to_string(),
        4 => Ipv6Addr::from(stream.read_u128().await?).to_string(),
        3 => {
            let mut name = vec![0; usize::from(stream.read_u8().await?)];
            stream.read_exact(&mut name).await?;
            String::from_utf8(name).map_err(|_| wrong("a name that is no text"))?
        }
        _ => return Err(wrong("an unknown kind of address")),
    };
    Ok((host, stream.read_u16().await?))
}

/// Reads the head byte by byte: what follows it belongs to whoever is connected to.
async fn connect(stream: &mut TcpStream) -> io::Result<(String, u16)> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Err(wrong("a head without an end"));
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).map_err(|_| wrong("a head that is no text"))?;
    let mut words = head.split_whitespace();
    if words.next() != Some("CONNECT") {
        stream.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n").await?;
        return Err(wrong("not CONNECT"));
    }
    let (host, port) = words.next().and_then(|to| to.rsplit_once(':')).ok_or_else(|| wrong("no port"))?;
    let port = port.parse().map_err(|_| wrong("no port"))?;
    Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}
