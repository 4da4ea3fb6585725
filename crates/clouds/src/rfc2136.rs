//! Dynamic updates (RFC 2136), as BIND, Knot and PowerDNS take them, signed with TSIG (RFC 8945).
//!
//! ```text
//! Key + server ──query──▶ RRsets as they are
//!              ──update─▶ prerequisites + changes: all of it or nothing; a prerequisite that is not met is an answer
//!              ──transfer─▶ a whole zone, message after message, each signature over the one before
//! names: marks beside records, and addresses kept by compare and swap
//! ```
//!
//! Records have no comments here, so the mark of a record of ours stands beside it: a TXT record at `_bouquet.<name>`, one
//! for each record, changed in the same update as what it is about. Every change names what it was made from as its
//! prerequisite, so that nobody's change in between is lost and none of ours is made twice.
//!
//! Over TCP only: no answer is cut off there, and nobody answers in another's name without sitting on the way. This room
//! refuses MACs that are cut short, and any success that is not signed where there is a key.

mod check;
mod exchange;
mod key;
mod message;
mod names;
mod refusal;
#[cfg(test)]
mod tests;
mod transfer;

pub use key::{Algorithm, Key};
pub use message::{Change, Data, Kind, Outcome, Prerequisite, Row, Unmet, Update};
pub use names::beside;

use crate::rest::refused;
use crate::{Error, Settings, Why};
use wire::{Line, Repeat, Target};

/// What a server is called by that cannot be reached.
const QUERY: &str = "rfc2136 QUERY";
const UPDATE: &str = "rfc2136 UPDATE";
/// What is wrong with how the file names server or key.
const DNS: &str = "dns";
/// The port of DNS.
const PORT: u16 = 53;

/// A name server that takes dynamic updates of its zones.
pub struct Rfc2136 {
    server: Target,
    key: Option<Key>,
}

impl Rfc2136 {
    /// `server`: `host`, `host:port` or `[address]:port`. Without a key the server must know us by our address.
    pub fn new(server: &str, key: Option<Key>) -> Result<Self, Error> {
        let wrong = || refused(DNS, Why::Invalid, format!("{server:?} is no host or host:port"));
        let bare = server.parse().is_ok_and(|address: std::net::IpAddr| address.is_ipv6());
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !bare => (host, port.parse().map_err(|_| wrong())?),
            _ => (server, PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(['/', '@', ' ']) || port == 0 {
            return Err(wrong());
        }
        Ok(Rfc2136 { server: Target::plain(host, port), key })
    }

    /// As the cluster file names them; `key` is the path of a key file in BIND's form.
    pub fn from_settings(settings: &dyn Settings, server: &str, key: Option<&str>) -> Result<Self, Error> {
        let wrong = |why: String| refused(DNS, Why::Unauthenticated, format!("the key file: {why}"));
        let read = |path: &str| {
            // The path is not repeated: people have written the key itself where its path belongs.
            let unread = |why: String| wrong(why.replace(path, "").trim_start_matches([':', ' ']).to_owned());
            Key::read(&settings.file(path).map_err(unread)?).map_err(wrong)
        };
        Self::new(server, key.map(read).transpose()?)
    }

    /// The records of one kind at a name, as the server has them; none if there is no such name or no such record. A name
    /// that is an alias answers with the alias.
    pub async fn rows(&self, line: &Line, name: &str, kind: Kind) -> Result<Vec<Row>, Error> {
        let question = message::question(name, kind)?;
        let answer = self.exchange(line, QUERY, Repeat::Safe, question).await?;
        refusal::of_query(&answer)?;
        let name = message::shown(&message::name(QUERY, name)?);
        let rows = answer.answers.iter().filter(|record| message::shown(&record.name) == name);
        Ok(rows
            .map(Row::of)
            .filter(|row| row.data.kind() == Some(kind) || row.data.kind() == Some(Kind::Cname))
            .collect())
    }

    /// The zone that a name lives in, if the server is its authority.
    pub async fn apex(&self, line: &Line, name: &str) -> Result<String, Error> {
        let answer = self.exchange(line, QUERY, Repeat::Safe, message::question(name, Kind::Soa)?).await?;
        refusal::of_query(&answer)?;
        let records = answer.answers.iter().chain(&answer.authorities);
        let apex = records.map(|record| (Row::of(record).data.kind(), message::shown(&record.name)));
        let apex = apex.filter(|(kind, _)| *kind == Some(Kind::Soa)).map(|(_, name)| name).next();
        apex.filter(|_| answer.authoritative).ok_or_else(|| {
            let message = format!("{} is no authority for a zone that {name} lives in", self.server.authority());
            refused(QUERY, Why::Forbidden, message)
        })
    }

    /// Makes all changes of an update, or none. Sent once: where the answer is lost, look before it is sent again.
    pub async fn update(&self, line: &Line, zone: &str, update: &Update) -> Result<Outcome, Error> {
        let request = message::update(zone, update)?;
        let answer = self.exchange(line, UPDATE, Repeat::Never, request).await?;
        refusal::of_update(&answer)
    }
}
