//! The examples of Amazon's own signature documents, and the server's rooms without the wire. boto3 judges the whole.

use super::call::Call;
use super::refusal::{Answer, Refusal};
use super::{Desk, Keys, State, buckets, objects, xml};
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use std::collections::BTreeSet;
use wire::Rng;

const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn amazons_keys() -> Keys {
    let (access, secret) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    Keys { access: access.into(), secret: secret.into() }
}

fn amazons_day() -> Timestamp {
    "2013-05-24T00:00:00Z".parse().unwrap()
}

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn authorization(signed: &str, signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},Signature={signature}"
    )
}

fn refused(head: &Parts, body: &Bytes, now: Timestamp) -> &'static str {
    Call::read(head, body, &amazons_keys(), now, &BTreeSet::new()).err().map_or("", |refusal| refusal.code)
}

#[test]
fn a_signature_in_headers_is_verified_as_amazon_computes_it() {
    let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    let authorization = authorization("host;range;x-amz-content-sha256;x-amz-date", signature);
    let headers = [
        ("host", "examplebucket.s3.amazonaws.com"),
        ("range", "bytes=0-9"),
        ("x-amz-content-sha256", SHA256_OF_NOTHING),
        ("x-amz-date", "20130524T000000Z"),
        ("authorization", &authorization),
    ];
    let (get, nothing) = (head("GET", "/test.txt", &headers), Bytes::new());
    assert_eq!(refused(&get, &nothing, amazons_day()), "");
    assert_eq!(refused(&get, &nothing, "2013-05-24T00:15:01Z".parse().unwrap()), "RequestTimeTooSkewed");
    assert_eq!(refused(&get, &Bytes::from("a body"), amazons_day()), "XAmzContentSHA256Mismatch");
    assert_eq!(refused(&head("GET", "/other.txt", &headers), &nothing, amazons_day()), "SignatureDoesNotMatch");
    assert_eq!(refused(&head("GET", "/test.txt", &[]), &nothing, amazons_day()), "AccessDenied");
}

#[test]
fn a_presigned_url_is_verified_until_it_expires() {
    let uri = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F\
               aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
               aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let host = [("host", "examplebucket.s3.amazonaws.com")];
    let (get, nothing) = (head("GET", uri, &host), Bytes::new());
    assert_eq!(refused(&get, &nothing, "2013-05-25T00:00:00Z".parse().unwrap()), "");
    assert_eq!(refused(&get, &nothing, "2013-05-25T00:00:01Z".parse().unwrap()), "AccessDenied");
    let longer = head("GET", &uri.replace("86400", "86401"), &host);
    assert_eq!(refused(&longer, &nothing, amazons_day()), "SignatureDoesNotMatch");
}

#[test]
fn signed_chunks_are_verified_one_by_one() {
    let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    let signed = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class";
    let authorization = authorization(signed, seed);
    let headers = [
        ("content-encoding", "aws-chunked"),
        ("content-length", "66824"),
        ("host", "s3.amazonaws.com"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("authorization", &authorization),
    ];
    let chunk = |data: &str, signature: &str| format!("{:x};chunk-signature={signature}\r\n{data}\r\n", data.len());
    let body = [
        chunk(&"a".repeat(65_536), "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        chunk(&"a".repeat(1024), "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        chunk("", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ]
    .concat();
    assert_eq!(body.len(), 66_824);
    let put = head("PUT", "/examplebucket/chunkObject.txt", &headers);
    let call = Call::read(&put, &body.clone().into(), &amazons_keys(), amazons_day(), &BTreeSet::new()).unwrap();
    assert_eq!(
        (call.body.len(), call.bucket.as_str(), call.key.as_str()),
        (66_560, "examplebucket", "chunkObject.txt")
    );
    let forged = body.replacen("aaaa", "aaab", 1);
    assert_eq!(refused(&put, &forged.into(), amazons_day()), "SignatureDoesNotMatch");
    let short = body.split_at(65_000).0.to_owned();
    assert_eq!(refused(&put, &short.into(), amazons_day()), "IncompleteBody");
}

/// The server, asked without a signature.
struct Room {
    state: State,
    now: Timestamp,
}

impl Room {
    fn new() -> Self {
        Room { state: State::new(&Rng::seeded(1)), now: "2026-12-01T08:00:00Z".parse().unwrap() }
    }

    fn at(&mut self, location: &'static str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        let mut all = HeaderMap::new();
        for (name, value) in headers.iter().chain(&[("content-length", "0")]) {
            all.insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let sum = headers.iter().find(|(name, _)| name.starts_with("x-amz-checksum-crc"));
        let call = Call {
            method: method.parse::<Method>().unwrap(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            query: super::escape::query(query),
            headers: all,
            body: Bytes::copy_from_slice(body.as_bytes()),
            checksum: sum.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            is_trailing: false,
            lies: BTreeSet::new(),
        };
        let mut desk = Desk { location, now: self.now, s3: &mut self.state };
        if key.is_empty() { buckets::bucket(&mut desk, &call) } else { objects::object(&mut desk, &call) }
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.at("nbg1", method, path, &[], body)
    }
}

fn code(answer: Answer) -> &'static str {
    answer.err().map_or("", |refusal: Refusal| refusal.code)
}

async fn read(answer: Answer) -> xml::Element {
    let body = answer.unwrap().into_body().collect().await.unwrap().to_bytes();
    xml::parse(std::str::from_utf8(&body).unwrap()).unwrap()
}

fn etag(response: &Response) -> &str {
    response.headers()["etag"].to_str().unwrap()
}

#[test]
fn a_bucket_is_seen_at_its_location_and_its_name_is_taken_everywhere() {
    let mut room = Room::new();
    assert_eq!(code(room.ask("PUT", "/garden", "")), "");
    assert_eq!(code(room.ask("PUT", "/garden", "")), "", "making one's own again is no error");
    assert_eq!(code(room.at("fsn1", "HEAD", "/garden", &[], "")), "NoSuchBucket");
    assert_eq!(code(room.at("fsn1", "PUT", "/garden", &[], "")), "BucketAlreadyExists");
    assert_eq!(code(room.ask("PUT", "/test", "")), "BucketAlreadyExists");
    assert_eq!(code(room.ask("PUT", "/garden?acl", "")), "NotImplemented");
    for number in 1..100 {
        assert_eq!(code(room.ask("PUT", &format!("/bed-{number}"), "")), "");
    }
    assert_eq!(code(room.ask("PUT", "/one-more", "")), "TooManyBuckets");
}

#[test]
fn nothing_has_no_checksum() {
    let mut room = Room::new();
    room.ask("PUT", "/garden", "").unwrap();
    let sum = ("x-amz-checksum-crc32", "mjOE9A==");
    let put = room.at("nbg1", "PUT", "/garden/rose", &[sum], "rose").unwrap();
    let mode = ("x-amz-checksum-mode", "ENABLED");
    let tag = etag(&put).to_owned();
    let whole = room.at("nbg1", "GET", "/garden/rose", &[mode], "").unwrap();
    assert!(whole.headers().contains_key(sum.0));
    // A client that is told one wants to check it against a body.
    let unchanged = room.at("nbg1", "GET", "/garden/rose", &[mode, ("if-none-match", &tag)], "").unwrap();
    assert_eq!((unchanged.status(), unchanged.headers().contains_key(sum.0)), (StatusCode::NOT_MODIFIED, false));
    let part = room.at("nbg1", "GET", "/garden/rose", &[mode, ("range", "bytes=1-2")], "").unwrap();
    assert_eq!((part.status(), part.headers().contains_key(sum.0)), (StatusCode::PARTIAL_CONTENT, false));
}

#[test]
fn a_conditional_put_writes_once() {
    let mut room = Room::new();
    room.ask("PUT", "/garden", "").unwrap();
    let if_none = [("if-none-match", "*")];
    assert_eq!(code(room.at("nbg1", "PUT", "/garden/lock", &if_none, "mine")), "");
    assert_eq!(code(room.at("nbg1", "PUT", "/garden/lock", &if_none, "thine")), "PreconditionFailed");
    assert_eq!(code(room.at("nbg1", "PUT", "/garden/none", &[("if-match", "\"0\"")], "")), "NoSuchKey");
    assert_eq!(room.state.buckets["garden"].objects["lock"].bytes, "mine");
}

#[tokio::test]
async fn an_upload_is_nothing_until_it_is_complete() {
    let mut room = Room::new();
    room.ask("PUT", "/garden", "").unwrap();
    let begun = read(room.ask("POST", "/garden/large?uploads", "")).await;
    let upload = begun.child("UploadId").unwrap();
    let large = "x".repeat(5 << 20);
    let mut tags = Vec::new();
    for (number, body) in [(1, large.as_str()), (2, "y")] {
        let put = room.ask("PUT", &format!("/garden/large?partNumber={number}&uploadId={upload}"), body).unwrap();
        tags.push(etag(&put).to_owned());
    }
    assert_eq!(code(room.ask("GET", "/garden/large", "")), "NoSuchKey");
    assert_eq!(code(room.ask("PUT", &format!("/garden/large?partNumber=0&uploadId={upload}"), "")), "InvalidArgument");
    let part =
        |number: usize| format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", tags[number - 1]);
    let path = format!("/garden/large?uploadId={upload}");
    let mut complete = |parts: &[usize]| {
        let parts: String = parts.iter().map(|number| part(*number)).collect();
        room.ask("POST", &path, &format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"))
    };
    assert_eq!(code(complete(&[2, 1])), "InvalidPartOrder");
    assert_eq!(code(complete(&[])), "MalformedXML");
    let done = read(complete(&[1, 2])).await;
    assert!(done.child("ETag").unwrap().ends_with("-2\""));
    assert_eq!(code(complete(&[1, 2])), "NoSuchUpload");
    assert_eq!(room.state.buckets["garden"].objects["large"].bytes.len(), (5 << 20) + 1);
}
