//! What Traefik knows of its cluster: lists, then watches, through its pod's own wire, as client-go's reflectors do.

use crate::program::Pod;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use wire::{Body, Roots, Route, Target, Tls};

const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const LIST_BYTES_MAX: usize = 64 << 20;
/// How long a list may take: client-go's dial timeout.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// client-go's back-off of a reflector whose server does not answer.
const BACKOFF_FIRST: Duration = Duration::from_millis(800);
const BACKOFF_MOST: Duration = Duration::from_secs(30);

const PATHS: [&str; 5] = [
    "/apis/networking.k8s.io/v1/ingressclasses",
    "/apis/networking.k8s.io/v1/ingresses",
    "/api/v1/services",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/api/v1/secrets",
];

/// Namespace and name → object.
pub(super) type Kind = BTreeMap<(String, String), Value>;

/// Everything that routes are made of.
#[derive(Clone, Default)]
pub(super) struct Snapshot {
    pub classes: Kind,
    pub ingresses: Kind,
    pub services: Kind,
    pub slices: Kind,
    pub secrets: Kind,
}

/// The objects, kept up to date while [`Objects::run`] runs.
pub(super) struct Objects {
    pod: Pod,
    /// By path; `None` before the first list.
    kinds: Arc<Mutex<[Option<Kind>; PATHS.len()]>>,
    changed: watch::Sender<u64>,
}

/// How a watch came to its end.
enum End {
    /// The server or the network ended it: list again.
    Over,
    Refused,
}

impl Objects {
    pub(super) fn watch(pod: &Pod) -> (Self, watch::Receiver<u64>) {
        let (changed, receiver) = watch::channel(0);
        (Objects { pod: pod.clone(), kinds: Arc::default(), changed }, receiver)
    }

    /// Whether everything has been listed once.
    pub(super) fn is_synced(&self) -> bool {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).iter().all(Option::is_some)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let [classes, ingresses, services, slices, secrets] = kinds.map(Option::unwrap_or_default);
        Snapshot { classes, ingresses, services, slices, secrets }
    }

    /// Follows the API for ever.
    pub(super) async fn run(&self) {
        let all = (0..PATHS.len()).map(|index| self.follow(index));
        futures::future::join_all(all).await;
    }

    async fn follow(&self, index: usize) {
        let mut pause = BACKOFF_FIRST;
        loop {
            let listed = self.pod.time.within(LIST_TIMEOUT, self.list(index)).await.ok().flatten();
            if let Some(version) = listed {
                pause = BACKOFF_FIRST;
                self.tail(index, version).await;
            }
            self.pod.time.sleep(pause).await;
            pause = (pause * 2).min(BACKOFF_MOST);
        }
    }

    async fn list(&self, index: usize) -> Option<String> {
        let path = PATHS.get(index)?;
        let answer = self.ask(path).await?;
        if answer.status() != 200 {
            return None;
        }
        let bytes = answer.into_body().collect(LIST_BYTES_MAX).await.ok()?;
        let list: Value = serde_json::from_slice(&bytes).ok()?;
        let items = list["items"].as_array()?.iter().map(|item| (key(item), item.clone())).collect();
        self.change(index, |kind| *kind = Some(items));
        list["metadata"]["resourceVersion"].as_str().map(str::to_owned)
    }

    /// Follows events until the watch ends; one that ends in peace goes on where it was.
    async fn tail(&self, index: usize, mut version: String) {
        while let End::Over = self.events(index, &mut version).await {}
    }

    async fn events(&self, index: usize, version: &mut String) -> End {
        let Some(path) = PATHS.get(index) else { return End::Refused };
        let path = format!("{path}?watch=1&allowWatchBookmarks=true&resourceVersion={version}");
        let Some(answer) = self.ask(&path).await.filter(|answer| answer.status() == 200) else { return End::Refused };
        let (mut body, mut rest) = (answer.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return End::Refused };
            rest.extend_from_slice(&frame.into_data().unwrap_or_else(|_| Bytes::new()));
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let Ok(event) = serde_json::from_slice::<Value>(&line) else { return End::Refused };
                if event["type"] == "ERROR" {
                    return End::Refused;
                }
                self.take(index, &event);
                if let Some(next) = event["object"]["metadata"]["resourceVersion"].as_str() {
                    next.clone_into(version);
                }
            }
        }
        End::Over
    }

    fn take(&self, index: usize, event: &Value) {
        let object = &event["object"];
        match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => self.change(index, |kind| {
                kind.get_or_insert_default().insert(key(object), object.clone());
            }),
            Some("DELETED") => self.change(index, |kind| {
                kind.get_or_insert_default().remove(&key(object));
            }),
            _ => {}
        }
    }

    fn change(&self, index: usize, work: impl FnOnce(&mut Option<Kind>)) {
        if let Some(kind) = self.kinds.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
            work(kind);
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// In-cluster configuration: the API's service, the cluster's authority, the account's token.
    async fn ask(&self, path: &str) -> Option<http::Response<Body>> {
        let file = |name: &str| self.pod.files.get(&format!("{ACCOUNT}/{name}"));
        let host = self.pod.env.get("KUBERNETES_SERVICE_HOST")?.clone();
        let port = self.pod.env.get("KUBERNETES_SERVICE_PORT")?.parse().ok()?;
        let authorities = pem::parse_many(file("ca.crt")?).ok()?.into_iter().map(pem::Pem::into_contents).collect();
        let tls = Tls { server_name: host.clone(), roots: Roots::Only(authorities), identity: None };
        let target = Target { route: Route::Direct, host, port, tls: Some(tls) };
        let token = String::from_utf8_lossy(file("token")?).into_owned();
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        let request = request.header("user-agent", "traefik/3.7.15").body(Body::default()).ok()?;
        self.pod.wire.call(&target, request).await.ok()
    }
}

fn key(object: &Value) -> (String, String) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}
