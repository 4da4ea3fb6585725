//! Webhooks: somebody's chat is told of what was done, and of what needs a person.

use crate::face::Counters;
use crate::status::{Happening, What};
use bytes::Bytes;
use futures::future::join_all;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Uri};
use serde_json::json;
use spec::{Webhook, WebhookKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use wire::{Call, Fate, Line, Lost, Repeat, Secret, Sorted, Target};

/// Happenings that wait for a slow webhook; beyond that the oldest is forgotten.
const WAITING_MOST: usize = 32;
const TRIES: u32 = 3;
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than that nobody is made to wait, whatever he asks for: the next happening matters more.
const WAIT_MOST: Duration = Duration::from_secs(30);
/// Discord's limit is 2,000 characters.
const TEXT_MOST: usize = 1_900;

/// Why a webhook cannot be used. Its URL is a credential, and stands in no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// The environment has no such variable.
    #[error("the webhook's URL is missing: {0} is not set; set it from a Secret")]
    NoUrl(String),
    /// What stands there is no URL.
    #[error("what {0} holds is no http or https URL; copy it again from where the webhook was made")]
    BadUrl(String),
}

/// Whom to tell, and where.
#[derive(Clone, Debug)]
pub struct Hook {
    kind: WebhookKind,
    url: Secret,
}

impl Hook {
    /// With the URL that the environment holds.
    pub fn read(webhook: &Webhook, variable: impl Fn(&str) -> Option<String>) -> Result<Self, HookError> {
        let named = || webhook.url_from.clone();
        let url = variable(&webhook.url_from)
            .filter(|url| !url.trim().is_empty())
            .ok_or_else(|| HookError::NoUrl(named()))?;
        let url = url.trim();
        let is_url = url.parse::<Uri>().is_ok_and(|url| Target::of_uri(&url).is_some());
        if is_url { Ok(Hook { kind: webhook.kind, url: Secret::new(url) }) } else { Err(HookError::BadUrl(named())) }
    }
}

/// All webhooks. Taking something in never waits.
#[derive(Clone, Debug)]
pub struct Hooks {
    happenings: broadcast::Sender<Happening>,
}

impl Default for Hooks {
    fn default() -> Self {
        Hooks { happenings: broadcast::Sender::new(WAITING_MOST) }
    }
}

impl Hooks {
    /// Tells whoever listens; withdrawals, restores, alerts and their end, and nothing else.
    pub fn happened(&self, happening: &Happening) {
        if matches!(happening.what, What::Withdrawn | What::Restored | What::Alert | What::Relief) {
            // An error says that nobody listens, which is as it was set.
            let _ = self.happenings.send(happening.clone());
        }
    }

    /// Tells these webhooks what happens from now on, for as long as it is polled; each in its own time.
    pub async fn run(&self, hooks: Vec<Hook>, cluster: &str, line: &Line, counters: &Arc<Counters>) {
        let each = hooks.iter().map(|hook| {
            let mut happenings = self.happenings.subscribe();
            async move {
                loop {
                    match happenings.recv().await {
                        Ok(happening) => {
                            let well = told(hook, cluster, &happening, line).await;
                            counters.told(word(hook.kind), well);
                        }
                        Err(broadcast::error::RecvError::Lagged(missed)) => {
                            tracing::warn!(
                                kind = word(hook.kind),
                                missed,
                                "a webhook is too slow to be told everything"
                            );
                        }
                        Err(broadcast::error::RecvError::Closed) => return,
                    }
                }
            }
        });
        join_all(each).await;
    }
}

/// Tries a few times; whether it was taken. Not the line's own patience: news that comes minutes late is none.
async fn told(hook: &Hook, cluster: &str, happening: &Happening, line: &Line) -> bool {
    let Ok(url) = hook.url.expose().parse::<Uri>() else { return false };
    let Some(target) = Target::of_uri(&url) else { return false };
    for attempt in 1..=TRIES {
        let request = request(hook.kind, &url, happening, cluster);
        let call: Call<(), Refused> = Call {
            name: "webhook POST",
            bucket: "webhook",
            target: target.clone(),
            request,
            repeat: Repeat::Never,
            timeout: TIMEOUT,
            read: Box::new(|answer| match answer.status.as_u16() {
                200..300 => Ok(()),
                status => Err(Refused::Said { status, after: answer.header(RETRY_AFTER.as_str()).and_then(seconds) }),
            }),
        };
        let Err(refused) = line.send(call).await else { return true };
        tracing::warn!(kind = word(hook.kind), attempt, reason = refused.reason(), "a webhook is not told");
        let Some(wait) = refused.wait(attempt) else { return false };
        if attempt < TRIES {
            line.time().sleep(wait).await;
        }
    }
    false
}

/// Why a webhook was not told.
enum Refused {
    Said { status: u16, after: Option<Duration> },
    Lost,
}

impl From<Lost> for Refused {
    /// Without the words of what was lost: they name the host, and a host may be all of a secret.
    fn from(_: Lost) -> Self {
        Refused::Lost
    }
}

impl Sorted for Refused {
    /// Once is enough for the line: how often it is tried is decided here.
    fn fate(&self) -> Fate {
        Fate::User
    }
}

impl Refused {
    fn reason(&self) -> String {
        match self {
            Refused::Said { status, .. } => format!("it answers {status}"),
            Refused::Lost => "it does not answer".to_owned(),
        }
    }

    /// How long to wait before the next try; `None` where another would end the same.
    fn wait(&self, attempt: u32) -> Option<Duration> {
        let backoff = Duration::from_secs(1 << attempt);
        match self {
            Refused::Said { status: 408 | 425 | 429 | 500.., after } => Some(after.unwrap_or(backoff).min(WAIT_MOST)),
            Refused::Said { .. } => None,
            Refused::Lost => Some(backoff),
        }
    }
}

/// Discord's are fractions of a second.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn word(kind: WebhookKind) -> &'static str {
    match kind {
        WebhookKind::Discord => "discord",
        WebhookKind::Slack => "slack",
        WebhookKind::Ntfy => "ntfy",
        WebhookKind::Generic => "generic",
    }
}

/// What is sent to tell of a happening.
///
/// Discord: <https://docs.discord.com/developers/resources/webhook#execute-webhook>. Slack:
/// <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>. ntfy: <https://docs.ntfy.sh/publish/>.
pub fn request(kind: WebhookKind, url: &Uri, happening: &Happening, cluster: &str) -> Request<Bytes> {
    let title = title(happening, cluster);
    let text = shortened(&happening.text);
    let json = |body: serde_json::Value| {
        (vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body.to_string())
    };
    let (headers, body) = match kind {
        // Nobody is called by name, whatever a node is called.
        WebhookKind::Discord => {
            let content = format!("**{title}**\n{text}");
            json(json!({"content": content, "allowed_mentions": {"parse": []}}))
        }
        WebhookKind::Slack => json(json!({"text": format!("*{}*\n{}", escaped(&title), escaped(text))})),
        WebhookKind::Ntfy => (ntfy(happening.what, &title), text.to_owned()),
        WebhookKind::Generic => {
            let Happening { at, what, subject, text, .. } = happening;
            json(json!({"cluster": cluster, "at": at, "what": what, "subject": subject, "text": text}))
        }
    };
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.clone();
    request.headers_mut().extend(headers);
    request
}

fn title(happening: &Happening, cluster: &str) -> String {
    let subject = &happening.subject;
    match happening.what {
        What::Withdrawn => format!("{cluster}: {subject} is out of DNS"),
        What::Restored => format!("{cluster}: {subject} is back in DNS"),
        What::Alert => format!("{cluster}: {subject} needs a person"),
        What::Relief => format!("{cluster}: {subject} is well again"),
        What::Held | What::Names => format!("{cluster}: {subject}"),
    }
}

fn ntfy(what: What, title: &str) -> Vec<(HeaderName, HeaderValue)> {
    let (priority, tag) = match what {
        What::Withdrawn | What::Alert => ("high", "warning"),
        What::Restored | What::Relief => ("default", "white_check_mark"),
        What::Held | What::Names => ("low", "information_source"),
    };
    // Headers hold ASCII; names of Kubernetes are.
    let plain: String = title.chars().map(|letter| if matches!(letter, ' '..='~') { letter } else { '?' }).collect();
    vec![
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (HeaderName::from_static("title"), HeaderValue::try_from(plain).unwrap_or(HeaderValue::from_static("bouquet"))),
        (HeaderName::from_static("priority"), HeaderValue::from_static(priority)),
        (HeaderName::from_static("tags"), HeaderValue::from_static(tag)),
    ]
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(TEXT_MOST).map_or(text, |(end, _)| &text[..end])
}

/// Slack's three letters: <https://docs.slack.dev/messaging/formatting-message-text#escaping>.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
