//! A zone at Cloudflare without a plan's limits, over TLS on loopback: the calls that DNS controllers make, each taken as the
//! world's emulator takes it (and its judges with it), over a store that holds more than a hundred thousand records.

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use contracts::{Authority, Leaf};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Its name.
pub const ZONE: &str = "bench.test";
const ID: &str = "023e105f4ecef8ad9ca31a8372d0c353";
/// The most that a page holds, as external-dns documents it.
const PAGE_MOST: usize = 5_000;
const BODY_BYTES_MOST: usize = 64 << 20;

/// A record as it is listed.
#[derive(Clone, Serialize)]
struct Record {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    content: String,
    ttl: u32,
    proxied: bool,
    proxiable: bool,
    comment: Option<String>,
    tags: [String; 0],
    settings: BTreeMap<String, bool>,
    meta: BTreeMap<String, bool>,
    created_on: &'static str,
    modified_on: &'static str,
}

/// What somebody asks for; what is missing stays as it is, or is as it is by default.
#[derive(Default, Deserialize)]
struct Draft {
    #[serde(default)]
    id: String,
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    content: Option<String>,
    ttl: Option<f64>,
    proxied: Option<bool>,
    comment: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Batch {
    deletes: Vec<Draft>,
    patches: Vec<Draft>,
    puts: Vec<Draft>,
    posts: Vec<Draft>,
}

/// Calls that were made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    pub reads: usize,
    /// Calls that change something.
    pub writes: usize,
    /// Records that they changed.
    pub changes: usize,
}

#[derive(Default)]
struct Store {
    /// By name, and the order in which they came.
    records: BTreeMap<(String, u64), Record>,
    names: BTreeMap<String, (String, u64)>,
    last: u64,
    calls: Calls,
    /// Records of each kind and content.
    holding: BTreeMap<(String, String), usize>,
    /// When an address left a name.
    left: BTreeMap<(String, String), Instant>,
}

type Refusal = (u16, u32, &'static str);
const GONE: Refusal = (404, 81_044, "Record does not exist.");
const UNREADABLE: Refusal = (400, 9_207, "Request body is invalid.");

impl Store {
    fn insert(&mut self, draft: Draft) -> Result<Value, Refusal> {
        let (Some(name), Some(kind), Some(content)) = (draft.name, draft.kind, draft.content) else {
            return Err(UNREADABLE);
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        for (_, other) in self.records.range((name.clone(), 0)..=(name.clone(), u64::MAX)) {
            if other.kind == kind && other.content == content {
                return Err((400, 81_058, "An identical record already exists."));
            }
            let alias = |kind: &str| kind == "CNAME";
            let address = |kind: &str| kind == "A" || kind == "AAAA";
            if alias(&kind) && (address(&other.kind) || alias(&other.kind)) || address(&kind) && alias(&other.kind) {
                return Err((400, 81_053, "An A, AAAA, or CNAME record with that host already exists."));
            }
        }
        self.last += 1;
        let record = Record {
            id: format!("{:032x}", self.last),
            name: name.clone(),
            proxiable: kind != "TXT",
            kind,
            content,
            ttl: number(draft.ttl),
            proxied: draft.proxied.unwrap_or_default(),
            comment: draft.comment.filter(|comment| !comment.is_empty()),
            tags: [],
            settings: BTreeMap::new(),
            meta: BTreeMap::new(),
            created_on: "2026-12-01T08:00:00Z",
            modified_on: "2026-12-01T08:00:00Z",
        };
        let key = (name, self.last);
        *self.holding.entry((record.kind.clone(), record.content.clone())).or_default() += 1;
        self.left.remove(&(record.name.clone(), record.content.clone()));
        self.names.insert(record.id.clone(), key.clone());
        let shown = json!(record);
        self.records.insert(key, record);
        Ok(shown)
    }

    #[allow(clippy::disallowed_methods, reason = "the moment is what is measured")]
    fn remove(&mut self, id: &str) -> Result<Record, Refusal> {
        let key = self.names.remove(id).ok_or(GONE)?;
        let record = self.records.remove(&key).ok_or(GONE)?;
        let held = (record.kind.clone(), record.content.clone());
        *self.holding.get_mut(&held).unwrap() -= 1;
        self.left.insert((record.name.clone(), record.content.clone()), Instant::now());
        Ok(record)
    }

    /// Puts a draft in a record's place; `keeps` what the draft does not say.
    fn replace(&mut self, mut draft: Draft, keeps: bool) -> Result<Value, Refusal> {
        let old = self.remove(&draft.id)?;
        draft.name = draft.name.or(Some(old.name));
        draft.kind = draft.kind.or(Some(old.kind));
        draft.content = draft.content.or(Some(old.content));
        if keeps {
            draft.ttl = draft.ttl.or(Some(old.ttl.into()));
            draft.proxied = draft.proxied.or(Some(old.proxied));
            draft.comment = draft.comment.or(old.comment);
        }
        let (id, shown) = (draft.id.clone(), self.insert(draft)?);
        // It keeps its id.
        let key = self.names.remove(shown["id"].as_str().unwrap()).unwrap();
        self.records.get_mut(&key).unwrap().id.clone_from(&id);
        self.names.insert(id, key.clone());
        Ok(json!(self.records[&key]))
    }

    /// In Cloudflare's order. What fails has no effect here but in a bench that has failed: it is told, and told loudly.
    fn batch(&mut self, batch: Batch) -> Result<Value, Refusal> {
        let changed = batch.deletes.len() + batch.patches.len() + batch.puts.len() + batch.posts.len();
        let unknown = |draft: &&Draft| !self.names.contains_key(&draft.id);
        if batch.deletes.iter().chain(&batch.patches).chain(&batch.puts).find(unknown).is_some() {
            return Err(GONE);
        }
        let deletes: Result<Vec<Value>, _> =
            batch.deletes.iter().map(|draft| self.remove(&draft.id).map(|record| json!(record))).collect();
        let patches: Result<Vec<Value>, _> = batch.patches.into_iter().map(|draft| self.replace(draft, true)).collect();
        let puts: Result<Vec<Value>, _> = batch.puts.into_iter().map(|draft| self.replace(draft, false)).collect();
        let posts: Result<Vec<Value>, _> = batch.posts.into_iter().map(|draft| self.insert(draft)).collect();
        self.calls.changes += changed;
        Ok(json!({"deletes": deletes?, "patches": patches?, "puts": puts?, "posts": posts?}))
    }
}

fn number(ttl: Option<f64>) -> u32 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a TTL is 1 to 86,400")]
    ttl.map_or(1, |ttl| ttl as u32)
}

/// The zone, served.
pub struct Zone {
    /// For `CLOUDFLARE_BASE_URL`.
    pub url: String,
    store: Arc<Mutex<Store>>,
}

impl Zone {
    /// Serves one on a thread of its own, for as long as the program runs.
    #[allow(clippy::disallowed_methods, reason = "who is measured shall not wait for who measures")]
    pub fn serve(authority: &Authority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/client/v4", listener.local_addr().unwrap().port());
        listener.set_nonblocking(true).unwrap();
        let (store, tls) = (Arc::new(Mutex::new(Store::default())), tls(&authority.server(&["localhost"])));
        let router = Router::new().fallback(answer).with_state(store.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(accept(listener, &tls, &router));
        });
        Zone { url, store }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    /// How many records of that kind have that content.
    pub fn holding(&self, kind: &str, content: &str) -> usize {
        self.store().holding.get(&(kind.to_owned(), content.to_owned())).copied().unwrap_or_default()
    }

    /// Contents of a name's records of one kind.
    pub fn at(&self, name: &str, kind: &str) -> Vec<String> {
        let store = self.store();
        let at = store.records.range((name.to_owned(), 0)..=(name.to_owned(), u64::MAX));
        at.filter(|(_, record)| record.kind == kind).map(|(_, record)| record.content.clone()).collect()
    }

    /// When an address left a name, if it has.
    pub fn left(&self, name: &str, content: &str) -> Option<Instant> {
        self.store().left.get(&(name.to_owned(), content.to_owned())).copied()
    }

    /// Calls since the last time that this was asked.
    pub fn calls(&self) -> Calls {
        std::mem::take(&mut self.store().calls)
    }

    /// Empties it, as if it had just been bought.
    pub fn clear(&self) {
        *self.store() = Store::default();
    }
}

fn tls(leaf: &Leaf) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key_der.clone()));
    let chain = vec![CertificateDer::from(leaf.certificate_der.clone())];
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: TcpListener, tls: &TlsAcceptor, router: &Router) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, service) = (tls.clone(), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            // Clients end as they like.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(State(store): State<Arc<Mutex<Store>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MOST).await else { return refusal(UNREADABLE) };
    let path = parts.uri.path().trim_start_matches("/client/v4").trim_matches('/').to_owned();
    let path: Vec<&str> = path.split('/').collect();
    let query: BTreeMap<&str, &str> =
        parts.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')).collect();
    let mut store = store.lock().unwrap();
    let is_read = parts.method == "GET";
    if is_read {
        store.calls.reads += 1
    } else {
        store.calls.writes += 1
    }
    let said = match (parts.method.as_str(), path.as_slice()) {
        ("GET", ["zones"]) => Ok(zones(&query)),
        ("GET", ["zones", ID]) => Ok(success(&zone())),
        ("GET", ["zones", ID, "dns_records"]) => Ok(page(&store, &query)),
        ("POST", ["zones", ID, "dns_records", "batch"]) => {
            read(&body).and_then(|batch| store.batch(batch)).map(|result| success(&result))
        }
        (method, ["zones", ID, "dns_records", rest @ ..]) => {
            single(&mut store, method, rest, &body).map(|result| success(&result))
        }
        _ => Err((404, 7_003, "Could not route to the path, perhaps your object identifier is invalid?")),
    };
    match said {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(refused) => {
            println!("the zone refuses {} {}: {refused:?}", parts.method, parts.uri.path());
            refusal(refused)
        }
    }
}

fn read<T: for<'a> Deserialize<'a>>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| UNREADABLE)
}

/// A change of one record is a batch of one.
fn single(store: &mut Store, method: &str, rest: &[&str], body: &Bytes) -> Result<Value, Refusal> {
    let id = rest.first().copied().unwrap_or_default().to_owned();
    let draft = if body.is_empty() { Draft::default() } else { read(body)? };
    let draft = vec![Draft { id, ..draft }];
    let batch = match method {
        "POST" => Batch { posts: draft, ..Batch::default() },
        "PATCH" => Batch { patches: draft, ..Batch::default() },
        "PUT" => Batch { puts: draft, ..Batch::default() },
        "DELETE" => Batch { deletes: draft, ..Batch::default() },
        _ => return Err((405, 10_405, "Method not allowed for this authentication scheme")),
    };
    let made = store.batch(batch)?;
    let one = made.as_object().into_iter().flat_map(|lists| lists.values()).find_map(|list| list.get(0).cloned());
    one.ok_or(GONE)
}

fn success(result: &Value) -> String {
    json!({"success": true, "errors": [], "messages": [], "result": result}).to_string()
}

fn refusal((status, code, message): Refusal) -> Response {
    let body =
        json!({"success": false, "errors": [{"code": code, "message": message}], "messages": [], "result": null});
    (StatusCode::from_u16(status).unwrap(), [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn zone() -> Value {
    json!({
        "id": ID, "name": ZONE, "status": "active", "paused": false, "type": "full",
        "created_on": "2025-03-14T09:20:00Z", "account": {"id": ID, "name": "Bench"},
        "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:read"],
        "plan": {"id": ID, "name": "Enterprise Website", "legacy_id": "enterprise", "is_subscribed": true},
    })
}

fn numbered(query: &BTreeMap<&str, &str>, key: &str, default: usize) -> usize {
    query.get(key).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn zones(query: &BTreeMap<&str, &str>) -> String {
    let is_ours = query.get("name").is_none_or(|name| *name == ZONE) && numbered(query, "page", 1) == 1;
    let result: Vec<Value> = is_ours.then(zone).into_iter().collect();
    let count = result.len();
    json!({"success": true, "errors": [], "messages": [], "result": result,
        "result_info": {"page": 1, "per_page": 20, "count": count, "total_count": count, "total_pages": 1}})
    .to_string()
}

fn page(store: &Store, query: &BTreeMap<&str, &str>) -> String {
    let (number, size) = (numbered(query, "page", 1).max(1), numbered(query, "per_page", 100).clamp(1, PAGE_MOST));
    let records: Vec<&Record> = store.records.values().skip((number - 1) * size).take(size).collect();
    let (count, total) = (records.len(), store.records.len());
    let info = json!({"page": number, "per_page": size, "count": count, "total_count": total,
        "total_pages": total.div_ceil(size)});
    let records = serde_json::to_string(&records).unwrap();
    format!(r#"{{"success":true,"errors":[],"messages":[],"result":{records},"result_info":{info}}}"#)
}
