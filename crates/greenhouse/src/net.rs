//! The network: who reaches what, by which name or address, through which firewall, with which handshake.
//!
//! Everything that talks in this world, the product's wire as well as a node's kubelet, goes through
//! [`World::connect`] and, for HTTP, [`World::exchange`]; so faults, firewalls, latency and the journal hold for all.

mod stream;

pub(crate) use stream::stream_to;

use crate::fault::Transport;
use crate::handshake;
use crate::machine::{self, MachineId};
use crate::world::{State, World};
use crate::{dns, journal, kube, tailscale};
use axum::Router;
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use wire::{Body, Error, Route, Stream, Target, Wire};

/// The operator's public address; TEST-NET-3.
pub(crate) const OPERATOR: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 50));
/// Where API servers listen.
const KUBERNETES: u16 = 6443;
/// What journal and fault rules call containers.
pub(crate) const POD: &str = "pod";
/// How long a connection attempt into the void lasts before it is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Who is talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum From {
    /// The operator's machine: on the internet and on the tailnet.
    Operator,
    /// A machine of some cloud; on the tailnet once its node has joined.
    Machine(MachineId),
}

/// What a server sees of its client. In every request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Where the packets seem to come from: a public or a mesh address.
    pub address: IpAddr,
    /// Who it really is; for routing back, never for authorisation.
    pub from: From,
    /// The machine that answers, and which of its boots; `None` for vendors.
    pub to: Option<(MachineId, u64)>,
    /// The client certificate chain, DER, leaf first, already verified against the endpoint's client CAs.
    pub certificates: Option<Vec<Vec<u8>>>,
}

/// Something that listens.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// For journal and faults: a vendor's word (`hetzner`) or `name:port` of a machine.
    pub name: String,
    /// What fault rules call it: a vendor's word, or `node`.
    pub vendor: &'static str,
    /// TLS it speaks, if any.
    pub tls: Option<ServerTls>,
    /// What it does with a connection.
    pub serves: Serves,
}

/// What an endpoint does with a connection.
#[derive(Clone)]
pub(crate) enum Serves {
    /// HTTP/1.1 and HTTP/2, gRPC included.
    Http(Router),
    /// Bytes: the handler owns the stream until it is done.
    Bytes(Arc<dyn Fn(Box<dyn Stream>, Peer) -> BoxFuture<'static, ()> + Send + Sync>),
    /// HTTP of a container, for as long as that runs.
    Door(Router, CancellationToken),
    /// Accepts connections and never says anything.
    Silence,
}

/// A server's side of TLS.
#[derive(Clone)]
pub(crate) enum ServerTls {
    /// A certificate from a CA that everybody trusts, for exactly the names it is reached by.
    Public,
    /// A certificate of the server's own.
    Own(Arc<OwnTls>),
    /// One of several, by the name that the client asks for.
    ByName(Arc<Names>),
}

/// Certificates by name.
pub(crate) struct Names {
    /// For who asks for another name, or none.
    pub default: Arc<OwnTls>,
    /// Lower case; `*` as the first label stands for any one.
    pub by_name: BTreeMap<String, Arc<OwnTls>>,
}

impl Names {
    /// The certificate for who asks for `name`.
    pub(crate) fn pick(&self, name: &str) -> &Arc<OwnTls> {
        self.known(name).and_then(|known| self.by_name.get(known)).unwrap_or(&self.default)
    }

    /// Under which name that one is kept.
    pub(crate) fn known(&self, name: &str) -> Option<&String> {
        let name = name.to_ascii_lowercase();
        let any = || self.by_name.get_key_value(&format!("*.{}", name.split_once('.')?.1));
        self.by_name.get_key_value(&name).or_else(any).map(|(known, _)| known)
    }
}

/// A server's own certificate and whom it asks for one.
pub(crate) struct OwnTls {
    /// DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8 DER.
    pub key: Vec<u8>,
    /// Whom it believes about clients.
    pub clients: ClientAuth,
}

/// What a server asks of its clients.
pub(crate) enum ClientAuth {
    /// Nothing.
    Nobody,
    /// A certificate from one of these CAs (DER), or no connection.
    Required(Vec<Vec<u8>>),
    /// A certificate from one of these CAs, or none.
    Optional(Vec<Vec<u8>>),
}

/// Cuts the product off, as `kill -9` would: from then on none of its calls ever returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the product's call number N (from 0) is seen by anybody.
    Before(u64),
    /// After it has taken effect, before its answer arrives.
    After(u64),
}

/// Vendors' endpoints, and what counts the product's calls.
pub(crate) struct Net {
    /// `(host name, port)` → endpoint. Filled by each vendor's `mount`.
    vendors: BTreeMap<(String, u16), Endpoint>,
    cut: Option<Cut>,
    calls: u64,
    /// Numbers of calls that change something, and of the first of each kind of read.
    places: Vec<u64>,
    reads: BTreeSet<String>,
    was_cut: bool,
    notice: Arc<Notify>,
}

impl Net {
    pub(crate) fn new() -> Self {
        Net {
            vendors: BTreeMap::new(),
            cut: None,
            calls: 0,
            places: Vec::new(),
            reads: BTreeSet::new(),
            was_cut: false,
            notice: Arc::default(),
        }
    }

    /// Puts a vendor's endpoint on the internet under its own host name, port 443 with a public certificate.
    pub(crate) fn mount(&mut self, host: &str, vendor: &'static str, router: Router) {
        let serves = Serves::Http(router);
        let endpoint = Endpoint { name: vendor.to_owned(), vendor, tls: Some(ServerTls::Public), serves };
        self.vendors.insert((host.to_owned(), 443), endpoint);
    }

    /// Takes all vendors off the internet.
    pub(crate) fn unmount(&mut self) -> BTreeMap<(String, u16), Endpoint> {
        std::mem::take(&mut self.vendors)
    }

    /// What a vendor has at a host name. `*` as the first label was mounted for any.
    pub(crate) fn vendor(&self, host: &str, port: u16) -> Option<Endpoint> {
        let exact = self.vendors.get(&(host.to_owned(), port));
        let any = || self.vendors.get(&(format!("*.{}", host.split_once('.')?.1), port));
        exact.or_else(any).cloned()
    }

    /// Gives a vendor's endpoint a second place on the internet: where a served world is reached from outside, a machine
    /// inside that is handed such an URL (a rescue system its image's) reaches the same.
    pub(crate) fn alias(&mut self, host: &str, port: u16, endpoint: Endpoint) {
        self.vendors.insert((host.to_owned(), port), endpoint);
    }

    pub(crate) fn set_cut(&mut self, cut: Option<Cut>) {
        self.cut = cut;
        self.calls = 0;
        self.places.clear();
        self.reads.clear();
        self.was_cut = false;
        self.notice = Arc::default();
    }

    pub(crate) fn cut_notice(&self) -> Arc<Notify> {
        self.notice.clone()
    }

    pub(crate) fn places_to_cut(&self) -> Vec<u64> {
        self.places.clone()
    }

    /// Counts a call of the product; returns its number, or `None` if the product is cut off before it. `read` is what
    /// kind of read it is; `None` changes something.
    fn begin(&mut self, read: Option<String>) -> Option<u64> {
        if self.was_cut {
            return None;
        }
        let number = self.calls;
        self.calls += 1;
        if read.is_none_or(|read| self.reads.insert(read)) {
            self.places.push(number);
        }
        if self.cut == Some(Cut::Before(number)) {
            self.cut_now();
            return None;
        }
        Some(number)
    }

    /// Whether the product still hears the answer of call `number`.
    fn end(&mut self, number: u64) -> bool {
        if self.cut == Some(Cut::After(number)) {
            self.cut_now();
        }
        !self.was_cut
    }

    fn cut_now(&mut self) {
        self.was_cut = true;
        self.notice.notify_one();
    }
}

impl World {
    /// Finds what listens at `host:port` as seen from `from`, or fails as a connection attempt would, after as long.
    pub(crate) async fn connect(
        &self,
        from: From,
        route: Route,
        host: &str,
        port: u16,
    ) -> Result<(Endpoint, Peer), Error> {
        let authority = format!("{host}:{port}");
        let vendor = self.with(|state| state.net.vendor(host, port));
        if let Some(endpoint) = vendor {
            if self.with(|state| is_astray(state, from, host)) {
                self.delay(CONNECT_TIMEOUT).await;
                return Err(Error::TimedOut(authority));
            }
            self.delay(Duration::from_millis(20)).await;
            let address = self.with(|state| public_address(state, from));
            return Ok((endpoint, Peer { address, from, to: None, certificates: None }));
        }
        let to = if let Ok(address) = host.parse::<IpAddr>() {
            address
        } else {
            let found = self.with(|state| dns::resolve(state, from, host));
            found.into_iter().next().ok_or_else(|| Error::NoSuchHost(host.to_owned()))?
        };
        match self.with(|state| admit(self, state, from, route, to, port)) {
            Admission::Open(endpoint, peer, latency) => {
                self.delay(latency).await;
                Ok((*endpoint, peer))
            }
            Admission::Closed => {
                self.delay(Duration::from_millis(30)).await;
                Err(Error::Refused(authority))
            }
            Admission::Void => {
                self.delay(CONNECT_TIMEOUT).await;
                Err(Error::TimedOut(authority))
            }
        }
    }

    /// Sends one request to an endpoint that has been connected to: latency, faults, journal, and the service itself.
    pub(crate) async fn exchange(
        &self,
        endpoint: &Endpoint,
        peer: Peer,
        mut request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Error> {
        let router = match &endpoint.serves {
            Serves::Http(router) | Serves::Door(router, _) => router,
            Serves::Silence => return std::future::pending().await,
            Serves::Bytes(_) => {
                return Err(Error::Broken { host: endpoint.name.clone(), reason: "that port speaks no HTTP".into() });
            }
        };
        let method = request.method().as_str().to_owned();
        let path = request.uri().path().to_owned();
        let from = peer.from;
        let (seq, transport) = self.with(|state| {
            let at_ms = state.now().as_millisecond();
            // Probes and pods' own traffic would drown what the product has asked.
            let is_told = endpoint.vendor != POD;
            let seq = is_told.then(|| state.journal.open(at_ms, &endpoint.name, &method, &path));
            (seq, state.faults.transport(endpoint.vendor, &method, &path))
        });
        let broken = |reason: &str| Error::Broken { host: endpoint.name.clone(), reason: reason.to_owned() };
        let instead = match &transport {
            Some(Transport::LoseRequest) => return Err(broken("connection reset")),
            Some(Transport::Hang) => std::future::pending().await,
            Some(Transport::Slow(seconds)) => {
                self.delay(Duration::from_secs(*seconds)).await;
                None
            }
            Some(Transport::Html) => Some(page(502, "text/html", HTML)),
            Some(Transport::Garbage) => Some(page(200, "application/json", "\u{1}\u{2}not json")),
            Some(Transport::Status(code)) => Some(refusal(endpoint.vendor, *code)),
            Some(Transport::LoseAnswer | Transport::Truncate) | None => None,
        };
        let response = if let Some(response) = instead {
            response
        } else {
            let to = peer.to;
            request.extensions_mut().insert(peer);
            self.delay(Duration::from_millis(15)).await;
            let answered = router.clone().oneshot(request.map(axum::body::Body::new));
            let answered = match &endpoint.serves {
                Serves::Door(_, over) => tokio::select! {
                    biased;
                    () = over.cancelled() => return self.ended(endpoint, to).await,
                    answered = answered => answered,
                },
                _ => answered.await,
            };
            answered.unwrap_or_else(|never| match never {}).map(Body::new)
        };
        let status = response.status().as_u16();
        self.with(|state| {
            if let Some(seq) = seq {
                state.journal.close(seq, status);
            }
            if from == From::Operator && journal::is_mutating(&method, &path) {
                state.note(format_args!("call: {} {method} {} {status}", endpoint.name, shape(&path)));
            }
        });
        match transport {
            Some(Transport::LoseAnswer) => Err(broken("connection reset before the answer")),
            Some(Transport::Truncate) => truncate(response).await.map_err(|_| broken("truncated")),
            _ => Ok(response),
        }
    }

    /// What a client sees of a container that ends before it has answered: its kernel resets the connection, unless that is
    /// gone too.
    async fn ended<T>(&self, endpoint: &Endpoint, to: Option<(MachineId, u64)>) -> Result<T, Error> {
        if to.is_some_and(|(id, boot)| !self.with(|state| machine::is_boot(state, id, boot))) {
            return std::future::pending().await;
        }
        Err(Error::Broken { host: endpoint.name.clone(), reason: "connection reset by peer".into() })
    }
}

const HTML: &str = "<html><head><title>502 Bad Gateway</title></head><body>cloudy</body></html>";

fn page(status: u16, kind: &str, text: &'static str) -> http::Response<Body> {
    let response = http::Response::builder().status(status).header("content-type", kind);
    response.body(Body::from(Bytes::from_static(text.as_bytes()))).unwrap_or_default()
}

/// A vendor's own shape of an error with this status.
fn refusal(vendor: &str, code: u16) -> http::Response<Body> {
    let text = match vendor {
        "hetzner" => {
            let word = match code {
                401 => "unauthorized",
                403 => "forbidden",
                409 => "conflict",
                423 => "locked",
                429 => "rate_limit_exceeded",
                412 => "resource_unavailable",
                502 => "bad_gateway",
                503 => "unavailable",
                504 => "timeout",
                _ => "server_error",
            };
            serde_json::json!({"error": {"code": word, "message": format!("emulated {word}"), "details": null}})
        }
        "oci" => {
            let word = match code {
                401 => "NotAuthenticated",
                404 => "NotAuthorizedOrNotFound",
                409 => "IncorrectState",
                429 => "TooManyRequests",
                _ => "InternalError",
            };
            serde_json::json!({"code": word, "message": format!("emulated {word}")})
        }
        "s3" => {
            let word = match code {
                429 | 503 => "SlowDown",
                403 => "AccessDenied",
                _ => "InternalError",
            };
            let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{word}</Code></Error>");
            let response = http::Response::builder().status(code).header("content-type", "application/xml");
            return response.body(Body::from(Bytes::from(text))).unwrap_or_default();
        }
        "cloudflare" => serde_json::json!({
            "success": false, "result": null, "messages": [],
            "errors": [{"code": match code { 429 => 971, 401 | 403 => 10_000, _ => 10_013 }, "message": "emulated error"}],
        }),
        _ => serde_json::json!({"message": format!("emulated status {code}")}),
    };
    let response = http::Response::builder().status(code).header("content-type", "application/json");
    response.body(Body::from(Bytes::from(text.to_string()))).unwrap_or_default()
}

async fn truncate(response: http::Response<Body>) -> Result<http::Response<Body>, wire::BoxError> {
    let (head, body) = response.into_parts();
    let whole = BodyExt::collect(body).await?.to_bytes();
    let half = whole.slice(..whole.len() / 2);
    Ok(http::Response::from_parts(head, Body::from(half)))
}

/// A path with ids taken out, so that the event log does not depend on how ids are drawn.
fn shape(path: &str) -> String {
    let shaped = path.split('/').map(|segment| {
        let is_id = segment.len() > 3 && segment.bytes().any(|byte| byte.is_ascii_digit());
        if is_id { "*" } else { segment }
    });
    shaped.collect::<Vec<_>>().join("/")
}

/// A vendor's host name, or nothing for an address: one machine is like another.
fn kind(host: &str) -> &str {
    if host.parse::<IpAddr>().is_ok() { "" } else { host }
}

enum Admission {
    Open(Box<Endpoint>, Peer, Duration),
    /// Nothing listens there: a reset at once.
    Closed,
    /// Dropped, or nobody there.
    Void,
}

fn admit(world: &World, state: &mut State, from: From, route: Route, to: IpAddr, port: u16) -> Admission {
    let over_mesh = tailscale::is_mesh(to);
    if over_mesh && from == From::Operator && route == Route::Direct {
        return Admission::Void;
    }
    let (machine, source) = if over_mesh {
        let Some(source) = tailscale::address_of(state, from) else { return Admission::Void };
        if !tailscale::admits(state, source, to, port) {
            return Admission::Void;
        }
        let Some(machine) = tailscale::machine_at(state, to) else { return Admission::Void };
        (machine, source)
    } else {
        let source = public_address(state, from);
        let Some(machine) = machine::at(state, to) else { return Admission::Void };
        if !is_hairpin(from, machine) && !machine::admits(state, machine, source, port) {
            return Admission::Void;
        }
        (machine, source)
    };
    if is_lost(state, from, machine, over_mesh, port) {
        return Admission::Void;
    }
    let latency = machine::latency(state, from, machine);
    // What a node sends to itself passes no firewall.
    let seen = if is_hairpin(from, machine) { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { source };
    match machine::endpoint(world, state, machine, seen, port) {
        machine::Port::Open(endpoint) => {
            let to = state.machines.get(&machine).map(|found| (machine, found.boot));
            Admission::Open(endpoint, Peer { address: source, from, to, certificates: None }, latency)
        }
        machine::Port::Closed => Admission::Closed,
        machine::Port::Filtered => Admission::Void,
    }
}

/// Whether a machine talks to itself.
fn is_hairpin(from: From, to: MachineId) -> bool {
    from == From::Machine(to)
}

/// Whether a fault loses the packets on their way.
fn is_lost(state: &mut State, from: From, to: MachineId, over_mesh: bool, port: u16) -> bool {
    if is_hairpin(from, to) {
        return port == KUBERNETES && kube::is_cut_off(state, to);
    }
    let to_name = machine::known_as(state, to);
    let from_name = match from {
        From::Operator => "operator".to_owned(),
        From::Machine(id) => machine::known_as(state, id),
    };
    let is_cut = matches!(from, From::Machine(id) if port == KUBERNETES && kube::is_cut_off(state, id));
    let effect = if over_mesh { "no-mesh" } else { "no-path" };
    is_cut || state.faults.strike("node", effect, &format!("{from_name}:{to_name}")).is_some()
}

/// Whether a fault loses what a machine sends to a place on the internet that is no machine.
fn is_astray(state: &mut State, from: From, host: &str) -> bool {
    let From::Machine(id) = from else { return false };
    let from = machine::known_as(state, id);
    state.faults.strike("node", "no-path", &format!("{from}:{host}")).is_some()
}

fn public_address(state: &State, from: From) -> IpAddr {
    match from {
        From::Operator => OPERATOR,
        From::Machine(id) => {
            let public = state.machines.get(&id).and_then(|machine| machine.public.first().copied());
            public.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        }
    }
}

/// A [`Wire`] for somebody in this world.
pub(crate) struct Outside {
    world: World,
    from: From,
}

impl Outside {
    pub(crate) fn new(world: World, from: From) -> Self {
        Outside { world, from }
    }
}

impl Wire for Outside {
    fn call(
        &self,
        target: &Target,
        mut request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, Error>> {
        let (world, from, target) = (self.world.clone(), self.from, target.clone());
        Box::pin(async move {
            let number = match from {
                From::Operator => {
                    let (method, path) = (request.method().as_str(), request.uri().path());
                    let rehearses = request.uri().query().is_some_and(|query| query.contains("dryRun=All"));
                    let reads = rehearses || !journal::is_mutating(method, path);
                    let kind = reads.then(|| format!("{method} {}:{}{}", kind(&target.host), target.port, shape(path)));
                    world.with(|state| state.net.begin(kind))
                }
                From::Machine(_) => Some(0),
            };
            let Some(number) = number else { return std::future::pending().await };
            let answer = async {
                let (endpoint, mut peer) = world.connect(from, target.route, &target.host, target.port).await?;
                if matches!(endpoint.serves, Serves::Silence) {
                    return std::future::pending().await;
                }
                peer.certificates = handshake::check(&target, endpoint.tls.as_ref(), world.now())?;
                if matches!(endpoint.serves, Serves::Door(..)) {
                    name_host(&target, &mut request);
                }
                world.exchange(&endpoint, peer, request).await
            };
            let answer = answer.await;
            if from == From::Operator && !world.with(|state| state.net.end(number)) {
                return std::future::pending().await;
            }
            answer
        })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>> {
        let (world, from, target) = (self.world.clone(), self.from, target.clone());
        Box::pin(async move {
            let number = match from {
                From::Operator => {
                    let kind = format!("open {}:{}", kind(&target.host), target.port);
                    world.with(|state| state.net.begin(Some(kind)))
                }
                From::Machine(_) => Some(0),
            };
            let Some(number) = number else { return std::future::pending().await };
            let admitted = world.connect(from, target.route, &target.host, target.port).await;
            if from == From::Operator && !world.with(|state| state.net.end(number)) {
                return std::future::pending().await;
            }
            let (endpoint, peer) = admitted?;
            stream_to(&world, &target, endpoint, peer).await
        })
    }
}

/// Names the host that a request is for, as every HTTP client does, where its author has not.
pub(crate) fn name_host(target: &Target, request: &mut http::Request<Body>) {
    if request.headers().contains_key(http::header::HOST) {
        return;
    }
    let is_usual = target.port == if target.tls.is_some() { 443 } else { 80 };
    let of_target = || if is_usual { target.host.clone() } else { target.authority() };
    let host = request.uri().authority().map_or_else(of_target, |authority| authority.as_str().to_owned());
    if let Ok(host) = http::HeaderValue::try_from(host) {
        request.headers_mut().insert(http::header::HOST, host);
    }
}
