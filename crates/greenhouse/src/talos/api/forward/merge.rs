//! One reply of many: metadata with the target's name is appended to each message, which protobuf reads as if it had
//! been written there.

use crate::talos::proto::common;
use axum::response::Response;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, StreamBody};
use prost::Message as _;
use tonic::{Code, Status};

type Answer = (String, Result<http::Response<wire::Body>, Status>);

/// One response of many. The merged call itself always succeeds; who failed is in the messages.
pub(super) fn answers(answers: Vec<Answer>, streamed: bool) -> Response {
    use futures::stream::{self, StreamExt as _};
    if streamed {
        let parts = answers.into_iter().map(|(target, answer)| match answer {
            // A call that is refused before its stream begins has its status among the headers.
            Ok(answer) => match Status::from_header_map(answer.headers()).filter(|status| status.code() != Code::Ok) {
                Some(refused) => stream::iter([frame(&failure(&target, &refused, true))]).boxed(),
                None => renamed(target, answer.into_body()).boxed(),
            },
            Err(status) => stream::iter([frame(&failure(&target, &status, true))]).boxed(),
        });
        let all = stream::select_all(parts).map(|bytes| Ok::<_, Status>(http_body::Frame::data(bytes)));
        return respond(all.chain(stream::iter([Ok(trailers())])));
    }
    let all = stream::iter(answers).then(|(target, answer)| async move {
        match answer {
            Ok(answer) => {
                let (status, messages) = unary(answer).await;
                if status.code() == Code::Ok {
                    messages.iter().flat_map(|message| with_metadata(message, &target)).collect()
                } else {
                    failure(&target, &status, false)
                }
            }
            Err(status) => failure(&target, &status, false),
        }
    });
    let whole = all.collect::<Vec<Vec<u8>>>();
    let frames = stream::once(async move { frame(&whole.await.concat()) });
    respond(frames.map(|bytes| Ok(http_body::Frame::data(bytes))).chain(stream::iter([Ok(trailers())])))
}

fn respond<S>(frames: S) -> Response
where
    S: futures::Stream<Item = Result<http_body::Frame<Bytes>, Status>> + Send + 'static,
{
    let mut response = Response::new(axum::body::Body::new(StreamBody::new(frames)));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn trailers() -> http_body::Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    http_body::Frame::trailers(trailers)
}

/// A gRPC frame around one message.
fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// Takes one whole message out of what has been received.
fn unframe(buffer: &mut BytesMut) -> Option<Bytes> {
    let mut head = buffer.get(1..5)?;
    let length = usize::try_from(head.get_u32()).ok()?;
    (buffer.len() >= 5 + length).then(|| buffer.split_to(5 + length).freeze().slice(5..))
}

async fn unary(answer: http::Response<wire::Body>) -> (Status, Vec<Bytes>) {
    let head = Status::from_header_map(answer.headers());
    let Ok(collected) = BodyExt::collect(answer.into_body()).await else {
        return (Status::unavailable("connection reset"), Vec::new());
    };
    let tail = collected.trailers().and_then(Status::from_header_map);
    let mut buffer = BytesMut::from(collected.to_bytes().as_ref());
    let messages = std::iter::from_fn(|| unframe(&mut buffer)).collect();
    (head.or(tail).unwrap_or_else(|| Status::ok("")), messages)
}

/// A stream's frames, each message with the target's name appended; a failure as one more message.
fn renamed(target: String, body: wire::Body) -> impl futures::Stream<Item = Bytes> + Send {
    let start = (body, BytesMut::new(), target, false);
    futures::stream::unfold(start, |(mut body, mut buffer, target, over)| async move {
        loop {
            if let Some(message) = unframe(&mut buffer) {
                let bytes = frame(&[message.as_ref(), field(1, &metadata(&target, None)).as_slice()].concat());
                return Some((bytes, (body, buffer, target, over)));
            }
            if over {
                return None;
            }
            match body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => buffer.extend_from_slice(&data),
                    Err(frame) => {
                        let status = frame.trailers_ref().and_then(Status::from_header_map);
                        let failed = status.filter(|status| status.code() != Code::Ok)?;
                        let bytes = self::frame(&failure(&target, &failed, true));
                        return Some((bytes, (body, buffer, target, true)));
                    }
                },
                _ => return None,
            }
        }
    })
}

fn metadata(target: &str, failed: Option<&Status>) -> Vec<u8> {
    let status = failed.map(|status| common::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    });
    let error = failed.map(|status| format!("rpc error: code = {:?} desc = {}", status.code(), status.message()));
    common::Metadata { hostname: target.to_owned(), error: error.unwrap_or_default(), status }.encode_to_vec()
}

/// A length-delimited field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap_or(0));
    field.extend_from_slice(content);
    field
}

/// A reply whose `messages` (field 1) each have the target's name appended.
fn with_metadata(reply: &[u8], target: &str) -> Vec<u8> {
    let extra = field(1, &metadata(target, None));
    let mut out = Vec::new();
    let mut rest = reply;
    while let Some((0x0a, tail)) = rest.split_first() {
        let mut tail = tail;
        let Ok(length) = prost::decode_length_delimiter(&mut tail) else { break };
        let Some((message, next)) = tail.split_at_checked(length) else { break };
        out.extend(field(1, &[message, extra.as_slice()].concat()));
        rest = next;
    }
    out
}

/// What stands for a target that failed: nothing but metadata.
fn failure(target: &str, status: &Status, streamed: bool) -> Vec<u8> {
    let only = field(1, &metadata(target, Some(status)));
    if streamed { only } else { field(1, &only) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::talos::proto::machine::{Hostname, HostnameResponse};

    #[test]
    fn each_message_of_a_reply_gets_its_targets_name() {
        let long = "x".repeat(300);
        let message = Hostname { metadata: None, hostname: long.clone() };
        let reply = HostnameResponse { messages: vec![message] }.encode_to_vec();
        let merged = [with_metadata(&reply, "100.64.0.1"), failure("100.64.0.2", &Status::unavailable("gone"), false)];
        let merged = HostnameResponse::decode(merged.concat().as_slice()).unwrap();
        let names: Vec<_> = merged.messages.iter().map(|message| message.metadata.clone().unwrap().hostname).collect();
        assert_eq!(names, ["100.64.0.1", "100.64.0.2"]);
        assert_eq!(merged.messages[0].hostname, long);
        assert_eq!(merged.messages[1].metadata.as_ref().unwrap().status.as_ref().unwrap().code, 14);
    }

    #[test]
    fn frames_may_arrive_in_pieces() {
        let whole = [frame(b"one"), frame(b"two")].concat();
        let mut buffer = BytesMut::from(&whole[..7]);
        assert_eq!(unframe(&mut buffer), None);
        buffer.extend_from_slice(&whole[7..]);
        assert_eq!(unframe(&mut buffer).as_deref(), Some(b"one".as_slice()));
        assert_eq!(unframe(&mut buffer).as_deref(), Some(b"two".as_slice()));
        assert_eq!(unframe(&mut buffer), None);
    }
}
