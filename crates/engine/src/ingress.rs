//! What the watcher holds to be true of each node, as its custom kind tells it.

use crate::kubernetes;
use crate::reach::{Reach, Subject};
use plan::Observed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One node in the watcher's eyes.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressStatus {
    /// `Serving`, `Unstable`, `Down` or `Unknown`; empty before the watcher has said anything.
    pub verdict: String,
    /// Whether its addresses are in DNS, as last read there.
    pub published: bool,
    /// Since when the verdict stands, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Until when it is kept out of DNS for having come and gone too often, RFC 3339.
    #[serde(rename(serialize = "held_until"), skip_serializing_if = "Option::is_none")]
    pub held_until: Option<String>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    #[serde(default)]
    status: IngressStatus,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// By node. Nothing where no watcher is installed, or the API has stopped answering meanwhile.
pub(crate) async fn look(reach: &Reach, subject: &Subject, observed: &Observed) -> BTreeMap<String, IngressStatus> {
    kubernetes::ask(reach, subject, &observed.devices, |client| async move { list(&client).await })
        .await
        .unwrap_or_default()
}

/// By node.
pub(crate) async fn list(client: &kube::Client) -> Result<BTreeMap<String, IngressStatus>, kube::Error> {
    let request = http::Request::get("/apis/bouquet.dev/v1alpha1/ingressnodes").body(Vec::new());
    let list: List = client.request(request.map_err(kube::Error::HttpError)?).await?;
    Ok(list.items.into_iter().map(|item| (item.metadata.name, item.status)).collect())
}

/// Why not one node is in DNS; `None` if one is.
pub(crate) fn unpublished(nodes: &BTreeMap<String, IngressStatus>) -> Option<String> {
    if nodes.values().any(|node| node.published) {
        return None;
    }
    let said = nodes.iter().filter_map(|(name, node)| Some(format!("{name}: {}", node.reason.as_ref()?)));
    let said: Vec<String> = said.collect();
    let why = if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) };
    Some(format!("no node is in DNS yet{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_ingress_node_is_read_whether_or_not_the_watcher_has_spoken() {
        let list = json!({"items": [
            {"metadata": {"name": "lily"}, "status": {"verdict": "Down", "published": false, "since": "2026-12-01T08:00:00Z",
                "heldUntil": "2026-12-01T08:05:00Z", "reason": "refused", "reports": []}},
            {"metadata": {"name": "rose"}},
        ]});
        let list: List = serde_json::from_value(list).unwrap();
        let [lily, rose] = list.items.as_slice() else { panic!("two") };
        assert_eq!(lily.status.held_until.as_deref(), Some("2026-12-01T08:05:00Z"));
        assert_eq!(rose.status, IngressStatus::default());
        let nodes =
            |published| BTreeMap::from([("lily".to_owned(), IngressStatus { published, ..lily.status.clone() })]);
        assert_eq!(unpublished(&nodes(false)).as_deref(), Some("no node is in DNS yet (lily: refused)"));
        assert_eq!(unpublished(&nodes(true)), None);
        assert_eq!(serde_json::to_value(&lily.status).unwrap()["held_until"], "2026-12-01T08:05:00Z");
    }
}
