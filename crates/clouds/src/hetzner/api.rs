//! Requests to Hetzner's API and how their answers are read. Source: <https://docs.hetzner.cloud/reference/cloud>.

use super::types::{Action, Firewall, LoadBalancer, Pricing, Server, ServerType, Snapshot, SshKey, Volume};
use crate::Error;
use crate::rest::{Ask, Rest, garbled, parse, query};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use wire::{Answer, Call, Line};

/// The largest page that Hetzner gives.
const PER_PAGE: &str = "50";

/// A list that can be read page by page.
pub(super) struct List<'a> {
    pub name: &'static str,
    pub path: &'a str,
    /// The answer's field that holds the list.
    pub field: &'static str,
    pub filter: &'a [(&'a str, &'a str)],
}

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<u64>,
}

#[derive(Deserialize)]
struct Meta {
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    next_page: Option<u64>,
}

pub(super) const SERVERS: List<'_> =
    List { name: "hetzner GET /servers", path: "/servers", field: "servers", filter: &[] };
pub(super) const FIREWALLS: List<'_> =
    List { name: "hetzner GET /firewalls", path: "/firewalls", field: "firewalls", filter: &[] };
pub(super) const SSH_KEYS: List<'_> =
    List { name: "hetzner GET /ssh_keys", path: "/ssh_keys", field: "ssh_keys", filter: &[] };
pub(super) const SNAPSHOTS: List<'_> =
    List { name: "hetzner GET /images", path: "/images", field: "images", filter: &[("type", "snapshot")] };
pub(super) const VOLUMES: List<'_> =
    List { name: "hetzner GET /volumes", path: "/volumes", field: "volumes", filter: &[] };
pub(super) const LOAD_BALANCERS: List<'_> =
    List { name: "hetzner GET /load_balancers", path: "/load_balancers", field: "load_balancers", filter: &[] };
pub(super) const SERVER_TYPES: List<'_> =
    List { name: "hetzner GET /server_types", path: "/server_types", field: "server_types", filter: &[] };
pub(super) const LOCATIONS: List<'_> =
    List { name: "hetzner GET /locations", path: "/locations", field: "locations", filter: &[] };

/// Which field of an answer holds the object that was asked for.
pub(super) trait Held: DeserializeOwned {
    const FIELD: &'static str;
}

macro_rules! held {
    ($($kind:ty: $field:literal),*) => { $(impl Held for $kind { const FIELD: &'static str = $field; })* };
}
held!(
    Server: "server", Firewall: "firewall", SshKey: "ssh_key", Snapshot: "image", Volume: "volume",
    LoadBalancer: "load_balancer", ServerType: "server_type", Action: "action", Pricing: "pricing"
);

/// A call for one object.
pub(super) fn one<T: Held + 'static>(rest: &Rest, ask: Ask) -> Result<Call<T, Error>, Error> {
    rest.call(ask, |name, answer| {
        let mut object: Map<String, Value> = parse(name, answer)?;
        field(name, answer, &mut object, T::FIELD)
    })
}

/// A call for one page of a list.
pub(super) fn page<T: DeserializeOwned + 'static>(
    rest: &Rest,
    list: &List<'_>,
    number: u64,
) -> Result<Call<Page<T>, Error>, Error> {
    let number_text = number.to_string();
    let mut pairs = list.filter.to_vec();
    pairs.extend([("page", number_text.as_str()), ("per_page", PER_PAGE)]);
    let ask = Ask::get(list.name, format!("{}?{}", list.path, query(&pairs)));
    let items_field = list.field;
    rest.call(ask, move |name, answer| {
        let mut object: Map<String, Value> = parse(name, answer)?;
        let items = field(name, answer, &mut object, items_field)?;
        let meta: Option<Meta> = match object.remove("meta") {
            Some(meta) => serde_json::from_value(meta).map_err(|_| garbled(name, answer, "pages that lead nowhere"))?,
            None => None,
        };
        let next = meta.and_then(|meta| meta.pagination).and_then(|pagination| pagination.next_page);
        // A next page that is not further on would be read for ever.
        if next.is_some_and(|next| next <= number) {
            return Err(garbled(name, answer, "pages that lead in a circle"));
        }
        Ok(Page { items, next })
    })
}

/// All of a list, page by page.
pub(super) async fn all<T: DeserializeOwned + 'static>(
    rest: &Rest,
    line: &Line,
    list: &List<'_>,
) -> Result<Vec<T>, Error> {
    let (mut all, mut number) = (Vec::new(), 1);
    loop {
        let mut page = line.send(page(rest, list, number)?).await?;
        all.append(&mut page.items);
        match page.next {
            Some(next) => number = next,
            None => return Ok(all),
        }
    }
}

/// An action on a server that can be asked for twice.
pub(super) fn act(rest: &Rest, name: &'static str, path: String) -> Result<Call<(), Error>, Error> {
    rest.unit(Ask::act(name, path, json!({})))
}

fn field<T: DeserializeOwned>(
    name: &'static str,
    answer: &Answer,
    object: &mut Map<String, Value>,
    field: &str,
) -> Result<T, Error> {
    let value = object.remove(field).ok_or_else(|| garbled(name, answer, &format!("no `{field}` in it")))?;
    serde_json::from_value(value).map_err(|_| garbled(name, answer, &format!("a `{field}` of another shape")))
}

#[cfg(test)]
mod tests {
    use super::super::found::tests::{FIREWALL, SERVER};
    use super::*;
    use crate::Why;
    use crate::rest::tests::{GARBAGE, answer};
    use proptest::prelude::*;

    fn rest() -> Rest {
        let endpoint = http::Uri::from_static("https://api.hetzner.cloud/v1");
        Rest::new("hetzner", "HCLOUD_ENDPOINT", &endpoint, super::super::refusal::sort).unwrap()
    }

    fn read_servers(body: &str) -> Result<Page<Server>, Error> {
        (page(&rest(), &SERVERS, 1).unwrap().read)(&answer(200, body))
    }

    #[test]
    fn a_list_asks_for_full_pages_and_follows_them() {
        let call = page::<Server>(&rest(), &SNAPSHOTS, 3).unwrap();
        assert_eq!(call.request.uri(), "https://api.hetzner.cloud/v1/images?type=snapshot&page=3&per_page=50");
        let body = |next: &str| {
            format!(r#"{{"servers": [{SERVER}], "meta": {{"pagination": {{"page": 1, "next_page": {next}}}}}}}"#)
        };
        assert_eq!(read_servers(&body("2")).unwrap().next, Some(2));
        let last = read_servers(&body("null")).unwrap();
        assert_eq!((last.next, last.items.len()), (None, 1));
        assert_eq!(read_servers(&body("1")).unwrap_err().why, Why::Garbled);
    }

    #[test]
    fn an_object_is_read_out_of_its_wrapper() {
        let call = one::<Firewall>(&rest(), Ask::get("hetzner GET /firewalls/{id}", "/firewalls/38")).unwrap();
        let body = format!(r#"{{"firewall": {FIREWALL}, "actions": []}}"#);
        assert_eq!((call.read)(&answer(200, &body)).unwrap().id, 38);
        let error = (call.read)(&answer(200, r#"{"server": {}}"#)).unwrap_err();
        assert_eq!((error.call, error.why), ("hetzner GET /firewalls/{id}", Why::Garbled));
    }

    #[test]
    fn garbage_is_an_error_with_the_calls_name() {
        for body in GARBAGE {
            let error = read_servers(body).unwrap_err();
            assert_eq!((error.call, error.why), ("hetzner GET /servers", Why::Garbled), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(body in proptest::collection::vec(any::<u8>(), 0..200), cut in 0..SERVER.len()) {
            let call = page::<Server>(&rest(), &SERVERS, 1).unwrap();
            let raw = Answer { body: body.into(), ..answer(200, "") };
            prop_assert!((call.read)(&raw).is_err());
            let cut = format!("{{\"servers\": [{}", SERVER.get(..cut).unwrap_or(""));
            prop_assert!((call.read)(&answer(200, &cut)).is_err());
        }
    }
}
