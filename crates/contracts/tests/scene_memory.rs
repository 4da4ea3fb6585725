//! What ten thousand Ingresses cost a watcher. A program of its own: it measures its whole process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use http_body_util::StreamBody;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use watcher::scene::{Informers, Settings};
use wire::{Body, Channel, Error, Rng, Route, Stream, Target, Time, Wire};

const INGRESSES: usize = 10_000;
/// Managed fields, annotations of others and status: what real Ingresses carry about, and nobody here needs.
const BALLAST_BYTES: usize = 4_000;
/// Of the whole process, at its highest. 10,000 hosts in two scenes (the last and the next), the kept objects and one
/// page of 500 Ingresses as text and as values.
const PEAK_MIB_MAX: u64 = 64;

/// An API server that makes its answers up as it goes, and so holds nothing itself.
struct Endless;

impl Wire for Endless {
    fn call(
        &self,
        _: &Target,
        request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, Error>> {
        let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
        Box::pin(async move {
            if query.contains("watch=true") {
                let nothing = futures::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
                return Ok(http::Response::new(Body::new(StreamBody::new(nothing.boxed()))));
            }
            let asked: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
            let answer = if path.ends_with("/ingresses") { page(&asked) } else { rest(&path) };
            Ok(http::Response::new(Body::from(Bytes::from(answer.to_string()))))
        })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>> {
        let host = target.authority();
        Box::pin(async move { Err(Error::Refused(host)) })
    }
}

fn page(asked: &BTreeMap<&str, &str>) -> Value {
    let from: usize = asked.get("continue").map_or(0, |next| next.parse().unwrap());
    let limit: usize = asked["limit"].parse().unwrap();
    let to = (from + limit).min(INGRESSES);
    let next = if to < INGRESSES { to.to_string() } else { String::new() };
    let items: Vec<Value> = (from..to).map(ingress).collect();
    json!({"kind": "IngressList", "apiVersion": "networking.k8s.io/v1",
        "metadata": {"resourceVersion": "7", "continue": next}, "items": items})
}

fn ingress(number: usize) -> Value {
    let ballast = "x".repeat(BALLAST_BYTES / 2);
    json!({
        "metadata": {
            "name": format!("shop-{number}"), "namespace": format!("team-{}", number % 100),
            "uid": format!("7f9c24e8-3b1c-4d7a-9a55-{number:012}"), "resourceVersion": "6",
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": ballast,
                "external-dns.kubernetes.io/ttl": "120",
            },
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": ballast}}],
        },
        "spec": {"ingressClassName": "traefik", "rules": [{"host": format!("shop-{number}.example.com")}]},
    })
}

fn rest(path: &str) -> Value {
    if path == "/apis" {
        return json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []});
    }
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": []})
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a figure for people")]
fn ten_thousand_ingresses_fit_into_a_small_process() {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let time = Time::system(Rng::seeded(1));
        let target = Target { route: Route::Direct, host: "api".into(), port: 80, tls: None };
        let channel = Channel::new(Arc::new(Endless), time.clone(), target, Duration::from_secs(10));
        let (began, before_kib) = (Instant::now(), peak_kib());
        let settings = Settings::default();
        let (informers, mut seen) = Informers::new(kube::Client::new(channel, "default"), settings, time.clone());
        let running = tokio::spawn(informers.run());
        let waiting = seen.wait_for(|sight| sight.scene.is_some());
        let scene = time.within(Duration::from_mins(2), waiting).await.unwrap().unwrap().scene.clone().unwrap();
        running.abort();
        assert_eq!(scene.hosts.len(), INGRESSES);
        assert!(scene.hosts.values().all(|host| host.ttl_s == Some(120)) && scene.complaints.is_empty());
        let peak_kib = peak_kib();
        println!(
            "{INGRESSES} Ingresses of {BALLAST_BYTES} bytes and more: {} KiB at the peak, {before_kib} KiB before, {:?}",
            peak_kib,
            began.elapsed()
        );
        assert!(peak_kib < PEAK_MIB_MAX * 1024, "{peak_kib} KiB");
    });
}
