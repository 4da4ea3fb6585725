//! Whole zones: transfers (RFC 5936), and many questions over one stream where transfers are refused.

use super::exchange::{self, Signed, encoded, there_and_back};
use super::message::{self, Kind, Row};
use super::{Key, QUERY, Rfc2136, refusal};
use crate::rest::refused;
use crate::{Error, Why};
use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::rdata::tsig::signed_bitmessage_to_buf;
use std::io;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use wire::{Line, Repeat, Stream, Talk};

const TRANSFER: &str = "rfc2136 AXFR";
/// How long a transfer may take: a hundred thousand records are some megabytes.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Bytes of a zone that are read before it is too large to be one of ours.
const BYTES_MOST: usize = 256 << 20;
/// Messages that may come between two signed ones: RFC 8945 §5.3.1.
const UNSIGNED_MOST: usize = 99;

impl Rfc2136 {
    /// Every record of a zone, once each; the start of the zone is the first. [`Why::Forbidden`] where the server gives the
    /// zone to nobody, or not to us.
    pub async fn transfer(&self, line: &Line, zone: &str) -> Result<Vec<Row>, Error> {
        let mut question = message::question(zone, Kind::Transfer)?;
        question.metadata.id = u16::try_from(line.time().rng(TRANSFER).below(1 << 16)).unwrap_or_default();
        let question = &question;
        let speak = move |mut stream: Box<dyn Stream>| -> wire::Spoken<'_, Vec<Row>, Error> {
            Box::pin(async move {
                let now_s = u64::try_from(line.time().now().as_second()).unwrap_or_default();
                let mut flow = match Flow::new(question, self.key.as_ref(), now_s) {
                    Ok(flow) => flow,
                    Err(error) => return Ok(Err(error)),
                };
                let mut bytes = there_and_back(&mut stream, &flow.request).await?;
                loop {
                    match flow.take(&bytes) {
                        Ok(false) => bytes = next(&mut stream).await?,
                        Ok(true) => return Ok(Ok(flow.rows)),
                        Err(error) => return Ok(Err(error)),
                    }
                }
            })
        };
        let (bucket, target, repeat) = ("rfc2136", self.server.clone(), Repeat::Safe);
        line.talk(Talk { name: TRANSFER, bucket, target, repeat, timeout: TIMEOUT, speak: Box::new(speak) }).await
    }

    /// What there is of each of these kinds at each name, asked over one stream.
    pub async fn lookup(&self, line: &Line, asked: &[(String, Kind)]) -> Result<Vec<Row>, Error> {
        let questions = asked.iter().map(|(name, kind)| Ok((name, message::question(name, *kind)?)));
        let mut questions: Vec<(&String, Message)> = questions.collect::<Result<_, Error>>()?;
        let mut ids = line.time().rng(QUERY);
        for (_, question) in &mut questions {
            question.metadata.id = u16::try_from(ids.below(1 << 16)).unwrap_or_default();
        }
        let questions = &questions;
        let speak = move |mut stream: Box<dyn Stream>| -> wire::Spoken<'_, Vec<Row>, Error> {
            Box::pin(async move {
                let mut rows = Vec::new();
                for (name, question) in questions {
                    let now_s = u64::try_from(line.time().now().as_second()).unwrap_or_default();
                    let (request, mac) = match encoded(QUERY, question, self.key.as_ref(), now_s) {
                        Ok(encoded) => encoded,
                        Err(error) => return Ok(Err(error)),
                    };
                    let bytes = there_and_back(&mut stream, &request).await?;
                    let signed = self.key.as_ref().map(|key| Signed { key, mac: &mac, now_s });
                    let answer = exchange::read(QUERY, question, &bytes, signed);
                    match answer.and_then(|answer| refusal::of_query(&answer).map(|()| answer)) {
                        Ok(answer) => {
                            let own = answer.answers.iter().filter(|record| message::shown(&record.name) == **name);
                            rows.extend(own.map(Row::of));
                        }
                        Err(error) => return Ok(Err(error)),
                    }
                }
                Ok(Ok(rows))
            })
        };
        let (bucket, target, repeat) = ("rfc2136", self.server.clone(), Repeat::Safe);
        line.talk(Talk { name: QUERY, bucket, target, repeat, timeout: TIMEOUT, speak: Box::new(speak) }).await
    }
}

async fn next(stream: &mut Box<dyn Stream>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A transfer as far as it has come. Pure.
pub(super) struct Flow<'a> {
    pub request: Vec<u8>,
    pub rows: Vec<Row>,
    id: u16,
    key: Option<&'a Key>,
    now_s: u64,
    /// The last MAC that is known to be good: of the request at first.
    mac: Vec<u8>,
    /// Messages since then, which the next MAC is over too.
    unsigned: Vec<Vec<u8>>,
    messages: usize,
    bytes: usize,
}

impl<'a> Flow<'a> {
    pub fn new(question: &Message, key: Option<&'a Key>, now_s: u64) -> Result<Self, Error> {
        let (request, mac) = encoded(TRANSFER, question, key, now_s)?;
        let id = question.id;
        Ok(Flow { request, rows: Vec::new(), id, key, now_s, mac, unsigned: Vec::new(), messages: 0, bytes: 0 })
    }

    /// Takes in the next message; true if it was the last.
    pub fn take(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        let garbled = |why: &str| refused(TRANSFER, Why::Garbled, format!("{why} ({} bytes)", bytes.len()));
        let answer = Message::from_vec(bytes).map_err(|_| garbled("the answer is no DNS message"))?;
        if answer.message_type != MessageType::Response || answer.id != self.id || answer.op_code != OpCode::Query {
            return Err(garbled("the answer is not to what was asked"));
        }
        if let Some(error) = refusal::of_signature(TRANSFER, &answer, self.now_s) {
            return Err(error);
        }
        // A refusal is believed without a signature, as it changes nothing.
        refusal::of_transfer(&answer)?;
        self.bytes += bytes.len();
        if self.bytes > BYTES_MOST {
            return Err(garbled("the zone is larger than any that is kept by hand or by us"));
        }
        self.verify(bytes, answer.signature.is_some()).map_err(|why| garbled(&why))?;
        self.messages += 1;
        self.rows.extend(answer.answers.iter().map(Row::of));
        let is_start = |row: &Row| row.data.kind() == Some(Kind::Soa);
        if !self.rows.first().is_some_and(is_start) {
            return Err(garbled("the zone does not begin with its start"));
        }
        let is_over = self.rows.len() > 1 && self.rows.last().is_some_and(is_start);
        if is_over {
            self.rows.pop();
            if !self.unsigned.is_empty() {
                return Err(garbled("the end of the zone is not signed"));
            }
        }
        Ok(is_over)
    }

    fn verify(&mut self, bytes: &[u8], is_signed: bool) -> Result<(), String> {
        let Some(key) = self.key else { return Ok(()) };
        if !is_signed {
            // The first must be signed: nothing vouches for it until the second is.
            if self.messages == 0 || self.unsigned.len() >= UNSIGNED_MOST {
                return Err("the answer is not signed".to_owned());
            }
            self.unsigned.push(bytes.to_vec());
            return Ok(());
        }
        let wrong = || "the answer's signature is not the key's".to_owned();
        let (own, record) = signed_bitmessage_to_buf(bytes, None, self.messages == 0).map_err(|_| wrong())?;
        let length = u16::try_from(self.mac.len()).map_err(|_| wrong())?;
        let covered = [&length.to_be_bytes(), self.mac.as_slice(), &self.unsigned.concat(), &own].concat();
        let (tsig, algorithm) = (&record.data, key.algorithm.tsig());
        if record.name != key.name || tsig.algorithm != algorithm {
            return Err(wrong());
        }
        let secret = key.bytes().unwrap_or_default();
        algorithm.verify_mac(&secret, &covered, &tsig.mac).map_err(|_| wrong())?;
        if tsig.time.abs_diff(self.now_s) > u64::from(tsig.fudge.min(exchange::FUDGE_S)) {
            return Err("the answer's signature is too old or too new".to_owned());
        }
        self.mac.clone_from(&tsig.mac);
        self.unsigned.clear();
        Ok(())
    }
}
