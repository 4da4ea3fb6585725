//! What goes over the network: probes, control probes, and what vantages say to each other.

use super::{At, Ingress, address};
use async_trait::async_trait;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watcher::peer::{Ears, Told};
use watcher::permit::{Ask, Release, Reply};
use watcher::process::{Mouth, Process};
use watcher::scene::VantagePod;
use wire::{Body, Error, Stream, Target, Wire};

/// Whoever speaks to a peer gives up after this.
const SPEAK: Duration = Duration::from_secs(1);
const PROBE_MS: (u64, u64) = (5, 40);

impl Wire for At {
    fn call(&self, _: &Target, _: http::Request<Body>) -> BoxFuture<'static, Result<http::Response<Body>, Error>> {
        unreachable!("a watcher calls its provider through it, and that is not on the wire here")
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>> {
        let (at, target) = (self.clone(), target.clone());
        Box::pin(async move {
            at.nap(PROBE_MS, &target.host).await;
            if target.host.starts_with("192.0.2.") {
                if !at.world.state().is_online(at.node) {
                    std::future::pending::<()>().await;
                }
                return Ok(Box::new(tokio::io::duplex(64).0) as Box<dyn Stream>);
            }
            let node = (0..at.world.nodes()).find(|node| address(*node).to_string() == target.host).unwrap();
            let ingress = {
                let state = at.world.state();
                if state.up[node] && state.reaches(at.node, node) { state.ingress[node] } else { Ingress::Silent }
            };
            let is_canary = target.tls.as_ref().is_some_and(|tls| tls.server_name.starts_with("canary"));
            let status = match ingress {
                Ingress::Silent => return std::future::pending().await,
                Ingress::Refuses => return Err(Error::Refused(target.host)),
                Ingress::WrongCertificate => return Err(Error::Tls { host: target.host, reason: "expired".into() }),
                Ingress::Serves if is_canary => 200,
                Ingress::Behind if is_canary => 503,
                _ => 404,
            };
            let (ours, theirs) = tokio::io::duplex(2048);
            tokio::spawn(answer(theirs, status));
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

/// What an ingress controller says to one request.
async fn answer(mut stream: tokio::io::DuplexStream, status: u16) {
    let mut request = vec![0; 2048];
    let read = stream.read(&mut request).await.unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    let nonce = request.split_whitespace().nth(1).unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let body = format!("{nonce} test\n");
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.ok();
}

#[async_trait]
impl Mouth for At {
    async fn tell(&self, peer: &VantagePod, told: &Told) -> Option<Told> {
        let told = told.clone();
        self.speak(peer, "tell", move |process| process.told(told)).await
    }

    async fn ask(&self, peer: &VantagePod, ask: &Ask) -> Option<Reply> {
        let ask = ask.clone();
        self.speak(peer, "ask", move |process| process.asked(&ask)).await
    }

    async fn release(&self, peer: &VantagePod, release: &Release) -> Option<()> {
        let release = release.clone();
        self.speak(peer, "release", move |process| process.released(&release)).await
    }
}

impl At {
    /// A message and its answer, each of which may be lost, and which may arrive after its sender has given up.
    async fn speak<T: Send + 'static>(
        &self,
        peer: &VantagePod,
        what: &str,
        hear: impl FnOnce(Arc<Process>) -> T + Send + 'static,
    ) -> Option<T> {
        let to = (0..self.world.nodes()).find(|node| self.world.pod(*node).address == peer.address);
        let (at, what) = (self.clone(), format!("{what} {to:?}"));
        let exchange = tokio::spawn(async move {
            let way_ms = at.world.state().peer_ms;
            at.nap(way_ms, &what).await;
            let (from, to) = (at.node, to?);
            let arrives = |from, to| at.world.state().delivers(from, to);
            while at.world.state().stalled.contains(&to) {
                at.world.sleep(50).await;
            }
            let process = at.world.process(to).filter(|_| arrives(from, to))?;
            let answer = hear(process);
            at.nap(way_ms, &what).await;
            arrives(to, from).then_some(answer)
        });
        match self.world.time.within(SPEAK, exchange).await {
            Ok(Ok(Some(answer))) => Some(answer),
            Ok(_) => {
                self.world.time.sleep(SPEAK).await;
                None
            }
            Err(_) => None,
        }
    }
}
