use super::*;
use crate::Preset;
use crate::rest::tests::{GARBAGE, answer};
use crate::scripted::{Asked, Reply, line, lines};
use proptest::prelude::*;
use std::time::Duration;

fn tailnet(credential: Credential) -> Tailnet {
    Tailnet::new(credential, "-".to_owned(), &http::Uri::from_static(ENDPOINT)).unwrap()
}

fn by_key() -> Tailnet {
    tailnet(Credential::ApiKey(Secret::new("tskey-api-x")))
}

fn by_oauth() -> Tailnet {
    tailnet(Credential::OAuth { id: Secret::new("id"), secret: Secret::new("tskey-client-x") })
}

fn say(status: u16, body: &str) -> Reply {
    Reply::Say(status, body.to_owned())
}

const POLICY: &str = r#"{"tagOwners": {"tag:bouquet-bouquet": ["autogroup:admin"]}, "acls": [
    {"action": "accept", "src": ["*"], "dst": ["*:*"]}]}"#;

/// A server that is content with everything.
fn content(asked: &Asked) -> Reply {
    let (method, path) = asked.line.split_once(' ').unwrap();
    match (method, path.trim_start_matches("/api/v2/")) {
        ("POST", "oauth/token") => say(200, r#"{"access_token": "tok", "token_type": "Bearer", "expires_in": 3600}"#),
        ("POST", _) => say(200, r#"{"id": "k1", "key": "tskey-auth-k1-x", "created": "2026-11-01T00:00:00Z"}"#),
        ("GET", "tailnet/-/acl") => say(200, POLICY),
        ("GET", "tailnet/-/keys?all=true") => say(200, r#"{"keys": [{"id": "k0"}]}"#),
        ("GET", _) => say(200, r#"{"devices": []}"#),
        _ => say(200, "null"),
    }
}

#[test]
fn a_device_is_read_whatever_the_server_leaves_out() {
    let text = r#"{"devices": [
        {"id": "1", "nodeId": "n1", "hostname": "rose", "name": "rose.tail1.ts.net", "os": "linux",
         "addresses": ["100.64.0.2", "fd7a:115c:a1e0::2"], "connectedToControl": true, "lastSeen": null,
         "tags": ["tag:bouquet-bouquet"], "authorized": true, "created": "2026-11-01T00:00:00Z",
         "keyExpiryDisabled": true, "expires": "2027-05-01T00:00:00Z"},
        {"id": "2", "hostname": "x", "name": "x", "tags": null, "created": "", "lastSeen": "2026-11-02T00:00:00Z",
         "expires": "0001-01-01T00:00:00Z"}]}"#;
    let all: Devices = serde_json::from_str(text).unwrap();
    let all: Vec<Device> = all.devices.into_iter().map(Device::from).collect();
    assert_eq!((all[0].id.as_str(), all[0].connected, all[0].expires), ("n1", Some(true), None));
    assert_eq!(all[0].created.map(Timestamp::as_second), Some(1_793_491_200));
    assert_eq!((all[1].id.as_str(), all[1].connected, all[1].addresses.len()), ("2", None, 0));
    assert_eq!((all[1].created, all[1].last_seen.is_some(), all[1].expires), (None, true, None));
}

#[test]
fn refusals_are_sorted_by_their_words_and_status() {
    let tags = r#"{"message": "requested tags [tag:bouquet-x] are invalid or not permitted"}"#;
    for (status, body, why) in [
        (400, tags, Why::Forbidden),
        (400, r#"{"message": "bad"}"#, Why::Invalid),
        (401, r#"{"message": "API token invalid"}"#, Why::Unauthenticated),
        (403, r#"{"message": "calling actor does not have enough permissions"}"#, Why::Forbidden),
        (404, r#"{"message": "not found"}"#, Why::NotFound),
        (404, r#"{"title": "Not Found", "status": 404, "detail": "node not found"}"#, Why::NotFound),
        (412, r#"{"message": "precondition failed, invalid old hash"}"#, Why::Invalid),
        (429, r#"{"message": "slow down"}"#, Why::TooFast(None)),
        (500, r#"{"message": "internal"}"#, Why::Trouble),
    ] {
        assert_eq!(sort("k", &answer(status, body)).why, why, "{status} {body}");
    }
    for body in GARBAGE {
        assert_eq!(sort("k", &answer(502, body)).why, Why::Trouble, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_for_devices_is_an_error_with_the_calls_name() {
    for body in GARBAGE {
        let (line, _) = line(move |_| say(200, body));
        let error = by_key().devices(&line).await.unwrap_err();
        assert_eq!((error.call, error.why), ("tailscale GET /tailnet/{}/devices", Why::Garbled), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_oauth_token_is_asked_for_once_and_again_before_it_runs_out() {
    let (line, asked) = line(content);
    let tailnet = by_oauth();
    tailnet.devices(&line).await.unwrap();
    tailnet.keys(&line).await.unwrap();
    line.time().sleep(Duration::from_mins(59)).await;
    tailnet.devices(&line).await.unwrap();
    let tokens = lines(&asked).iter().filter(|line| line.ends_with("/oauth/token")).count();
    assert_eq!(tokens, 2);
    let first = asked.lock().unwrap()[0].clone();
    assert_eq!(first.body, "client_id=id&client_secret=tskey-client-x&grant_type=client_credentials");
    assert_eq!(asked.lock().unwrap()[1].authorization, "Bearer tok");
}

#[tokio::test(start_paused = true)]
async fn a_minted_key_is_good_for_one_login_of_a_machine_that_stays() {
    let (line, asked) = line(content);
    let tags = ["tag:bouquet-bouquet".to_owned()];
    let minted = by_key().mint_key(&line, &tags, "bouquet bouquet rose", 3600).await.unwrap();
    assert_eq!((minted.id.as_str(), minted.secret.expose()), ("k1", "tskey-auth-k1-x"));
    let body: Value = serde_json::from_str(&asked.lock().unwrap()[0].body).unwrap();
    let create = &body["capabilities"]["devices"]["create"];
    assert_eq!(
        *create,
        json!({ "reusable": false, "ephemeral": false, "preauthorized": true, "tags": ["tag:bouquet-bouquet"] })
    );
    assert_eq!((&body["expirySeconds"], &body["description"]), (&3600.into(), &"bouquet bouquet rose".into()));
}

#[test]
fn half_an_oauth_pair_is_a_mistake_and_no_credential_names_the_choices() {
    let missing = |set: &[&str]| {
        let set: Preset = set.iter().map(|name| (*name, "x")).collect();
        Tailnet::from_settings(&set).err().map(|error| error.call)
    };
    assert_eq!(missing(&[CLIENT_ID, API_KEY]), Some(CLIENT_SECRET));
    assert_eq!(missing(&[CLIENT_SECRET]), Some(CLIENT_ID));
    assert_eq!(missing(&[]), Some(CLIENT_ID));
    assert_eq!(missing(&[API_KEY]), None);
    assert_eq!(missing(&[CLIENT_ID, CLIENT_SECRET]), None);
}

#[tokio::test(start_paused = true)]
async fn a_check_takes_its_trial_key_back() {
    let (line, asked) = line(content);
    let findings = by_oauth().check(&line, "bouquet").await;
    assert!(findings.iter().all(|finding| finding.code.is_none()), "{findings:#?}");
    let all = lines(&asked);
    assert_eq!(all.iter().filter(|line| line.starts_with("DELETE /api/v2/tailnet/-/keys/k1")).count(), 1, "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_without_the_tag_is_told_which_tag_and_where() {
    let (line, _) = line(|asked| match asked.line.as_str() {
        "POST /api/v2/tailnet/-/keys" => {
            say(400, r#"{"message": "requested tags [tag:bouquet-bouquet] are invalid or not permitted"}"#)
        }
        _ => content(asked),
    });
    let findings = by_oauth().check(&line, "bouquet").await;
    let wrong: Vec<&Finding> = findings.iter().filter(|finding| finding.code.is_some()).collect();
    assert_eq!(wrong.len(), 1, "{findings:#?}");
    assert_eq!((wrong[0].subject.as_str(), wrong[0].fatal), (CLIENT_SECRET, true));
    assert!(wrong[0].help.as_deref().unwrap().contains("the tag tag:bouquet-bouquet"), "{wrong:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tag_without_owner_is_said_without_a_trial() {
    let (line, asked) = line(|asked| match asked.line.as_str() {
        "GET /api/v2/tailnet/-/acl" => say(200, "{\"tagOwners\": {}, // nobody\n}"),
        _ => content(asked),
    });
    let findings = by_key().check(&line, "bouquet").await;
    assert!(findings.iter().any(|finding| finding.fatal && finding.message.contains("tagOwners")), "{findings:#?}");
    assert!(lines(&asked).iter().all(|line| line.starts_with("GET")));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_may_not_be_read_stops_nothing() {
    let (line, _) = line(|asked| match asked.line.as_str() {
        "GET /api/v2/tailnet/-/acl" => say(403, r#"{"message": "calling actor does not have enough permissions"}"#),
        _ => content(asked),
    });
    let findings = by_oauth().check(&line, "bouquet").await;
    let policy = findings.iter().find(|finding| finding.subject == "tailnet policy").unwrap();
    assert!(!policy.fatal && policy.help.as_deref().unwrap().contains("policy_file:read"), "{policy:?}");
}

proptest! {
    #[test]
    fn no_refusal_panics(status in 100u16..1000, body in ".*") {
        prop_assert!(sort("k", &answer(status, &body)).vendor_code.is_some());
    }
}
