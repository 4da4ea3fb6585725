//! Whole scenes, from objects as the API writes them.

use super::*;
use crate::scene::objects::{Kept, Listed, Shelf};
use crate::scene::{Complaint, PodSelector, Source};
use detect::{Family, Hint, Pin};
use proptest::prelude::*;
use serde_json::{Value, json};

fn put<K: Kept>(shelf: &mut Shelf<K>, object: Value) {
    let listed: Listed<K> = serde_json::from_value(object).unwrap();
    shelf.insert(listed.key, listed.kept);
}

/// A cluster out of objects as the API writes them. Pods of the namespace `bouquet-watcher` are the watcher's own.
fn cluster(objects: impl IntoIterator<Item = Value>) -> Objects {
    let mut cluster = Objects::default();
    for object in objects {
        match object["kind"].as_str().unwrap() {
            "Node" => put(&mut cluster.nodes, object),
            "Pod" if object["metadata"]["namespace"] == "bouquet-watcher" => put(&mut cluster.own_pods, object),
            "Pod" => put(&mut cluster.ingress_pods, object),
            "Ingress" => put(&mut cluster.ingresses, object),
            "IngressRoute" => put(&mut cluster.ingress_routes, object),
            "IngressRouteTCP" => put(&mut cluster.ingress_route_tcps, object),
            "HTTPRoute" => put(&mut cluster.http_routes, object),
            "Gateway" => put(&mut cluster.gateways, object),
            other => panic!("{other}"),
        }
    }
    cluster
}

fn now() -> Now {
    Now { at: "2026-12-01T08:00:00Z".parse().unwrap(), ms: 5_000 }
}

fn scene(objects: impl IntoIterator<Item = Value>) -> Scene {
    compose(&cluster(objects), &Settings::default(), now())
}

fn object(kind: &str, name: &str, annotations: &Value, spec: impl Into<Value>) -> Value {
    let spec: Value = spec.into();
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    json!({
        "kind": kind,
        "metadata": {
            "namespace": namespace, "name": name, "uid": format!("uid-{name}"), "annotations": annotations,
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": spec,
    })
}

fn ingress(name: &str, annotations: &Value, hosts: &[&str]) -> Value {
    let rules: Vec<Value> = hosts.iter().map(|host| json!({"host": host, "http": {"paths": []}})).collect();
    object("Ingress", name, annotations, json!({"ingressClassName": "traefik", "rules": rules}))
}

fn route(kind: &str, name: &str, annotations: &Value, rules: &[&str]) -> Value {
    let routes: Vec<Value> = rules.iter().map(|rule| json!({"match": rule, "kind": "Rule"})).collect();
    object(kind, name, annotations, json!({"entryPoints": ["websecure"], "routes": routes}))
}

fn node(name: &str, annotations: &Value, external: &[&str]) -> Value {
    let mut node = object("Node", name, annotations, json!({"podCIDR": "10.244.0.0/24"}));
    let external = external.iter().map(|address| json!({"type": "ExternalIP", "address": address}));
    let internal = json!({"type": "InternalIP", "address": "100.64.0.1"});
    node["status"] = json!({"addresses": external.chain([internal]).collect::<Vec<_>>()});
    node
}

fn pod(name: &str, node: &str) -> Value {
    let mut pod = object("Pod", name, &json!({}), json!({"nodeName": node}));
    pod["status"] = json!({"phase": "Running", "podIP": "10.244.0.7"});
    pod
}

fn dying(mut object: Value) -> Value {
    object["metadata"]["deletionTimestamp"] = "2026-12-01T07:59:59Z".into();
    object
}

fn names(scene: &Scene) -> Vec<&str> {
    scene.hosts.keys().map(String::as_str).collect()
}

/// Each complaint as `reason kind namespace/name`.
fn complaints(scene: &Scene) -> Vec<String> {
    let told = |Complaint { object, reason, .. }: &Complaint| {
        format!("{reason} {} {}/{}", object.kind, object.namespace, object.name)
    };
    scene.complaints.iter().map(told).collect()
}

#[test]
fn hosts_of_every_kind_are_found() {
    let mut with_tls = ingress("a/one", &json!({}), &["One.example", "", "*.one.example"]);
    with_tls["spec"]["tls"] = json!([{"hosts": ["only-a-certificate.example"]}]);
    let scene = scene([
        with_tls,
        route("IngressRoute", "a/two", &json!({}), &["Host(`two.example`) && Path(`/`)", "HostRegexp(`.*`)"]),
        route("IngressRouteTCP", "a/three", &json!({}), &["HostSNI(`three.example`)", "HostSNI(`*`)"]),
        object(
            "Gateway",
            "a/gate",
            &json!({}),
            json!({"gatewayClassName": "traefik", "listeners": [
                {"name": "web", "port": 80, "protocol": "HTTP"},
            ]}),
        ),
        object(
            "HTTPRoute",
            "a/four",
            &json!({}),
            json!({"parentRefs": [{"name": "gate"}], "hostnames": ["four.example"]}),
        ),
    ]);
    assert_eq!(names(&scene), ["*.one.example", "four.example", "one.example", "three.example", "two.example"]);
    assert_eq!(complaints(&scene), [""; 0]);
    let source = &scene.hosts["four.example"].sources[0];
    assert_eq!(
        (&*source.api_version, &*source.kind, &*source.uid),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", "uid-four")
    );
}

#[test]
fn a_source_that_is_off_gives_no_names() {
    let objects = [
        ingress("a/one", &json!({}), &["one.example"]),
        route("IngressRoute", "a/two", &json!({}), &["Host(`two.example`)"]),
    ];
    let settings = Settings { sources: [Source::IngressRoute].into(), ..Settings::default() };
    assert_eq!(names(&compose(&cluster(objects), &settings, now())), ["two.example"]);
}

#[test]
fn the_class_decides_whose_an_ingress_is() {
    let class = |class: Option<&str>, legacy: Option<&str>| {
        let mut object =
            ingress("a/one", &json!({"kubernetes.io/ingress.class": legacy.unwrap_or("")}), &["one.example"]);
        object["spec"]["ingressClassName"] = class.into();
        object
    };
    for (spec, legacy, default, is_served) in [
        (Some("traefik"), None, false, true),
        (Some("nginx"), None, true, false),
        (None, Some("traefik"), false, true),
        (None, Some("nginx"), true, false),
        (Some("traefik"), Some("nginx"), false, true),
        (Some("nginx"), Some("traefik"), false, false),
        (None, None, true, true),
        (None, None, false, false),
    ] {
        let settings = Settings { is_default_class: default, ..Settings::default() };
        let scene = compose(&cluster([class(spec, legacy)]), &settings, now());
        assert_eq!(scene.hosts.len(), usize::from(is_served), "{spec:?} {legacy:?} {default}");
    }
    let any = Settings { ingress_class: None, is_default_class: false, ..Settings::default() };
    assert_eq!(compose(&cluster([class(Some("nginx"), None)]), &any, now()).hosts.len(), 1);
    let other =
        route("IngressRoute", "a/two", &json!({"kubernetes.io/ingress.class": "other"}), &["Host(`two.example`)"]);
    assert_eq!(scene([other]).hosts.len(), 0);
}

#[test]
fn a_route_gets_the_names_that_its_listeners_let_through() {
    let gateway = |name: &str, class: &str, listeners: Value| {
        object("Gateway", name, &json!({}), json!({"gatewayClassName": class, "listeners": listeners}))
    };
    let gateways = || {
        [
            gateway(
                "a/gate",
                "traefik",
                json!([
                    {"name": "any", "port": 80, "protocol": "HTTP", "hostname": "*.x.example"},
                    {"name": "one", "port": 443, "protocol": "HTTPS", "hostname": "one.y.example"},
                    {"name": "raw", "port": 9000, "protocol": "TCP"},
                ]),
            ),
            gateway(
                "b/open",
                "traefik",
                json!([
                    {"name": "web", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}},
                ]),
            ),
            gateway("b/closed", "traefik", json!([{"name": "web", "port": 80, "protocol": "HTTP"}])),
            gateway("a/mesh", "istio", json!([{"name": "web", "port": 80, "protocol": "HTTP"}])),
        ]
    };
    let found = |parents: Value, hostnames: &[&str]| {
        let spec = json!({"parentRefs": parents, "hostnames": hostnames});
        let objects = gateways().into_iter().chain([object("HTTPRoute", "a/route", &json!({}), spec)]);
        let settings = Settings { gateway_class: Some("traefik".into()), ..Settings::default() };
        names(&compose(&cluster(objects), &settings, now())).join(" ")
    };
    let asked = ["a.x.example", "a.z.example", "*.y.example"];
    assert_eq!(found(json!([{"name": "gate"}]), &asked), "a.x.example one.y.example");
    assert_eq!(found(json!([{"name": "gate"}]), &[]), "*.x.example one.y.example");
    assert_eq!(found(json!([{"name": "gate", "sectionName": "one"}]), &[]), "one.y.example");
    assert_eq!(found(json!([{"name": "gate", "port": 80}]), &[]), "*.x.example");
    assert_eq!(found(json!([{"name": "gate", "sectionName": "raw"}]), &asked), "");
    assert_eq!(found(json!([{"name": "open", "namespace": "b"}]), &asked), "*.y.example a.x.example a.z.example");
    assert_eq!(found(json!([{"name": "open", "namespace": "b"}]), &[]), "", "every name is no name");
    assert_eq!(found(json!([{"name": "closed", "namespace": "b"}]), &asked), "");
    assert_eq!(found(json!([{"name": "mesh"}]), &asked), "", "the class is another");
    assert_eq!(found(json!([{"name": "gate", "kind": "Service", "group": ""}]), &asked), "");
    assert_eq!(found(json!([{"name": "gone"}]), &asked), "");
}

#[test]
fn an_object_with_a_bad_annotation_is_passed_over_and_the_rest_is_served() {
    let scene = scene([
        ingress("a/bad", &json!({"external-dns.kubernetes.io/ttl": "soon"}), &["bad.example", "both.example"]),
        ingress("a/good", &json!({"external-dns.kubernetes.io/hostname": "also.example"}), &["both.example"]),
        ingress("a/out", &json!({"bouquet.dev/exclude": "true"}), &["out.example"]),
        route("IngressRoute", "a/half", &json!({}), &["Host(`", "Host(`half.example`)", "Host(`ä.example`)"]),
    ]);
    assert_eq!(names(&scene), ["also.example", "both.example", "half.example"]);
    assert_eq!(scene.hosts["both.example"].sources.len(), 1);
    assert_eq!(
        complaints(&scene),
        ["BadAnnotation Ingress a/bad", "BadHost IngressRoute a/half", "BadRule IngressRoute a/half"]
    );
}

#[test]
fn of_two_that_differ_the_first_is_heard() {
    let asks = |proxied: &str, ttl: &str| json!({"external-dns.kubernetes.io/cloudflare-proxied": proxied, "external-dns.kubernetes.io/ttl": ttl});
    let scene = scene([
        ingress("b/late", &asks("false", "120"), &["x.example", "y.example"]),
        ingress("a/first", &asks("true", "120"), &["x.example"]),
        ingress("a/silent", &json!({}), &["x.example"]),
    ]);
    let host = &scene.hosts["x.example"];
    assert_eq!((host.proxied, host.ttl_s), (Some(true), Some(120)));
    assert_eq!(host.sources.iter().map(|source| &*source.name).collect::<Vec<_>>(), ["first", "silent", "late"]);
    assert_eq!(scene.hosts["y.example"].proxied, Some(false));
    assert_eq!(complaints(&scene), ["ConflictingAnnotation Ingress b/late"]);
    assert!(scene.complaints[0].message.contains("Ingress a/first"), "{}", scene.complaints[0].message);
}

#[test]
fn a_node_with_an_ingress_pod_is_an_ingress_node_unless_it_says_otherwise() {
    let ingress = |value: &str| json!({"bouquet.dev/ingress": value});
    let mut labelled = node("by-label", &json!({}), &["1.1.2.4"]);
    labelled["metadata"]["labels"] = json!({"bouquet.dev/ingress": "true"});
    let mut failed = pod("t/failed", "failed");
    failed["status"]["phase"] = "Failed".into();
    let scene = scene([
        node("with", &json!({}), &["1.1.2.1"]),
        pod("t/with", "with"),
        node("without", &json!({}), &["1.1.2.2"]),
        node("not", &ingress("false"), &["1.1.2.3"]),
        pod("t/not", "not"),
        labelled,
        node("failed", &json!({}), &["1.1.2.5"]),
        failed,
        node("slip", &ingress("yes"), &["1.1.2.6"]),
        pod("t/slip", "slip"),
        node("slip-without", &ingress("yes"), &["10.0.0.1"]),
    ]);
    assert_eq!(scene.nodes.keys().collect::<Vec<_>>(), ["by-label", "slip", "with"]);
    assert_eq!(complaints(&scene), ["BadAnnotation Node /slip", "BadAnnotation Node /slip-without"]);
}

#[test]
fn only_public_addresses_are_published_one_a_family() {
    let public = |list: &str| json!({"bouquet.dev/public-address": list, "bouquet.dev/ingress": "true"});
    let found = |node: Value, settings: &Settings| {
        let scene = compose(&cluster([node]), settings, now());
        let addresses = scene.nodes.values().flat_map(|node| node.addresses.values().map(ToString::to_string));
        (addresses.collect::<Vec<_>>().join(" "), complaints(&scene).join(" "))
    };
    let any = Settings::default();
    let reported = ["10.0.0.1", "1.1.2.1", "1.1.2.2", "name.example", "2a01:4f8::1"];
    let (addresses, told) = found(node("n", &json!({"bouquet.dev/ingress": "true"}), &reported), &any);
    assert_eq!((&*addresses, &*told), ("1.1.2.1 2a01:4f8::1", "BadAddress Node /n"));
    let (addresses, told) = found(node("n", &public("1.1.2.9"), &reported), &any);
    assert_eq!((&*addresses, &*told), ("1.1.2.9", ""), "the annotation is the whole of it");
    let (addresses, told) = found(node("n", &public("192.0.2.1, here, 104.16.0.1,"), &reported), &any);
    assert_eq!(
        (&*addresses, &*told),
        ("", "BadAddress Node /n BadAddress Node /n BadAnnotation Node /n NoPublicAddress Node /n")
    );
    let allowed = Settings { allow_addresses: vec!["192.0.2.0/24".parse().unwrap()], ..Settings::default() };
    assert_eq!(found(node("n", &public("192.0.2.1"), &[]), &allowed), ("192.0.2.1".to_owned(), String::new()));
    let v4 = Settings { families: [Family::V4].into(), ..Settings::default() };
    let (addresses, told) = found(node("n", &public("1.1.2.1,2a01:4f8::1"), &[]), &v4);
    assert_eq!((&*addresses, &*told), ("1.1.2.1", ""));
}

#[test]
fn hints_come_before_any_probe() {
    let hint = |change: fn(&mut Value), pods: Vec<Value>| {
        let mut node = node("n", &json!({}), &["1.1.2.1"]);
        change(&mut node);
        scene(pods.into_iter().chain([node])).nodes["n"].hint
    };
    let here = || vec![pod("t/one", "n")];
    assert_eq!(hint(|_| {}, here()), None);
    assert_eq!(hint(|node| node["spec"]["unschedulable"] = true.into(), here()), Some(Hint::Leaving));
    assert_eq!(hint(|node| *node = dying(node.take()), here()), Some(Hint::Leaving));
    for key in ["node.kubernetes.io/out-of-service", "ToBeDeletedByClusterAutoscaler", "node.kubernetes.io/not-ready"] {
        let mut node = node("n", &json!({}), &["1.1.2.1"]);
        node["spec"]["taints"] = json!([{"key": key, "effect": "NoExecute"}]);
        let found = scene(here().into_iter().chain([node])).nodes["n"].hint;
        assert_eq!(found, (!key.ends_with("not-ready")).then_some(Hint::Leaving), "{key}");
    }
    let not_ready = |node: &mut Value| node["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
    assert_eq!(hint(not_ready, here()), None, "a node that is not ready may serve well");
    assert_eq!(hint(|_| {}, vec![dying(pod("t/one", "n"))]), Some(Hint::Terminating));
    assert_eq!(hint(|_| {}, vec![dying(pod("t/one", "n")), pod("t/two", "n")]), None, "another serves there");
    assert_eq!(hint(|_| {}, vec![dying(pod("t/one", "n")), pod("t/two", "m")]), Some(Hint::Terminating));
}

#[test]
fn pins_hold_until_their_time_is_over() {
    let pin = |pin: &str, until: Option<&str>| {
        let annotations = json!({"bouquet.dev/pin": pin, "bouquet.dev/pin-until": until.unwrap_or("-")});
        let mut node = node("n", &annotations, &["1.1.2.1"]);
        if until.is_none() {
            node["metadata"]["annotations"].as_object_mut().unwrap().remove("bouquet.dev/pin-until");
        }
        let scene = scene([node, pod("t/one", "n")]);
        (scene.nodes["n"].pin, scene.complaints.len())
    };
    assert_eq!(pin("withdrawn", None), (Some(Pin { serving: false, until_ms: None }), 0));
    assert_eq!(pin("serving", Some("2026-12-01T09:00:00+01:00")), (None, 0), "it ends now");
    assert_eq!(pin("serving", Some("2026-12-01T08:01:00Z")), (Some(Pin { serving: true, until_ms: Some(65_000) }), 0));
    assert_eq!(pin("serving", Some("2020-01-01T00:00:00Z")), (None, 0));
    assert_eq!(pin("serving", Some("tomorrow")), (None, 1), "a slip of the pen pins nothing for ever");
    assert_eq!(pin("gone", None), (None, 1));
}

#[test]
fn vantages_and_sites_are_of_the_whole_cluster() {
    let at = |name: &str, region: &str, site: Option<&str>, address: &str| {
        let mut node = node(name, &json!({}), &[address]);
        node["metadata"]["labels"] =
            json!({"topology.kubernetes.io/region": region, "bouquet.dev/site": site.unwrap_or("")});
        node
    };
    let mut pending = pod("bouquet-watcher/w-c", "c");
    pending["status"] = json!({"phase": "Pending"});
    let scene = scene([
        at("a", "fsn1", None, "1.1.2.1"),
        at("b", "fsn1", Some("garage"), "1.1.2.2"),
        at("c", "", None, "1.1.2.3"),
        at("d", "hel1", None, "1.1.2.2"),
        pod("bouquet-watcher/w-a", "a"),
        dying(pod("bouquet-watcher/w-b", "b")),
        pending,
    ]);
    assert!(scene.nodes.is_empty());
    let sites: Vec<String> = scene.sites.iter().map(|(node, site)| format!("{node}={site}")).collect();
    assert_eq!(sites, ["a=fsn1", "b=garage", "c=c", "d=garage"]);
    let vantages: Vec<_> = scene.vantages.iter().map(|(name, pod)| (&**name, &*pod.node, pod.terminating)).collect();
    assert_eq!(vantages, [("w-a", "a", false), ("w-b", "b", true)], "a pod without an address cannot be talked to");
}

#[test]
fn selectors_by_default_are_those_of_the_usual_charts() {
    let settings = Settings::default();
    let own = PodSelector {
        namespace: Some("bouquet-watcher".into()),
        labels: "app.kubernetes.io/name=bouquet-watcher".into(),
    };
    assert_eq!(settings.own_pods, own);
    assert_eq!(settings.ingress_pods.labels, "app.kubernetes.io/name=traefik");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever people write into annotations and rules: nothing panics, a bad object never takes another's name away,
    /// and all that is published is well-formed.
    #[test]
    fn nobody_can_take_anothers_name_away(
        texts in prop::collection::vec("\\PC{0,12}|true|60|a\\.example|Host\\(`b\\.example`\\)", 8),
    ) {
        let good = ingress("z/good", &json!({}), &["good.example"]);
        let annotations = json!({
            "external-dns.kubernetes.io/hostname": texts[0], "external-dns.kubernetes.io/ttl": texts[1],
            "external-dns.alpha.kubernetes.io/cloudflare-proxied": texts[2], "bouquet.dev/pool": texts[3],
        });
        let marks = json!({"bouquet.dev/ingress": texts[4], "bouquet.dev/pin": texts[5], "bouquet.dev/pin-until": texts[6]});
        let scene = scene([
            good,
            ingress("a/wild", &annotations, &[&texts[6], "good.example"]),
            route("IngressRoute", "a/rule", &annotations, &[&texts[7], &texts[5]]),
            node("n", &marks, &["1.1.2.1"]),
            pod("t/n", "n"),
        ]);
        prop_assert!(scene.hosts["good.example"].sources.iter().any(|source| source.name == "good"));
        for (name, host) in &scene.hosts {
            prop_assert_eq!(crate::scene::host(name), Ok(Some(name.clone())));
            prop_assert!(!host.sources.is_empty());
        }
        prop_assert!(scene.complaints.iter().all(|complaint| complaint.message.len() < 1024));
    }
}
