//! Traefik on every worker, as clients on the internet meet it.

use super::super::Programs;
use super::bench::{Bench, Said, ask, get, greeter};
use crate::talos::tests::rig::base64;
use crate::world::Options;
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;
use wire::{Body, Error, Roots, Route, Target, Tls};

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

/// As a client who believes the authority of the Ingress' certificate.
async fn secure(bench: &Bench, node: &str, name: &str) -> Result<(u16, String), Error> {
    let roots = Roots::Only(vec![bench.rig.secrets.os.der()]);
    let tls = Some(Tls { server_name: name.into(), roots, identity: None });
    let target = Target { route: Route::Direct, host: node.into(), port: 443, tls };
    let request = Request::get("/").header("host", name).body(Body::default()).unwrap();
    let wire = bench.rig.greenhouse.wire();
    let answer =
        bench.rig.greenhouse.world.time().within(Duration::from_secs(120), ask(&*wire, &target, request)).await;
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
