//! One follower: a list in pages, then a watch from where the list ended, for ever.

use super::super::names::shown;
use super::super::objects::{Kept, Kind, Listed, Objects, Shelf};
use super::super::{PodSelector, Source};
use super::{Shared, Trouble, Watched};
use detect::Millis;
use futures::TryStreamExt;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::{Request, Status};
use serde::Deserialize;
use std::error::Error as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use wire::Rng;

/// Objects a page, as client-go has it: bounds what a list takes at once.
const PAGE: u32 = 500;
/// How long the server lets a watch stand. Bounds how long a connection that died silently passes for living.
const WATCH_S: u32 = 60;
/// How much later than that the client gives up.
const WATCH_MARGIN: Duration = Duration::from_secs(5);
/// A watch that stood this long was a good one.
const STOOD: Duration = Duration::from_secs(5);
/// How often the API is asked again whether it has a kind by now.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Pauses after failures: doubled from the first to the last, each shortened by up to half so that replicas spread.
const PAUSE_MIN_MS: u64 = 250;
const PAUSE_MAX_MS: u64 = 8_000;
/// The API's words for a version of the past that is forgotten.
const GONE: u16 = 410;
const FORBIDDEN: u16 = 403;

pub(super) struct Follower<K> {
    shared: Arc<Shared>,
    watched: Watched,
    /// Whether the API may lack the kind.
    is_optional: bool,
    request: Request,
    labels: Option<String>,
    shelf: fn(&mut Objects) -> &mut Shelf<K>,
}

/// How a list or a watch ended.
enum End {
    /// A list came whole, or a watch ended as watches do: to be watched from this version.
    Version(String),
    /// The version is forgotten: to be listed anew.
    Forgotten,
    /// The API has no such kind.
    Absent,
    /// It failed; to be watched from this version if there is one.
    Failed(kube::Error, Option<String>),
}

/// One page of a list. Without a version it is no list, whatever status it came with.
#[derive(Deserialize)]
#[serde(bound(deserialize = "K: Kept"))]
struct Page<K> {
    metadata: PageMeta,
    items: Option<Vec<Listed<K>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

impl<K: Kept> Follower<K> {
    pub(super) fn new(
        shared: Arc<Shared>,
        watched: Watched,
        pods: Option<&PodSelector>,
        shelf: fn(&mut Objects) -> &mut Shelf<K>,
    ) -> Self {
        let namespace = pods.and_then(|pods| pods.namespace.as_deref());
        Follower {
            shared,
            watched,
            is_optional: watched.source().is_some_and(|source| source != Source::Ingress),
            request: Request::new(K::KIND.path(namespace)),
            labels: pods.map(|pods| pods.labels.clone()).filter(|labels| !labels.is_empty()),
            shelf,
        }
    }

    pub(super) async fn run(self) {
        let mut pauses = Pauses::new(self.shared.time.rng(&format!("informer of {}", self.watched)));
        let mut version = None;
        loop {
            let began = self.shared.time.elapsed();
            let was_list = version.is_none();
            let end = match version.take() {
                None => self.list().await,
                Some(version) => self.watch(version).await,
            };
            let stood = self.shared.time.elapsed().saturating_sub(began);
            if !was_list && stood >= STOOD {
                pauses.reset();
            }
            match end {
                End::Version(from) => {
                    version = Some(from);
                    if was_list || stood >= STOOD {
                        continue;
                    }
                }
                End::Forgotten => {}
                End::Absent => {
                    self.replace(Shelf::new());
                    self.shared.time.sleep(LOOK_AGAIN).await;
                    continue;
                }
                End::Failed(error, from) => {
                    self.failed(&error);
                    version = from;
                }
            }
            self.shared.time.sleep(pauses.next()).await;
        }
    }

    async fn list(&self) -> End {
        match self.pages().await {
            Ok(Some((shelf, version))) => {
                self.replace(shelf);
                End::Version(version)
            }
            Ok(None) => End::Absent,
            Err(error) => End::Failed(error, None),
        }
    }

    /// Every page, and the version that they are of; `None` if the API has no such kind.
    async fn pages(&self) -> kube::Result<Option<(Shelf<K>, String)>> {
        if self.is_optional && !self.is_served().await? {
            return Ok(None);
        }
        let mut shelf = Shelf::new();
        let mut params = ListParams { label_selector: self.labels.clone(), ..ListParams::default() }.limit(PAGE);
        loop {
            let request = self.request.list(&params).map_err(kube::Error::BuildRequest)?;
            let page: Page<K> = self.shared.client.request(request).await?;
            if page.metadata.resource_version.is_empty() {
                // What is watched from no version at all hides what was deleted meanwhile.
                let status = Status::failure("the list has no resourceVersion", "NoVersion");
                return Err(kube::Error::Api(status.boxed()));
            }
            shelf.extend(page.items.into_iter().flatten().map(|listed| (listed.key, listed.kept)));
            match page.metadata.next.filter(|next| !next.is_empty()) {
                Some(next) => params = params.continue_token(&next),
                None => return Ok(Some((shelf, page.metadata.resource_version))),
            }
        }
    }

    /// Asks discovery: a list that is answered with 404 may be an error page of something in between.
    async fn is_served(&self) -> kube::Result<bool> {
        let (client, wanted) = (&self.shared.client, K::KIND.api_version());
        let groups = client.list_api_groups().await?.groups;
        if !groups.iter().any(|group| group.versions.iter().any(|version| version.group_version == wanted)) {
            return Ok(false);
        }
        let resources = client.list_api_group_resources(&wanted).await?.resources;
        Ok(resources.iter().any(|resource| resource.name == K::KIND.plural))
    }

    async fn watch(&self, mut version: String) -> End {
        let params = WatchParams { label_selector: self.labels.clone(), ..WatchParams::default() }.timeout(WATCH_S);
        let request = match self.request.watch(&params, &version) {
            Ok(request) => request,
            Err(error) => return End::Failed(kube::Error::BuildRequest(error), None),
        };
        let events = match self.shared.client.request_events::<Listed<K>>(request).await {
            Ok(events) => events,
            Err(error) => return ended(error, version),
        };
        let mut events = pin!(events);
        self.stands();
        let patience = Duration::from_secs(WATCH_S.into()) + WATCH_MARGIN;
        loop {
            let Ok(event) = self.shared.time.within(patience, events.try_next()).await else {
                return End::Version(version);
            };
            match event {
                Ok(Some(WatchEvent::Added(listed) | WatchEvent::Modified(listed))) => {
                    version.clone_from(&listed.resource_version);
                    self.put(listed);
                }
                Ok(Some(WatchEvent::Deleted(listed))) => {
                    version.clone_from(&listed.resource_version);
                    self.take(&listed);
                }
                Ok(Some(WatchEvent::Bookmark(bookmark))) => version = bookmark.metadata.resource_version,
                Ok(Some(WatchEvent::Error(status))) => return ended(kube::Error::Api(status), version),
                Ok(None) => return End::Version(version),
                Err(error) => return ended(error, version),
            }
        }
    }

    fn put(&self, listed: Listed<K>) {
        self.shared.with(|state| {
            let shelf = (self.shelf)(&mut state.objects);
            if shelf.get(&listed.key) == Some(&listed.kept) {
                return false;
            }
            shelf.insert(listed.key, listed.kept);
            true
        });
    }

    fn take(&self, listed: &Listed<K>) {
        self.shared.with(|state| (self.shelf)(&mut state.objects).remove(&listed.key).is_some());
    }

    /// A whole list has come.
    fn replace(&self, shelf: Shelf<K>) {
        self.shared.with(|state| {
            let standing = state.standings.entry(self.watched).or_default();
            let is_news = !standing.is_whole || standing.trouble.is_some();
            standing.is_whole = true;
            standing.trouble = None;
            let held = (self.shelf)(&mut state.objects);
            let differs = *held != shelf;
            *held = shelf;
            is_news || differs
        });
    }

    /// A watch stands, from where the last one or a list ended: nothing was missed.
    fn stands(&self) {
        self.shared.with(|state| {
            let trouble = state.standings.get_mut(&self.watched).and_then(|standing| standing.trouble.take());
            if trouble.is_some() {
                tracing::info!(watched = %self.watched, "the API answers again");
            }
            trouble.is_some()
        });
    }

    fn failed(&self, error: &kube::Error) {
        let (is_forbidden, message) = told(error, K::KIND);
        let now_ms: Millis = self.shared.now_ms();
        self.shared.with(|state| {
            let standing = state.standings.entry(self.watched).or_default();
            let since_ms = standing.trouble.as_ref().map_or(now_ms, |trouble| trouble.since_ms);
            let trouble = Some(Trouble { since_ms, is_forbidden, message });
            if standing.trouble.is_none() {
                tracing::warn!(watched = %self.watched, ?trouble, "the API cannot be followed");
            }
            std::mem::replace(&mut standing.trouble, trouble.clone()) != trouble
        });
    }
}

/// What answered with an error is asked for the whole list next: after a restore of etcd the version may lie in the future, and
/// the API would refuse it for ever. What did not answer is watched from where it broke.
fn ended(error: kube::Error, version: String) -> End {
    match error {
        kube::Error::Api(status) if status.code == GONE => End::Forgotten,
        error @ kube::Error::Api(_) => End::Failed(error, None),
        error => End::Failed(error, Some(version)),
    }
}

/// Whether it is a refusal, and what it says.
fn told(error: &kube::Error, kind: Kind) -> (bool, String) {
    if let kube::Error::Api(status) = error {
        let said = format!("{} {}", status.code, shown(&status.message));
        if status.code != FORBIDDEN {
            return (false, said);
        }
        let group = if kind.group.is_empty() { "core" } else { kind.group };
        return (true, format!("{said}: grant list and watch of {} in the group {group}", kind.plural));
    }
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    (false, said)
}

/// Growing pauses.
struct Pauses {
    rng: Rng,
    next_ms: u64,
}

impl Pauses {
    fn new(rng: Rng) -> Self {
        Pauses { rng, next_ms: PAUSE_MIN_MS }
    }

    fn reset(&mut self) {
        self.next_ms = PAUSE_MIN_MS;
    }

    fn next(&mut self) -> Duration {
        let ms = self.next_ms;
        self.next_ms = (ms * 2).min(PAUSE_MAX_MS);
        Duration::from_millis(self.rng.between(ms / 2, ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16) -> kube::Error {
        kube::Error::Api(Status::failure("no", "No").with_code(code).boxed())
    }

    #[test]
    fn a_watch_goes_on_from_its_version_only_where_nobody_answered() {
        let version = || "7".to_owned();
        assert!(matches!(ended(answered(410), version()), End::Forgotten));
        // "Too large resource version": the present lies before it, since etcd was restored.
        assert!(matches!(ended(answered(504), version()), End::Failed(_, None)));
        let broken = kube::Error::Service("the connection broke".into());
        assert!(matches!(ended(broken, version()), End::Failed(_, Some(at)) if at == "7"));
    }

    #[test]
    fn a_refusal_says_what_to_grant() {
        let kind = Kind { group: "traefik.io", version: "v1alpha1", name: "IngressRoute", plural: "ingressroutes" };
        let (is_forbidden, said) = told(&answered(403), kind);
        assert!(is_forbidden && said.contains("ingressroutes") && said.contains("traefik.io"), "{said}");
        assert!(!told(&answered(500), kind).0);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let mut pauses = Pauses::new(Rng::seeded(1));
        let first = pauses.next();
        assert!((125..=250).contains(&first.as_millis()), "{first:?}");
        let last = (0..20).map(|_| pauses.next()).last().unwrap_or_default();
        assert!((4_000..=8_000).contains(&last.as_millis()), "{last:?}");
        pauses.reset();
        assert!(pauses.next() <= Duration::from_millis(250));
    }
}
