//! Webhooks against servers on loopback that refuse, hang and fail; and what is sent, to the letter.
#![allow(clippy::unwrap_used, clippy::panic, clippy::missing_docs_in_private_items, reason = "a program of tests")]

use axum::Router;
use axum::extract::State;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Response, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use spec::{Webhook, WebhookKind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watcher::face::Counters;
use watcher::status::{Happening, What};
use watcher::tell::{Hook, HookError, Hooks, request};
use wire::{Body, Line, Rng, Sockets, Stream, Target, Time, Wire};

fn happening(what: What, text: &str) -> Happening {
    Happening { at: Timestamp::constant(1_795_000_000, 0), what, subject: "lily".into(), text: text.into(), rule: None }
}

fn sent(kind: WebhookKind, happening: &Happening) -> (HeaderMap, String) {
    let uri: Uri = "https://hooks.example/T0/secret?wait=true".parse().unwrap();
    let request = request(kind, &uri, happening, "garden");
    assert_eq!((request.method(), request.uri()), (&http::Method::POST, &uri));
    (request.headers().clone(), String::from_utf8(request.body().to_vec()).unwrap())
}

#[test]
fn each_is_told_in_its_own_way() {
    let withdrawn = happening(What::Withdrawn, "no answer, <seen> by rose & tulip @everyone");
    let (headers, body) = sent(WebhookKind::Discord, &withdrawn);
    assert_eq!(headers["content-type"], "application/json");
    let content = "**garden: lily is out of DNS**\\nno answer, <seen> by rose & tulip @everyone";
    assert_eq!(body, format!(r#"{{"content":"{content}","allowed_mentions":{{"parse":[]}}}}"#));
    let (_, body) = sent(WebhookKind::Slack, &withdrawn);
    let text = "*garden: lily is out of DNS*\\nno answer, &lt;seen&gt; by rose &amp; tulip @everyone";
    assert_eq!(body, format!(r#"{{"text":"{text}"}}"#));
    let (headers, body) = sent(WebhookKind::Ntfy, &withdrawn);
    assert_eq!(
        (&headers["title"], &headers["priority"], &headers["tags"]),
        (&"garden: lily is out of DNS".parse().unwrap(), &"high".parse().unwrap(), &"warning".parse().unwrap())
    );
    assert_eq!(body, withdrawn.text);
    let (_, body) = sent(WebhookKind::Generic, &happening(What::Restored, "answers again"));
    assert_eq!(
        body,
        r#"{"cluster":"garden","at":"2026-11-18T11:06:40Z","what":"restored","subject":"lily","text":"answers again"}"#
    );
}

#[test]
fn what_is_too_long_for_discord_is_cut_and_what_no_header_holds_is_replaced() {
    let mut long = happening(What::Alert, &"ü".repeat(5_000));
    long.subject = "lily\r\nx-evil: 1 ü".into();
    let (_, body) = sent(WebhookKind::Discord, &long);
    assert!(body.chars().filter(|letter| *letter == 'ü').count() <= 1_901);
    let (headers, _) = sent(WebhookKind::Ntfy, &long);
    assert_eq!(headers["title"], "garden: lily??x-evil: 1 ? needs a person");
    assert_eq!(headers.get("x-evil"), None);
}

#[test]
fn a_url_is_a_credential_and_stands_in_no_message() {
    let webhook = Webhook { kind: WebhookKind::Slack, url_from: "SLACK_URL".into() };
    let read = |url: Option<&str>| Hook::read(&webhook, |name| (name == "SLACK_URL").then(|| url.map(Into::into))?);
    assert_eq!(read(None).unwrap_err(), HookError::NoUrl("SLACK_URL".into()));
    for wrong in ["hunter2", "ftp://hunter2.example/", "/hunter2"] {
        let error = read(Some(wrong)).unwrap_err();
        assert_eq!(error, HookError::BadUrl("SLACK_URL".into()));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let hook = read(Some(" https://hooks.example/hunter2\n")).unwrap();
    assert!(!format!("{hook:?}").contains("hunter2"), "{hook:?}");
}

/// What a server answers, in turn; the last for ever.
#[derive(Clone)]
struct Script {
    answers: Arc<Vec<StatusCode>>,
    heard: Arc<Mutex<Vec<Bytes>>>,
}

/// A server on loopback; its URL, and what it hears.
async fn server(answers: &[StatusCode]) -> (String, Arc<Mutex<Vec<Bytes>>>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let script = Script { answers: Arc::new(answers.to_vec()), heard: Arc::default() };
    let heard = script.heard.clone();
    let router = Router::new().fallback(answer).with_state(script);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (url, heard)
}

async fn answer(State(script): State<Script>, body: Bytes) -> Response<String> {
    let number = {
        let mut heard = script.heard.lock().unwrap();
        heard.push(body);
        heard.len() - 1
    };
    let status = script.answers.get(number).or(script.answers.last()).copied();
    match status {
        // Discord's way of asking for patience.
        Some(StatusCode::TOO_MANY_REQUESTS) => {
            Response::builder().status(429).header("retry-after", "0.02").body(String::new()).unwrap()
        }
        Some(status) => Response::builder().status(status).body(String::new()).unwrap(),
        // It hangs.
        None => std::future::pending().await,
    }
}

#[tokio::test]
async fn one_that_fails_is_tried_three_times_and_holds_up_no_other() {
    let (busy, busy_heard) = server(&[StatusCode::TOO_MANY_REQUESTS, StatusCode::NO_CONTENT]).await;
    let (deaf, deaf_heard) = server(&[]).await;
    let (gone, gone_heard) = server(&[StatusCode::NOT_FOUND]).await;
    let (well, well_heard) = server(&[StatusCode::OK]).await;
    let urls = [busy, deaf, gone, well, "http://127.0.0.1:1/nobody".to_owned()];
    let hook = |url: &String| {
        let webhook = Webhook { kind: WebhookKind::Generic, url_from: "URL".into() };
        Hook::read(&webhook, |_| Some(url.clone())).unwrap()
    };
    let hooks: Vec<Hook> = urls.iter().map(hook).collect();
    let (told, counters) = (Hooks::default(), Arc::new(Counters::default()));
    let time = Time::system(Rng::seeded(1));
    let line = Line::new(Arc::new(Sockets::new(None).unwrap()), time.clone(), &[]);
    let heard = |of: &Arc<Mutex<Vec<Bytes>>>| of.lock().unwrap().len();
    let watching = async {
        tokio::task::yield_now().await;
        told.happened(&happening(What::Names, "never told"));
        told.happened(&happening(What::Held, "never told"));
        for text in ["first", "second"] {
            told.happened(&happening(What::Alert, text));
        }
        while heard(&well_heard) < 2 || heard(&busy_heard) < 3 || heard(&gone_heard) < 2 {
            time.sleep(Duration::from_millis(5)).await;
        }
    };
    let all = async {
        tokio::select! {
            biased;
            () = told.run(hooks, "garden", &line, &counters) => {}
            () = watching => {}
        }
    };
    time.within(Duration::from_secs(4), all).await.unwrap();
    assert_eq!(heard(&deaf_heard), 1, "its first call has not ended yet, and the others are done");
    assert_eq!((heard(&busy_heard), heard(&gone_heard), heard(&well_heard)), (3, 2, 2));
    let said = String::from_utf8(well_heard.lock().unwrap()[0].to_vec()).unwrap();
    assert!(said.contains(r#""text":"first""#), "{said}");
}

/// A wire on which one server answers 502 to everything, and notes when it was asked.
struct Broken(Time, Arc<Mutex<Vec<(u64, Bytes)>>>);

impl Wire for Broken {
    fn call(
        &self,
        _: &Target,
        request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, wire::Error>> {
        let (at_s, asked) = (self.0.elapsed().as_secs(), self.1.clone());
        Box::pin(async move {
            let body = request.into_body().collect(1 << 20).await.unwrap();
            asked.lock().unwrap().push((at_s, body));
            Ok(Response::builder().status(502).body(Body::default()).unwrap())
        })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, wire::Error>> {
        let host = target.authority();
        Box::pin(async move { Err(wire::Error::Refused(host)) })
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_on_failing_is_given_up_after_three_tries_and_six_seconds() {
    let time = Time::starting_at(Timestamp::UNIX_EPOCH, Rng::seeded(1));
    let asked: Arc<Mutex<Vec<(u64, Bytes)>>> = Arc::default();
    let line = Line::new(Arc::new(Broken(time.clone(), asked.clone())), time.clone(), &[]);
    let webhook = Webhook { kind: WebhookKind::Ntfy, url_from: "URL".into() };
    let hooks = vec![Hook::read(&webhook, |_| Some("https://ntfy.example/garden".into())).unwrap()];
    let (told, counters) = (Hooks::default(), Arc::new(Counters::default()));
    let watching = async {
        tokio::task::yield_now().await;
        told.happened(&happening(What::Alert, "first"));
        told.happened(&happening(What::Relief, "second"));
        time.sleep(Duration::from_mins(1)).await;
    };
    tokio::select! {
        biased;
        () = told.run(hooks, "garden", &line, &counters) => {}
        () = watching => {}
    }
    let asked = asked.lock().unwrap();
    let asked: Vec<(u64, &[u8])> = asked.iter().map(|(at_s, body)| (*at_s, &body[..])).collect();
    let (first, second) = (&b"first"[..], &b"second"[..]);
    assert_eq!(asked, [(0, first), (2, first), (6, first), (6, second), (8, second), (12, second)]);
}
