//! What dig must hear. The first thing that it does not is the error, so that a suite can be asked to fail.

use super::World;
use super::dig::{Dig, Heard};
use std::time::Duration;

/// Type, name, content, TTL in seconds.
pub const RECORDS: &[(&str, &str, &str, u32)] = &[
    ("A", "api", "100.64.0.7", 60),
    ("A", "api", "100.64.0.8", 60),
    ("AAAA", "api", "2001:db8::7", 60),
    ("CNAME", "web", "lb.example.com", 120),
    ("A", "lb", "192.0.2.1", 90),
    ("CNAME", "deep", "web.example.com", 300),
    ("CNAME", "out", "elsewhere.example.org", 300),
    ("A", "*.wild", "192.0.2.9", 300),
    ("TXT", "a.b", "\"two\" \"strings\"", 300),
    ("CAA", "web2", "0 issue \"letsencrypt.org\"", 300),
    ("A", "brief", "192.0.2.33", 60),
];
/// Strings of the name `big`.
pub const BIG: usize = 12;
/// How the zone's start ends: its TTL and its last field are what a resolver goes by.
const START: &str = "example.com. 1800 SOA dora.ns.cloudflare.com. dns.cloudflare.com. ";

struct Case {
    words: &'static str,
    status: &'static str,
    answer: &'static [&'static str],
    has_start: bool,
}

const fn case(words: &'static str, status: &'static str, answer: &'static [&'static str], has_start: bool) -> Case {
    Case { words, status, answer, has_start }
}

/// Of the zones' own servers.
const CASES: &[Case] = &[
    case(
        "api.example.com A",
        "NOERROR",
        &["api.example.com. 60 A 100.64.0.7", "api.example.com. 60 A 100.64.0.8"],
        false,
    ),
    case("api.example.com AAAA", "NOERROR", &["api.example.com. 60 AAAA 2001:db8::7"], false),
    case("+tcp api.example.com AAAA", "NOERROR", &["api.example.com. 60 AAAA 2001:db8::7"], false),
    case(
        "deep.example.com A",
        "NOERROR",
        &[
            "deep.example.com. 300 CNAME web.example.com.",
            "lb.example.com. 90 A 192.0.2.1",
            "web.example.com. 120 CNAME lb.example.com.",
        ],
        false,
    ),
    case("web.example.com CNAME", "NOERROR", &["web.example.com. 120 CNAME lb.example.com."], false),
    case("web.example.com MX", "NOERROR", &["web.example.com. 120 CNAME lb.example.com."], true),
    case("out.example.com A", "NOERROR", &["out.example.com. 300 CNAME elsewhere.example.org."], false),
    case("any.thing.wild.example.com A", "NOERROR", &["any.thing.wild.example.com. 300 A 192.0.2.9"], false),
    case("wild.example.com A", "NOERROR", &[], true),
    case("b.example.com TXT", "NOERROR", &[], true),
    case("a.b.example.com TXT", "NOERROR", &["a.b.example.com. 300 TXT \"two\" \"strings\""], false),
    case("example.com MX", "NOERROR", &["example.com. 300 MX 10 mail.example.org."], false),
    case("example.com TXT", "NOERROR", &["example.com. 300 TXT \"v=spf1 include:mail.example.org -all\""], false),
    case(
        "example.com NS",
        "NOERROR",
        &["example.com. 86400 NS dora.ns.cloudflare.com.", "example.com. 86400 NS ivan.ns.cloudflare.com."],
        false,
    ),
    case("web2.example.com CAA", "NOERROR", &["web2.example.com. 300 CAA 0 issue \"letsencrypt.org\""], false),
    case(
        "www.example.com A",
        "NOERROR",
        &["www.example.com. 300 A 104.21.32.1", "www.example.com. 300 A 172.67.180.1"],
        false,
    ),
    case("www.example.com CNAME", "NOERROR", &[], true),
    case("api.example.com ANY +notcp", "NOERROR", &["api.example.com. 3789 HINFO \"RFC8482\" \"\""], false),
    case("api.example.com TYPE65280", "NOERROR", &[], true),
    case("nobody.example.com A", "NXDOMAIN", &[], true),
    case("+tcp nobody.example.com TYPE65280", "NXDOMAIN", &[], true),
    case("api.example.org A", "REFUSED", &[], false),
    case("-c CH -t TXT version.bind", "REFUSED", &[], false),
    case("-c CH -t A api.example.com", "REFUSED", &[], false),
    case("+opcode=NOTIFY example.com SOA", "NOTIMP", &[], false),
    case("+header-only", "FORMERR", &[], false),
    case("+edns=1 +noednsnegotiation api.example.com A", "BADVERS", &[], false),
];

/// Asks both servers all there is to ask.
pub async fn ask(world: &World, dig: &Dig) -> Result<(), String> {
    authority(dig, world.serving.authority.port()).await?;
    sizes(dig, world.serving.authority.port()).await?;
    resolver(world, dig).await
}

fn heard(heard: &Heard, what: &str, fine: bool) -> Result<(), String> {
    if fine { Ok(()) } else { Err(format!("{what}:\n{}", heard.text)) }
}

async fn authority(dig: &Dig, port: u16) -> Result<(), String> {
    for case in CASES {
        let mut said = dig.ask(port, case.words).await;
        said.answer.sort();
        heard(&said, &format!("{} is {}", case.words, case.status), said.status == case.status)?;
        heard(&said, &format!("{} is {:?}", case.words, case.answer), said.answer == case.answer)?;
        let start = said.authority.first().is_some_and(|row| row.starts_with(START) && row.ends_with(" 1800"));
        heard(&said, &format!("{}: the zone's start", case.words), start == case.has_start)?;
        let is_ours = matches!(case.status, "NOERROR" | "NXDOMAIN");
        heard(&said, &format!("{}: authority", case.words), said.flags.iter().any(|flag| flag == "aa") == is_ours)?;
        heard(&said, &format!("{}: no recursion", case.words), !said.flags.iter().any(|flag| flag == "ra"))?;
    }
    let said = dig.ask(port, "aPi.ExAmPlE.cOm A").await;
    heard(&said, "the question comes back as it was", said.question == "aPi.ExAmPlE.cOm." && said.answer.len() == 2)?;
    heard(&said, "EDNS comes back", said.edns.as_deref() == Some("1232"))?;
    let said = dig.ask(port, "+noedns api.example.com A").await;
    heard(&said, "EDNS comes only to who has it", said.edns.is_none() && said.answer.len() == 2)
}

async fn sizes(dig: &Dig, port: u16) -> Result<(), String> {
    for words in ["+ignore", "+ignore +noedns", "+ignore +bufsize=4096"] {
        let said = dig.ask(port, &format!("{words} big.example.com TXT")).await;
        let cut = said.flags.iter().any(|flag| flag == "tc") && said.answer.is_empty();
        heard(&said, &format!("{words}: cut short, and says so"), cut)?;
    }
    let said = dig.ask(port, "big.example.com TXT").await;
    heard(&said, "asked again over TCP, it is whole", said.again && said.answer.len() == BIG)?;
    let said = dig.ask(port, "+tcp +keepopen big.example.com TXT").await;
    heard(&said, "over TCP, it is whole", !said.again && said.answer.len() == BIG)
}

async fn resolver(world: &World, dig: &Dig) -> Result<(), String> {
    let port = world.serving.resolver.port();
    let pass = async |seconds| tokio::time::advance(Duration::from_secs(seconds)).await;
    let said = dig.ask(port, "late.example.com A").await;
    heard(&said, "a name that is not there", said.status == "NXDOMAIN" && said.authority.len() == 1)?;
    heard(&said, "recursion, no authority", said.flags == ["qr", "rd", "ra"])?;
    let brief = dig.ask(port, "brief.example.com A").await;
    heard(&brief, "a fresh answer", brief.answer == ["brief.example.com. 60 A 192.0.2.33"])?;
    world.plant("A", "late", "192.0.2.50", 60).await;
    let said = dig.ask(port, "late.example.com AAAA").await;
    heard(&said, "it is remembered that a name is not there, for every type", said.status == "NXDOMAIN")?;

    pass(20).await;
    let brief = dig.ask(port, "brief.example.com A").await;
    let left: u32 = brief.answer.first().and_then(|row| row.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    heard(&brief, "an answer grows older", (35..=40).contains(&left))?;
    let zone = world
        .api("GET", &format!("/zones/{}/dns_records?name=brief.example.com", world.zone), &serde_json::Value::Null)
        .await;
    world.uproot(zone[0]["id"].as_str().unwrap()).await;
    let brief = dig.ask(port, "brief.example.com A").await;
    heard(&brief, "what is known is said until its time is over", brief.answer.len() == 1)?;
    pass(45).await;
    let brief = dig.ask(port, "brief.example.com A").await;
    heard(&brief, "and no longer", brief.status == "NXDOMAIN" && brief.answer.is_empty())?;

    pass(1700).await;
    let said = dig.ask(port, "late.example.com A").await;
    heard(&said, "a name stays missing for half an hour", said.status == "NXDOMAIN")?;
    pass(60).await;
    let said = dig.ask(port, "late.example.com A").await;
    heard(&said, "and no longer", said.answer == ["late.example.com. 60 A 192.0.2.50"])?;
    let said = dig.ask(port, "out.example.com A").await;
    heard(&said, "an alias into a zone of somebody else's is trouble", said.status == "SERVFAIL")
}

/// What BIND makes of the authority's answers.
pub async fn behind(dig: &Dig, port: u16) -> Result<(), String> {
    let said = dig.ask(port, "deep.example.com A").await;
    heard(&said, "a chain through a resolver", said.status == "NOERROR" && said.answer.len() == 3)?;
    let said = dig.ask(port, "+tcp big.example.com TXT").await;
    heard(&said, "a large set through a resolver", said.answer.len() == BIG)?;
    for (words, status) in [("nobody.example.com A", "NXDOMAIN"), ("api.example.com MX", "NOERROR")] {
        for _ in 0..2 {
            let said = dig.ask(port, words).await;
            let ttl: u32 = said.authority.first().and_then(|row| row.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
            let fine = said.status == status && said.answer.is_empty() && (1700..=1800).contains(&ttl);
            heard(&said, &format!("{words} is remembered as nothing for half an hour"), fine)?;
        }
    }
    let said = dig.ask(port, "any.wild.example.com A").await;
    heard(&said, "a wildcard through a resolver", said.answer == ["any.wild.example.com. 300 A 192.0.2.9"])
}
