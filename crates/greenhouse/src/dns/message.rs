//! DNS messages as bytes: questions read, answers written. RFC 1035 §4, RFC 6891 for EDNS.
//!
//! Pure. Whatever comes is read or refused; nothing in it is believed about lengths.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A header's bytes.
const HEADER: usize = 12;
/// What an answer over UDP may have where the question has no EDNS. RFC 1035 §4.2.1.
const PLAIN_BYTES_MAX: usize = 512;
/// What it may have at most: Cloudflare's answers are not larger, so that no path has to cut them up.
const EDNS_BYTES_MAX: u16 = 1232;
/// Additional records of a question that are looked through for EDNS.
const RECORDS_MAX: u16 = 16;

/// Types of records, by number.
pub(crate) mod kind {
    pub(crate) const A: u16 = 1;
    pub(crate) const NS: u16 = 2;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const HINFO: u16 = 13;
    pub(crate) const MX: u16 = 15;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const SRV: u16 = 33;
    pub(crate) const OPT: u16 = 41;
    pub(crate) const ANY: u16 = 255;
    pub(crate) const CAA: u16 = 257;
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Alias(String),
    NameServer(String),
    /// Server, mailbox, serial, and the last field: how long nothing is remembered, in seconds.
    Start(String, String, u32, u32),
    Mail(u16, String),
    Text(Vec<Vec<u8>>),
    /// Priority, weight, port, host.
    Service(u16, u16, u16, String),
    /// Flags, tag, value.
    Issuer(u8, String, String),
    /// Processor and system: what is answered in place of everything. RFC 8482.
    Host(String, String),
}

impl Data {
    /// The type's number.
    pub(crate) fn kind(&self) -> u16 {
        match self {
            Data::A(_) => kind::A,
            Data::Aaaa(_) => kind::AAAA,
            Data::Alias(_) => kind::CNAME,
            Data::NameServer(_) => kind::NS,
            Data::Start(..) => kind::SOA,
            Data::Mail(..) => kind::MX,
            Data::Text(_) => kind::TXT,
            Data::Service(..) => kind::SRV,
            Data::Issuer(..) => kind::CAA,
            Data::Host(..) => kind::HINFO,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Data::A(address) => address.octets().to_vec(),
            Data::Aaaa(address) => address.octets().to_vec(),
            Data::Alias(host) | Data::NameServer(host) => name_bytes(host),
            Data::Start(server, mailbox, serial, negative_ttl_s) => {
                // Refresh, retry and expiry, in seconds, as Cloudflare's zones have them.
                let numbers = [*serial, 10_000, 2400, 604_800, *negative_ttl_s].map(u32::to_be_bytes);
                [name_bytes(server), name_bytes(mailbox), numbers.concat()].concat()
            }
            Data::Mail(priority, host) => [priority.to_be_bytes().to_vec(), name_bytes(host)].concat(),
            Data::Text(parts) => parts.iter().flat_map(|part| counted(part)).collect(),
            Data::Service(priority, weight, port, host) => {
                [[*priority, *weight, *port].map(u16::to_be_bytes).concat(), name_bytes(host)].concat()
            }
            Data::Issuer(flags, tag, value) => {
                [vec![*flags], counted(tag.as_bytes()), value.as_bytes().to_vec()].concat()
            }
            Data::Host(processor, system) => [counted(processor.as_bytes()), counted(system.as_bytes())].concat(),
        }
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Full name in lower case, without a dot at the end.
    pub name: String,
    pub ttl_s: u32,
    pub data: Data,
}

/// How a question ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Fine = 0,
    Malformed = 1,
    Trouble = 2,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
    /// The low bits are those of `Fine`; the rest is in the EDNS record.
    NoSuchVersion = 16,
}

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub code: Code,
    /// Whether it comes from who keeps the zone.
    pub authoritative: bool,
    pub rows: Vec<Row>,
    /// The zone's start, where there is nothing else to say.
    pub start: Option<Row>,
}

impl Answer {
    pub(crate) fn only(code: Code) -> Self {
        Answer { code, authoritative: false, rows: Vec::new(), start: None }
    }
}

/// A question, and what its asker takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    id: u16,
    recursion_desired: bool,
    /// The question as it stood, letter case and all: it comes back so.
    raw: Vec<u8>,
    /// In lower case, without a dot at the end; bytes that no name of ours has are escaped.
    pub name: String,
    pub kind: u16,
    pub class: u16,
    pub edns: Option<Edns>,
}

/// What the EDNS record of a question says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    pub bytes_max: u16,
    pub version: u8,
}

/// What is to be done with what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is no question at all: nothing is answered, lest two servers talk for ever.
    Nothing,
    /// A question that is refused by its form alone: these bytes are the answer.
    Refused(Vec<u8>),
    /// A question.
    Question(Question),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn u8(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.at = self.at.checked_add(bytes).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    /// A name without pointers, as a question's is: before it there is nothing to point to.
    fn name(&mut self) -> Option<String> {
        let (mut text, begin) = (String::new(), self.at);
        loop {
            let length = self.u8()?;
            if length == 0 {
                return Some(text).filter(|_| self.at - begin <= 255);
            }
            if length > 63 {
                return None;
            }
            if !text.is_empty() {
                text.push('.');
            }
            for _ in 0..length {
                match self.u8()? {
                    byte if byte.is_ascii_alphanumeric() || b"-_*".contains(&byte) => {
                        text.push(char::from(byte.to_ascii_lowercase()));
                    }
                    byte => {
                        let _ = write!(text, "\\{byte:03}");
                    }
                }
            }
        }
    }

    /// Past a name that may end in a pointer.
    fn skip_name(&mut self) -> Option<bool> {
        let mut is_root = true;
        loop {
            match self.u8()? {
                0 => return Some(is_root),
                length @ 1..=63 => self.skip(length.into())?,
                192.. => {
                    self.skip(1)?;
                    return Some(false);
                }
                _ => return None,
            }
            is_root = false;
        }
    }

    /// Past the record that comes next; what it says, if it is of EDNS.
    fn edns(&mut self) -> Result<Option<Edns>, Malformed> {
        let mut record = || {
            let is_root = self.skip_name()?;
            let (kind, class) = (self.u16()?, self.u16()?);
            let (_code, version) = (self.u8()?, self.u8()?);
            self.skip(2)?;
            let length = self.u16()?;
            self.skip(length.into())?;
            Some((kind == kind::OPT).then_some((is_root, Edns { bytes_max: class, version })))
        };
        match record().ok_or(Malformed)? {
            Some((false, _)) => Err(Malformed),
            found => Ok(found.map(|(_, edns)| edns)),
        }
    }

    /// The EDNS record, which stands among the additional ones and alone.
    fn only_edns(&mut self, others: u16, additional: u16) -> Result<Option<Edns>, Malformed> {
        if others > RECORDS_MAX || additional > RECORDS_MAX {
            return Err(Malformed);
        }
        let mut found = None;
        for at in 0..others + additional {
            if let Some(edns) = self.edns()?
                && (at < others || found.replace(edns).is_some())
            {
                return Err(Malformed);
            }
        }
        Ok(found)
    }
}

/// What came cannot be read to its end.
struct Malformed;

/// Reads what came.
pub(crate) fn read(bytes: &[u8]) -> Asked {
    let Some(header) = bytes.get(..HEADER) else { return Asked::Nothing };
    let mut reader = Reader { bytes: header, at: 0 };
    let mut next = || reader.u16().unwrap_or_default();
    let (id, flags, questions, answers, authorities, additional) = (next(), next(), next(), next(), next(), next());
    if flags & 0x8000 != 0 {
        return Asked::Nothing;
    }
    let recursion_desired = flags & 0x0100 != 0;
    let refused = |code: Code| {
        let flags = 0x8000 | flags & 0x7900 | code as u16;
        Asked::Refused([[id, flags].map(u16::to_be_bytes).concat(), vec![0; 8]].concat())
    };
    if flags & 0x7800 != 0 {
        return refused(Code::NotImplemented);
    }
    let mut reader = Reader { bytes, at: HEADER };
    let mut question = || {
        let name = reader.name()?;
        let (kind, class) = (reader.u16()?, reader.u16()?);
        let raw = bytes.get(HEADER..reader.at)?.to_vec();
        let edns = reader.only_edns(answers.checked_add(authorities)?, additional).ok()?;
        Some(Question { id, recursion_desired, raw, name, kind, class, edns })
    };
    match question() {
        Some(question) if questions == 1 => Asked::Question(question),
        _ => refused(Code::Malformed),
    }
}

/// What an answer is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// What is untrue of how answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untrue {
    pub never_truncated: bool,
    pub no_edns: bool,
    pub folded_case: bool,
}

/// Writes an answer. One that is larger than the asker takes loses its records and says so.
pub(crate) fn write(
    question: &Question,
    answer: &Answer,
    recursive: bool,
    transport: Transport,
    untrue: Untrue,
) -> Vec<u8> {
    let asked_max = question.edns.map_or(PLAIN_BYTES_MAX, |edns| edns.bytes_max.clamp(512, EDNS_BYTES_MAX).into());
    let limit = if transport == Transport::Udp { asked_max } else { usize::from(u16::MAX) };
    let whole = written(question, &answer.rows, answer, recursive, false, untrue);
    if whole.len() <= limit {
        return whole;
    }
    if untrue.never_truncated {
        let fits = (0..answer.rows.len()).rev().map(|rows| answer.rows.get(..rows).unwrap_or_default());
        let mut cut = fits.map(|rows| written(question, rows, answer, recursive, false, untrue));
        return cut.find(|cut| cut.len() <= limit).unwrap_or_default();
    }
    written(question, &[], answer, recursive, true, untrue)
}

fn written(
    question: &Question,
    rows: &[Row],
    answer: &Answer,
    recursive: bool,
    truncated: bool,
    untrue: Untrue,
) -> Vec<u8> {
    let bit = |is: bool, bit: u16| if is { bit } else { 0 };
    let code = answer.code as u16;
    let flags = 0x8000
        | bit(answer.authoritative, 0x0400)
        | bit(truncated, 0x0200)
        | bit(question.recursion_desired, 0x0100)
        | bit(recursive, 0x0080)
        | code & 0xf;
    let start = answer.start.iter().filter(|_| !truncated);
    let edns = question.edns.filter(|_| !untrue.no_edns);
    let count = |all: usize| u16::try_from(all).unwrap_or(u16::MAX);
    let counts = [1, count(rows.len()), count(start.clone().count()), count(edns.iter().count())];
    let mut bytes = [question.id, flags].into_iter().chain(counts).flat_map(u16::to_be_bytes).collect::<Vec<_>>();
    if untrue.folded_case {
        bytes.extend(question.raw.to_ascii_lowercase());
    } else {
        bytes.extend(&question.raw);
    }
    for row in rows.iter().chain(start) {
        // The question's name stands where every message begins.
        let name = if row.name == question.name { vec![0xc0, 12] } else { name_bytes(&row.name) };
        let data = row.data.bytes();
        bytes.extend(name);
        bytes.extend(row.data.kind().to_be_bytes());
        bytes.extend(1_u16.to_be_bytes());
        bytes.extend(row.ttl_s.to_be_bytes());
        bytes.extend(count(data.len()).to_be_bytes());
        bytes.extend(data);
    }
    if edns.is_some() {
        let high = u8::try_from(code >> 4).unwrap_or_default();
        bytes.push(0);
        bytes.extend([kind::OPT, EDNS_BYTES_MAX].map(u16::to_be_bytes).concat());
        bytes.extend([high, 0, 0, 0, 0, 0]);
    }
    bytes
}

/// A name, uncompressed. A label that is too long is cut: zones hold none.
fn name_bytes(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> =
        labels.flat_map(|label| counted(label.as_bytes().get(..63).unwrap_or(label.as_bytes()))).collect();
    bytes.push(0);
    bytes
}

/// Bytes after their count, 255 at most.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let count = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    [&[count][..], bytes.get(..count.into()).unwrap_or_default()].concat()
}
