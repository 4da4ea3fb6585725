//! A case's conversation with one side: every question and answer is written down, for the comparison.

use crate::side::Side;
use futures::AsyncBufReadExt;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;

/// How long a watch may stay silent before it counts as silent.
const SILENCE: Duration = Duration::from_millis(700);
pub const JSON: &str = "application/json";
pub const MERGE: &str = "application/merge-patch+json";
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub const JSON_PATCH: &str = "application/json-patch+json";
pub const APPLY: &str = "application/apply-patch+yaml";

/// What a side answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub warnings: Vec<String>,
    pub content_type: String,
    pub body: Value,
}

/// A question and its answer.
#[derive(Clone, Debug)]
pub struct Entry {
    pub question: String,
    pub answer: Answer,
}

/// All that was said in a case.
pub type Transcript = Vec<Entry>;

/// A conversation.
pub struct Talk<'a> {
    side: &'a Side,
    user: &'static str,
    /// A namespace of the case's own.
    pub namespace: String,
    transcript: Mutex<Transcript>,
}

impl<'a> Talk<'a> {
    pub fn new(side: &'a Side, namespace: impl Into<String>) -> Self {
        Talk { side, user: "admin", namespace: namespace.into(), transcript: Mutex::default() }
    }

    /// The same conversation, led by somebody else; what is said belongs to that handle.
    pub fn by(&self, user: &'static str) -> Talk<'a> {
        Talk { side: self.side, user, namespace: self.namespace.clone(), transcript: Mutex::default() }
    }

    /// Takes in what another handle has heard.
    pub fn include(&self, other: Talk<'_>) {
        self.transcript.lock().unwrap().extend(other.done());
    }

    /// What was said.
    pub fn done(self) -> Transcript {
        self.transcript.into_inner().unwrap()
    }

    pub fn side(&self) -> &Side {
        self.side
    }

    /// `/api/v1/namespaces/NS/configmaps…` and the like, in the case's namespace.
    pub fn path(&self, group_version: &str, rest: &str) -> String {
        let root = if group_version.contains('/') { "apis" } else { "api" };
        format!("/{root}/{group_version}/namespaces/{}/{rest}", self.namespace)
    }

    /// Makes the case's namespace.
    pub async fn begin(&self) {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        self.post("/api/v1/namespaces", &body).await.is(201);
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], String::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", JSON)], body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[("content-type", JSON)], body.to_string()).await
    }

    pub async fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[("content-type", kind)], body.to_string()).await
    }

    /// Server-side apply by this manager.
    pub async fn apply(&self, path: &str, manager: &str, body: &Value) -> Answer {
        self.patch(&with(path, &format!("fieldManager={manager}")), APPLY, body).await
    }

    pub async fn delete(&self, path: &str, options: &Value) -> Answer {
        let body = if options.is_null() { String::new() } else { options.to_string() };
        self.send("DELETE", path, &[("content-type", JSON)], body).await
    }

    /// Asks, and writes down.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("user-agent", "contracts/1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let question = if body.is_empty() { format!("{method} {path}") } else { format!("{method} {path} {body}") };
        let request = request.body(kube::client::Body::from(body.into_bytes())).unwrap();
        let response = self.side.client(self.user).send(request).await;
        let response = response.unwrap_or_else(|error| panic!("{}: {question}: {error}", self.side.name));
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap_or_else(|error| panic!("{question}: {error}")).to_bytes();
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let warnings =
            head.headers.get_all("warning").iter().filter_map(|value| value.to_str().ok().map(str::to_owned));
        let body = serde_json::from_slice(&bytes);
        let answer = Answer {
            status: head.status.as_u16(),
            warnings: warnings.collect(),
            content_type: text("content-type").to_owned(),
            body: body.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())),
        };
        self.note(question, answer)
    }

    fn note(&self, question: String, answer: Answer) -> Answer {
        self.transcript
            .lock()
            .unwrap()
            .push(Entry { question: format!("{}: {question}", self.user), answer: answer.clone() });
        answer
    }

    /// Watches while `work` is done, until `count` events have come or there is silence; then those events.
    pub async fn watch(&self, path: &str, count: usize, work: impl Future<Output = ()>) -> Vec<Value> {
        let path = with(path, "watch=true");
        let request = Request::get(&path).body(Vec::new()).unwrap();
        let question = format!("WATCH {path}");
        let mut events = Vec::new();
        let mut status = 200;
        match self.side.client(self.user).request_stream(request).await {
            Ok(stream) => {
                let mut lines = Box::pin(stream).lines();
                work.await;
                while events.len() < count {
                    use futures::StreamExt;
                    let Ok(Some(line)) = tokio::time::timeout(SILENCE, lines.next()).await else { break };
                    events.push(serde_json::from_str(&line.unwrap()).unwrap());
                }
            }
            Err(kube::Error::Api(refused)) => {
                status = refused.code;
                events.push(serde_json::to_value(&*refused).unwrap());
                work.await;
            }
            Err(error) => panic!("{}: {question}: {error}", self.side.name),
        }
        let body = Value::Array(events.clone());
        self.note(question, Answer { status, warnings: Vec::new(), content_type: JSON.into(), body });
        events
    }
}

/// A path with one more parameter.
pub fn with(path: &str, parameter: &str) -> String {
    format!("{path}{}{parameter}", if path.contains('?') { '&' } else { '?' })
}

impl Answer {
    /// Claims a status.
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }

    /// Claims a refusal for this reason.
    #[track_caller]
    pub fn refused(self, status: u16, reason: &str) -> Value {
        assert_eq!((self.status, &self.body["reason"]), (status, &json!(reason)), "{:#}", self.body);
        self.body
    }
}
