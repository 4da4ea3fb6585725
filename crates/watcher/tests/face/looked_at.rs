//! Looked at with a real browser, and judged by an accessibility engine.
#![allow(clippy::disallowed_methods, reason = "the browser is driven from one thread while another serves")]

use crate::asked::asked;
use crate::browser::{Browser, Screen};
use crate::statuses;
use base64::Engine as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};
use watcher::status::Status;

const WHAT: &str = "the status page in a browser";
const PHONE: Screen = Screen { width: 390, height: 844, scale: 2, dark: false };
const WALL: Screen = Screen { width: 1920, height: 1080, scale: 1, dark: false };

/// The face on loopback, until it is dropped.
struct Served {
    url: String,
    status: watch::Sender<Arc<Status>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn new(status: Status) -> Self {
        let (ready, is_ready) = mpsc::channel();
        let (stop, mut stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                let asked = asked(status);
                ready.send((listener.local_addr().unwrap(), asked.status)).unwrap();
                loop {
                    let (stream, _) = tokio::select! {
                        biased;
                        _ = &mut stopped => return,
                        accepted = listener.accept() => accepted.unwrap(),
                    };
                    let service = TowerToHyperService::new(asked.router.clone());
                    tokio::spawn(async move {
                        let stream = TokioIo::new(stream);
                        drop(Builder::new(TokioExecutor::new()).serve_connection(stream, service).await);
                    });
                }
            });
        });
        let (address, status) = is_ready.recv().unwrap();
        Served { url: format!("http://{address}/"), status, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(JoinHandle::join);
    }
}

fn views() -> impl Iterator<Item = (&'static str, Screen)> {
    let dark = |screen: Screen| Screen { dark: true, ..screen };
    [("phone-light", PHONE), ("phone-dark", dark(PHONE)), ("wall-light", WALL), ("wall-dark", dark(WALL))].into_iter()
}

/// `BOUQUET_PICTURES` names a folder for those who want to see for themselves.
fn keep(browser: &mut Browser, name: &str) {
    let Some(folder) = std::env::var_os("BOUQUET_PICTURES") else { return };
    std::fs::create_dir_all(&folder).unwrap();
    let picture = browser.picture(name.contains("phone"));
    let png = base64::engine::general_purpose::STANDARD.decode(picture).unwrap();
    std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), png).unwrap();
}

#[test]
fn a_browser_shows_the_page_live_and_an_accessibility_engine_finds_no_fault() {
    let (Some(chromium), Some(axe)) = (assets::needed("chromium", WHAT), assets::needed("axe", WHAT)) else { return };
    let axe = std::fs::read_to_string(axe.path).unwrap();
    let mut browser = Browser::start(&chromium);
    let mut rules = 0;
    for (name, status) in [
        ("three", statuses::three()),
        ("without-tulip", statuses::three_without_tulip()),
        ("twenty", statuses::twenty()),
        ("blind", statuses::blind()),
        ("long", statuses::long()),
    ] {
        let served = Served::new(status);
        for (view, screen) in views() {
            browser.open(&served.url, screen);
            keep(&mut browser, &format!("{name}-{view}"));
            let wide = browser.value("document.documentElement.scrollWidth - window.innerWidth");
            assert_eq!(wide, 0, "{name} on {view} is wider than its screen");
            browser.value(&format!("{axe};0"));
            let found = browser.value("axe.run().then(({violations, incomplete, passes}) => ({violations, incomplete, passes: passes.length}))");
            assert!(found["violations"].as_array().unwrap().is_empty(), "{name} on {view}: {:#}", found["violations"]);
            let unsure: Vec<&Value> = found["incomplete"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
            assert!(unsure.is_empty(), "{name} on {view}: {:#}", found["incomplete"]);
            rules += found["passes"].as_u64().unwrap();
        }
        browser.value("document.querySelector('h1').style.color = '#2a2f2a'");
        let noticed = browser.value("axe.run().then(({violations}) => violations.map(rule => rule.id))");
        assert_eq!(noticed, json!(["color-contrast"]), "the judge sees nothing");
        // Gone before its server is, so that no connection breaks.
        browser.ask("Page.navigate", &json!({"url": "about:blank"}));
    }
    assert_eq!(browser.complaints, Vec::<String>::new());
    assets::judged(&assets::Judgement {
        protocol: "Status page",
        judge: "Chromium with axe-core 4.14.1",
        covers: &[
            "contrast, names, roles and structure, light and dark, on a phone and on a wall",
            "the content policy",
            "live updates",
        ],
        lacks: &["other browsers", "what a person with a screen reader makes of it"],
        count: rules,
        lies: &[],
    });
}

#[test]
fn a_change_is_on_the_wall_without_a_reload() {
    let Some(chromium) = assets::needed("chromium", WHAT) else { return };
    let served = Served::new(statuses::three());
    let mut browser = Browser::start(&chromium);
    browser.open(&served.url, WALL);
    browser.until("document.querySelector('.answer h2').textContent === 'Serving'");
    browser.value("window.untouched = true");
    let began = std::time::Instant::now();
    served.status.send_replace(Arc::new(statuses::three_without_tulip()));
    browser.until("document.querySelector('.answer h2').textContent === 'Serving without tulip'");
    println!("a change was on the screen after {} ms", began.elapsed().as_millis());
    browser.until("document.title === 'Serving without tulip · garden'");
    browser.until("document.getElementById('said').textContent.startsWith('Serving without tulip. 2 of 3')");
    assert_eq!(browser.value("window.untouched"), true, "the page was loaded anew");

    // A name that is markup stays text also on this way.
    let mut evil = statuses::three();
    evil.nodes[0].name = "<img src=x onerror='window.untouched = false'>".into();
    served.status.send_replace(Arc::new(evil));
    browser.until("document.querySelector('.card h3').textContent.startsWith('<img')");
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    assert_eq!(browser.complaints, Vec::<String>::new());
}
