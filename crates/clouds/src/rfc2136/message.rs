//! What is asked and changed, as values and as messages. Pure.

use super::{QUERY, UPDATE};
use crate::rest::refused;
use crate::{Error, Why};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::fmt;
use std::net::IpAddr;

/// Kinds of records that are asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Alias.
    Cname,
    /// Text.
    Txt,
    /// Start of a zone.
    Soa,
    /// No kind of record: whatever there is.
    Any,
    /// No kind of record: the whole zone.
    Transfer,
}

const KINDS: &[(Kind, RecordType)] = &[
    (Kind::A, RecordType::A),
    (Kind::Aaaa, RecordType::AAAA),
    (Kind::Cname, RecordType::CNAME),
    (Kind::Txt, RecordType::TXT),
    (Kind::Soa, RecordType::SOA),
    (Kind::Any, RecordType::ANY),
    (Kind::Transfer, RecordType::AXFR),
];

impl Kind {
    fn wire(self) -> RecordType {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or(RecordType::ANY, |(_, wire)| *wire)
    }
}

/// What a record says, byte for byte as the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data(RData);

impl Data {
    /// An A or AAAA record.
    pub fn address(address: IpAddr) -> Self {
        Data(match address {
            IpAddr::V4(address) => RData::A(A(address)),
            IpAddr::V6(address) => RData::AAAA(AAAA(address)),
        })
    }

    /// A TXT record; cut into strings of 255 bytes, as many as it takes.
    pub fn text(text: &str) -> Self {
        Data(RData::TXT(TXT::from_bytes(text.as_bytes().chunks(255).collect())))
    }

    /// An alias; an error if the text is no name.
    pub fn alias(target: &str) -> Result<Self, Error> {
        Ok(Data(RData::CNAME(CNAME(name(UPDATE, target)?))))
    }

    /// The address, if it is one.
    pub fn to_address(&self) -> Option<IpAddr> {
        match &self.0 {
            RData::A(address) => Some(address.0.into()),
            RData::AAAA(address) => Some(address.0.into()),
            _ => None,
        }
    }

    /// Its kind, if it is one of those that are asked for by name.
    pub fn kind(&self) -> Option<Kind> {
        let wire = self.0.record_type();
        KINDS.iter().find(|(_, known)| *known == wire).map(|(kind, _)| *kind)
    }

    /// `A`, `AAAA`, `CNAME`, …
    pub fn kind_shown(&self) -> String {
        self.0.record_type().to_string()
    }
}

/// Addresses and texts as they are, names without a dot at the end, the rest as zone files have it.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            RData::TXT(text) => text.txt_data.iter().try_for_each(|part| f.write_str(&String::from_utf8_lossy(part))),
            RData::CNAME(alias) => f.write_str(&shown(&alias.0)),
            other => other.fmt(f),
        }
    }
}

/// One record of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Full name in lower case, without a dot at the end.
    pub name: String,
    /// Seconds.
    pub ttl_s: u32,
    /// What it says.
    pub data: Data,
}

impl Row {
    pub(super) fn of(record: &Record) -> Self {
        Row { name: shown(&record.name), ttl_s: record.ttl, data: Data(record.data.clone()) }
    }
}

/// What must be so, or nothing is changed. RFC 2136 §2.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prerequisite {
    /// Some record has this name.
    NameInUse(String),
    /// No record has this name.
    NameFree(String),
    /// There is a record of this kind at the name.
    Exists(String, Kind),
    /// There is none.
    Absent(String, Kind),
    /// The records of that kind at the name are exactly these; of one kind all, and at least one.
    Equals(String, Vec<Data>),
}

/// One change. RFC 2136 §2.5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds a record; one that is there stays.
    Add(Row),
    /// Removes one record; it need not be there.
    Remove(String, Data),
    /// Removes all records of a kind at a name.
    RemoveSet(String, Kind),
    /// Removes all records of a name.
    RemoveName(String),
}

/// Prerequisites and changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// All must hold.
    pub prerequisites: Vec<Prerequisite>,
    /// Made in this order.
    pub changes: Vec<Change>,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All changes are made.
    Made,
    /// A prerequisite does not hold, and nothing is changed.
    Unmet(Unmet),
}

/// How a prerequisite does not hold. RFC 2136 §2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// YXDOMAIN: the name is in use.
    NameInUse,
    /// NXDOMAIN: the name is not in use.
    NameFree,
    /// YXRRSET: the set is there.
    Exists,
    /// NXRRSET: the set is not there, or is another than was said.
    Absent,
}

/// A message that asks for the records of a kind. Its id is set where it is sent.
pub(super) fn question(asked: &str, kind: Kind) -> Result<Message, Error> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name(QUERY, asked)?, kind.wire()));
    Ok(message)
}

/// A message that changes a zone.
pub(super) fn update(zone: &str, update: &Update) -> Result<Message, Error> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Update);
    message.add_query(Query::query(name(UPDATE, zone)?, RecordType::SOA));
    for prerequisite in &update.prerequisites {
        // RFC 2136 §2.4: the sections of an update are those of a query under other names.
        message.answers.extend(prerequisite.records()?);
    }
    for change in &update.changes {
        message.authorities.push(change.record()?);
    }
    Ok(message)
}

impl Prerequisite {
    fn records(&self) -> Result<Vec<Record>, Error> {
        Ok(match self {
            Prerequisite::NameInUse(name) => vec![empty(name, RecordType::ANY, DNSClass::ANY)?],
            Prerequisite::NameFree(name) => vec![empty(name, RecordType::ANY, DNSClass::NONE)?],
            Prerequisite::Exists(name, kind) => vec![empty(name, kind.wire(), DNSClass::ANY)?],
            Prerequisite::Absent(name, kind) => vec![empty(name, kind.wire(), DNSClass::NONE)?],
            Prerequisite::Equals(owner, all) => {
                let owner = name(UPDATE, owner)?;
                all.iter().map(|data| Record::from_rdata(owner.clone(), 0, data.0.clone())).collect()
            }
        })
    }
}

impl Change {
    fn record(&self) -> Result<Record, Error> {
        match self {
            Change::Add(row) => Ok(Record::from_rdata(name(UPDATE, &row.name)?, row.ttl_s, row.data.0.clone())),
            Change::Remove(owner, data) => {
                let mut record = Record::from_rdata(name(UPDATE, owner)?, 0, data.0.clone());
                record.dns_class = DNSClass::NONE;
                Ok(record)
            }
            Change::RemoveSet(name, kind) => empty(name, kind.wire(), DNSClass::ANY),
            Change::RemoveName(name) => empty(name, RecordType::ANY, DNSClass::ANY),
        }
    }
}

fn empty(owner: &str, kind: RecordType, class: DNSClass) -> Result<Record, Error> {
    let mut record = Record::update0(name(UPDATE, owner)?, 0, kind);
    record.dns_class = class;
    Ok(record)
}

/// A full name, whether or not it ends in a dot.
pub(super) fn name(call: &'static str, text: &str) -> Result<Name, Error> {
    let mut name =
        Name::from_ascii(text).map_err(|_| refused(call, Why::Invalid, format!("{text:?} is no domain name")))?;
    name.set_fqdn(true);
    Ok(name)
}

/// In lower case, without a dot at the end.
pub(super) fn shown(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').map_or(text.clone(), str::to_owned)
}
