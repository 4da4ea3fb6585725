//! Names: what the zones' servers say, each party's caching resolver, which also remembers what is not there, and both of
//! them as bytes on a socket.
//!
//! ```text
//! zones ──cloudflare::answer──▶ authority ─┐
//!                                          ├─ message ──▶ UDP and TCP of a served world
//! party ──ask──▶ its cache, else authority ┘
//! ```

pub(crate) mod message;
#[cfg(test)]
mod tests;

use crate::cloudflare::{self, End};
use crate::net::From;
use crate::tailscale;
use crate::world::{State as Everything, World};
use jiff::{SignedDuration, Timestamp};
use message::{Answer, Asked, Code, Data, Question, Row, Transport, Untrue, kind};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// TTL of the tailnet's names, in seconds.
const MAGIC_TTL_S: u32 = 600;
/// The longest chain of aliases that a resolver follows from zone to zone.
const CHAIN_MAX: usize = 8;

/// Lies that the resolvers and the zones' servers can tell.
pub(crate) const LIES: &[crate::Lie] = &[
    ("dns-negative-ttl", "what is not there may be remembered for a day"),
    ("dns-nodata-is-nxdomain", "a name without such a record does not exist"),
    ("dns-never-truncates", "an answer that is too large comes with what fits, as if that were all"),
    ("dns-alias-not-followed", "an alias is answered and not followed"),
    ("dns-stale-cache", "a resolver answers what it knows after its time is over"),
    ("dns-ttl-stands-still", "a resolver's answers never grow older"),
    ("dns-forgets-nothing-is-there", "a resolver does not remember that a name was not there"),
    ("dns-no-edns", "the answer to a question with EDNS has none"),
    ("dns-unknown-type-refused", "a type that is not known is not implemented, where there is only no such record"),
    ("dns-no-start", "nothing is answered without the zone's start"),
    ("dns-folds-case", "the question comes back in lower case"),
    ("dns-any-class", "questions of every class are answered as the internet's"),
    ("dns-no-wildcard", "a wildcard speaks for no name"),
    ("dns-not-authoritative", "the zones' servers do not say that they are"),
];

/// The resolvers' caches.
#[derive(Default)]
pub(crate) struct State {
    caches: BTreeMap<From, BTreeMap<(String, u16), Known>>,
}

/// What a resolver remembers.
#[derive(Clone)]
struct Known {
    answer: Answer,
    since: Timestamp,
    until: Timestamp,
}

/// Under which type it is remembered that a name does not exist, whatever the type.
const NO_SUCH_NAME: u16 = kind::ANY;

/// Resolves a name as `from`'s resolver would; empty if there is no such name. Each answer begins with another address
/// than the one before it, as resolvers' do.
pub(crate) fn resolve(state: &mut Everything, from: From, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let answers = [kind::A, kind::AAAA].map(|kind| ask(state, from, &name, kind));
    let rows = answers.into_iter().flat_map(|answer| answer.rows);
    rows.filter_map(|row| match row.data {
        Data::A(address) => Some(IpAddr::V4(address)),
        Data::Aaaa(address) => Some(IpAddr::V6(address)),
        _ => None,
    })
    .collect()
}

/// Forgets what a party's resolver knows: its machine has started anew.
pub(crate) fn forget(state: &mut Everything, from: From) {
    state.dns.caches.remove(&from);
}

/// What a party's resolver says of a name, in lower case and without a dot at the end.
fn ask(state: &mut Everything, from: From, name: &str, kind: u16) -> Answer {
    if let Some(address) = tailscale::magic_dns(state, from, name) {
        let row = |data| Row { name: name.to_owned(), ttl_s: MAGIC_TTL_S, data };
        let rows = match address {
            IpAddr::V4(address) if kind == kind::A => vec![row(Data::A(address))],
            IpAddr::V6(address) if kind == kind::AAAA => vec![row(Data::Aaaa(address))],
            _ => Vec::new(),
        };
        return Answer { rows, ..Answer::only(Code::Fine) };
    }
    let (now, lies) = (state.now(), state.lies.clone());
    let cache = state.dns.caches.entry(from).or_default();
    if !lies.contains("dns-stale-cache") {
        cache.retain(|_, known| known.until > now);
    }
    for key in [(name.to_owned(), kind), (name.to_owned(), NO_SUCH_NAME)] {
        let Some(known) = cache.get_mut(&key).filter(|known| key.1 == kind || known.answer.code == Code::NoSuchName)
        else {
            continue;
        };
        rotate(&mut known.answer.rows);
        let since = if lies.contains("dns-ttl-stands-still") { now } else { known.since };
        return aged(known.answer.clone(), since, now);
    }
    let answer = asked_afresh(state, name, kind);
    // Trouble is nobody's to remember.
    let least = answer.rows.iter().chain(&answer.start).map(|row| row.ttl_s).min();
    let kept = least.filter(|_| answer.start.is_none() || !lies.contains("dns-forgets-nothing-is-there"));
    if let Some(ttl_s) = kept {
        let until = now.saturating_add(SignedDuration::from_secs(ttl_s.into())).unwrap_or(now);
        let key = if answer.code == Code::NoSuchName { NO_SUCH_NAME } else { kind };
        let known = Known { answer: answer.clone(), since: now, until };
        state.dns.caches.entry(from).or_default().insert((name.to_owned(), key), known);
    }
    answer
}

/// What the zones' servers say, from one to the next until the end of all aliases.
fn asked_afresh(state: &Everything, name: &str, kind: u16) -> Answer {
    let (mut name, mut rows) = (name.to_owned(), Vec::new());
    for _ in 0..CHAIN_MAX {
        let Some(said) = cloudflare::answer(state, &name, kind) else { break };
        rows.extend(said.rows);
        let (code, start) = match said.end {
            End::Found => (Code::Fine, None),
            End::NoData(start) => (Code::Fine, Some(start)),
            End::NoSuchName(start) => (Code::NoSuchName, Some(start)),
            End::Elsewhere(next) => {
                name = next;
                continue;
            }
        };
        return Answer { code, authoritative: false, rows, start };
    }
    Answer::only(Code::Trouble)
}

/// An answer whose records have lost the time that they were kept.
fn aged(mut answer: Answer, since: Timestamp, now: Timestamp) -> Answer {
    let age_s = u32::try_from(now.duration_since(since).as_secs()).unwrap_or(0);
    for row in answer.rows.iter_mut().chain(&mut answer.start) {
        row.ttl_s = row.ttl_s.saturating_sub(age_s);
    }
    answer
}

/// Moves the first record to the end; aliases stay in front.
fn rotate(rows: &mut [Row]) {
    let aliases = rows.iter().take_while(|row| matches!(row.data, Data::Alias(_))).count();
    if let Some(rest) = rows.get_mut(aliases..).filter(|rest| !rest.is_empty()) {
        rest.rotate_left(1);
    }
}

/// Who answers on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// The zones' own.
    Authority,
    /// The resolver of the operator's machine.
    Resolver,
}

/// The answer to a message, if it is to be answered.
pub(crate) fn serve(world: &World, server: Server, transport: Transport, bytes: &[u8]) -> Option<Vec<u8>> {
    let question = match message::read(bytes) {
        Asked::Nothing => return None,
        Asked::Refused(answer) => return Some(answer),
        Asked::Question(question) => question,
    };
    world.with(|state| {
        let lies = |name: &str| state.lies.contains(name);
        let untrue = Untrue {
            never_truncated: lies("dns-never-truncates"),
            no_edns: lies("dns-no-edns"),
            folded_case: lies("dns-folds-case"),
        };
        let answer = answered(state, server, &question);
        let answer = bent(state, answer, &question);
        Some(message::write(&question, &answer, server == Server::Resolver, transport, untrue))
    })
}

fn answered(state: &mut Everything, server: Server, question: &Question) -> Answer {
    if question.edns.is_some_and(|edns| edns.version > 0) {
        return Answer::only(Code::NoSuchVersion);
    }
    // 128 to 255 are types of questions, of which only `ANY` is one that is asked of a zone without a key.
    let is_meta = question.kind == kind::OPT || (128..255).contains(&question.kind);
    if is_meta || question.class != 1 && !state.lies.contains("dns-any-class") {
        return Answer::only(if is_meta { Code::NotImplemented } else { Code::Refused });
    }
    if server == Server::Resolver {
        return ask(state, From::Operator, &question.name, question.kind);
    }
    let Some(said) = cloudflare::answer(state, &question.name, question.kind) else {
        return Answer::only(Code::Refused);
    };
    let (code, start) = match said.end {
        End::Found | End::Elsewhere(_) => (Code::Fine, None),
        End::NoData(start) => (Code::Fine, Some(start)),
        End::NoSuchName(start) => (Code::NoSuchName, Some(start)),
    };
    Answer { code, authoritative: !state.lies.contains("dns-not-authoritative"), rows: said.rows, start }
}

/// The answer as this world's lies have it.
fn bent(state: &Everything, mut answer: Answer, question: &Question) -> Answer {
    let lies = |name: &str| state.lies.contains(name);
    if lies("dns-negative-ttl")
        && let Some(Row { ttl_s, data: Data::Start(_, _, _, negative_ttl_s), .. }) = &mut answer.start
    {
        (*ttl_s, *negative_ttl_s) = (86_400, 86_400);
    }
    let is_nothing = answer.code == Code::Fine && answer.start.is_some();
    if lies("dns-nodata-is-nxdomain") && is_nothing {
        answer.code = Code::NoSuchName;
    }
    if lies("dns-unknown-type-refused") && is_nothing && question.kind > kind::CAA {
        answer = Answer::only(Code::NotImplemented);
    }
    if lies("dns-no-start") {
        answer.start = None;
    }
    if lies("dns-alias-not-followed") && matches!(answer.rows.first(), Some(Row { data: Data::Alias(_), .. })) {
        answer.rows.truncate(1);
    }
    let spoken_for = answer.rows.iter().any(|row| row.name == question.name);
    if lies("dns-no-wildcard") && spoken_for && cloudflare::is_wild(state, &question.name) {
        answer = Answer { rows: Vec::new(), code: Code::NoSuchName, ..answer };
    }
    answer
}
