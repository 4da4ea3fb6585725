//! The real thing: etcd and kube-apiserver as processes of this machine, on loopback, for as long as their handle lives.

use crate::authority::Authority;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// From the first process to an answer on a busy machine; 3 s on an idle one.
const READY_WITHIN: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);
const AUDIT_LOG: &str = "audit.log";
/// A watch is noted when it begins, all else when it is answered.
const AUDIT_POLICY: &str =
    "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{ level: Metadata }]\n";

/// A running control plane. Dropped, it is gone with its processes and its folder, whatever the test came to.
pub struct ControlPlane {
    /// The API server's port on 127.0.0.1.
    pub port: u16,
    etcd: u16,
    folder: Folder,
    children: Mutex<Vec<Running>>,
}

/// Kills its process when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Removes itself when dropped; after the processes that write into it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl ControlPlane {
    /// Starts both programs; `None`, and said so, where a program is missing.
    /// Client certificates of `authority` are believed.
    pub fn start(authority: &Authority, what: &str) -> Option<Self> {
        Self::start_with(authority, what, |_| Vec::new())
    }

    /// The same, with an API server that writes down who asks for what; see [`ControlPlane::audited`].
    pub fn start_audited(authority: &Authority, what: &str) -> Option<Self> {
        Self::start_with(authority, what, |folder| {
            let (policy, log) = (folder.join("audit.yaml"), folder.join(AUDIT_LOG));
            fs::write(&policy, AUDIT_POLICY).unwrap();
            vec![format!("--audit-policy-file={}", policy.display()), format!("--audit-log-path={}", log.display())]
        })
    }

    fn start_with(authority: &Authority, what: &str, more: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (etcd, apiserver) = (assets::needed("etcd", what)?, assets::needed("kube-apiserver", what)?);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("bouquet-contracts-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let folder = Folder(folder);
        write_certificates(authority, &folder.0);
        let [etcd_port, peer_port, port] = free_ports();
        let plane = ControlPlane { port, etcd: etcd_port, folder, children: Mutex::default() };
        plane.run("etcd", etcd.command().args(etcd_flags(&plane.folder.0, etcd_port, peer_port)));
        let flags = [apiserver_flags(&plane.folder.0, etcd_port, port), more(&plane.folder.0)].concat();
        plane.run("kube-apiserver", apiserver.command().args(flags));
        Some(plane)
    }

    /// Every request of `user` (its full name) that the API server has written down; none where it was not told to.
    pub fn audited(&self, user: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.0.join(AUDIT_LOG)).unwrap_or_default();
        // The last line may be under way.
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["user"]["username"] == user).collect()
    }

    /// Compacts etcd up to the present; the API server then refuses older lists as expired.
    pub fn compact(&self) {
        let range = self.ask_etcd("/v3/kv/range", r#"{"key":"AA=="}"#);
        let revision = range.split("\"revision\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let said = self.ask_etcd("/v3/kv/compaction", &format!(r#"{{"revision":"{revision}","physical":true}}"#));
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }

    fn run(&self, name: &str, command: &mut Command) {
        let log = File::create(self.log(name)).unwrap();
        let (out, err) = (log.try_clone().unwrap(), log);
        let child = command.current_dir(&self.folder.0).stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        // The last to start is the first to end.
        self.children.lock().unwrap().insert(0, Running(child.unwrap()));
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.0.join(format!("{name}.log"))
    }

    /// Waits until `is_ready` says so, for as long as the processes live and the deadline allows.
    #[allow(clippy::disallowed_methods, reason = "real processes need real time")]
    pub(crate) async fn wait_until(&self, is_ready: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !is_ready().await {
            let ended = self.children.lock().unwrap().iter_mut().any(|child| child.0.try_wait().unwrap().is_some());
            if ended || began.elapsed() > READY_WITHIN {
                let said = ["etcd", "kube-apiserver"].map(|name| tail(&self.log(name)));
                panic!("the control plane is not ready after {:?}:\n{}\n{}", began.elapsed(), said[0], said[1]);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// etcd's JSON gateway, in plain HTTP.
    fn ask_etcd(&self, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.etcd)).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn write_certificates(authority: &Authority, folder: &Path) {
    let server = authority.server(&["127.0.0.1", "localhost"]);
    let accounts = authority.server(&["service-accounts"]);
    for (file, text) in [
        ("ca.crt", &authority.pem),
        ("server.crt", &server.certificate_pem),
        ("server.key", &server.key_pem),
        ("accounts.crt", &accounts.certificate_pem),
        ("accounts.key", &accounts.key_pem),
    ] {
        fs::write(folder.join(file), text).unwrap();
    }
}

fn etcd_flags(folder: &Path, port: u16, peer: u16) -> Vec<String> {
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
    vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ]
}

/// Service account admission is off: without a controller manager there is no `default` account that pods could run as.
fn apiserver_flags(folder: &Path, etcd: u16, port: u16) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".into(),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        format!("--service-account-key-file={}", file("accounts.crt")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        "--service-cluster-ip-range=10.96.0.0/12".into(),
        "--authorization-mode=RBAC".into(),
        "--anonymous-auth=false".into(),
        "--endpoint-reconciler-type=none".into(),
        "--disable-admission-plugins=ServiceAccount".into(),
        "--allow-privileged=true".into(),
        format!("--cert-dir={}", file("certs")),
    ]
}

/// Three at once, so that they differ.
fn free_ports() -> [u16; 3] {
    let held = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    format!("{}:\n{}", path.display(), lines[lines.len().saturating_sub(20)..].join("\n"))
}
