//! Vantages talk over loopback: who has a leaf of the authority is heard, nobody else gets in.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

use detect::{Family, Flaps, Memory, Report, Target, Vantage, Verdict, View};
use jiff::{Timestamp, ToSpan};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use watcher::listen;
use watcher::peer::{self, Authority, Ears, Papers, Peer, Recollection, Told, Unheard};
use watcher::permit::{Ask, Candidate, Granter, Refusal, Release, Reply, Roll, Said, Terms};
use wire::{Error, Line, Rng, Sockets, Time};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Answers as a vantage would.
struct Listener {
    granter: Mutex<Granter>,
    heard: Mutex<Vec<Told>>,
}

impl Ears for Listener {
    fn told(&self, told: Told) -> Told {
        self.heard.lock().unwrap().push(told);
        state("lily")
    }

    fn asked(&self, ask: &Ask) -> Reply {
        self.granter.lock().unwrap().ask(10_000, ask)
    }

    fn released(&self, release: &Release) {
        self.granter.lock().unwrap().release(release);
    }
}

fn state(node: &str) -> Told {
    let vantage = Vantage { node: node.into(), site: "site".into() };
    Told { vantage, pod: format!("watcher-{node}"), sights: Vec::new(), lag_ms: 3, memory: None }
}

fn ask(name: &str, number: u64) -> Ask {
    Ask { holder: Candidate { name: name.into(), life: 1 }, number, generation: 2 }
}

/// One vantage that listens, and what others need to speak to it.
struct Room {
    authority: Arc<Authority>,
    ears: Arc<Listener>,
    peer: Peer,
    line: Line,
    time: Time,
    _stop: oneshot::Sender<()>,
}

impl Room {
    async fn new() -> Self {
        let time = Time::system(Rng::from_entropy().unwrap());
        let authority = Arc::new(Authority::found(time.now(), &mut time.rng("authority")).unwrap());
        let papers = Papers::issue(authority.clone(), "watcher-lily", time.now(), &mut time.rng("lily")).unwrap();
        let mut granter = Granter::new(Terms::default(), 0);
        let roll = Roll { generation: 2, members: ["a", "b", "c"].map(str::to_owned).into() };
        granter.read(10_000, Some("a"), &roll);
        let ears = Arc::new(Listener { granter: Mutex::new(granter), heard: Mutex::default() });
        let socket = TcpListener::bind((LOCAL, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel();
        let tls = papers.server_config(time.clone()).unwrap();
        let serving = listen::serve(socket, Some(tls), peer::router(ears.clone()), time.clone(), async {
            let _ = stopped.await;
        });
        tokio::spawn(serving);
        let line = Line::new(Arc::new(Sockets::new(None).unwrap()), time.clone(), &[]);
        let peer = Peer { port, ..Peer::at(LOCAL, Duration::from_secs(5)) };
        Room { authority, ears, peer, line, time, _stop: stop }
    }

    fn papers(&self, authority: &Arc<Authority>, now: Timestamp) -> Papers {
        Papers::issue(authority.clone(), "watcher-rose", now, &mut self.time.rng("rose")).unwrap()
    }

    /// Whether nobody was let in, by the handshake, and nothing granted.
    async fn refuses(&self, papers: &Papers) {
        let said = self.peer.ask(&self.line, papers, &ask("a", 1)).await;
        let Err(Unheard::Lost(lost)) = &said else { panic!("{said:?}") };
        assert!(matches!(lost.error, Error::Tls { .. } | Error::Broken { .. }), "{said:?}");
        assert!(self.ears.granter.lock().unwrap().granted_to(10_000).is_none());
    }
}

#[tokio::test]
async fn permit_peers_tell_each_other_their_state_and_grant_over_mutual_tls() {
    let room = Room::new().await;
    let papers = room.papers(&room.authority, room.time.now());
    assert_eq!(room.peer.tell(&room.line, &papers, &state("rose")).await.unwrap(), state("lily"));
    assert_eq!(*room.ears.heard.lock().unwrap(), [state("rose")]);
    let granted = room.peer.ask(&room.line, &papers, &ask("a", 1)).await.unwrap();
    assert_eq!((granted.number, granted.said), (1, Said::Granted));
    let refused = room.peer.ask(&room.line, &papers, &ask("b", 1)).await.unwrap();
    assert_eq!(refused.said, Said::Refused(Refusal::Granted { name: "a".into(), for_ms: 3_000 }));
    let release = Release { holder: ask("a", 1).holder, number: 1 };
    room.peer.release(&room.line, &papers, &release).await.unwrap();
    assert!(room.ears.granter.lock().unwrap().granted_to(10_000).is_none());
}

#[tokio::test]
async fn permit_peers_of_another_authority_or_with_expired_papers_or_none_do_not_get_in() {
    let room = Room::new().await;
    let (now, mut rng) = (room.time.now(), room.time.rng("foreign"));
    room.refuses(&room.papers(&room.authority, now.checked_sub((91 * 24).hours()).unwrap())).await;
    // This client believes its own authority alone: it is what hangs up.
    let foreign = Arc::new(Authority::found(now, &mut rng).unwrap());
    room.refuses(&room.papers(&foreign, now)).await;
    // One that believes the right authority and shows a foreign leaf, and one that shows none.
    let stranger = room.papers(&foreign, now).identity();
    for identity in [Some(stranger), None] {
        let tls = wire::Tls {
            server_name: peer::SERVER_NAME.into(),
            roots: wire::Roots::Only(vec![room.authority.der().to_vec()]),
            identity,
        };
        let target =
            wire::Target { route: wire::Route::Direct, host: "127.0.0.1".into(), port: room.peer.port, tls: Some(tls) };
        let request = http::Request::post("/v1/ask").body(wire::Body::default()).unwrap();
        let said = room.line.wire().call(&target, request).await;
        assert!(said.is_err(), "{:?}", said.map(|answer| answer.status()));
    }
    // What was refused was not the message.
    let papers = room.papers(&room.authority, now);
    assert!(room.peer.ask(&room.line, &papers, &ask("a", 1)).await.is_ok());
}

#[tokio::test]
async fn permit_peers_renew_their_papers_at_two_thirds_of_their_time() {
    let room = Room::new().await;
    let (now, mut rng) = (room.time.now(), room.time.rng("again"));
    let papers = room.papers(&room.authority, now.checked_sub((61 * 24).hours()).unwrap());
    let first = papers.identity();
    assert!(!papers.renew(now.checked_sub(25.hours()).unwrap(), &mut rng).unwrap());
    assert!(papers.renew(now, &mut rng).unwrap());
    assert_ne!(papers.identity(), first);
    assert!(room.peer.ask(&room.line, &papers, &ask("a", 1)).await.is_ok());
}

#[tokio::test]
async fn permit_peers_are_not_held_up_by_a_stranger_that_says_nothing_nor_by_a_large_body() {
    let room = Room::new().await;
    let papers = room.papers(&room.authority, room.time.now());
    let silent = TcpStream::connect((LOCAL, room.peer.port)).await.unwrap();
    let mut large = state("rose");
    large.pod = "x".repeat(listen::BODY_BYTES_MOST + 1);
    let said = room.peer.tell(&room.line, &papers, &large).await;
    assert!(said.is_err() && room.ears.heard.lock().unwrap().is_empty(), "{said:?}");
    assert!(room.peer.ask(&room.line, &papers, &ask("a", 1)).await.is_ok());
    drop(silent);
}

#[test]
fn permit_what_is_told_keeps_its_age_when_clocks_differ() {
    let target = Target { node: "tulip".into(), family: Family::V4 };
    let report = Report {
        vantage: state("rose").vantage,
        target: target.clone(),
        view: View::Down,
        cause: None,
        failing: true,
        since_ms: 40_000,
        probed_ms: 49_500,
        trusted: true,
    };
    let told = Told { sights: Told::sights(std::slice::from_ref(&report), 50_000), ..state("rose") };
    let told: Told = serde_json::from_str(&serde_json::to_string(&told).unwrap()).unwrap();
    let there = told.reports(1_000_000);
    assert_eq!(there, [Report { since_ms: 990_000, probed_ms: 999_500, ..report }]);

    let mut memory = Memory::default();
    memory.flaps.insert(target.clone(), Flaps { count: 2, last_ms: 30_000 });
    memory.withdrawn.push((30_000, "tulip".into()));
    memory.verdicts.insert(target.clone(), (Verdict::Down, 29_000));
    let recollection = serde_json::to_string(&Recollection::of(&memory, 50_000)).unwrap();
    let there = serde_json::from_str::<Recollection>(&recollection).unwrap().memory(1_000_000);
    assert_eq!(there.flaps[&target], Flaps { count: 2, last_ms: 980_000 });
    assert_eq!((there.withdrawn, there.verdicts[&target]), (vec![(980_000, "tulip".into())], (Verdict::Down, 979_000)));
}
