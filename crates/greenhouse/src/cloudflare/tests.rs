//! The account as its API and the world's resolvers see it.

use super::*;
use crate::world::{Greenhouse, Options};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use std::time::Duration;
use wire::{Body, Target, Time};

struct Bench {
    greenhouse: Greenhouse,
    time: Time,
    zone: String,
}

impl Bench {
    fn new(rules: &[&str]) -> Self {
        let time = Time::starting_at("2026-11-23T08:00:00Z".parse().unwrap(), Rng::seeded(1));
        let options = Options { faults: rules.iter().map(|&rule| rule.to_owned()).collect(), ..Options::default() };
        let greenhouse = Greenhouse::new(&options, time.clone()).unwrap();
        let zone = greenhouse.world.with(|state| state.cloudflare.zones[0].id.clone());
        Bench { greenhouse, time, zone }
    }

    async fn send(
        &self,
        authorization: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> (http::response::Parts, Value) {
        let mut request = Request::builder().method(method).uri(format!("/client/v4{path}"));
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = request.body(Body::from(Bytes::from(text))).unwrap();
        let answer = self.greenhouse.wire().call(&Target::https("api.cloudflare.com", 443), request).await.unwrap();
        let (head, body) = answer.into_parts();
        (head, serde_json::from_slice(&body.collect(1 << 20).await.unwrap()).unwrap())
    }

    fn bearer(&self, variable: &str) -> String {
        format!("Bearer {}", self.greenhouse.credentials()[variable])
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let path = path.replace("{zone}", &self.zone);
        let (head, answer) = self.send(&self.bearer("CLOUDFLARE_API_TOKEN"), method, &path, body).await;
        assert_eq!(answer["success"], head.status.is_success());
        (head.status, answer)
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, Value::Null).await.1
    }

    async fn post(&self, body: Value) -> Result<Value, i64> {
        let (_, answer) = self.call(Method::POST, "/zones/{zone}/dns_records", body).await;
        let error = &answer["errors"][0];
        let code = if error["code"] == 1004 { &error["error_chain"][0]["code"] } else { &error["code"] };
        code.as_i64().map_or_else(|| Ok(answer["result"].clone()), Err)
    }
}

fn a(name: &str, content: &str) -> Value {
    json!({"type": "A", "name": name, "content": content, "ttl": 60, "comment": "bouquet/bouquet/rose"})
}

#[tokio::test(start_paused = true)]
async fn a_token_is_told_what_is_wrong_with_it() {
    let bench = Bench::new(&[]);
    let verify = async |authorization: &str| {
        let (head, answer) = bench.send(authorization, Method::GET, "/user/tokens/verify", Value::Null).await;
        (head.status.as_u16(), answer["errors"][0]["code"].as_i64())
    };
    assert_eq!(verify(&bench.bearer("CLOUDFLARE_API_TOKEN")).await, (200, None));
    assert_eq!(verify("").await, (400, Some(9106)));
    assert_eq!(verify("Bearer short").await, (400, Some(6003)));
    assert_eq!(verify(&format!("Bearer {}", "x".repeat(40))).await, (401, Some(1000)));
    let path = format!("/zones/{}/dns_records", bench.zone);
    let other = bench.bearer("CLOUDFLARE_API_TOKEN_OTHER");
    let (head, answer) = bench.send(&other, Method::GET, &path, Value::Null).await;
    assert_eq!((head.status.as_u16(), &answer["errors"][0]["code"]), (403, &json!(10_000)));
    let (_, answer) = bench.send(&other, Method::GET, "/zones?name=example.com", Value::Null).await;
    assert_eq!((&answer["result"], &answer["result_info"]["total_count"]), (&json!([]), &json!(0)));
}

#[tokio::test(start_paused = true)]
async fn a_zone_is_found_by_name_unless_it_is_hidden() {
    let bench = Bench::new(&["cloudflare zone-hidden for example.com after 1"]);
    let seen = bench.get("/zones?name=example.com").await;
    assert_eq!((&seen["result"][0]["id"], &seen["result"][0]["status"]), (&json!(bench.zone), &json!("active")));
    assert_eq!(seen["result"][0]["plan"]["legacy_id"], "free");
    assert_eq!(bench.get("/zones?name=example.com").await["result"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_record_is_answered_as_it_is_stored() {
    let bench = Bench::new(&[]);
    let made = bench.post(a("API.Bouquet", "100.64.1.2")).await.unwrap();
    assert_eq!((&made["name"], &made["ttl"]), (&json!("api.bouquet.example.com"), &json!(60)));
    assert_eq!(made["id"].as_str().unwrap().len(), 32);
    let alias = json!({"type": "CNAME", "name": "web", "content": "LB.example.com."});
    let alias = bench.post(alias).await.unwrap();
    assert_eq!(
        (&alias["content"], &alias["ttl"], &alias["proxied"]),
        (&json!("lb.example.com"), &json!(1), &json!(false))
    );
    let proxied = json!({"type": "A", "name": "p", "content": "198.51.100.1", "ttl": 600, "proxied": true});
    assert_eq!(bench.post(proxied).await.unwrap()["ttl"], 1);

    let path = format!("/zones/{{zone}}/dns_records/{}", made["id"].as_str().unwrap());
    bench.time.sleep(Duration::from_mins(1)).await;
    let (_, patched) = bench.call(Method::PATCH, &path, json!({"content": "100.64.1.3"})).await;
    assert_eq!((&patched["result"]["ttl"], &patched["result"]["comment"]), (&made["ttl"], &made["comment"]));
    assert_eq!(patched["result"]["created_on"], made["created_on"]);
    assert_ne!(patched["result"]["modified_on"], made["modified_on"]);
    let whole = json!({"type": "A", "name": "api.bouquet", "content": "100.64.1.4"});
    let (_, put) = bench.call(Method::PUT, &path, whole).await;
    assert_eq!((&put["result"]["ttl"], &put["result"]["comment"]), (&json!(1), &Value::Null), "unsaid is reset");
    assert_eq!(bench.call(Method::DELETE, &path, Value::Null).await.1["result"], json!({"id": made["id"]}));
    let (status, gone) = bench.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!((status.as_u16(), &gone["errors"][0]["code"]), (404, &json!(81_044)));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_stand_in_a_zone_is_refused_with_its_code() {
    let bench = Bench::new(&[]);
    bench.post(a("lb", "192.0.2.1")).await.unwrap();
    bench.post(json!({"type": "CNAME", "name": "web", "content": "lb.example.com"})).await.unwrap();
    let with = |key: &str, value: Value| {
        let mut body = a("x", "192.0.2.2");
        body[key] = value;
        body
    };
    let refusals = [
        (a("lb", "192.0.2.1"), 81_058),
        (json!({"type": "CNAME", "name": "lb", "content": "web.example.com"}), 81_053),
        (a("web", "192.0.2.1"), 81_054),
        (a("x", "192.0.2"), 9005),
        (json!({"type": "AAAA", "name": "x", "content": "192.0.2.1"}), 9006),
        (a("a b", "192.0.2.1"), 9000),
        (with("ttl", json!(59)), 9021),
        (with("ttl", json!(86_401)), 9021),
        (with("comment", json!("x".repeat(101))), 9313),
        (with("tags", json!(["owner:me"])), 9300),
        (json!({"type": "TXT", "name": "x", "content": "x", "proxied": true}), 9041),
        (json!({"type": "A", "name": "x", "content": "100.64.0.9", "proxied": true}), 9003),
        (json!([]), 9207),
    ];
    for (body, code) in refusals {
        assert_eq!(bench.post(body.clone()).await, Err(code), "{body}");
    }
    assert!(bench.post(with("comment", json!("x".repeat(100)))).await.is_ok());
    assert!(bench.post(a("lb", "192.0.2.2")).await.is_ok(), "a second address of a name");
}

#[tokio::test(start_paused = true)]
async fn a_list_filters_sorts_and_pages() {
    let bench = Bench::new(&[]);
    for at in 1..=5 {
        bench.post(a("lb", &format!("192.0.2.{at}"))).await.unwrap();
    }
    let list = async |query: &str| bench.get(&format!("/zones/{{zone}}/dns_records?{query}")).await;
    let all = list("").await;
    assert_eq!((&all["result_info"]["total_count"], &all["result_info"]["per_page"]), (&json!(9), &json!(100)));
    let page = list("name=LB.example.com&type=A&per_page=2&page=3&order=content&direction=desc").await;
    assert_eq!(page["result"][0]["content"], "192.0.2.1");
    let info = json!({"page": 3, "per_page": 2, "count": 1, "total_count": 5, "total_pages": 3});
    assert_eq!(page["result_info"], info);
    assert_eq!(list("page=9").await["result"], json!([]));
    let count = async |query: &str| list(query).await["result_info"]["total_count"].as_i64().unwrap();
    assert_eq!(count("comment.startswith=bouquet/bouquet/").await, 5);
    assert_eq!(count("comment.absent=true").await, 4);
    assert_eq!(count("name.endswith=.example.com&content.contains=192.0").await, 5);
    assert_eq!(count("match=any&type=MX&type.exact=MX&content=192.0.2.4").await, 2);
    assert_eq!(count("per_page=99999&proxied=true").await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_made_in_order_and_whole_or_not_at_all() {
    let bench = Bench::new(&[]);
    let old = bench.post(a("lb", "192.0.2.1")).await.unwrap();
    let kept = bench.post(a("lb", "192.0.2.2")).await.unwrap();
    let before = bench.greenhouse.inventory();
    let batch = async |body| bench.call(Method::POST, "/zones/{zone}/dns_records/batch", body).await;
    let failing = json!({"posts": [a("new", "192.0.2.7"), a("lb", "192.0.2.2")], "deletes": [{"id": old["id"]}]});
    let (status, answer) = batch(failing).await;
    assert_eq!((status.as_u16(), &answer["errors"][0]["code"]), (400, &json!(81_058)));
    assert_eq!(bench.greenhouse.inventory(), before);
    let (_, answer) = batch(json!({
        "posts": [{"type": "CNAME", "name": "lb", "content": "else.example.com"}],
        "deletes": [{"id": old["id"]}, {"id": kept["id"]}],
    }))
    .await;
    assert_eq!(answer["result"]["deletes"], json!([{"id": old["id"]}, {"id": kept["id"]}]));
    assert_eq!((&answer["result"]["posts"][0]["type"], &answer["result"]["puts"]), (&json!("CNAME"), &json!([])));
    assert_eq!(batch(json!({})).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_zone_holds_two_hundred_records() {
    let bench = Bench::new(&[]);
    let posts: Vec<Value> = (0..196).map(|at| a("many", &format!("192.0.2.{at}"))).collect();
    let (status, _) = bench.call(Method::POST, "/zones/{zone}/dns_records/batch", json!({"posts": posts})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(bench.post(a("x", "192.0.2.1")).await, Err(81_045));
}

#[tokio::test(start_paused = true)]
async fn who_calls_too_often_is_refused_everything_for_five_minutes() {
    let bench = Bench::new(&[]);
    let bearer = bench.bearer("CLOUDFLARE_API_TOKEN");
    let call = async || bench.send(&bearer, Method::GET, "/zones", Value::Null).await;
    for _ in 0..1200 {
        assert_eq!(call().await.0.status, StatusCode::OK);
    }
    let (head, answer) = call().await;
    assert_eq!((head.status, &answer["errors"][0]["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!(971)));
    assert_eq!(head.headers["retry-after"], "300");
    bench.time.sleep(Duration::from_secs(298)).await;
    assert_eq!(call().await.0.status, StatusCode::TOO_MANY_REQUESTS);
    bench.time.sleep(Duration::from_secs(2)).await;
    let (head, _) = call().await;
    assert_eq!(head.status, StatusCode::OK);
    assert!(head.headers["ratelimit"].to_str().unwrap().starts_with("\"default\";r="));
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_none_has_no_route() {
    let bench = Bench::new(&[]);
    for path in ["/zones/nope/dns_records", "/zones/{zone}/dns_records/nope", "/nowhere"] {
        let (status, answer) = bench.call(Method::GET, path, Value::Null).await;
        assert_eq!((status, &answer["errors"][0]["code"]), (StatusCode::NOT_FOUND, &json!(7003)), "{path}");
    }
}
