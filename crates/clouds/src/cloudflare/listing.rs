//! A whole zone at one moment, and how much it may hold.

use super::{Cloudflare, Page, RECORDS_PAGE, Record, page, records_path, result};
use crate::rest::{Ask, escaped, query, refused};
use crate::{Error, Why};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeSet;
use wire::Line;

/// What a zone's plan allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Records in the zone.
    pub records_most: usize,
    /// Changes in one batch.
    pub batch_most: usize,
}

/// Free zones that were made before this may hold more.
const FEWER_SINCE: &str = "2024-09-01T00:00:00Z";
const FREE: Allowance = Allowance { records_most: 200, batch_most: 200 };
const FREE_BEFORE: Allowance = Allowance { records_most: 1_000, batch_most: 200 };
const PAID: Allowance = Allowance { records_most: 3_500, batch_most: 3_500 };

#[derive(Deserialize)]
struct Details {
    plan: Option<Plan>,
    created_on: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Plan {
    legacy_id: Option<String>,
}

impl Details {
    /// A plan that is not said is taken for the smallest.
    fn allowance(&self) -> Allowance {
        let plan = self.plan.as_ref().and_then(|plan| plan.legacy_id.as_deref()).unwrap_or("free");
        let is_old = FEWER_SINCE.parse().is_ok_and(|since: Timestamp| self.created_on.is_some_and(|made| made < since));
        match plan {
            "free" if is_old => FREE_BEFORE,
            "free" => FREE,
            _ => PAID,
        }
    }
}

impl Cloudflare {
    /// How much a zone may hold, from its plan and age.
    pub async fn allowance(&self, line: &Line, zone: &str) -> Result<Allowance, Error> {
        let ask = Ask::get("cloudflare GET /zones/{id}", format!("/zones/{}", escaped(zone)));
        line.send(result::<Details>(&self.rest, ask)?).await.map(|details| details.allowance())
    }

    /// Every record of a zone, once; an error of the sort [`Why::Busy`] if the pages do not add up because the zone changed
    /// while they were read.
    pub async fn list(&self, line: &Line, zone: &str) -> Result<Vec<Record>, Error> {
        let name = "cloudflare GET /zones/{id}/dns_records";
        let moved = || refused(name, Why::Busy, "the zone changed while its pages were read".to_owned());
        let (mut records, mut ids) = (Vec::new(), BTreeSet::new());
        let (mut number, mut all): (u64, Option<u64>) = (1, None);
        loop {
            // A fixed order, so that what is added meanwhile moves as few records as may be from page to page.
            let pairs = query(&[
                ("page", &number.to_string()),
                ("per_page", &RECORDS_PAGE.to_string()),
                ("order", "name"),
                ("direction", "asc"),
            ]);
            let ask = Ask::get(name, format!("{}?{pairs}", records_path(zone)));
            let page: Page<Record> = line.send(page(&self.rest, ask)?).await?;
            let total = page.total_count;
            let is_new = |record: &Record| ids.insert(record.id.clone());
            if number > 1 && total != all || !page.items.iter().all(is_new) {
                return Err(moved());
            }
            (all, records) = (total, [records, page.items].concat());
            if number >= page.total_pages {
                break;
            }
            number += 1;
        }
        let is_whole = all.is_none_or(|all| u64::try_from(records.len()) == Ok(all));
        if is_whole { Ok(records) } else { Err(moved()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Reply, line};
    use serde_json::{Value, json};
    use wire::Secret;

    fn record(id: &str) -> Value {
        json!({ "id": id, "name": "a.example.com", "type": "A", "content": "192.0.2.1", "ttl": 60, "comment": null })
    }

    async fn listed(pages: Vec<(&'static [&'static str], u64)>) -> Result<Vec<String>, Why> {
        let count = pages.len();
        let (line, _) = line(move |asked| {
            let number: usize = asked.line.split("page=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
            let (ids, total) = &pages[number - 1];
            let result: Vec<Value> = ids.iter().map(|id| record(id)).collect();
            let info = json!({ "total_pages": count, "total_count": total });
            Reply::Say(200, json!({ "success": true, "result": result, "result_info": info }).to_string())
        });
        let endpoint = http::Uri::from_static(super::super::ENDPOINT);
        let cloudflare = Cloudflare::new(&Secret::new("t0ken"), &endpoint).unwrap();
        let records = cloudflare.list(&line, "z").await.map_err(|error| error.why)?;
        Ok(records.into_iter().map(|record| record.id).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn pages_that_do_not_add_up_are_no_zone() {
        assert_eq!(listed(vec![(&["a", "b"], 3), (&["c"], 3)]).await.unwrap(), ["a", "b", "c"]);
        assert_eq!(listed(vec![(&[], 0)]).await.unwrap(), Vec::<String>::new());
        for pages in [
            vec![(&["a", "b"][..], 3), (&["b"][..], 3)],
            vec![(&["a", "b"][..], 3), (&["c"][..], 4)],
            vec![(&["a", "b"][..], 3)],
        ] {
            assert_eq!(listed(pages).await, Err(Why::Busy));
        }
    }

    #[test]
    fn a_plan_says_how_much_there_is_room_for() {
        let of = |text: &str| serde_json::from_str::<Details>(text).unwrap().allowance();
        assert_eq!(of(r#"{"plan": {"legacy_id": "free"}, "created_on": "2025-03-14T09:20:00.000000Z"}"#), FREE);
        assert_eq!(of(r#"{"plan": {"legacy_id": "free"}, "created_on": "2024-08-31T23:59:59Z"}"#), FREE_BEFORE);
        assert_eq!(of(r#"{"plan": {"legacy_id": "pro"}}"#), PAID);
        assert_eq!(of("{}"), FREE);
    }
}
