//! A pod's way out: names and services of its cluster first, then whatever its node can reach.

use crate::handshake;
use crate::kube::{self, ClusterId, Found, Way};
use crate::machine::{self, MachineId};
use crate::net::{Endpoint, From, Peer, Serves, name_host, stream_to};
use crate::world::World;
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, StreamBody};
use std::net::IpAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wire::{Body, BoxError, Error, Route, Stream, Target, Wire};

/// How long a resolver waits for name servers that do not answer.
const NAMES_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection attempt into the void lasts before it is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// After how long a client notices that a connection is dead: Go's HTTP/2 pings after 30 s of silence and waits 15 s.
const DEAD_AFTER: Duration = Duration::from_secs(45);

/// Where a pod sits.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub cluster: ClusterId,
    pub namespace: String,
    pub machine: MachineId,
    pub address: IpAddr,
    /// Resolves the cluster's names: not so on the host network, unless the pod says so.
    pub cluster_names: bool,
    /// Draws of this pod's own, by start.
    pub label: String,
}

/// The [`Wire`] of one start of a container.
pub(crate) struct PodWire {
    world: World,
    seat: Seat,
    /// The container has ended.
    over: CancellationToken,
}

impl PodWire {
    pub(crate) fn new(world: World, seat: Seat, over: CancellationToken) -> Self {
        PodWire { world, seat, over }
    }
}

impl Wire for PodWire {
    fn call(
        &self,
        target: &Target,
        mut request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, Error>> {
        let (world, seat, target, over) = (self.world.clone(), self.seat.clone(), target.clone(), self.over.clone());
        Box::pin(async move {
            let answer = async {
                let (endpoint, mut peer) = dial(&world, &seat, &target).await?;
                if matches!(endpoint.serves, Serves::Silence) {
                    return std::future::pending().await;
                }
                peer.certificates = handshake::check(&target, endpoint.tls.as_ref(), world.now())?;
                name_host(&target, &mut request);
                let to = peer.to;
                let is_api = endpoint.name.ends_with(":6443");
                let answer = world.exchange(&endpoint, peer, request).await?;
                let Some(to) = to else { return Ok(answer) };
                Ok(answer
                    .map(|body| guarded(Connection { world: world.clone(), seat: seat.clone(), to, is_api }, body)))
            };
            while_it_lives(&over, answer).await
        })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>> {
        let (world, seat, target, over) = (self.world.clone(), self.seat.clone(), target.clone(), self.over.clone());
        Box::pin(async move {
            let stream = async {
                let (endpoint, peer) = dial(&world, &seat, &target).await?;
                stream_to(&world, &target, endpoint, peer).await
            };
            while_it_lives(&over, stream).await
        })
    }
}

/// What a pod began that is gone has no effect and no end: nobody is there to see it.
async fn while_it_lives<T>(over: &CancellationToken, work: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        () = over.cancelled() => std::future::pending().await,
        done = work => done,
    }
}

async fn dial(world: &World, seat: &Seat, target: &Target) -> Result<(Endpoint, Peer), Error> {
    let (host, port) = (target.host.as_str(), target.port);
    let from = From::Machine(seat.machine);
    let address = match host.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => match world.with(|state| kube::look_up(state, seat, host)) {
            Found::Address(address) => address,
            Found::NoSuchName => return Err(Error::NoSuchHost(host.to_owned())),
            Found::Silence => {
                world.time().sleep(NAMES_TIMEOUT).await;
                return Err(Error::NoSuchHost(host.to_owned()));
            }
            Found::Elsewhere => return world.connect(from, Route::Mesh, host, port).await,
        },
    };
    match world.with(|state| kube::way(state, seat, address, port)) {
        Way::Open(endpoint, peer, latency) => {
            world.delay(latency).await;
            Ok((*endpoint, peer))
        }
        Way::Refused => {
            world.delay(Duration::from_millis(1)).await;
            Err(Error::Refused(target.authority()))
        }
        Way::Void => {
            world.delay(CONNECT_TIMEOUT).await;
            Err(Error::TimedOut(target.authority()))
        }
        Way::Out(address, port) => world.connect(from, Route::Mesh, &address.to_string(), port).await,
    }
}

/// What a body arrives over.
struct Connection {
    world: World,
    seat: Seat,
    to: (MachineId, u64),
    is_api: bool,
}

impl Connection {
    fn stands(&self) -> bool {
        self.world.with(|state| {
            let is_cut = self.is_api && kube::is_cut_off(state, self.seat.machine);
            machine::is_boot(state, self.to.0, self.to.1) && !is_cut
        })
    }
}

/// A body that ends with its connection: what is sent after the other machine has gone, or the way to it, never arrives, and
/// after a while the connection is found dead.
fn guarded(connection: Connection, body: Body) -> Body {
    let frames = futures::stream::unfold(Some((connection, body)), |state| async move {
        let (connection, mut body) = state?;
        let frame = body.frame().await?;
        if connection.stands() {
            return Some((frame, Some((connection, body))));
        }
        connection.world.time().sleep(DEAD_AFTER).await;
        let dead: Result<http_body::Frame<Bytes>, BoxError> = Err("connection lost".into());
        Some((dead, None))
    });
    Body::new(StreamBody::new(frames))
}
