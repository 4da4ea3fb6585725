//! The client against a scripted Oracle: what it asks, in which order, and what it makes of the answers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

use bytes::Bytes;
use clouds::{Arch, Cloud, Found, Given, Image, ImageOrder, Key, Oci, OciConfig, Progress, State, Wanted, Why};
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use proptest::prelude::*;
use serde_json::{Value, json};
use spec::CloudPlace;
use std::sync::{Arc, Mutex};
use wire::{Body, Line, Rng, Secret, Stream, Target, Time, Wire};

const REGION: &str = "eu-frankfurt-1";
const TENANCY: &str = "ocid1.tenancy.oc1..bbbb";

/// A request as it arrived.
#[derive(Clone, Debug)]
struct Seen {
    method: Method,
    /// Without the service's base path.
    path: String,
    body: Value,
    token: Option<String>,
}

impl Seen {
    fn line(&self) -> String {
        format!("{} {}", self.method, self.path.split('?').next().unwrap())
    }
}

type Answer = (u16, Value, Vec<(&'static str, String)>);
type Script = Box<dyn Fn(&Seen, usize) -> Answer + Send + Sync>;

/// Answers by script, which is told how many requests of the same line came before.
struct Oracle {
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Wire for Oracle {
    fn call(&self, _: &Target, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, wire::Error>> {
        let (head, body) = request.into_parts();
        let body = futures::executor::block_on(body.collect(1 << 20)).unwrap();
        let path = head.uri.path_and_query().unwrap().as_str().replace("/20160918", "").replace("/20190729", "");
        let token = head.headers.get("opc-retry-token").map(|token| token.to_str().unwrap().to_owned());
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let seen = Seen { method: head.method, path, body, token };
        let mut all = self.seen.lock().unwrap();
        let before = all.iter().filter(|one| one.line() == seen.line()).count();
        all.push(seen.clone());
        let (status, body, headers) = (self.script)(&seen, before);
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let mut response = Response::builder().status(status).header("content-length", bytes.len());
        for (name, value) in headers {
            response = response.header(name, value);
        }
        let response = response.body(Body::from(bytes)).unwrap();
        Box::pin(async move { Ok(response) })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, wire::Error>> {
        let host = target.authority();
        Box::pin(async move { Err(wire::Error::Refused(host)) })
    }
}

fn oracle(script: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> (Line, Arc<Mutex<Vec<Seen>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let wire = Oracle { script: Box::new(script), seen: seen.clone() };
    let time = Time::starting_at("2026-11-23T09:00:00Z".parse().unwrap(), Rng::seeded(1));
    (Line::new(Arc::new(wire), time, &[]), seen)
}

fn lines(seen: &Mutex<Vec<Seen>>) -> Vec<String> {
    seen.lock().unwrap().iter().map(Seen::line).collect()
}

fn ok(body: Value) -> Answer {
    (200, body, Vec::new())
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    (status, json!({"code": code, "message": message}), Vec::new())
}

fn oci() -> Oci {
    let config = OciConfig {
        user: "ocid1.user.oc1..aaaa".into(),
        fingerprint: "12:34:56:78:90:ab:cd:ef:12:34:56:78:90:ab:cd:ef".into(),
        tenancy: TENANCY.into(),
        region: REGION.into(),
        key_file: "~/.oci/key.pem".into(),
        compartment: TENANCY.into(),
    };
    Oci::new(config, &Secret::new(include_str!("oci_keys/pkcs8.pem")), None).unwrap()
}

fn key(kind: &str, name: &str) -> Key {
    Key { cloud: "oci".into(), kind: kind.into(), region: REGION.into(), name: name.into() }
}

fn tulip() -> (Wanted, Given) {
    let (subnet, image) = (key("subnet", "bouquet"), key("image", "bouquet-talos-1.14.6-arm64-abababababab"));
    let wanted = Wanted {
        key: key("instance", "bouquet-tulip"),
        node: Some("tulip".into()),
        needs: vec![subnet.clone(), image.clone()],
        spec: json!({
            "shape": "VM.Standard.A1.Flex", "subnetId": "bouquet",
            "shapeConfig": {"ocpus": 4, "memoryInGBs": 24}, "bootVolumeSizeInGBs": 200,
            "freeformTags": {"bouquet.dev/cluster": "bouquet", "bouquet.dev/node": "tulip",
                             "bouquet.dev/role": "worker"},
        }),
        is_machine: true,
    };
    let ids = [(subnet, "ocid1.subnet.oc1.eu-frankfurt-1.s"), (image, "ocid1.image.oc1.eu-frankfurt-1.i")];
    let ids = ids.map(|(key, id)| (key, id.to_owned())).into();
    (wanted, Given { ids, user_data: Some(Secret::new("dXNlcg==")) })
}

fn instance(name: &str, state: &str, tags: &Value) -> Value {
    json!({
        "id": format!("ocid1.instance.oc1.eu-frankfurt-1.{name}{state}"), "displayName": name,
        "lifecycleState": state, "compartmentId": TENANCY, "shape": "VM.Standard.A1.Flex",
        "shapeConfig": {"ocpus": 4.0, "memoryInGBs": 24.0}, "freeformTags": tags, "sourceDetails": null,
    })
}

fn domains() -> Value {
    json!([{"name": "FeVO:AD-1"}, {"name": "FeVO:AD-2"}, {"name": "FeVO:AD-3"}])
}

#[tokio::test(start_paused = true)]
async fn lack_of_stock_is_met_in_every_availability_domain_once() {
    let (line, seen) = oracle(|seen, _| match seen.line().as_str() {
        "GET /instances" => ok(json!([])),
        "GET /availabilityDomains" => ok(domains()),
        _ => refusal(500, "InternalError", "Out of host capacity."),
    });
    let (wanted, given) = tulip();
    let error = oci().create(&line, &wanted, &given).await.unwrap_err();
    assert_eq!(error.why, Why::Capacity);
    let seen = seen.lock().unwrap();
    let posts: Vec<&Seen> = seen.iter().filter(|one| one.method == Method::POST).collect();
    let mut tried: Vec<&str> = posts.iter().map(|one| one.body["availabilityDomain"].as_str().unwrap()).collect();
    tried.sort_unstable();
    assert_eq!(tried, ["FeVO:AD-1", "FeVO:AD-2", "FeVO:AD-3"]);
    let body = &posts[0].body;
    assert_eq!(body["sourceDetails"]["imageId"], "ocid1.image.oc1.eu-frankfurt-1.i");
    assert_eq!(body["sourceDetails"]["bootVolumeSizeInGBs"], 200);
    assert_eq!(
        body["createVnicDetails"],
        json!({"subnetId": "ocid1.subnet.oc1.eu-frankfurt-1.s", "assignPublicIp": true})
    );
    assert_eq!(body["metadata"]["user_data"], "dXNlcg==");
    assert_eq!(body["instanceOptions"]["areLegacyImdsEndpointsDisabled"], true);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_there_already_is_not_made_again() {
    let (wanted, given) = tulip();
    let tags = wanted.spec["freeformTags"].clone();
    let (line, seen) = oracle(move |_, _| ok(json!([instance("bouquet-tulip", "PROVISIONING", &tags)])));
    let found = oci().create(&line, &wanted, &given).await.unwrap();
    assert_eq!((found.state, found.ours), (State::Pending, true));
    assert_eq!(lines(&seen), ["GET /instances"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_made_something_gone_is_followed_by_a_fresh_one() {
    let (wanted, given) = tulip();
    let tags = wanted.spec["freeformTags"].clone();
    let (line, seen) = oracle(move |seen, before| match seen.line().as_str() {
        "GET /instances" => ok(json!([])),
        "GET /availabilityDomains" => ok(domains()),
        _ if before == 0 => refusal(409, "InvalidatedRetryToken", "used before"),
        _ => ok(instance("bouquet-tulip", "PROVISIONING", &tags)),
    });
    oci().create(&line, &wanted, &given).await.unwrap();
    let tokens: Vec<_> = seen.lock().unwrap().iter().filter_map(|one| one.token.clone()).collect();
    assert_eq!(tokens.len(), 2);
    assert_ne!(tokens[0], tokens[1]);
}

/// Everything that `find` lists, with an instance of ours, one of others under a name of ours, a dead one, and a
/// second page.
fn world(seen: &Seen) -> Answer {
    let tags = json!({"bouquet.dev/cluster": "bouquet", "bouquet.dev/node": "tulip", "bouquet.dev/role": "worker"});
    let id = |kind: &str| format!("ocid1.{kind}.oc1.eu-frankfurt-1.x");
    let shared = |kind: &str, detail: Value| {
        let mut one = json!({"id": id(kind), "displayName": "bouquet", "lifecycleState": "AVAILABLE",
            "compartmentId": TENANCY, "freeformTags": {"bouquet.dev/cluster": "bouquet"}});
        one.as_object_mut().unwrap().extend(detail.as_object().unwrap().clone());
        ok(json!([one]))
    };
    let rule = json!({"destination": "0.0.0.0/0", "destinationType": "CIDR_BLOCK", "networkEntityId": id("ig"), "description": null});
    match seen.line().as_str() {
        path if path.ends_with("/regionSubscriptions") => ok(json!([{"regionName": REGION, "status": "READY"}])),
        "GET /vcns" => shared("vcn", json!({"cidrBlocks": ["10.0.0.0/16"]})),
        "GET /internetGateways" => shared("ig", json!({"vcnId": id("vcn"), "isEnabled": true})),
        "GET /routeTables" => shared("rt", json!({"vcnId": id("vcn"), "routeRules": [rule]})),
        "GET /subnets" => shared(
            "subnet",
            json!({"vcnId": id("vcn"), "cidrBlock": "10.0.0.0/20",
            "routeTableId": id("rt"), "securityListIds": ["ocid1.sl.other"]}),
        ),
        "GET /instances" if seen.path.contains("page=two") => ok(json!([instance("bouquet-tulip", "RUNNING", &tags)])),
        "GET /instances" => (
            200,
            json!([
                instance("bouquet-lily", "RUNNING", &json!({})),
                instance("bouquet-old", "TERMINATED", &tags),
                instance("mail", "RUNNING", &json!({}))
            ]),
            vec![("opc-next-page", "two".to_owned())],
        ),
        "GET /vnicAttachments" => ok(json!([{"instanceId": "ocid1.instance.oc1.eu-frankfurt-1.bouquet-tulipRUNNING",
            "lifecycleState": "ATTACHED", "vnicId": "v", "subnetId": id("subnet")}])),
        "GET /availabilityDomains" => ok(domains()),
        "GET /privateIps" => ok(json!([{"id": "p", "vnicId": "v", "ipAddress": "10.0.0.2"}])),
        "GET /publicIps" if seen.path.contains("AD-1") => {
            ok(json!([{"ipAddress": "203.0.113.9", "assignedEntityId": "p"}, {"ipAddress": "203.0.113.8"}]))
        }
        "GET /n" => ok(json!("namespace")),
        _ => ok(json!([])),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_sorted_by_mark_and_name() {
    let (line, seen) = oracle(|seen, _| world(seen));
    let found = oci().find(&line, "bouquet", &[]).await.unwrap();
    let short: Vec<String> =
        found.iter().map(|one| format!("{} {} {}", one.key.kind, one.key.name, one.ours)).collect();
    assert_eq!(
        short,
        [
            "instance bouquet-lily false",
            "instance bouquet-tulip true",
            "subnet bouquet true",
            "route_table bouquet true",
            "internet_gateway bouquet true",
            "vcn bouquet true"
        ]
    );
    let tulip = &found[1];
    assert_eq!(tulip.addresses, ["203.0.113.9".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(tulip.node.as_deref(), Some("tulip"));
    assert_eq!(tulip.spec["subnetId"], "bouquet");
    assert_eq!(tulip.spec["shapeConfig"], json!({"ocpus": 4, "memoryInGBs": 24}));
    assert_eq!(found[3].spec["routeRules"][0]["networkEntityId"], "bouquet");
    assert_eq!(found[2].spec["securityListIds"], json!(["ocid1.sl.other"]), "what is not ours stays an id");
    assert_eq!(lines(&seen).len(), 17, "calls of a whole look: {:?}", lines(&seen));
}

#[tokio::test(start_paused = true)]
async fn only_what_bears_the_mark_is_ever_deleted_or_changed() {
    let (line, seen) = oracle(|seen, _| world(seen));
    let found = oci().find(&line, "bouquet", &["instance"]).await.unwrap();
    let lily = found.iter().find(|one| !one.ours).unwrap();
    seen.lock().unwrap().clear();
    let (wanted, given) = tulip();
    assert_eq!(oci().delete(&line, lily).await.unwrap_err().why, Why::Forbidden);
    assert_eq!(oci().update(&line, lily, &wanted, &given).await.unwrap_err().why, Why::Forbidden);
    assert!(oci().power(&line, lily, clouds::Power::Off).await.is_err());
    assert_eq!(lines(&seen), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_subnet_that_a_dying_vnic_holds_is_deleted_when_it_lets_go() {
    let (line, seen) = oracle(|_, before| match before {
        0..3 => refusal(409, "Conflict", "The Subnet references the VNIC"),
        _ => (204, Value::Null, Vec::new()),
    });
    let subnet = Found {
        key: key("subnet", "bouquet"),
        id: "ocid1.subnet.oc1.eu-frankfurt-1.s".into(),
        ours: true,
        node: None,
        state: State::Ready,
        spec: json!({}),
        left_behind: false,
        place: None,
        addresses: Vec::new(),
        labels: std::collections::BTreeMap::default(),
    };
    oci().delete(&line, &subnet).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 4);
    let (line, _) = oracle(|_, _| refusal(404, "NotAuthorizedOrNotFound", "gone"));
    oci().delete(&line, &subnet).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_resize_sends_what_changed_and_keeps_tags_of_others() {
    let (mut wanted, given) = tulip();
    let mut tags = wanted.spec["freeformTags"].clone();
    tags["owner"] = json!("ann");
    let (line, seen) = oracle(move |seen, _| match seen.method {
        Method::PUT => ok(instance("bouquet-tulip", "RUNNING", &tags)),
        _ => ok(json!([instance("bouquet-tulip", "RUNNING", &tags)])),
    });
    let there = oci().create(&line, &wanted, &given).await.unwrap();
    wanted.spec["shapeConfig"] = json!({"ocpus": 2, "memoryInGBs": 12});
    oci().update(&line, &there, &wanted, &given).await.unwrap();
    let put = seen.lock().unwrap().last().cloned().unwrap();
    assert_eq!(put.body["shapeConfig"], json!({"ocpus": 2, "memoryInGBs": 12}));
    assert_eq!(put.body["freeformTags"]["owner"], "ann");
    assert_eq!(put.body.as_object().unwrap().len(), 2, "{}", put.body);
    wanted.spec["shape"] = json!("VM.Standard.E5.Flex");
    assert_eq!(oci().update(&line, &there, &wanted, &given).await.unwrap_err().why, Why::Invalid);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_is_the_one_thing_check_says() {
    let (line, seen) = oracle(|_, _| {
        let (status, body, _) = refusal(401, "NotAuthenticated", "incorrect");
        (status, body, vec![("date", "Mon, 23 Nov 2026 09:20:00 GMT".to_owned())])
    });
    let size = Some(spec::Size { cpus: 4, memory_gib: 24, disk_gib: 200 });
    let place = CloudPlace { size, ..order().builder };
    let machine = clouds::NeedMachine { node: "tulip".into(), role: spec::Role::Worker, place, image: order().image };
    let openness = clouds::Openness::default();
    let need = clouds::Need { cluster: "bouquet".into(), machines: vec![machine], openness };
    let findings = oci().check(&line, &need).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].code.as_deref(), findings[0].fatal), (Some("BQ0212"), true));
    assert!(findings[0].message.contains("1200 s behind"), "{}", findings[0].message);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

struct Silent;
impl Progress for Silent {
    fn at(&self, _: &str, _: u64, _: u64) {}
}

fn order() -> ImageOrder {
    let (cloud, machine) = ("oci".to_owned(), "VM.Standard.A1.Flex".to_owned());
    ImageOrder {
        cluster: "bouquet".into(),
        image: Image { region: REGION.into(), arch: Arch::Arm64, schematic: "ab".repeat(32), talos: "1.14.6".into() },
        source: "https://factory.example/image/oracle-arm64.qcow2".into(),
        builder: CloudPlace { cloud, region: REGION.into(), machine, size: None },
    }
}

fn image(state: &str, is_bootable: bool) -> Value {
    let mut tags = json!({"bouquet.dev/cluster": "bouquet", "bouquet.dev/arch": "arm64",
        "bouquet.dev/schematic": "ab".repeat(32), "bouquet.dev/talos": "1.14.6"});
    if is_bootable {
        tags["bouquet.dev/bootable"] = json!("true");
    }
    json!({"id": "ocid1.image.oc1.eu-frankfurt-1.i", "displayName": "bouquet-talos-1.14.6-arm64-abababababab",
        "compartmentId": TENANCY, "lifecycleState": state, "freeformTags": tags})
}

fn import(seen: &Seen, before: usize) -> Answer {
    let missing = || refusal(404, "BucketNotFound", "none");
    match seen.line().as_str() {
        "GET /n" => ok(json!("ns")),
        "GET /images" => ok(json!([])),
        "GET /n/ns/b/bouquet-images-bouquet" => missing(),
        "POST /n/ns/b" => ok(json!({"name": "bouquet-images-bouquet"})),
        line if line.starts_with("HEAD ") => (404, Value::Null, Vec::new()),
        "GET /image/oracle-arm64.qcow2" => ok(json!("a disk")),
        "POST /n/ns/b/bouquet-images-bouquet/u" => ok(json!({"uploadId": "u1"})),
        line if line.starts_with("PUT /n/") => (200, Value::Null, vec![("etag", "e1".to_owned())]),
        "POST /images" => ok(image("IMPORTING", false)),
        "GET /images/ocid1.image.oc1.eu-frankfurt-1.i" if before < 3 => ok(image("IMPORTING", false)),
        "GET /images/ocid1.image.oc1.eu-frankfurt-1.i" => ok(image("AVAILABLE", false)),
        "PUT /images/ocid1.image.oc1.eu-frankfurt-1.i" => ok(image("AVAILABLE", true)),
        "GET /computeGlobalImageCapabilitySchemas" => ok(json!([{"id": "g", "currentVersionName": "v1"}])),
        "POST /computeImageCapabilitySchemas" => ok(json!({"id": "s"})),
        line if line.starts_with("GET /") => ok(json!([])),
        _ => (204, Value::Null, Vec::new()),
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_is_uploaded_imported_fitted_and_only_then_marked_bootable() {
    let (line, seen) = oracle(import);
    let made = oci().make_image(&line, &order(), &Silent).await.unwrap();
    assert_eq!(made.state, State::Ready);
    assert_eq!(oci().image_of(&made), Some(order().image));
    let writes: Vec<String> =
        lines(&seen).into_iter().filter(|line| !line.starts_with("GET") && !line.starts_with("HEAD")).collect();
    let object = "/n/ns/b/bouquet-images-bouquet";
    let id = "/images/ocid1.image.oc1.eu-frankfurt-1.i";
    let name = "bouquet-talos-1.14.6-arm64-abababababab.oci";
    assert_eq!(
        writes,
        [
            "POST /n/ns/b".to_owned(),
            format!("POST {object}/u"),
            format!("PUT {object}/u/{name}"),
            format!("POST {object}/u/{name}"),
            "POST /images".to_owned(),
            format!("DELETE {object}/o/{name}"),
            format!("DELETE {object}"),
            format!("PUT {id}/shapes/VM.Standard.A1.Flex"),
            "POST /computeImageCapabilitySchemas".to_owned(),
            format!("PUT {id}"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_import_that_was_cut_off_goes_on_without_another_upload() {
    let (line, seen) = oracle(|seen, before| match seen.line().as_str() {
        "GET /images" => ok(json!([image("IMPORTING", false)])),
        _ => import(seen, before),
    });
    oci().make_image(&line, &order(), &Silent).await.unwrap();
    let lines = lines(&seen);
    assert!(!lines.contains(&"POST /images".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("oracle-arm64.qcow2")), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bootable_image_costs_one_look() {
    let (line, seen) = oracle(|_, _| ok(json!([image("AVAILABLE", true)])));
    oci().make_image(&line, &order(), &Silent).await.unwrap();
    assert_eq!(lines(&seen), ["GET /images"]);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_bucket_of_that_name_is_left_alone() {
    let (line, seen) = oracle(|seen, before| match seen.line().as_str() {
        "GET /n/ns/b/bouquet-images-bouquet" => ok(json!({"name": "bouquet-images-bouquet", "freeformTags": {}})),
        _ => import(seen, before),
    });
    assert_eq!(oci().make_image(&line, &order(), &Silent).await.unwrap_err().why, Why::Taken);
    assert!(lines(&seen).iter().all(|line| line.starts_with("GET")), "{:?}", lines(&seen));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_answer_makes_a_look_panic(status in 200u16..600, body in "[\\[\\]{}\":,a-z0-9]{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let body: Value = serde_json::from_str(&body).unwrap_or(json!(body));
            let (line, _) = oracle(move |_, _| (status, body.clone(), Vec::new()));
            let _ = oci().find(&line, "bouquet", &[]).await;
        });
    }
}
