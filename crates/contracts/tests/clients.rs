//! `kubectl` and `helm`, unchanged, on the emulated API: served on real sockets, with living nodes and controllers.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, reason = "a served world and the programs that ask it have a thread each")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::{Authority, HOST, lone};
use greenhouse::{Greenhouse, Options};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;
use wire::{Rng, Time};

const MANIFEST: &str = include_str!("clients/web.yaml");
const ROSES: &str = include_str!("clients/roses.yaml");

/// An emulated cluster of two nodes on loopback, and a folder with a kubeconfig. Both go with it.
struct Served {
    folder: PathBuf,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("bouquet-clients-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (authority, world) = (Authority::new(), folder.join("world"));
        let admin = authority.client("admin", &["system:masters"]);
        let (ready, is_ready) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (pem, place) = (authority.pem.clone(), world.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let options = Options { speed: 60.0, ..Options::default() };
                let greenhouse = Greenhouse::new(&options, Time::system(Rng::seeded(1))).unwrap();
                lone(&greenhouse, &authority, &["rose", "lily"]);
                let serving = greenhouse.serve(&place, ([127, 0, 0, 1], 0).into()).await.unwrap();
                ready.send(()).unwrap();
                let _ = stopped.await;
                serving.shutdown().await;
            });
        });
        is_ready.recv().unwrap();
        let env = fs::read_to_string(world.join("env")).unwrap();
        let proxy = env.lines().find_map(|line| line.strip_prefix("export BOUQUET_MESH_PROXY=")).unwrap();
        let proxy = proxy.trim_matches('\'').replace("socks5h://", "http://");
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: 'https://{HOST}:6443', proxy-url: '{proxy}', certificate-authority-data: {}}}}}]\n\
             users: [{{name: u, user: {{client-certificate-data: {}, client-key-data: {}}}}}]\n",
            STANDARD.encode(pem),
            STANDARD.encode(admin.certificate_pem),
            STANDARD.encode(admin.key_pem),
        );
        fs::write(folder.join("kubeconfig"), kubeconfig).unwrap();
        Served { folder, stop: Some(stop), thread: Some(thread) }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs a client to its end; its exit code and what it printed.
    fn run(&self, program: &Path, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder).env("HOME", &self.folder);
        command.env("KUBECONFIG", self.folder.join("kubeconfig"));
        for foreign in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(foreign);
        }
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(output.stdout) + &text(output.stderr))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A client's commands, counted.
struct Client<'a> {
    served: &'a Served,
    program: PathBuf,
    count: std::cell::Cell<u64>,
}

impl Client<'_> {
    /// Runs words split at spaces; what was printed must have all of `parts`.
    #[track_caller]
    fn ends(&self, code: i32, words: &str, parts: &[&str]) -> String {
        let arguments: Vec<&str> = words.split_whitespace().collect();
        let (ended, said) = self.served.run(&self.program, &arguments);
        assert_eq!(ended, code, "{words}\n{said}");
        for part in parts {
            assert!(said.contains(part), "{words}: no {part:?} in\n{said}");
        }
        self.count.set(self.count.get() + 1);
        said
    }
}

#[test]
fn kubectl_works_on_the_emulator() {
    let Some(kubectl) = assets::needed("kubectl", "kubectl on the emulated API") else { return };
    let served = Served::new("kubectl");
    let kubectl = Client { served: &served, program: kubectl.path, count: 0.into() };
    kubectl.ends(0, "version", &["Server Version: v1.37.2"]);
    kubectl.ends(0, "api-resources", &["deployments", "configmaps", "customresourcedefinitions"]);
    kubectl.ends(0, "get nodes", &["NAME", "STATUS", "ROLES", "rose", "Ready", "control-plane", "v1.37.2"]);
    kubectl.ends(0, "get nodes -o wide", &["INTERNAL-IP", "100.64.0.1", "Talos (v1.14.6)"]);
    kubectl.ends(0, "describe node rose", &["Name:               rose", "KubeletReady", "100.64.0.1", "Allocatable:"]);
    kubectl.ends(0, "explain deployment.spec.replicas", &["KIND:", "Deployment", "replicas"]);
    let web = served.write("web.yaml", MANIFEST);
    kubectl.ends(1, &format!("diff -f {web}"), &["+  name: web"]);
    kubectl.ends(
        0,
        &format!("apply -f {web}"),
        &["deployment.apps/web created", "service/web created", "configmap/web created"],
    );
    kubectl.ends(0, &format!("apply -f {web}"), &["deployment.apps/web unchanged"]);
    kubectl.ends(0, &format!("diff -f {web}"), &[]);
    kubectl.ends(0, "wait --for=condition=Available deployment/web --timeout=60s", &["condition met"]);
    kubectl.ends(0, "rollout status deployment/web --timeout=60s", &["successfully rolled out"]);
    kubectl.ends(0, "get deployment web", &["READY", "UP-TO-DATE", "AVAILABLE", "2/2"]);
    kubectl.ends(0, "get pods -l app=web", &["READY", "RESTARTS", "1/1", "Running"]);
    kubectl.ends(0, "get service web", &["CLUSTER-IP", "80/TCP"]);
    kubectl.ends(0, "get configmap web -o yaml", &["kind: ConfigMap", "greeting: hello"]);
    kubectl.ends(1, "logs deployment/web", &["Error"]);
    let less = served.write("less.yaml", &MANIFEST.replace("replicas: 2", "replicas: 1").replace("hello", "good day"));
    kubectl.ends(0, &format!("apply -f {less}"), &["deployment.apps/web configured", "service/web unchanged"]);
    let mine = served.write("mine.yaml", &MANIFEST.replace("hello", "good night"));
    let apply = format!("apply --server-side --field-manager=mine -f {mine}");
    kubectl.ends(1, &apply, &["conflict", "kubectl-client-side-apply", ".data.greeting"]);
    kubectl.ends(0, &format!("{apply} --force-conflicts"), &["configmap/web serverside-applied"]);
    kubectl.ends(0, "get configmap web -o jsonpath={.data.greeting}", &["good night"]);
    kubectl.ends(0, "scale deployment web --replicas=3", &["deployment.apps/web scaled"]);
    kubectl.ends(0, "label configmap web team=garden", &["configmap/web labeled"]);
    kubectl.ends(0, "get configmaps -l team=garden -o name", &["configmap/web"]);
    kubectl.ends(0, "cordon lily", &["node/lily cordoned"]);
    kubectl.ends(0, "get node lily", &["SchedulingDisabled"]);
    kubectl.ends(
        0,
        "create configmap dry --from-literal=a=b --dry-run=server",
        &["configmap/dry created (server dry run)"],
    );
    kubectl.ends(1, "get configmap dry", &["Error from server (NotFound): configmaps \"dry\" not found"]);
    kubectl.ends(0, "auth can-i delete nodes", &["yes"]);
    let broken = served.write("broken.yaml", &MANIFEST.replace("replicas", "replicass"));
    kubectl.ends(1, &format!("apply -f {broken}"), &["unknown field \"spec.replicass\""]);
    let roses = served.write("roses.yaml", ROSES);
    kubectl.ends(
        0,
        &format!("apply -f {roses}"),
        &["customresourcedefinition.apiextensions.k8s.io/roses.example.com created"],
    );
    kubectl.ends(0, "wait --for=condition=Established crd/roses.example.com --timeout=30s", &["condition met"]);
    let rose = served
        .write("rose.yaml", "apiVersion: example.com/v1\nkind: Rose\nmetadata: {name: one}\nspec: {colour: red}\n");
    kubectl.ends(0, &format!("apply -f {rose}"), &["rose.example.com/one created"]);
    kubectl.ends(0, "get roses", &["COLOUR", "one", "red"]);
    kubectl.ends(0, &format!("delete -f {web} --wait=true --timeout=60s"), &["deployment.apps \"web\" deleted"]);
    kubectl.ends(1, "get deployment web", &["NotFound"]);
    assets::judged(&assets::Judgement {
        protocol: "Kubernetes API: kubectl",
        judge: "kubectl 1.37.1",
        covers: &[
            "get as tables, -o wide, yaml, jsonpath; describe, explain, wait, rollout status, logs refused",
            "apply client-side and server-side with conflicts, diff, scale, label, cordon, delete",
            "dry run by the server, strict validation, custom kinds",
        ],
        lacks: &["exec, port-forward, logs", "protobuf"],
        count: kubectl.count.get(),
        lies: &[],
    });
}

#[test]
fn helm_installs_upgrades_and_takes_away_a_chart() {
    let Some(helm) = assets::needed("helm", "helm on the emulated API") else { return };
    let served = Served::new("helm");
    served.write("chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\n");
    served.write("chart/values.yaml", "replicas: 2\n");
    served.write("chart/templates/web.yaml", &MANIFEST.replace("replicas: 2", "replicas: {{ .Values.replicas }}"));
    let helm = Client { served: &served, program: helm.path, count: 0.into() };
    helm.ends(0, "install web chart --wait --timeout 60s", &["STATUS: deployed", "REVISION: 1"]);
    helm.ends(0, "list", &["web", "deployed", "web-0.1.0"]);
    helm.ends(1, "install web chart", &["cannot re-use a name that is still in use"]);
    helm.ends(0, "upgrade web chart --set replicas=1 --wait --timeout 60s", &["STATUS: deployed", "REVISION: 2"]);
    helm.ends(0, "get manifest web", &["replicas: 1"]);
    helm.ends(0, "rollback web 1 --wait --timeout 60s", &["Rollback was a success"]);
    helm.ends(0, "get manifest web", &["replicas: 2"]);
    served.write("chart/templates/web.yaml", &MANIFEST.replace("web:1", "web:2"));
    helm.ends(0, "upgrade web chart --wait --timeout 60s", &["STATUS: deployed", "REVISION: 4"]);
    helm.ends(0, "rollback web --wait --timeout 60s", &["Rollback was a success"]);
    helm.ends(0, "get manifest web", &["example.com/web:1"]);
    helm.ends(0, "history web", &["superseded", "deployed", "Rollback to 1", "Rollback to 3"]);
    helm.ends(0, "uninstall web --wait --timeout 60s", &["uninstalled"]);
    assert!(!helm.ends(0, "list", &[]).contains("web-0.1.0"));
    assets::judged(&assets::Judgement {
        protocol: "Kubernetes API: helm",
        judge: "helm 3.22.0",
        covers: &["install, list, upgrade, rollback, history, uninstall of a small chart, waiting for its pods"],
        lacks: &["hooks", "charts with custom kinds"],
        count: helm.count.get(),
        lies: &[],
    });
}
