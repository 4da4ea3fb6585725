//! The tailnet as its API and its nodes see it.

use super::*;
use crate::world::Options;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use std::time::Duration;
use wire::{Body, Target, Time};

struct Bench {
    greenhouse: Greenhouse,
    time: Time,
    token: String,
}

impl Bench {
    async fn new(rules: &[&str]) -> Self {
        let time = Time::starting_at("2026-11-23T08:00:00Z".parse().unwrap(), Rng::seeded(1));
        let options = Options { faults: rules.iter().map(|&rule| rule.to_owned()).collect(), ..Options::default() };
        let greenhouse = Greenhouse::new(&options, time.clone()).unwrap();
        let mut bench = Bench { greenhouse, time, token: String::new() };
        bench.log_in("").await;
        bench
    }

    /// Gets a token for the client whose variables end in `suffix`.
    async fn log_in(&mut self, suffix: &str) {
        let (id, secret) = (self.credential("OAUTH_CLIENT_ID", suffix), self.credential("OAUTH_CLIENT_SECRET", suffix));
        let form = format!("client_id={id}&client_secret={secret}&grant_type=client_credentials");
        let (status, answer) = self.send(Request::post("/api/v2/oauth/token"), form).await;
        assert_eq!((status, &answer["expires_in"]), (StatusCode::OK, &json!(3600)));
        self.token = answer["access_token"].as_str().unwrap().to_owned();
    }

    fn credential(&self, name: &str, suffix: &str) -> String {
        self.greenhouse.credentials()[format!("TAILSCALE_{name}{suffix}").as_str()].clone()
    }

    async fn answer(&self, request: http::request::Builder, body: String) -> Response<Body> {
        let request = request.body(Body::from(Bytes::from(body))).unwrap();
        self.greenhouse.wire().call(&Target::https("api.tailscale.com", 443), request).await.unwrap()
    }

    async fn send(&self, request: http::request::Builder, body: String) -> (StatusCode, Value) {
        let (head, body) = self.answer(request, body).await.into_parts();
        let body = body.collect(1 << 20).await.unwrap();
        (head.status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(format!("/api/v2{path}"));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        self.send(request, if body.is_null() { String::new() } else { body.to_string() }).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn make_key(&self, tags: &[&str], expiry_s: u64) -> (StatusCode, Value) {
        let create = json!({"reusable": false, "ephemeral": false, "preauthorized": true, "tags": tags});
        let body = json!({
            "capabilities": {"devices": {"create": create}}, "expirySeconds": expiry_s, "description": "bouquet rose",
        });
        self.call(Method::POST, "/tailnet/-/keys", body).await
    }

    async fn key(&self) -> Value {
        let (status, key) = self.make_key(&["tag:bouquet-bouquet"], 3600).await;
        assert_eq!(status, StatusCode::OK, "{key}");
        key
    }

    fn join(&self, key: &Value, hostname: &str, machine: MachineId) -> Result<Joined, String> {
        let auth_key = key["key"].as_str().unwrap();
        self.greenhouse.world.with(|state| register(state, &Registration { auth_key, hostname, machine }))
    }

    fn operator(&self) -> IpAddr {
        self.greenhouse.world.with(|state| address_of(state, From::Operator)).unwrap()
    }

    fn admits(&self, from: IpAddr, to: IpAddr, port: u16) -> bool {
        self.greenhouse.world.with(|state| admits(state, from, to, port))
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_lives_an_hour_and_reaches_only_its_scopes() {
    let bench = Bench::new(&[]).await;
    assert_eq!(bench.get("/tailnet/-/devices").await["devices"].as_array().unwrap().len(), 1);
    assert!(bench.get("/tailnet/greenhouse.example.com/keys").await["keys"].is_array());
    let (status, answer) = bench.call(Method::GET, "/tailnet/-/settings", Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(answer["message"], "calling actor does not have enough permissions to perform this function");
    let (status, _) = bench.call(Method::GET, "/tailnet/other.example.com/keys", Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    bench.time.sleep(Duration::from_secs(3601)).await;
    let (status, answer) = bench.call(Method::GET, "/tailnet/-/devices", Value::Null).await;
    assert_eq!((status, answer), (StatusCode::UNAUTHORIZED, json!({"message": "API token invalid"})));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_client_secret_gets_no_token() {
    let bench = Bench::new(&[]).await;
    let (status, answer) =
        bench.send(Request::post("/api/v2/oauth/token"), "client_secret=tskey-client-x".into()).await;
    assert_eq!((status, &answer["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));
}

#[tokio::test(start_paused = true)]
async fn an_api_key_is_the_user_name_of_basic_or_a_bearer() {
    let bench = Bench::new(&[]).await;
    let key = bench.credential("API_KEY", "_OTHER");
    let basic = format!("Basic {}", STANDARD.encode(format!("{key}:")));
    for value in [basic, format!("Bearer {key}")] {
        let request = Request::get("/api/v2/tailnet/-/settings").header("authorization", value);
        let (status, answer) = bench.send(request, String::new()).await;
        assert_eq!((status, &answer["devicesApprovalOn"]), (StatusCode::OK, &json!(false)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_keys_secret_is_shown_once_and_a_used_key_is_invalid() {
    let bench = Bench::new(&[]).await;
    let key = bench.key().await;
    assert!(key["key"].as_str().unwrap().starts_with(&format!("tskey-auth-{}-", key["id"].as_str().unwrap())));
    let path = format!("/tailnet/-/keys/{}", key["id"].as_str().unwrap());
    let shown = bench.get(&path).await;
    assert_eq!((&shown["key"], &shown["invalid"]), (&Value::Null, &Value::Null));
    assert_eq!(shown["capabilities"]["devices"]["create"]["tags"], json!(["tag:bouquet-bouquet"]));
    assert_eq!(shown["expires"], "2026-11-23T09:00:00Z");
    let listed = |keys: Value| keys["keys"].as_array().unwrap().iter().any(|listed| listed["id"] == key["id"]);
    assert!(listed(bench.get("/tailnet/-/keys?all=true").await));

    bench.join(&key, "rose", 1).unwrap();
    assert_eq!(bench.get(&path).await["invalid"], true);
    assert!(!listed(bench.get("/tailnet/-/keys?all=true").await));
    let refused = bench.join(&key, "lily", 2).err().unwrap();
    assert_eq!(refused, format!("invalid key: API key {} not valid", key["id"].as_str().unwrap()));

    assert_eq!(bench.call(Method::DELETE, &path, Value::Null).await.0, StatusCode::OK);
    assert!(bench.get(&path).await["revoked"].is_string());
    assert_eq!(bench.join(&key, "lily", 2).err().unwrap(), "invalid key: API key does not exist");
    assert_eq!(bench.call(Method::DELETE, &path, Value::Null).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_key_expires_by_the_worlds_clock_or_by_a_fault() {
    let bench = Bench::new(&["tailscale key-expired for rose times 1"]).await;
    let (struck, late) = (bench.key().await, bench.key().await);
    assert!(bench.join(&struck, "rose", 1).err().unwrap().ends_with("not valid"));
    bench.time.sleep(Duration::from_secs(3601)).await;
    assert!(bench.join(&late, "rose", 1).err().unwrap().ends_with("not valid"));
}

#[tokio::test(start_paused = true)]
async fn an_oauth_client_hands_out_only_tags_that_its_own_tag_owns() {
    let mut bench = Bench::new(&[]).await;
    let refused = |tags: &str| json!({"message": format!("requested tags [{tags}] are invalid or not permitted")});
    for tags in [&["tag:bouquet-elsewhere"][..], &["tag:unrelated"], &["tag:bouquet-bouquet", "tag:unrelated"], &[]] {
        let expected = (StatusCode::BAD_REQUEST, refused(&tags.join(" ")));
        assert_eq!(bench.make_key(tags, 3600).await, expected);
    }
    assert_eq!(bench.make_key(&["tag:bouquet-operator"], 3600).await.0, StatusCode::OK, "its own tag");
    bench.greenhouse.allow_cluster("elsewhere");
    assert_eq!(bench.make_key(&["tag:bouquet-elsewhere"], 3600).await.0, StatusCode::OK);
    bench.log_in("_OTHER").await;
    assert_eq!(bench.make_key(&["tag:bouquet-bouquet"], 3600).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_key_lives_at_most_ninety_days() {
    let bench = Bench::new(&["tailscale tags-refused after 1 times 1"]).await;
    assert_eq!(bench.make_key(&["tag:bouquet-bouquet"], 90 * 86_400).await.0, StatusCode::OK);
    assert_eq!(bench.make_key(&["tag:bouquet-bouquet"], 90 * 86_400 + 1).await.0, StatusCode::BAD_REQUEST);
    let (status, answer) = bench.make_key(&["tag:bouquet-bouquet"], 60).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the fault strikes a key that would be right");
    assert!(answer["message"].as_str().unwrap().starts_with("requested tags"));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_gets_a_number() {
    let bench = Bench::new(&["tailscale name-taken for tulip"]).await;
    let join = async |host: &str, machine| bench.join(&bench.key().await, host, machine).unwrap();
    assert_eq!(join("rose", 1).await.name, "rose");
    let second = join("Rose.local", 2).await;
    assert_eq!(second.name, "rose-1");
    assert!(is_mesh(second.address.into()));
    assert_eq!(join("tulip", 3).await.name, "tulip-1");
    let devices = bench.get("/tailnet/-/devices?tags=tag:bouquet-bouquet").await;
    let connected = devices["devices"].as_array().unwrap().iter().filter(|device| device["connectedToControl"] == true);
    assert_eq!((devices["devices"].as_array().unwrap().len(), connected.count()), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn a_device_shows_what_the_api_documents() {
    let bench = Bench::new(&[]).await;
    let joined = bench.join(&bench.key().await, "rose", 1).unwrap();
    let devices = bench.get("/tailnet/-/devices?hostname=rose").await;
    let device = &devices["devices"][0];
    assert_eq!(device["addresses"][0], joined.address.to_string());
    assert!(device["addresses"][1].as_str().unwrap().starts_with("fd7a:115c:a1e0:ab12:4843:cd96:62"));
    assert!(device["name"].as_str().unwrap().starts_with("rose.tail"));
    assert_eq!((&device["tags"], &device["user"]), (&json!(["tag:bouquet-bouquet"]), &json!("tagged-devices")));
    assert_eq!((&device["connectedToControl"], device.get("lastSeen")), (&json!(true), None));
    assert_eq!((&device["keyExpiryDisabled"], device.get("enabledRoutes")), (&json!(true), None));

    bench.time.sleep(Duration::from_mins(1)).await;
    bench.greenhouse.world.with(|state| disconnected(state, 1));
    let path = format!("/device/{}?fields=all", device["id"].as_str().unwrap());
    let shown = bench.get(&path).await;
    assert_eq!((&shown["connectedToControl"], &shown["lastSeen"]), (&json!(false), &json!("2026-11-23T08:01:00Z")));
    assert_eq!((&shown["enabledRoutes"], &shown["advertisedRoutes"]), (&json!([]), &json!([])));
}

#[tokio::test(start_paused = true)]
async fn a_node_comes_back_with_its_state_until_its_device_is_deleted() {
    let bench = Bench::new(&[]).await;
    let joined = bench.join(&bench.key().await, "rose", 1).unwrap();
    let back = |state: &mut Everything| resume(state, &joined.node_key, 1).map(|again| (again.name, again.address));
    bench.greenhouse.world.with(|state| {
        disconnected(state, 1);
        assert_eq!(address_of(state, From::Machine(1)), None);
        assert_eq!(machine_at(state, joined.address.into()), None);
        assert_eq!(back(state), Ok(("rose".to_owned(), joined.address)));
        assert_eq!(machine_at(state, joined.address.into()), Some(1));
    });
    let id = bench.get("/tailnet/-/devices?hostname=rose").await["devices"][0]["nodeId"].as_str().unwrap().to_owned();
    assert_eq!(bench.call(Method::DELETE, &format!("/device/{id}"), Value::Null).await.0, StatusCode::OK);
    assert_eq!(bench.call(Method::DELETE, &format!("/device/{id}"), Value::Null).await.0, StatusCode::NOT_FOUND);
    bench.greenhouse.world.with(|state| {
        assert_eq!(address_of(state, From::Machine(1)), None);
        assert!(back(state).unwrap_err().ends_with("node not found"));
    });
    let again = bench.join(&bench.key().await, "rose", 1).unwrap();
    assert_eq!(again.name, "rose");
    assert_ne!((again.address, &again.node_key), (joined.address, &joined.node_key), "it is another device");
}

#[tokio::test(start_paused = true)]
async fn the_default_policy_lets_people_and_a_clusters_nodes_in_and_nobody_else() {
    let bench = Bench::new(&[]).await;
    bench.greenhouse.allow_cluster("other");
    let rose: IpAddr = bench.join(&bench.key().await, "rose", 1).unwrap().address.into();
    let lily: IpAddr = bench.join(&bench.key().await, "lily", 2).unwrap().address.into();
    let (_, key) = bench.make_key(&["tag:bouquet-other"], 60).await;
    let other: IpAddr = bench.join(&key, "iris", 3).unwrap().address.into();
    bench.greenhouse.foreign("device", "laptop").unwrap();
    let laptop: IpAddr = bench.get("/tailnet/-/devices?hostname=laptop").await["devices"][0]["addresses"][0]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(bench.admits(bench.operator(), rose, 50_000) && bench.admits(rose, lily, 10_250));
    assert!(bench.admits(rose, rose, 6443), "a node reaches itself");
    for (from, to) in [(rose, bench.operator()), (rose, other), (other, rose), (laptop, rose)] {
        assert!(!bench.admits(from, to, 50_000), "{from} {to}");
    }
    assert!(!bench.admits(bench.operator(), "100.64.9.9".parse().unwrap(), 50_000), "nobody there");
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_replaced_only_by_who_has_read_it() {
    let mut bench = Bench::new(&[]).await;
    let (_, refusal) = bench.call(Method::POST, "/tailnet/-/acl", json!({})).await;
    assert!(refusal["message"].as_str().unwrap().starts_with("calling actor"), "the client may only read it");
    bench.token = bench.credential("API_KEY", "_OTHER");
    let request =
        || Request::builder().uri("/api/v2/tailnet/-/acl").header("authorization", format!("Bearer {}", bench.token));
    let answer = bench.answer(request().header("accept", "application/hujson"), String::new()).await;
    let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(answer.headers()["content-type"], "application/hujson");
    let text = answer.into_body().collect(1 << 20).await.unwrap();
    assert!(text.starts_with(b"// Who may do what"), "comments are kept");
    let (_, parsed) = bench.send(request().header("accept", "application/json"), String::new()).await;
    assert_eq!(parsed["tagOwners"]["tag:bouquet-bouquet"], json!(["autogroup:admin", "tag:bouquet-operator"]));

    let post =
        |if_match: &str, body: &str| bench.send(request().method("POST").header("if-match", if_match), body.to_owned());
    let open = "{ /* all */ \"acls\": [{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:*\"]},], }";
    let (status, answer) = post("\"0123\"", open).await;
    assert_eq!(
        (status, &answer["message"]),
        (StatusCode::PRECONDITION_FAILED, &json!("precondition failed, invalid old hash"))
    );
    assert_eq!(post(&etag, open).await.0, StatusCode::OK);
    assert_eq!(post("\"ts-default\"", open).await.0, StatusCode::PRECONDITION_FAILED, "it is no longer the default");
    let (status, answer) = post("", "{\"grants\": [{\"src\": [\"tag:x\"], \"dst\": [\"*\"], \"ip\": [\"*\"]}]}").await;
    assert_eq!((status, &answer["message"]), (StatusCode::BAD_REQUEST, &json!("grants[0]: tag not found: \"tag:x\"")));
    let (status, _) = bench.make_key(&["tag:bouquet-bouquet"], 60).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the tag has no owners any more");
}

#[tokio::test(start_paused = true)]
async fn a_policy_says_which_ports_pass() {
    let bench = Bench::new(&[]).await;
    let rose: IpAddr = bench.join(&bench.key().await, "rose", 1).unwrap().address.into();
    let lily: IpAddr = bench.join(&bench.key().await, "lily", 2).unwrap().address.into();
    let narrow = |rule: &str| {
        let text = format!(
            "{{\"tagOwners\": {{\"tag:bouquet-bouquet\": [\"tag:bouquet-operator\"], \"tag:bouquet-operator\": []}}, \
             \"groups\": {{\"group:ops\": [\"{OWNER}\"]}}, \"hosts\": {{\"rose\": \"{rose}\"}}, {rule}}}"
        );
        bench.greenhouse.set_tailnet_policy(&text).unwrap();
        [
            (bench.operator(), rose, 50_000),
            (bench.operator(), rose, 443),
            (bench.operator(), lily, 50_000),
            (lily, rose, 6443),
        ]
        .map(|(from, to, port)| bench.admits(from, to, port))
    };
    let grant = |src: &str, dst: &str, ip: &str| {
        narrow(&format!("\"grants\": [{{\"src\": [\"{src}\"], \"dst\": [\"{dst}\"], \"ip\": [{ip}]}}]"))
    };
    assert_eq!(grant("group:ops", "tag:bouquet-bouquet", "\"tcp:50000\""), [true, false, true, false]);
    assert_eq!(grant("autogroup:member", "rose", "\"tcp:440-450\", \"udp:50000\""), [false, true, false, false]);
    assert_eq!(grant("autogroup:tagged", "100.64.0.0/10", "\"*\""), [false, false, false, true]);
    assert_eq!(grant("autogroup:admin", "autogroup:self", "\"*\""), [false; 4]);
    let acl = |dst: &str, proto: &str| {
        narrow(&format!("\"acls\": [{{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"{dst}\"]{proto}}}]"))
    };
    assert_eq!(acl("tag:bouquet-bouquet:443,6443", ""), [false, true, false, true]);
    assert_eq!(acl("*:*", ", \"proto\": \"udp\""), [false; 4]);
    assert_eq!(narrow("\"acls\": []"), [false; 4]);
    assert_eq!(narrow("\"ssh\": []"), [true; 4], "a policy that says nothing of access allows all");
}

#[tokio::test(start_paused = true)]
async fn validation_answers_200_and_says_what_is_wrong() {
    let bench = Bench::new(&[]).await;
    let (status, answer) = bench.call(Method::POST, "/tailnet/-/acl/validate", json!({"acls": []})).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({})));
    let failing = json!({"acls": [], "tests": [{"src": OWNER, "accept": ["10.0.0.1:22"]}]});
    let (status, answer) = bench.call(Method::POST, "/tailnet/-/acl/validate", failing).await;
    assert_eq!((status, &answer["message"]), (StatusCode::OK, &json!("test(s) failed")));
    assert_eq!(answer["data"][0]["errors"][0], "address \"10.0.0.1:22\": want: Accept, got: Drop");
}

#[tokio::test(start_paused = true)]
async fn a_device_can_be_changed_through_the_api() {
    let bench = Bench::new(&[]).await;
    let rose = bench.join(&bench.key().await, "rose", 1).unwrap();
    bench.join(&bench.key().await, "lily", 2).unwrap();
    let path = {
        let devices = bench.get("/tailnet/-/devices?hostname=rose").await;
        format!("/device/{}", devices["devices"][0]["nodeId"].as_str().unwrap())
    };
    let post = async |what: &str, body: Value| bench.call(Method::POST, &format!("{path}/{what}"), body).await.0;
    assert_eq!(post("name", json!({"name": "lily"})).await, StatusCode::BAD_REQUEST);
    assert_eq!(post("name", json!({"name": "briar"})).await, StatusCode::OK);
    assert_eq!(post("tags", json!({"tags": ["tag:nobody"]})).await, StatusCode::BAD_REQUEST);
    assert_eq!(post("key", json!({"keyExpiryDisabled": false})).await, StatusCode::OK);
    assert_eq!(post("ip", json!({"ipv4": "10.0.0.1"})).await, StatusCode::BAD_REQUEST);
    assert_eq!(post("ip", json!({"ipv4": "100.80.0.1"})).await, StatusCode::OK);
    assert_eq!(post("authorized", json!({"authorized": false})).await, StatusCode::OK);
    let shown = bench.get(&path).await;
    assert!(shown["name"].as_str().unwrap().starts_with("briar."));
    assert_eq!((&shown["addresses"][0], &shown["authorized"]), (&json!("100.80.0.1"), &json!(false)));
    assert_ne!(rose.address.to_string(), "100.80.0.1");
    let reachable = bench.greenhouse.world.with(|state| address_of(state, From::Machine(1)));
    assert_eq!(reachable, None, "a device that is not authorised is not on the tailnet");
}

#[tokio::test(start_paused = true)]
async fn what_tailscale_does_not_know_is_not_found() {
    let bench = Bench::new(&[]).await;
    for path in ["/nowhere", "/device/nope", "/tailnet/-/keys/nope", "/tailnet/-/nothing"] {
        let (status, answer) = bench.call(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer["message"].is_string(), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_inventory_holds_devices_and_valid_keys_without_clocks() {
    let bench = Bench::new(&[]).await;
    let (used, left) = (bench.key().await, bench.key().await);
    bench.join(&used, "rose", 1).unwrap();
    let before = bench.greenhouse.inventory();
    assert_eq!(
        before["tailscale_keys"],
        json!([{"id": left["id"], "description": "bouquet rose", "tags": ["tag:bouquet-bouquet"]}])
    );
    assert_eq!(before["tailscale_devices"].as_array().unwrap().len(), 2);
    bench.time.sleep(Duration::from_mins(1)).await;
    bench.greenhouse.world.with(|state| disconnected(state, 1));
    assert_eq!(bench.greenhouse.inventory(), before);
}
