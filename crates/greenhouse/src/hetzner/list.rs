//! Listing: filters that every kind has, sorting, pages.

use super::answer::{Answer, Refusal, ok};
use super::input::Query;
use super::labels::Selector;
use serde_json::{Value, json};
use std::cmp::Ordering;

const PER_PAGE: u64 = 25;
const PER_PAGE_MAX: u64 = 50;

/// One page of `items` as `{kind: […], meta}`, filtered by `name` and `label_selector`, sorted by `sort`, which may
/// name one of `sorts`.
pub(super) fn page(query: &Query, kind: &'static str, mut items: Vec<Value>, sorts: &[&str]) -> Answer {
    if let Some(name) = query.one("name") {
        items.retain(|item| item.get("name").and_then(Value::as_str) == Some(name));
    }
    if let Some(text) = query.one("label_selector") {
        let mut selector = Selector::parse(text)?;
        if query.lies("hetzner-selector-of-one-term") {
            selector.keep_first();
        }
        items.retain(|item| selector.matches(item.get("labels").unwrap_or(&Value::Null)));
    }
    if !query.lies("hetzner-sort-ignored") {
        sort(query, &mut items, sorts)?;
    }
    let page = query.number("page", 1)?;
    let per_page = query.number("per_page", PER_PAGE)?.min(PER_PAGE_MAX);
    let total = items.len() as u64;
    let last = total.div_ceil(per_page).max(1);
    let first = if query.lies("hetzner-page-repeats") { 0 } else { page - 1 };
    let from = usize::try_from(first.saturating_mul(per_page)).unwrap_or(usize::MAX);
    let size = usize::try_from(per_page).unwrap_or(usize::MAX);
    let shown: Vec<Value> = items.into_iter().skip(from).take(size).collect();
    let last = if query.lies("hetzner-pages-end-early") { last.saturating_sub(1).max(1) } else { last };
    let next = (page < last).then(|| page + 1);
    let previous = (page > 1).then(|| page - 1);
    let meta = json!({"pagination": {
        "page": page, "per_page": per_page, "previous_page": previous, "next_page": next, "last_page": last,
        "total_entries": total,
    }});
    let link = [("next", next), ("prev", previous), ("last", Some(last))].into_iter().filter_map(|(name, page)| {
        let page = page?;
        Some(format!("<https://api.hetzner.cloud/v1/{kind}?page={page}&per_page={per_page}>; rel=\"{name}\""))
    });
    let link = link.collect::<Vec<_>>().join(", ");
    ok(json!({kind: shown, "meta": meta})).map(|reply| reply.with_link(link))
}

fn sort(query: &Query, items: &mut [Value], sorts: &[&str]) -> Result<(), Refusal> {
    let mut keys = Vec::new();
    for text in query.all("sort") {
        let (key, direction) = text.split_once(':').unwrap_or((text, "asc"));
        if !sorts.contains(&key) || !matches!(direction, "asc" | "desc") {
            return Err(Refusal::field("sort", format!("cannot sort by '{text}'")));
        }
        keys.push((key.to_owned(), direction == "desc"));
    }
    items.sort_by(|left, right| {
        let by = keys.iter().map(|(key, descending)| {
            let order = compare(left.get(key.as_str()), right.get(key.as_str()));
            if *descending { order.reverse() } else { order }
        });
        by.fold(Ordering::Equal, Ordering::then).then_with(|| compare(left.get("id"), right.get("id")))
    });
    Ok(())
}

fn compare(left: Option<&Value>, right: Option<&Value>) -> Ordering {
    match (left, right) {
        (Some(Value::Number(left)), Some(Value::Number(right))) => left.as_u64().cmp(&right.as_u64()),
        (Some(Value::String(left)), Some(Value::String(right))) => left.cmp(right),
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use http_body_util::BodyExt;

    async fn listed(pairs: &[(&str, &str)], count: u64) -> Value {
        let items = (1..=count).map(|id| json!({"id": id, "name": format!("n{}", id % 7), "labels": {}})).collect();
        let response = page(&Query::of(pairs), "things", items, &["id", "name"]).into_response();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn pages_are_25_long_and_never_longer_than_50() {
        let first = listed(&[], 60).await;
        assert_eq!(first["things"].as_array().unwrap().len(), 25);
        assert_eq!(first["meta"]["pagination"]["next_page"], 2);
        assert_eq!(first["meta"]["pagination"]["last_page"], 3);
        let last = listed(&[("page", "2"), ("per_page", "500")], 60).await;
        assert_eq!(last["things"].as_array().unwrap().len(), 10);
        assert_eq!(last["meta"]["pagination"]["next_page"], Value::Null);
        assert!(page(&Query::of(&[("page", "0")]), "things", Vec::new(), &[]).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn sorting_is_by_the_named_keys_and_then_by_id() {
        let sorted = listed(&[("sort", "name:desc")], 9).await;
        let ids: Vec<u64> = sorted["things"].as_array().unwrap().iter().map(|t| t["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, [6, 5, 4, 3, 2, 9, 1, 8, 7]);
        assert!(page(&Query::of(&[("sort", "shoe")]), "things", Vec::new(), &["id"]).is_err());
    }
}
