//! One message there and one back, over a stream of its own; signed and verified where there is a key.

use super::{Key, Rfc2136, refusal};
use crate::rest::refused;
use crate::{Error, Why};
use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::tsig::{TSIG, make_tsig_record, message_tbs, signed_bitmessage_to_buf};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::{Line, Repeat, Stream, Talk};

/// How long an answer may take: servers answer in milliseconds, and write a zone's journal first.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How far our clock and the server's may be apart: RFC 8945 §10 recommends 300 s.
pub(super) const FUDGE_S: u16 = 300;

impl Rfc2136 {
    /// Sends a message under an id of its own and returns the answer, verified.
    pub(super) async fn exchange(
        &self,
        line: &Line,
        call: &'static str,
        repeat: Repeat,
        mut message: Message,
    ) -> Result<Message, Error> {
        // Nobody else speaks on this stream, so an id need not be one that cannot be guessed.
        message.metadata.id = u16::try_from(line.time().rng(call).below(1 << 16)).unwrap_or_default();
        let message = &message;
        let speak = move |mut stream: Box<dyn Stream>| -> wire::Spoken<'_, Message, Error> {
            Box::pin(async move {
                let now_s = u64::try_from(line.time().now().as_second()).unwrap_or_default();
                let (request, mac) = match encoded(call, message, self.key.as_ref(), now_s) {
                    Ok(encoded) => encoded,
                    Err(error) => return Ok(Err(error)),
                };
                let answer = there_and_back(&mut stream, &request).await?;
                let signed = self.key.as_ref().map(|key| Signed { key, mac: &mac, now_s });
                Ok(read(call, message, &answer, signed))
            })
        };
        let talk = Talk {
            name: call,
            bucket: "rfc2136",
            target: self.server.clone(),
            repeat,
            timeout: TIMEOUT,
            speak: Box::new(speak),
        };
        line.talk(talk).await
    }
}

/// Over TCP a message comes after its length. RFC 1035 §4.2.2.
pub(super) async fn there_and_back(stream: &mut Box<dyn Stream>, request: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(request.len()).map_err(|_| io::Error::other("the request is over 64 KiB"))?;
    stream.write_all(&[&length.to_be_bytes(), request].concat()).await?;
    stream.flush().await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// The message's bytes, and its MAC where it is signed.
pub(super) fn encoded(
    call: &'static str,
    message: &Message,
    key: Option<&Key>,
    now_s: u64,
) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let wrong = |why: String| refused(call, Why::Invalid, format!("the request cannot be written: {why}"));
    let Some(key) = key else {
        return Ok((message.to_vec().map_err(|error| wrong(error.to_string()))?, Vec::new()));
    };
    let unsigned = TSIG::new(key.algorithm.tsig(), now_s, FUDGE_S, Vec::new(), message.id, None, Vec::new());
    let covered = message_tbs(message, &unsigned, &key.name).map_err(|error| wrong(error.to_string()))?;
    let bytes = key.bytes().unwrap_or_default();
    let mac = key.algorithm.tsig().mac_data(&bytes, &covered).map_err(|error| wrong(error.to_string()))?;
    let mut message = message.clone();
    message.set_signature(Box::new(make_tsig_record(key.name.clone(), unsigned.set_mac(mac.clone()))));
    Ok((message.to_vec().map_err(|error| wrong(error.to_string()))?, mac))
}

/// What an answer to a signed request is verified with.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    pub key: &'a Key,
    /// Of the request: it is part of what the answer's covers.
    pub mac: &'a [u8],
    pub now_s: u64,
}

/// Reads an answer. Refusals may come unsigned, as a server that does not know the key cannot sign; nothing else may.
pub(super) fn read(
    call: &'static str,
    asked: &Message,
    bytes: &[u8],
    signed: Option<Signed<'_>>,
) -> Result<Message, Error> {
    let garbled = |why: &str| refused(call, Why::Garbled, format!("{why} ({} bytes)", bytes.len()));
    let answer = Message::from_vec(bytes).map_err(|_| garbled("the answer is no DNS message"))?;
    if answer.message_type != MessageType::Response || answer.id != asked.id || answer.op_code != asked.op_code {
        return Err(garbled("the answer is not to what was asked"));
    }
    let Some(signed) = signed else { return whole(answer, garbled) };
    if let Some(error) = refusal::of_signature(call, &answer, signed.now_s) {
        return Err(error);
    }
    if answer.signature.is_none() {
        refusal::unsigned(call, &answer)?;
        return Err(garbled("the answer is not signed"));
    }
    verified(bytes, signed).map_err(|why| match why {
        Unverified::Mac => garbled("the answer's signature is not the key's"),
        Unverified::Time(other_s) => refusal::clock(call, other_s, signed.now_s),
    })?;
    whole(answer, garbled)
}

fn whole(answer: Message, garbled: impl Fn(&str) -> Error) -> Result<Message, Error> {
    if answer.truncation { Err(garbled("the answer is cut short, over TCP")) } else { Ok(answer) }
}

enum Unverified {
    Mac,
    Time(u64),
}

fn verified(bytes: &[u8], signed: Signed<'_>) -> Result<(), Unverified> {
    let (covered, record) = signed_bitmessage_to_buf(bytes, Some(signed.mac), true).map_err(|_| Unverified::Mac)?;
    let (key, tsig) = (signed.key, &record.data);
    let algorithm = key.algorithm.tsig();
    // A MAC that is cut short fails here too: it is compared whole.
    let secret = key.bytes().unwrap_or_default();
    if record.name != key.name || tsig.algorithm != algorithm {
        return Err(Unverified::Mac);
    }
    algorithm.verify_mac(&secret, &covered, &tsig.mac).map_err(|_| Unverified::Mac)?;
    if tsig.time.abs_diff(signed.now_s) > u64::from(tsig.fudge.min(FUDGE_S)) {
        return Err(Unverified::Time(tsig.time));
    }
    Ok(())
}
