//! Our client of dynamic updates on other people's servers: one suite, BIND and Knot.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

mod name_server;

use clouds::rfc2136::{Change, Data, Key, Kind as Type, Outcome, Prerequisite, Rfc2136, Row, Unmet, Update};
use clouds::{AddressRecord, Error, Why, Zones};
use futures::future::BoxFuture;
use name_server::{BIG, Kind, NameServer, ZONE, key, wrong_key};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wire::{Body, Line, Rng, Sockets, Stream, Target, Time, Wire};

/// A server, ourselves beside it, and how much was asked.
struct Bench {
    server: NameServer,
    line: Line,
}

/// Messages that went to each of the two, over all tests.
static ASKED: [AtomicU32; 2] = [AtomicU32::new(0), AtomicU32::new(0)];

fn line(ahead_s: i64, wire: impl Wire) -> Line {
    let now = Time::system(Rng::seeded(1)).now();
    let origin = now.saturating_add(jiff::SignedDuration::from_secs(ahead_s)).unwrap();
    Line::new(Arc::new(wire), Time::starting_at(origin, Rng::seeded(1)), &[])
}

impl Bench {
    /// Waits until it answers, which is what a line does by itself.
    async fn new(kind: Kind, test: &str) -> Option<Self> {
        let server = NameServer::new(kind, test)?;
        let bench = Bench { server, line: line(0, Sockets::new(None).unwrap()) };
        let apex = bench.client(None).apex(&bench.line, &format!("rose.{ZONE}")).await;
        assert_eq!(apex.as_deref(), Ok(ZONE), "{}", bench.server.log());
        Some(bench)
    }

    fn client(&self, key: Option<Key>) -> Rfc2136 {
        Rfc2136::new(&self.server.address(), key).unwrap()
    }

    fn ours(&self) -> Rfc2136 {
        self.client(Some(key("bouquet")))
    }

    async fn serial(&self) -> String {
        let rows = self.client(None).rows(&self.line, ZONE, Type::Soa).await.unwrap();
        rows[0].data.to_string().split(' ').nth(2).unwrap().to_owned()
    }

    async fn texts(&self, name: &str) -> Vec<String> {
        let rows = self.client(None).rows(&self.line, &at(name), Type::Txt).await.unwrap();
        let mut texts: Vec<String> = rows.iter().map(|row| row.data.to_string()).collect();
        texts.sort();
        texts
    }

    async fn update(&self, prerequisites: Vec<Prerequisite>, changes: Vec<Change>) -> Result<Outcome, Error> {
        self.ours().update(&self.line, ZONE, &Update { prerequisites, changes }).await
    }

    /// At the end of each test; the last one's note has the count of all.
    fn judged(&self) {
        let asked: u64 = self.line.tally().calls.values().sum();
        let all = &ASKED[usize::from(self.server.kind == Kind::Knot)];
        let before = all.fetch_add(asked.try_into().unwrap(), Ordering::Relaxed);
        let count = u64::from(before) + asked;
        let judge = self.server.version;
        assets::judged(&assets::Judgement {
            protocol: "RFC 2136",
            judge,
            covers: COVERS,
            lacks: LACKS,
            count,
            lies: &[],
        });
    }
}

const COVERS: &[&str] = &[
    "TSIG with HMAC-SHA256 and -SHA512, answers verified",
    "BADKEY, BADSIG, BADTIME both ways",
    "every kind of prerequisite, met and not, serial compared",
    "REFUSED, NOTZONE, NOTAUTH",
    "sets over 4 KiB, and truncation of the same over UDP",
    "compare and swap of addresses and marks by two at once",
    "a lost answer",
];
const LACKS: &[&str] =
    &["our queries over UDP: the wire opens byte streams only", "zone transfers", "TSIG with truncated MACs"];

fn at(name: &str) -> String {
    format!("{name}.{ZONE}")
}

fn add(name: &str, text: &str) -> Change {
    Change::Add(Row { name: at(name), ttl_s: 60, data: Data::text(text) })
}

fn address(text: &str) -> Data {
    Data::address(text.parse().unwrap())
}

/// The same on both servers, each with what it is called by.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod bind { $(#[tokio::test] async fn $name() {
            if let Some(bench) = super::Bench::new(super::Kind::Bind, stringify!($name)).await {
                super::$name(&bench).await;
                bench.judged();
            }
        })* }
        mod knot { $(#[tokio::test] async fn $name() {
            if let Some(bench) = super::Bench::new(super::Kind::Knot, stringify!($name)).await {
                super::$name(&bench).await;
                bench.judged();
            }
        })* }
    };
}

on_both!(
    a_signed_update_is_made_and_an_ill_signed_one_is_not,
    a_prerequisite_that_does_not_hold_leaves_zone_and_serial_alone,
    what_the_policy_forbids_is_refused_and_said,
    a_set_larger_than_any_datagram_is_read_whole,
    an_address_is_kept_with_its_mark_by_whoever_comes,
    an_answer_that_is_lost_is_not_made_twice,
);

async fn a_signed_update_is_made_and_an_ill_signed_one_is_not(bench: &Bench) {
    let update = |text: &str| Update { prerequisites: Vec::new(), changes: vec![add("new", text)] };
    for name in ["bouquet", "bouquet512"] {
        let before = bench.serial().await;
        let made = bench.client(Some(key(name))).update(&bench.line, ZONE, &update(name)).await;
        assert_eq!(made, Ok(Outcome::Made), "{name}");
        assert_ne!(bench.serial().await, before);
    }
    assert_eq!(bench.texts("new").await, ["bouquet", "bouquet512"]);
    // What is there already changes nothing.
    let before = bench.serial().await;
    assert_eq!(bench.update(Vec::new(), vec![add("new", "bouquet")]).await, Ok(Outcome::Made));
    let refused =
        async |key: Key, line: &Line| bench.client(Some(key)).update(line, ZONE, &update("never")).await.unwrap_err();
    let stranger = refused(key("stranger"), &bench.line).await;
    assert_eq!((stranger.why, stranger.vendor_code.as_deref()), (Why::Unauthenticated, Some("NOTAUTH BADKEY")));
    assert!(stranger.help().unwrap().contains("TSIG key"), "{stranger}");
    let forged = refused(wrong_key(), &bench.line).await;
    assert_eq!((forged.why, forged.vendor_code.as_deref()), (Why::Unauthenticated, Some("NOTAUTH BADSIG")));
    for ahead_s in [-900, 900] {
        let skewed = refused(key("bouquet"), &line(ahead_s, Sockets::new(None).unwrap())).await;
        assert_eq!((skewed.why, skewed.vendor_code.as_deref()), (Why::ClockSkew, Some("NOTAUTH BADTIME")));
        assert!(skewed.message.contains("00 s") || skewed.message.contains("899 s"), "{skewed}");
    }
    assert_eq!(bench.serial().await, before);
    assert_eq!(bench.texts("new").await.len(), 2);
}

async fn a_prerequisite_that_does_not_hold_leaves_zone_and_serial_alone(bench: &Bench) {
    let roses = || vec![address("192.0.2.1"), address("192.0.2.2")];
    let unmet = [
        (Prerequisite::NameInUse(at("weed")), Unmet::NameFree),
        (Prerequisite::NameFree(at("rose")), Unmet::NameInUse),
        (Prerequisite::Exists(at("rose"), Type::Txt), Unmet::Absent),
        (Prerequisite::Absent(at("rose"), Type::A), Unmet::Exists),
        (Prerequisite::Equals(at("rose"), vec![address("192.0.2.1")]), Unmet::Absent),
        (Prerequisite::Equals(at("rose"), [roses(), vec![address("192.0.2.3")]].concat()), Unmet::Absent),
        (Prerequisite::Equals(at("soil"), vec![Data::text("Loam")]), Unmet::Absent),
        (Prerequisite::Equals(at("weed"), roses()), Unmet::Absent),
    ];
    let before = bench.serial().await;
    for (prerequisite, how) in unmet {
        let changes = vec![add("new", "never"), Change::RemoveName(at("rose"))];
        let said = bench.update(vec![prerequisite.clone()], changes).await;
        assert_eq!(said, Ok(Outcome::Unmet(how)), "{prerequisite:?}");
    }
    assert_eq!(bench.serial().await, before);
    assert_eq!(bench.texts("new").await, Vec::<String>::new());
    let met = vec![
        Prerequisite::NameInUse(at("rose")),
        Prerequisite::NameFree(at("weed")),
        Prerequisite::Exists(at("soil"), Type::Txt),
        Prerequisite::Absent(at("rose"), Type::Aaaa),
        Prerequisite::Equals(at("rose"), vec![address("192.0.2.2"), address("192.0.2.1")]),
    ];
    let changes = vec![
        add("new", "once"),
        Change::Remove(at("rose"), address("192.0.2.1")),
        Change::RemoveSet(at("soil"), Type::Txt),
        Change::RemoveName(at("web")),
    ];
    // All of it, in one update; the set that was compared was given in another order than the server's.
    assert_eq!(bench.update(met.clone(), changes.clone()).await, Ok(Outcome::Made));
    assert_eq!(bench.update(met, changes).await, Ok(Outcome::Unmet(Unmet::Absent)), "it holds only once");
    let left = bench.client(None).rows(&bench.line, &at("rose"), Type::A).await.unwrap();
    assert_eq!(left.iter().map(|row| row.data.to_string()).collect::<Vec<_>>(), ["192.0.2.2"]);
    assert_eq!([bench.texts("new").await.len(), bench.texts("soil").await.len()], [1, 0]);
    let alias = bench.client(None).rows(&bench.line, &at("web"), Type::A).await.unwrap();
    assert_eq!(alias, []);
}

async fn what_the_policy_forbids_is_refused_and_said(bench: &Bench) {
    let before = bench.serial().await;
    let update = |name: &str| Update {
        prerequisites: Vec::new(),
        changes: vec![Change::Add(Row { name: name.to_owned(), ttl_s: 60, data: Data::text("never") })],
    };
    // Knot calls a key bad that no rule of the zone names for this.
    let (unfit, unsigned) = match bench.server.kind {
        Kind::Bind => ((Why::Forbidden, "REFUSED"), "REFUSED"),
        Kind::Knot => ((Why::Unauthenticated, "NOTAUTH BADKEY"), "NOTAUTH"),
    };
    for (key, expected) in [(Some(key("reader")), unfit), (None, (Why::Forbidden, unsigned))] {
        let error = bench.client(key).update(&bench.line, ZONE, &update(&at("new"))).await.unwrap_err();
        assert_eq!((error.why, error.vendor_code.as_deref()), (expected.0, Some(expected.1)), "{error}");
    }
    let outside = bench.ours().update(&bench.line, ZONE, &update("new.weeds.test")).await.unwrap_err();
    assert_eq!((outside.why, outside.vendor_code.as_deref()), (Why::Invalid, Some("NOTZONE")));
    let elsewhere = bench.ours().update(&bench.line, "weeds.test", &update("new.weeds.test")).await.unwrap_err();
    assert_eq!(elsewhere.why, Why::Forbidden, "{elsewhere}");
    let nowhere = bench.ours().zone_of(&bench.line, "bouquet.weeds.test").await.unwrap_err();
    assert_eq!(nowhere.why, Why::Forbidden, "{nowhere}");
    assert_eq!(bench.ours().zone_of(&bench.line, &at("api.deep.down")).await.unwrap().name, ZONE);

    let fine = bench.ours().check(&bench.line, &at("bouquet")).await;
    assert!(fine.len() == 2 && fine.iter().all(|finding| finding.code.is_none()), "{fine:?}");
    let found = bench.client(Some(key("reader"))).check(&bench.line, &at("bouquet")).await;
    assert_eq!(found.last().unwrap().code.as_deref(), Some(unfit.0.code()), "{found:?}");
    let unknown = bench.client(Some(wrong_key())).check(&bench.line, &at("bouquet")).await;
    assert_eq!(unknown[0].code.as_deref(), Some(Why::Unauthenticated.code()), "{unknown:?}");
    assert_eq!(bench.serial().await, before, "looking changes nothing");
}

async fn a_set_larger_than_any_datagram_is_read_whole(bench: &Bench) {
    assert_eq!(bench.texts("big").await.len(), BIG);
    let signed = bench.ours().rows(&bench.line, &at("big"), Type::Txt).await.unwrap();
    assert_eq!(signed.len(), BIG);
    // Compared whole: the update that says so is larger than a datagram too.
    let all = signed.into_iter().map(|row| row.data).collect();
    let prerequisites = vec![Prerequisite::Equals(at("big"), all)];
    assert_eq!(bench.update(prerequisites, vec![add("new", "after big")]).await, Ok(Outcome::Made));
    if let Some(dig) = assets::needed("dig", "that the same answer is cut short in a datagram") {
        let asked = |more: &[&str]| {
            let mut dig = dig.command();
            dig.args(["@127.0.0.1", "-p", &bench.server.port.to_string(), &at("big"), "TXT"]).args(more);
            String::from_utf8(dig.output().unwrap().stdout).unwrap()
        };
        assert!(asked(&["+ignore"]).contains(" tc"), "{}", asked(&["+ignore"]));
        assert_eq!(
            asked(&["+short"]).lines().filter(|line| line.contains("petal")).count(),
            BIG,
            "asked again over TCP"
        );
    }
}

fn wanted(node: &str, address: &str) -> AddressRecord {
    let mark = format!("bouquet/blumen/api/{node}");
    AddressRecord { name: at("api"), address: address.parse().unwrap(), ttl_s: 60, mark }
}

async fn an_address_is_kept_with_its_mark_by_whoever_comes(bench: &Bench) {
    let (ours, line) = (bench.ours(), &bench.line);
    let addresses = async || {
        let rows = bench.client(None).rows(line, &at("api"), Type::A).await.unwrap();
        let mut all: Vec<String> = rows.iter().map(|row| format!("{} {}", row.data, row.ttl_s)).collect();
        all.sort();
        all
    };
    let nowhere = ["rose", "lily"].map(|node| wanted(node, "192.0.2.1"));
    let (one, two) =
        tokio::join!(ours.put_address(line, ZONE, None, &nowhere[0]), ours.put_address(line, ZONE, None, &nowhere[1]),);
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    assert_eq!(addresses().await, ["192.0.2.1 60"], "one record, though two are kept at it");
    let known = one.unwrap();
    let rose = ours.put_address(line, ZONE, Some(&known), &wanted("rose", "100.64.0.7")).await.unwrap();
    assert_eq!(addresses().await, ["100.64.0.7 60", "192.0.2.1 60"]);
    ours.put_address(line, ZONE, None, &wanted("lily", "100.64.0.8")).await.unwrap();
    assert_eq!(addresses().await, ["100.64.0.7 60", "100.64.0.8 60"]);
    let before = bench.serial().await;
    ours.put_address(line, ZONE, Some(&rose), &wanted("rose", "100.64.0.7")).await.unwrap();
    assert_eq!(bench.serial().await, before, "what is so is left alone");

    let foreign = Change::Add(Row { name: at("api"), ttl_s: 60, data: address("198.51.100.9") });
    assert_eq!(bench.update(Vec::new(), vec![foreign]).await, Ok(Outcome::Made));
    let taken = ours.put_address(line, ZONE, None, &wanted("tulip", "198.51.100.9")).await.unwrap_err();
    assert_eq!(taken.why, Why::Taken);
    let records = ours.records(line, ZONE, &at("api")).await.unwrap();
    let marks: Vec<_> = records.iter().map(|record| (record.content.as_str(), record.mark.is_some())).collect();
    assert_eq!(marks.len(), 3);
    assert!(marks.contains(&("198.51.100.9", false)) && marks.contains(&("100.64.0.7", true)), "{marks:?}");

    for record in records.iter().filter(|record| record.mark.is_some()) {
        ours.delete_record(line, ZONE, &record.id).await.unwrap();
        ours.delete_record(line, ZONE, &record.id).await.unwrap();
    }
    assert_eq!(addresses().await, ["198.51.100.9 60"]);
    assert_eq!(bench.texts("_bouquet.api").await, Vec::<String>::new());
    assert!(ours.delete_record(line, ZONE, &format!("{} 198.51.100.9", at("api"))).await.is_err());
}

async fn an_answer_that_is_lost_is_not_made_twice(bench: &Bench) {
    let before: u32 = bench.serial().await.parse().unwrap();
    // Three reads, then the update, whose answer nobody hears.
    let deaf = line(0, Deaf { sockets: Sockets::new(None).unwrap(), opened: AtomicU32::new(0), hears_not: 3 });
    let id = bench.ours().put_address(&deaf, ZONE, None, &wanted("rose", "100.64.0.7")).await.unwrap();
    assert_eq!(id, format!("{} 100.64.0.7 bouquet/blumen/api/rose", at("api")));
    assert_eq!(bench.serial().await.parse::<u32>().unwrap(), before + 1);
    assert_eq!(bench.texts("_bouquet.api").await, ["bouquet/blumen/api/rose 100.64.0.7"]);
}

/// Sockets, of which one hears nothing of what comes back, though all arrives that it says.
struct Deaf {
    sockets: Sockets,
    opened: AtomicU32,
    hears_not: u32,
}

impl Wire for Deaf {
    fn call(
        &self,
        target: &Target,
        request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, wire::Error>> {
        self.sockets.call(target, request)
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, wire::Error>> {
        let opened = self.sockets.open(target);
        let deaf = self.opened.fetch_add(1, Ordering::Relaxed) == self.hears_not;
        Box::pin(async move {
            let stream = opened.await?;
            Ok(if deaf { Box::new(Cut(stream)) as Box<dyn Stream> } else { stream })
        })
    }
}

/// Breaks when the answer arrives: by then the server has done what it was asked.
struct Cut(Box<dyn Stream>);

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let mut heard = [0; 1];
        let mut buffer = ReadBuf::new(&mut heard);
        Pin::new(&mut self.0).poll_read(context, &mut buffer).map(|_| Err(std::io::ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncWrite for Cut {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
