//! A cluster without machines: a real API server, what stands in it, and programs that look at it from this machine.

use crate::authority::Authority;
use crate::control_plane::{ControlPlane, Folder, Running};
use crate::side::Side;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);
/// Where the watcher lives.
const SYSTEM: &str = "bouquet-system";

/// The real API server, the admin's hand on it, and a folder for what programs read and write.
pub struct Stage {
    pub plane: Arc<ControlPlane>,
    pub hand: Hand,
    authority: Authority,
    folder: Folder,
}

/// Puts objects where they belong.
#[derive(Clone)]
pub struct Hand(kube::Client);

/// A program that runs as a pod would. Dropped, it is gone.
pub struct Pod {
    running: Running,
    log: PathBuf,
}

impl Stage {
    /// To be called in the runtime that will use it.
    pub async fn new(authority: Authority, plane: ControlPlane) -> Self {
        let plane = Arc::new(plane);
        let side = Side::real(&authority, &plane).await;
        let folder = std::env::temp_dir().join(format!("bouquet-stage-{}-{}", std::process::id(), plane.port));
        fs::create_dir_all(&folder).unwrap();
        Stage { hand: Hand(side.client("admin").clone()), plane, authority, folder: Folder(folder) }
    }

    /// Writes a file; its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A kubeconfig for a service account of [`SYSTEM`], with a token as its pods have one.
    pub async fn kubeconfig_of(&self, account: &str) -> PathBuf {
        let path = format!("/api/v1/namespaces/{SYSTEM}/serviceaccounts/{account}/token");
        let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": 7200}});
        let answer = self.hand.call("POST", &path, &asked).await.unwrap();
        let token = answer["status"]["token"].as_str().unwrap();
        self.kubeconfig(account, &format!("token: {token}"))
    }

    /// A kubeconfig for the admin.
    pub fn kubeconfig_of_admin(&self) -> PathBuf {
        let leaf = self.authority.client("admin", &["system:masters"]);
        let (chain, key) = (STANDARD.encode(leaf.certificate_pem), STANDARD.encode(leaf.key_pem));
        self.kubeconfig("admin", &format!("client-certificate-data: {chain}, client-key-data: {key}"))
    }

    fn kubeconfig(&self, name: &str, user: &str) -> PathBuf {
        let (port, ca) = (self.plane.port, STANDARD.encode(&self.authority.pem));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority-data: {ca}}}}}]\n\
             users: [{{name: u, user: {{{user}}}}}]\n"
        );
        self.write(&format!("kubeconfig-{name}"), &text)
    }

    /// Starts a program; what it says goes to a file.
    pub fn start(&self, name: &str, command: &mut Command) -> Pod {
        let log = self.folder.0.join(format!("{name}.log"));
        let (out, err) = (File::create(&log).unwrap(), File::options().append(true).open(&log).unwrap());
        for foreign in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
            command.env_remove(foreign);
        }
        let child = command.current_dir(&self.folder.0).stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        Pod { running: Running(child.unwrap()), log }
    }

    /// Waits until it is so; how long that took.
    #[allow(clippy::disallowed_methods, reason = "real programs take real time")]
    pub async fn until(&self, what: &str, limit: Duration, is_so: impl AsyncFn() -> bool) -> Duration {
        let began = Instant::now();
        while !is_so().await {
            assert!(began.elapsed() < limit, "after {limit:?} still not: {what}\n{}", self.told());
            tokio::time::sleep(POLL).await;
        }
        began.elapsed()
    }

    /// The last words of every program.
    fn told(&self) -> String {
        let files = fs::read_dir(&self.folder.0).unwrap().flatten().map(|entry| entry.path());
        let logs = files.filter(|path| path.extension().is_some_and(|ending| ending == "log"));
        logs.map(|log| format!("{}:\n{}\n", log.display(), tail(&log))).collect()
    }
}

/// A program of this workspace, as `cargo build` has left it beside the tests.
///
/// # Panics
/// If it has not been built.
pub fn own(name: &str) -> PathBuf {
    let itself = std::env::current_exe().unwrap();
    let path = itself.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "{} is missing: cargo build --workspace --bins", path.display());
    path
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

impl Pod {
    /// The process's id.
    pub fn id(&self) -> u32 {
        self.running.0.id()
    }

    /// What it has said.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// One line of the kernel's account of its memory, in KiB: `VmRSS`, or `VmHWM` for the most that it ever had.
    pub fn memory_kib(&self, line: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|at| at.strip_prefix(line)?.strip_prefix(':'))?;
        line.trim().trim_end_matches(" kB").trim().parse().ok()
    }
}

/// Plurals that are not a name and an `s`.
fn plural(kind: &str) -> String {
    let name = kind.to_ascii_lowercase();
    if name.ends_with('s') { format!("{name}es") } else { format!("{name}s") }
}

fn path_of(object: &Value) -> String {
    let text = |at: &Value| at.as_str().unwrap_or_default().to_owned();
    let version = text(&object["apiVersion"]);
    let root = if version.contains('/') { "apis" } else { "api" };
    let space = object["metadata"]["namespace"].as_str().map(|name| format!("/namespaces/{name}")).unwrap_or_default();
    let kind = plural(&text(&object["kind"]));
    format!("/{root}/{version}{space}/{kind}/{}", text(&object["metadata"]["name"]))
}

impl Hand {
    /// The client itself.
    pub fn client(&self) -> &kube::Client {
        &self.0
    }

    /// Any call, with or without a body.
    pub async fn call(&self, method: &str, path: &str, body: &Value) -> kube::Result<Value> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
        self.0.request(request.body(body).unwrap()).await
    }

    /// What is there.
    pub async fn get(&self, path: &str) -> kube::Result<Value> {
        self.call("GET", path, &Value::Null).await
    }

    /// Makes it as it stands here, or changes it to that.
    pub async fn apply(&self, object: &Value) {
        self.apply_at(&path_of(object), object.to_string()).await;
    }

    /// The same for one that says itself where it belongs.
    pub async fn apply_at(&self, path: &str, object: String) {
        let uri = format!("{path}?fieldManager=admin&force=true");
        let request = http::Request::patch(uri).header("content-type", "application/apply-patch+yaml");
        let applied: kube::Result<Value> = self.0.request(request.body(object.into_bytes()).unwrap()).await;
        applied.unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Its status, as whoever is in charge of it would write it.
    pub async fn tell(&self, object: &Value, status: &Value) {
        let path = format!("{}/status", path_of(object));
        self.call("PATCH", &path, &json!({"status": status})).await.unwrap();
    }

    /// Removes it.
    pub async fn remove(&self, object: &Value) {
        self.call("DELETE", &path_of(object), &Value::Null).await.unwrap();
    }
}
