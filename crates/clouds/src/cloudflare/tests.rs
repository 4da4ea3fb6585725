use super::*;
use crate::rest::tests::GARBAGE;
use crate::scripted::{Asked, Reply, line, lines};
use crate::{AddressRecord, Finding, Why, Zones};

const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";
const COMMENT: &str = "bouquet/bouquet/api/rose";

fn cloudflare() -> Cloudflare {
    Cloudflare::new(&Secret::new("t0ken"), &http::Uri::from_static(ENDPOINT)).unwrap()
}

fn good(result: &Value) -> Reply {
    Reply::Say(200, json!({ "success": true, "errors": [], "messages": [], "result": result }).to_string())
}

fn bad(status: u16, code: u64) -> Reply {
    let errors = json!([{ "code": code, "message": "no" }]);
    Reply::Say(status, json!({ "success": false, "errors": errors, "messages": [], "result": null }).to_string())
}

fn record(id: &str) -> Value {
    json!({ "id": id, "name": "api.bouquet.example.com", "type": "A", "content": "192.0.2.1", "ttl": 60,
            "proxied": false, "proxiable": true, "comment": COMMENT, "tags": [], "settings": {}, "meta": {} })
}

fn zones(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "id": ZONE, "name": name, "status": "active" })).collect()
}

async fn put(line: &Line, known: Option<&str>) -> Result<String, Error> {
    let (name, mark) = ("api.bouquet.example.com".to_owned(), COMMENT.to_owned());
    let wanted = AddressRecord { name, address: "100.64.0.7".parse().unwrap(), ttl_s: 60, mark };
    cloudflare().put_address(line, ZONE, known, &wanted).await
}

#[tokio::test(start_paused = true)]
async fn the_longest_zone_wins_and_a_lookalike_does_not() {
    let (line, asked) = line(|_| good(&zones(&["example.com", "bouquet.example.com", "quet.example.com"])));
    assert_eq!(cloudflare().zone_of(&line, "api.bouquet.example.com").await.unwrap().name, "bouquet.example.com");
    assert_eq!(cloudflare().zone_of(&line, "example.com").await.unwrap().name, "example.com");
    let error = cloudflare().zone_of(&line, "bouquet.example.org").await.unwrap_err();
    assert_eq!(error.why, Why::Forbidden);
    assert!(error.message.contains("it sees example.com, bouquet.example.com"), "{error}");
    assert_eq!(lines(&asked)[0], "GET /client/v4/zones?page=1&per_page=50");
    assert_eq!(asked.lock().unwrap()[0].authorization, "Bearer t0ken");
}

#[tokio::test(start_paused = true)]
async fn every_page_of_records_is_read() {
    let (line, asked) = line(|asked| {
        let page = if asked.line.contains("page=1&") { "a" } else { "b" };
        let info = json!({ "page": 1, "per_page": 1, "count": 1, "total_count": 2, "total_pages": 2 });
        let result = json!([record(page)]);
        Reply::Say(200, json!({ "success": true, "result": result, "result_info": info }).to_string())
    });
    let ids: Vec<String> = cloudflare().all_records(&line, ZONE).await.unwrap().into_iter().map(|one| one.id).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(lines(&asked).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn garbage_is_an_error_with_the_calls_name() {
    for body in GARBAGE {
        let (line, _) = line(move |_| Reply::Say(200, body.to_owned()));
        let error = cloudflare().all_records(&line, ZONE).await.unwrap_err();
        assert_eq!((error.call, error.why), ("cloudflare GET /zones/{id}/dns_records", Why::Garbled), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_known_record_is_patched_and_one_that_is_gone_is_made_again() {
    let mut gone = false;
    let (line, asked) = line(move |asked| match asked.line.split_once(' ').unwrap().0 {
        "PATCH" if gone => bad(404, 81_044),
        "PATCH" => {
            gone = true;
            good(&record("r1"))
        }
        "GET" => good(&json!([])),
        _ => good(&record("r2")),
    });
    assert_eq!(put(&line, Some("r1")).await.unwrap(), "r1");
    assert_eq!(put(&line, Some("r1")).await.unwrap(), "r2");
    let verbs: Vec<String> = lines(&asked).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(verbs, ["PATCH", "PATCH", "GET", "POST"]);
    let body: Value = serde_json::from_str(&asked.lock().unwrap()[3].body).unwrap();
    assert_eq!(
        body,
        json!({ "name": "api.bouquet.example.com", "type": "A", "content": "100.64.0.7", "ttl": 60, "proxied": false,
                "comment": COMMENT })
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_making_was_lost_is_found_by_its_comment() {
    let mut made = false;
    let (line, asked) = line(move |asked| match asked.line.split_once(' ').unwrap().0 {
        "POST" => {
            made = true;
            Reply::Break
        }
        "GET" if made => good(&json!([record("r1")])),
        "GET" => good(&json!([])),
        _ => good(&record("r1")),
    });
    assert_eq!(put(&line, None).await.unwrap(), "r1");
    assert_eq!(lines(&asked).iter().filter(|line| line.starts_with("POST")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_record_of_the_same_name_is_never_patched() {
    let mut foreign = record("f1");
    foreign["comment"] = Value::Null;
    let (line, asked) = line(move |asked| match asked.line.split_once(' ').unwrap().0 {
        "GET" => good(&json!([foreign])),
        _ => bad(400, 81_053),
    });
    assert_eq!(put(&line, None).await.unwrap_err().why, Why::Taken);
    assert!(lines(&asked).iter().all(|line| !line.starts_with("PATCH")));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_one_call_with_its_parts_in_order() {
    let (line, asked) = line(|_| good(&json!({ "deletes": [], "patches": [], "posts": [], "puts": null })));
    let draft = Draft {
        name: "lb.example.com".into(),
        kind: "A",
        content: "203.0.113.9".into(),
        ttl: 60,
        proxied: false,
        comment: "bouquet/bouquet/lily".into(),
    };
    let batch = Batch { deletes: vec!["d".into()], patches: vec![("p".into(), draft.clone())], posts: vec![draft] };
    cloudflare().batch(&line, ZONE, &batch).await.unwrap();
    let Asked { line, body, .. } = asked.lock().unwrap()[0].clone();
    assert_eq!(line, format!("POST /client/v4/zones/{ZONE}/dns_records/batch"));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["deletes"], &body["patches"][0]["id"]), (&json!([{ "id": "d" }]), &json!("p")));
    assert_eq!(body["posts"][0]["type"], "A");
}

#[tokio::test(start_paused = true)]
async fn a_token_for_another_zone_or_without_edit_or_run_out_is_named() {
    let check = |zone: &'static str, may: u64, status: &'static str| async move {
        let (line, _) = line(move |asked| match asked.line.as_str() {
            line if line.starts_with("POST") => bad(if may == 1004 { 400 } else { 403 }, may),
            line if line.ends_with("verify") => good(&json!({ "id": "x", "status": status })),
            _ if status != "active" => bad(401, 1000),
            _ => good(&zones(&[zone])),
        });
        cloudflare().check(&line, "bouquet.example.com").await
    };
    let fine = check("example.com", 1004, "active").await;
    assert!(fine.iter().all(|finding| finding.code.is_none()), "{fine:?}");
    for (zone, may, status, code, words) in [
        ("example.org", 1004, "active", "BQ0207", "it sees example.org"),
        ("example.com", 10_000, "active", "BQ0207", "may not change records of example.com"),
        ("example.com", 1004, "expired", "BQ0206", "the token is expired"),
    ] {
        let findings = check(zone, may, status).await;
        let wrong: Vec<&Finding> = findings.iter().filter(|finding| finding.code.is_some()).collect();
        assert_eq!((wrong.len(), wrong[0].code.as_deref(), wrong[0].fatal), (1, Some(code), true), "{findings:?}");
        assert_eq!(wrong[0].subject, TOKEN);
        assert!(wrong[0].message.contains(words), "{wrong:?}");
    }
}
