//! Traefik on every worker, as clients on the internet meet it.

use super::super::Programs;
use super::bench::{Bench, Said, ask, get, greeter};
use crate::talos::tests::rig::base64;
use crate::world::Options;
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::{Body, Error, Roots, Route, Target, Tls, Wire};

const LILY: &str = "198.51.100.2";
const TULIP: &str = "198.51.100.3";
const NOT_FOUND: &str = "404 page not found\n";

async fn traefik(bench: &Bench) {
    bench.create("/api/v1/namespaces", json!({"metadata": {"name": "ingress"}})).await;
    bench.create("/api/v1/namespaces/ingress/serviceaccounts", json!({"metadata": {"name": "traefik"}})).await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let any = |groups: &[&str], resources: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": ["get", "list", "watch"]});
    bench
        .create(
            &format!("{rbac}/clusterroles"),
            json!({
                "metadata": {"name": "traefik"},
                "rules": [
                    any(&[""], &["services", "secrets", "nodes"]), any(&["discovery.k8s.io"], &["endpointslices"]),
                    any(&["networking.k8s.io"], &["ingresses", "ingressclasses"]),
                ],
            }),
        )
        .await;
    bench
        .create(
            &format!("{rbac}/clusterrolebindings"),
            json!({
                "metadata": {"name": "traefik"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "traefik"},
                "subjects": [{"kind": "ServiceAccount", "name": "traefik", "namespace": "ingress"}],
            }),
        )
        .await;
    let labels = json!({"app": "traefik"});
    bench.create("/apis/apps/v1/namespaces/ingress/daemonsets", json!({
        "metadata": {"name": "traefik"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
            "serviceAccountName": "traefik",
            "containers": [{
                "name": "traefik", "image": "docker.io/library/traefik:v3.7.15@sha256:00",
                "args": [
                    "--entryPoints.web.address=:8000/tcp", "--entryPoints.websecure.address=:8443/tcp",
                    "--entryPoints.websecure.http.tls=true", "--ping", "--providers.kubernetesingress",
                    "--providers.kubernetesingress.ingressclass=traefik", "--providers.kubernetesingress.allowEmptyServices=true",
                ],
                "ports": [
                    {"name": "web", "containerPort": 8000, "hostPort": 80}, {"name": "websecure", "containerPort": 8443, "hostPort": 443},
                    {"name": "traefik", "containerPort": 8080},
                ],
                "readinessProbe": {"httpGet": {"path": "/ping", "port": "traefik"}},
            }],
        }}},
    })).await;
    bench
        .create(
            "/apis/networking.k8s.io/v1/ingressclasses",
            json!({
                "metadata": {"name": "traefik"}, "spec": {"controller": "traefik.io/ingress-controller"},
            }),
        )
        .await;
}

fn path(path: &str, kind: &str) -> Value {
    json!({"path": path, "pathType": kind, "backend": {"service": {"name": "web", "port": {"name": "http"}}}})
}

/// Traefik on both workers, `web` on tulip alone, and the Ingress `app.example` before it.
async fn bench() -> Bench {
    let said: Said = Said::default();
    let programs = Programs::default().with("registry.example/web", greeter(&said));
    let bench = Bench::with(Options { programs, ..Options::default() }, false).await;
    traefik(&bench).await;
    bench.web(json!({})).await;
    let only = json!({"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "tulip"}}}}});
    assert_eq!(bench.kube("PATCH", "/apis/apps/v1/namespaces/default/daemonsets/web", Some(only)).await.0, 200);
    let (crt, key) = bench.rig.secrets.os.server("app.example");
    bench.create("/api/v1/namespaces/default/secrets", json!({
        "metadata": {"name": "app"}, "type": "kubernetes.io/tls", "data": {"tls.crt": base64(crt), "tls.key": base64(key)},
    })).await;
    let ingresses = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
    bench
        .create(
            ingresses,
            json!({
                "metadata": {"name": "app"},
                "spec": {"ingressClassName": "traefik", "tls": [{"secretName": "app"}], "rules": [
                    {"host": "app.example", "http": {"paths": [path("/", "Prefix")]}},
                ]},
            }),
        )
        .await;
    bench.create(ingresses, json!({
        "metadata": {"name": "plain"},
        "spec": {"ingressClassName": "traefik", "rules": [{"host": "plain.example", "http": {"paths": [path("/x", "Exact")]}}]},
    })).await;
    bench.create(ingresses, json!({
        "metadata": {"name": "other"},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": "other.example", "http": {"paths": [path("/", "Prefix")]}}]},
    })).await;
    bench.rig.wait(60).await;
    bench
}

fn secured(bench: &Bench, node: &str, name: &str) -> Target {
    let roots = Roots::Only(vec![bench.rig.secrets.os.der()]);
    let tls = Some(Tls { server_name: name.into(), roots, identity: None });
    Target { route: Route::Direct, host: node.into(), port: 443, tls }
}

/// As a client who believes the authority of the Ingress' certificate.
async fn secure(bench: &Bench, node: &str, name: &str) -> Result<(u16, String), Error> {
    let target = secured(bench, node, name);
    let request = Request::get("/").header("host", name).body(Body::default()).unwrap();
    let wire = bench.rig.greenhouse.wire();
    let answer = bench.rig.greenhouse.world.time().within(Duration::from_mins(2), ask(&*wire, &target, request)).await;
    answer.unwrap_or(Err(Error::TimedOut("the client has given up".into())))
}

async fn plain(bench: &Bench, node: &str, host: &str, path: &str) -> Result<(u16, String), Error> {
    let request = Request::get(path).header("host", host).body(Body::default()).unwrap();
    ask(&*bench.rig.greenhouse.wire(), &Target::plain(node, 80), request).await
}

fn ok(node: &str) -> Result<(u16, String), Error> {
    Ok((200, node.to_owned()))
}

fn not_found() -> Result<(u16, String), Error> {
    Ok((404, NOT_FOUND.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_client_on_the_internet_reaches_an_ingress_through_each_node() {
    let bench = bench().await;
    for node in [LILY, TULIP] {
        assert_eq!(secure(&bench, node, "app.example").await, ok("tulip"), "{node}");
        assert_eq!(plain(&bench, node, "plain.example", "/x").await, ok("tulip"));
        assert_eq!(plain(&bench, node, "plain.example:80", "/x/y").await, not_found());
        assert_eq!(plain(&bench, node, "app.example", "/").await, not_found(), "its router has TLS");
        assert_eq!(plain(&bench, node, "other.example", "/").await, not_found(), "another class");
        let stranger = secure(&bench, node, "nobody.example").await;
        assert!(matches!(stranger, Err(Error::Tls { .. })), "the default certificate is nobody's: {stranger:?}");
        assert!(
            matches!(get(&*bench.rig.greenhouse.wire(), node, 8080, "/ping").await, Err(Error::Refused(_))),
            "not published"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_ingress_without_endpoints_is_unavailable_and_a_dead_endpoint_a_bad_gateway() {
    let bench = bench().await;
    bench.rig.greenhouse.kill("tulip").unwrap();
    let dead = secure(&bench, LILY, "app.example").await;
    assert_eq!(dead, Ok((504, "Gateway Timeout".into())), "until the cluster notices");
    bench.rig.wait(80).await;
    assert_eq!(secure(&bench, LILY, "app.example").await, Ok((503, "no available server\n".into())));
    assert!(matches!(secure(&bench, TULIP, "app.example").await, Err(Error::TimedOut(_))));
}

#[tokio::test(start_paused = true)]
async fn a_node_cut_from_its_api_keeps_its_routes_and_a_traefik_restarted_there_has_none() {
    let bench = bench().await;
    let green = &bench.rig.greenhouse;
    let cut = green.fault("node no-api for lily").unwrap();
    bench.rig.wait(120).await;
    assert_eq!(secure(&bench, LILY, "app.example").await, ok("tulip"));
    green.crash("lily", "traefik").unwrap();
    bench.rig.wait(60).await;
    assert_eq!(plain(&bench, LILY, "plain.example", "/x").await, not_found());
    assert!(matches!(secure(&bench, LILY, "app.example").await, Err(Error::Tls { .. })), "nor certificates");
    assert_eq!(secure(&bench, TULIP, "app.example").await, ok("tulip"));
    green.heal(cut);
    bench.rig.wait(60).await;
    assert_eq!(secure(&bench, LILY, "app.example").await, ok("tulip"));
}

#[tokio::test(start_paused = true)]
async fn each_fault_of_an_ingress_shows_at_its_node_alone_and_heals() {
    let bench = bench().await;
    let green = &bench.rig.greenhouse;
    let timed_out = |answer: &Result<(u16, String), Error>| matches!(answer, Err(Error::TimedOut(_)));
    for rule in ["node ingress-hangs for lily", "node ingress-silent for lily", "node no-path for operator:lily"] {
        let fault = green.fault(rule).unwrap();
        let answer = secure(&bench, LILY, "app.example").await;
        assert!(timed_out(&answer), "{rule}: {answer:?}");
        assert_eq!(secure(&bench, TULIP, "app.example").await, ok("tulip"), "{rule}");
        green.heal(fault);
        assert_eq!(secure(&bench, LILY, "app.example").await, ok("tulip"), "{rule} is healed");
    }
    let fault = green.fault("node no-routes for lily").unwrap();
    assert_eq!(secure(&bench, LILY, "app.example").await, not_found());
    assert_eq!(secure(&bench, TULIP, "app.example").await, ok("tulip"));
    green.heal(fault);
    let fault = green.fault("node wrong-certificate for lily").unwrap();
    assert!(matches!(secure(&bench, LILY, "app.example").await, Err(Error::Tls { .. })));
    assert_eq!(secure(&bench, TULIP, "app.example").await, ok("tulip"));
    green.heal(fault);
    assert_eq!(secure(&bench, LILY, "app.example").await, ok("tulip"));
}

/// As a client that opens a connection and speaks HTTP on it itself: what it reads until the end.
async fn by_hand(wire: &dyn Wire, target: &Target, host: &str) -> Result<String, Error> {
    let mut stream = wire.open(target).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    Ok(answer)
}

#[tokio::test(start_paused = true)]
async fn a_client_may_speak_http_itself_on_a_connection_of_its_own() {
    let bench = bench().await;
    let (green, time) = (&bench.rig.greenhouse, bench.rig.greenhouse.world.time());
    let target = secured(&bench, LILY, "app.example");
    let wire = green.wire();
    let found = by_hand(&*wire, &target, "app.example").await.unwrap();
    assert!(found.starts_with("HTTP/1.1 200") && found.ends_with("tulip"), "{found}");
    let stranger = by_hand(&*wire, &secured(&bench, LILY, "nobody.example"), "nobody.example").await;
    assert!(matches!(stranger, Err(Error::Tls { .. })), "{stranger:?}");
    let fault = green.fault("node ingress-hangs for lily").unwrap();
    let silence = time.within(Duration::from_mins(1), by_hand(&*wire, &target, "app.example")).await;
    assert!(silence.is_err(), "{silence:?}");
    green.heal(fault);
    green.crash("lily", "traefik").unwrap();
    time.sleep(Duration::from_millis(1)).await;
    let refused = by_hand(&*wire, &Target::plain(LILY, 81), "app.example").await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

/// Asks through the proxy of a served world, as a process outside would.
async fn through(proxy: &str, node: &str, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(format!("CONNECT {node}:80 HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    let mut established = [0; 39];
    stream.read_exact(&mut established).await.unwrap();
    assert!(established.starts_with(b"HTTP/1.1 200"));
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(start_paused = true)]
async fn a_served_world_leads_to_published_ports_as_to_any_other() {
    let bench = bench().await;
    tokio::time::resume();
    let folder = std::env::temp_dir().join(format!("bouquet-pods-{}", std::process::id()));
    let serving = bench.rig.greenhouse.serve(&folder, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let env = std::fs::read_to_string(folder.join("env")).unwrap();
    let proxy = env.split("socks5h://").nth(1).unwrap().split(|at: char| at == '\'' || at == '"' || at.is_whitespace());
    let proxy = proxy.into_iter().next().unwrap().to_owned();
    let found = through(&proxy, LILY, "plain.example", "/x").await;
    assert!(found.starts_with("HTTP/1.1 200") && found.ends_with("tulip"), "{found}");
    let missing = through(&proxy, TULIP, "nobody.example", "/").await;
    assert!(missing.starts_with("HTTP/1.1 404") && missing.ends_with(NOT_FOUND), "{missing}");
    serving.shutdown().await;
    std::fs::remove_dir_all(folder).unwrap();
}
