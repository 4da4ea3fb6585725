//! Lists, whole or in pages.

use super::api::Query;
use super::refusal::Refusal;
use super::resource::Resource;
use super::select::Selector;
use super::store::{Key, Store};
use super::validate::Fault;
use super::watch;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A list of what a selector takes, or the page of it that `limit` and `continue` ask for.
pub(super) fn page(
    store: &Store,
    resource: &'static Resource,
    namespace: &str,
    selector: &Selector,
    query: &Query,
) -> Result<Value, Refusal> {
    let limit = match query.text("limit") {
        "" => 0,
        text => query.number("limit").ok_or_else(|| Refusal::bad_request(not_a_number(text)))?,
    };
    let version = query.text("resourceVersion");
    let after = match query.text("continue") {
        "" => None,
        token => Some(Page::read(store, resource, namespace, token)?),
    };
    check_version(version, query.text("resourceVersionMatch"), after.is_some(), store.revision())?;
    // All pages of a list show one revision.
    let revision = after.as_ref().map_or(store.revision(), |page| page.revision);
    let shown = store.list_at(resource, namespace, revision);
    let past = |key: &Key| after.as_ref().is_none_or(|page| *key > page.last);
    let mut rest = shown.iter().filter(|(key, object)| past(key) && selector.matches(object)).peekable();
    let (mut items, mut last) = (Vec::new(), None);
    while limit == 0 || (items.len() as u64) < limit {
        let Some((key, object)) = rest.next() else { break };
        items.push((**object).clone());
        last = Some(key);
    }
    let remaining = rest.count();
    let mut list = wrap(resource, items, revision);
    if let (Some(last), true) = (last, remaining > 0) {
        let last =
            if query.repeats_pages { after.map_or_else(|| first(resource), |page| page.last) } else { last.clone() };
        list["metadata"]["continue"] = Page { revision, last }.token(namespace).into();
        if selector.is_everything() {
            list["metadata"]["remainingItemCount"] = remaining.into();
        }
    }
    Ok(list)
}

fn first(resource: &'static Resource) -> Key {
    Key::new(resource, "", "")
}

fn not_a_number(text: &str) -> String {
    format!("strconv.ParseInt: parsing {text:?}: invalid syntax")
}

fn check_version(version: &str, match_kind: &str, continues: bool, current: u64) -> Result<(), Refusal> {
    let wrong = |fault: Fault| Err(Refusal::options("ListOptions", &[fault]));
    if !match_kind.is_empty() {
        if continues {
            return wrong(Fault::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if version.is_empty() {
            let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return wrong(Fault::forbidden("resourceVersionMatch", detail));
        }
        if !matches!(match_kind, "Exact" | "NotOlderThan") {
            let supported = ["Exact", "NotOlderThan"];
            return wrong(Fault::unsupported("resourceVersionMatch", &match_kind.into(), &supported));
        }
    }
    if !version.is_empty() && version.parse::<u64>().is_err() {
        return Err(Refusal::bad_request(format!("invalid resource version: {}", watch::not_a_version(version))));
    }
    if version.parse::<u64>().is_ok_and(|version| version > current) {
        return Err(Refusal::too_large_version(version, current));
    }
    Ok(())
}

/// A list object; its items carry no kind, as typed lists do not.
pub(super) fn wrap(resource: &Resource, mut items: Vec<Value>, revision: u64) -> Value {
    let mut meta = json!({"resourceVersion": revision.to_string()});
    if resource.custom.is_some() {
        // Custom objects carry their kind, and their lists an empty token.
        meta["continue"] = "".into();
    } else {
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.shift_remove("apiVersion");
            item.shift_remove("kind");
        }
    }
    json!({
        "kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(),
        "metadata": meta, "items": items,
    })
}

/// Where a page ended.
struct Page {
    revision: u64,
    last: Key,
}

impl Page {
    /// `namespace` is what the list is of: the token tells the rest.
    fn token(&self, namespace: &str) -> String {
        let name = &self.last.name;
        let start = if namespace.is_empty() && self.last.resource.namespaced {
            format!("{}/{name}\0", self.last.namespace)
        } else {
            format!("{name}\0")
        };
        URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": start}).to_string())
    }

    fn read(store: &Store, resource: &'static Resource, namespace: &str, token: &str) -> Result<Self, Refusal> {
        let wrong = |why: &str| Refusal::bad_request(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD
            .decode(token.trim_end_matches('='))
            .map_err(|_| wrong("illegal base64 data at input byte 8"))?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| {
            let first = bytes.first().copied().map_or(' ', char::from);
            let shown = if first.is_ascii() { first.to_string() } else { format!("\\u{:04x}", u32::from(first)) };
            Refusal::bad_request(format!(
                "invalid continue token: continue key is not valid: invalid character '{shown}' looking for beginning of value"
            ))
        })?;
        let start = token["start"].as_str().ok_or_else(|| wrong("invalid continue token"))?.trim_end_matches('\0');
        let (namespace, name) = match start.split_once('/') {
            Some((namespace, name)) => (namespace, name),
            None => (namespace, start),
        };
        let last = Key::new(resource, namespace, name);
        let revision = token["rv"].as_i64().ok_or_else(|| wrong("invalid continue token"))?;
        // An inconsistent continuation: what there is now.
        let Ok(revision) = u64::try_from(revision) else { return Ok(Page { revision: store.revision(), last }) };
        if revision < store.compacted() {
            let start = if name.is_empty() { String::new() } else { format!("{name}\0") };
            let token = json!({"v": "meta.k8s.io/v1", "rv": -1, "start": start}).to_string();
            return Err(Refusal::page_expired(URL_SAFE_NO_PAD.encode(token)));
        }
        Ok(Page { revision, last })
    }
}
