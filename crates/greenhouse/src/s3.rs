//! Hetzner Object Storage: an S3 server of the Ceph kind, one a location, all of one project behind one pair of keys.
//!
//! ```text
//! bytes ──signature──▶ who · chunks ──▶ body · call ──▶ bucket, key ──▶ buckets · objects · multipart ──▶ XML
//! ```
//!
//! Buckets are private, unversioned and without policies; what is asked of the rest of S3 is refused as `NotImplemented`,
//! never silently ignored. Bucket names are unique over all locations; a bucket is seen at its own location only.

mod buckets;
mod call;
mod checksum;
mod chunks;
mod conditions;
mod escape;
mod listing;
mod multipart;
mod objects;
mod refusal;
mod signature;
mod xml;

use crate::world::{State as Everything, World};
use axum::Router;
use axum::extract::{Request, State as Handle};
use axum::response::Response;
use bytes::Bytes;
use call::Call;
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use refusal::{Answer, Refusal};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use wire::Rng;

/// Locations with Object Storage.
const LOCATIONS: &[&str] = &["fsn1", "nbg1", "hel1"];
/// What every host name of the service ends with.
const DOMAIN: &str = "your-objectstorage.com";
/// The XML namespace of every answer but errors.
const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// Larger requests are refused: what this world stores is in memory. The vendor's own limit is 5 GiB.
const BODY_BYTES_MAX: usize = 1 << 30;

/// Lies that the emulator can tell.
pub(crate) const LIES: &[crate::Lie] = &[
    ("s3-signature-unchecked", "any signature will do"),
    ("s3-skew-forgiven", "a clock may be off by any amount"),
    ("s3-expired-url", "a presigned URL is good for ever"),
    ("s3-digest-unchecked", "a body need not be the one that was signed"),
    ("s3-checksum-unchecked", "a checksum need not be that of the body"),
    ("s3-checksum-lost", "nobody is given the checksum that came with an object"),
    ("s3-range-off-by-one", "a range ends one byte early"),
    ("s3-put-overwrites", "`if-none-match: *` is ignored on a put"),
    ("s3-put-anyhow", "`if-match` is ignored on a put"),
    ("s3-pages-end-early", "no listing says that there is more"),
    ("s3-page-repeats", "a page begins with the last key of the one before it"),
    ("s3-delimiter-ignored", "no keys have a common prefix"),
    ("s3-etag-of-the-whole", "the tag of what came in parts is its MD5"),
    ("s3-parts-unordered", "parts may be put together in any order"),
    ("s3-small-parts", "a part may be of any size"),
    ("s3-copy-without-metadata", "a copy has no metadata"),
    ("s3-last-key-kept", "of several keys that are deleted the last one stays"),
    ("s3-full-bucket-deleted", "a bucket goes with all that is in it"),
];

/// Buckets and their objects, and who may see them.
pub(crate) struct State {
    keys: Keys,
    buckets: BTreeMap<String, Bucket>,
    rng: Rng,
    answered: u64,
}

/// A pair of S3 keys, as the vendor's console makes it.
struct Keys {
    access: String,
    secret: String,
}

struct Bucket {
    location: &'static str,
    created: Timestamp,
    objects: BTreeMap<String, objects::Object>,
    /// By upload id.
    uploads: BTreeMap<String, multipart::Upload>,
}

impl State {
    pub(crate) fn new(rng: &Rng) -> Self {
        const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let keys = Keys { access: rng.child("access").text(UPPER, 20), secret: rng.child("secret").text(ALNUM, 40) };
        State { keys, buckets: BTreeMap::new(), rng: rng.child("draws"), answered: 0 }
    }

    /// Each request has an id; Ceph's look like this.
    fn request_id(&mut self) -> String {
        self.answered += 1;
        format!(
            "tx{:021x}-{:010x}-nbg1-prod1-ceph3",
            self.rng.child("request").next_u64() ^ self.answered,
            self.answered
        )
    }
}

/// One location of the service.
#[derive(Clone)]
struct Site {
    world: World,
    location: &'static str,
}

/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`.
pub(crate) fn credentials(state: &Everything) -> Vec<(&'static str, String)> {
    let keys = &state.s3.keys;
    vec![("AWS_ACCESS_KEY_ID", keys.access.clone()), ("AWS_SECRET_ACCESS_KEY", keys.secret.clone())]
}

/// Puts `{fsn1,nbg1,hel1}.your-objectstorage.com` on the internet, and every bucket's own name under it.
pub(crate) fn mount(world: &World) {
    for location in LOCATIONS {
        let router = Router::new().fallback(serve).with_state(Site { world: world.clone(), location });
        let host = format!("{location}.{DOMAIN}");
        world.with(|state| {
            state.net.mount(&format!("*.{host}"), "s3", router.clone());
            state.net.mount(&host, "s3", router);
        });
    }
}

/// Adds `s3_buckets`.
pub(crate) fn inventory(state: &Everything, kinds: &mut Map<String, Value>) {
    let buckets = state.s3.buckets.iter().map(|(name, bucket)| {
        let objects = bucket.objects.iter();
        let objects = objects.map(|(key, object)| json!({"key": key, "size": object.bytes.len(), "etag": object.etag}));
        let mut uploads: Vec<&str> = bucket.uploads.values().map(|upload| upload.key.as_str()).collect();
        uploads.sort_unstable();
        json!({
            "id": name, "location": bucket.location, "objects": objects.collect::<Vec<_>>(), "uploads": uploads,
        })
    });
    kinds.insert("s3_buckets".into(), buckets.collect());
}

async fn serve(Handle(site): Handle<Site>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map(http_body_util::Collected::to_bytes);
    let is_head = head.method == http::Method::HEAD;
    let mut bucket = String::new();
    let answer = match body {
        Ok(body) => answer(&site, &head, &body, &mut bucket),
        Err(_) => Err(Refusal::of("EntityTooLarge")),
    };
    let id = site.world.with(|state| state.s3.request_id());
    let mut response = answer.unwrap_or_else(|refusal| refusal.response(&bucket, &id, is_head));
    if let Ok(id) = id.parse() {
        response.headers_mut().insert("x-amz-request-id", id);
    }
    response
}

fn answer(site: &Site, head: &http::request::Parts, body: &Bytes, name: &mut String) -> Answer {
    let call = site.world.with(|state| Call::read(head, body, &state.s3.keys, state.now(), &state.lies))?;
    name.clone_from(&call.bucket);
    if call.is_trailing && site.world.fault("s3", "no-trailers", &call.bucket).is_some() {
        return Err(Refusal::of("XAmzContentSHA256Mismatch"));
    }
    site.world.with(|state| {
        let now = state.now();
        let mut desk = Desk { location: site.location, now, s3: &mut state.s3 };
        match (call.bucket.is_empty(), call.key.is_empty()) {
            (true, _) => buckets::service(&desk, &call),
            (false, true) => buckets::bucket(&mut desk, &call),
            (false, false) => objects::object(&mut desk, &call),
        }
    })
}

/// What a call is answered from: the service as one location shows it, at one moment.
struct Desk<'a> {
    location: &'static str,
    now: Timestamp,
    s3: &'a mut State,
}

impl Desk<'_> {
    fn find(&self, name: &str) -> Result<&Bucket, Refusal> {
        let found = self.s3.buckets.get(name).filter(|bucket| bucket.location == self.location);
        found.ok_or_else(|| Refusal::of("NoSuchBucket"))
    }

    fn find_mut(&mut self, name: &str) -> Result<&mut Bucket, Refusal> {
        let location = self.location;
        let found = self.s3.buckets.get_mut(name).filter(|bucket| bucket.location == location);
        found.ok_or_else(|| Refusal::of("NoSuchBucket"))
    }
}

#[cfg(test)]
mod tests;
