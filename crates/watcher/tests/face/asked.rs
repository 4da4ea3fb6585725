//! Asked over HTTP, without sockets.

use crate::statuses::{self, NOW};
use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tower::ServiceExt as _;
use watcher::face::{self, Counters, Health};
use watcher::status::Status;
use wire::{Rng, Time};

pub struct Asked {
    pub time: Time,
    pub health: Health,
    pub counters: Arc<Counters>,
    pub status: watch::Sender<Arc<Status>>,
    pub router: Router,
}

/// To be called in a runtime.
pub fn asked(status: Status) -> Asked {
    let time = Time::starting_at(NOW, Rng::seeded(1));
    let (health, counters) = (Health::new(time.clone()), Arc::new(Counters::default()));
    let (status, seen) = watch::channel(Arc::new(status));
    let router = face::router(seen, health.clone(), counters.clone());
    Asked { time, health, counters, status, router }
}

pub async fn get(router: &Router, path: &str) -> Response<Body> {
    router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
}

pub async fn text(router: &Router, path: &str) -> String {
    let body = get(router, path).await.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// What a person reads: a line an element, without tags.
fn read(page: &str) -> String {
    let main = page.split("<main").nth(1).unwrap().split_once('>').unwrap().1.split("</main>").next().unwrap();
    let mut lines = Vec::new();
    for block in main.split_inclusive("</p>").flat_map(|part| part.split("<li")).flat_map(|part| part.split("<tr")) {
        let words: Vec<&str> = block.split('<').map(|tag| tag.split_once('>').map_or("", |(_, text)| text)).collect();
        let line = words.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        lines.extend((!line.is_empty()).then_some(line));
    }
    lines.join("\n") + "\n"
}

/// `UPDATE_GOLDEN=1` writes it anew.
fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/face/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap_or_default(), "{name}");
}

#[tokio::test(start_paused = true)]
async fn the_page_says_first_whether_it_serves_and_then_why() {
    for (name, status) in [
        ("three.txt", statuses::three()),
        ("without-tulip.txt", statuses::three_without_tulip()),
        ("twenty.txt", statuses::twenty()),
        ("blind.txt", statuses::blind()),
    ] {
        golden(name, &read(&text(&asked(status).router, "/").await));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_cluster_is_named_is_text_and_never_markup() {
    let evil = r#"</script><img src=x onerror="alert(1)">&'"#;
    let mut status = statuses::twenty();
    status.cluster = evil.into();
    status.writer = Some(evil.into());
    status.provider.trouble = Some(evil.into());
    status.alerts.push(evil.into());
    status.vantages[1].node = evil.into();
    status.vantages[1].site = evil.into();
    status.decisions[0].subject = evil.into();
    status.decisions[0].text = evil.into();
    status.names[3].name = evil.into();
    status.names[3].reason = Some(evil.into());
    status.names[0].holds[0] = evil.into();
    let node = &mut status.nodes[4];
    (node.name, node.site, node.reason, node.held) = (evil.into(), evil.into(), evil.into(), Some(evil.into()));
    node.voices[0].vantage = evil.into();
    status.nodes[7].name = evil.into();
    let asked = asked(status);
    let page = text(&asked.router, "/").await;
    assert!(!page.contains("<img"), "{page}");
    assert!(page.matches("&lt;img src=x onerror=&quot;").count() >= 12, "{page}");
    assert_eq!(page.matches("</script>").count(), 1);
    let metrics = text(&asked.router, "/metrics").await;
    assert!(metrics.contains(r#"node="</script><img src=x onerror=\"alert(1)\">&'""#), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_browser_is_told_to_run_nothing_but_the_pages_own() {
    let asked = asked(statuses::three());
    let answer = get(&asked.router, "/").await;
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test(start_paused = true)]
async fn an_old_status_is_shown_as_old() {
    let asked = asked(statuses::three());
    let hidden = r#"<p id="stale" role="alert" hidden>"#;
    assert!(text(&asked.router, "/").await.contains(hidden));
    asked.time.sleep(Duration::from_secs(31)).await;
    assert!(!text(&asked.router, "/").await.contains(hidden));
}

#[tokio::test(start_paused = true)]
async fn a_viewer_is_told_at_once_then_of_each_change_and_at_most_once_a_second() {
    let asked = asked(statuses::three());
    let mut body = get(&asked.router, "/live").await.into_body();
    let began = asked.time.elapsed();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        (String::from_utf8(frame.to_vec()).unwrap(), asked.time.elapsed().checked_sub(began).unwrap())
    };
    let (first, at) = next().await;
    assert!(first.starts_with("event: main\ndata: ") && first.contains("All 3 nodes serve."), "{first}");
    assert!(first.ends_with("\n\nevent: clock\ndata: 14:03:20\n\n"), "{first}");
    assert_eq!(at, Duration::ZERO);

    asked.status.send_replace(Arc::new(statuses::three()));
    asked.status.send_replace(Arc::new(statuses::three_without_tulip()));
    let (second, at) = next().await;
    assert!(second.contains("Serving without tulip"), "{second}");
    assert_eq!(at, Duration::from_secs(1));

    let mut later = statuses::three_without_tulip();
    later.at = statuses::ago(-1);
    asked.status.send_replace(Arc::new(later));
    let (third, _) = next().await;
    assert_eq!(third, "event: clock\ndata: 14:03:21\n\n");

    let (fourth, at) = next().await;
    assert_eq!(fourth, ": still here\n\n");
    assert_eq!(at, Duration::from_secs(18));
}

#[tokio::test(start_paused = true)]
async fn who_hangs_is_not_alive_and_who_knows_nothing_is_not_ready() {
    let asked = asked(statuses::three());
    let said = async |path| get(&asked.router, path).await.status();
    assert_eq!(said("/livez").await, StatusCode::OK);
    asked.time.sleep(Duration::from_millis(10_001)).await;
    assert_eq!(said("/livez").await, StatusCode::SERVICE_UNAVAILABLE);
    asked.health.turned();
    assert_eq!(said("/livez").await, StatusCode::OK);

    assert_eq!(said("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    asked.health.scene_known();
    assert_eq!(text(&asked.router, "/readyz").await, "the first probes have not ended yet\n");
    asked.health.probed();
    assert_eq!(said("/readyz").await, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_json_is_the_status() {
    let status = statuses::twenty();
    let asked = asked(status.clone());
    let json: serde_json::Value = serde_json::from_str(&text(&asked.router, "/api/status").await).unwrap();
    assert_eq!(json, serde_json::to_value(&status).unwrap());
    assert_eq!(json["nodes"][4]["heldUntil"], "2026-11-21T14:06:00Z");
}

#[tokio::test]
async fn the_canary_answers_with_the_nonce_and_whose_it_is() {
    let router = face::canary::router("garden", "bouquet-watcher-0");
    let answer = get(&router, "/.well-known/bouquet/aB3-x").await;
    assert_eq!(answer.headers()["content-type"], "text/plain");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "aB3-x garden bouquet-watcher-0\n");
    let longest = format!("/.well-known/bouquet/{}", "a".repeat(64));
    assert_eq!(get(&router, &longest).await.status(), StatusCode::OK);
    let too_long = format!("{longest}a");
    for path in ["/", "/.well-known/bouquet/", "/.well-known/bouquet/a%0Ab", "/.well-known/bouquet/a/b", &too_long] {
        assert_eq!(get(&router, path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}
