//! Lists, whole or in pages.

use super::api::{Query, json_response};
use super::refusal::Refusal;
use super::resource::Resource;
use super::select::Selector;
use super::store::{Key, Store};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

/// A list of what a selector takes, or the page of it that `limit` and `continue` ask for.
pub(super) fn answer(
    store: &Store,
    resource: &'static Resource,
    namespace: &str,
    selector: &Selector,
    query: &Query,
) -> Result<Response, Refusal> {
    let after = match query.text("continue") {
        "" => None,
        token => Some(Page::read(store, resource, token)?),
    };
    let limit = query.number("limit").filter(|limit| *limit > 0).and_then(|limit| usize::try_from(limit).ok());
    let mut items = Vec::new();
    let mut last = None;
    let mut remaining = 0;
    let past = |key: &Key| after.as_ref().is_none_or(|page| *key > page.last);
    for (key, object) in store.list(resource, namespace).filter(|(key, object)| past(key) && selector.matches(object)) {
        if limit.is_some_and(|limit| items.len() >= limit) {
            remaining += 1;
            continue;
        }
        items.push((**object).clone());
        last = Some(key);
    }
    // All pages of a list show one revision.
    let revision = after.as_ref().map_or(store.revision(), |page| page.revision);
    let mut list = wrap(resource, items, revision);
    if let (Some(last), true) = (last, remaining > 0) {
        list["metadata"]["continue"] = Page { revision, last: last.clone() }.token().into();
        if selector.is_everything() {
            list["metadata"]["remainingItemCount"] = remaining.into();
        }
    }
    Ok(json_response(StatusCode::OK, &list))
}

/// A list object; its items carry no kind, as typed lists do not.
pub(super) fn wrap(resource: &Resource, mut items: Vec<Value>, revision: u64) -> Value {
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        item.shift_remove("apiVersion");
        item.shift_remove("kind");
    }
    json!({
        "kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(),
        "metadata": {"resourceVersion": revision.to_string()}, "items": items,
    })
}

/// Where a page ended.
struct Page {
    revision: u64,
    last: Key,
}

impl Page {
    fn token(&self) -> String {
        let start = format!("{}/{}", self.last.namespace, self.last.name);
        STANDARD.encode(json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": start}).to_string())
    }

    fn read(store: &Store, resource: &'static Resource, token: &str) -> Result<Self, Refusal> {
        let wrong = || Refusal::bad_request("continue key is not valid: invalid continue token");
        let bytes = STANDARD.decode(token).map_err(|_| wrong())?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        let (namespace, name) = token["start"].as_str().and_then(|start| start.split_once('/')).ok_or_else(wrong)?;
        let revision = token["rv"].as_u64().ok_or_else(wrong)?;
        if revision < store.compacted() {
            let message = "The provided continue parameter is too old to display a consistent list result.";
            return Err(Refusal::expired(message));
        }
        Ok(Page { revision, last: Key::new(resource, namespace, name) })
    }
}
