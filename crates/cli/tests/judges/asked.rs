//! Whether a judge has tried everything that bouquet asks of a vendor.

use crate::answers::lived;
use crate::garden::Garden;
use std::collections::BTreeSet;

/// Fails where apply or destroy makes a call of this vendor that nobody has made in the garden.
pub fn nothing_is_left_untried(vendor: &str, garden: &Garden) {
    let asked = lived().asked.iter().filter(|entry| entry.to == vendor);
    let asked: BTreeSet<String> = asked.map(|entry| kind(&entry.method, &entry.path)).collect();
    let journal = garden.control("GET", "requests", "").1;
    let tried = journal.as_array().unwrap().iter().filter(|entry| entry["to"] == vendor);
    let word = |text: &serde_json::Value| text.as_str().unwrap().to_owned();
    let tried: BTreeSet<String> = tried.map(|entry| kind(&word(&entry["method"]), &word(&entry["path"]))).collect();
    assert!(!asked.is_empty(), "bouquet asks {vendor} for nothing");
    let untried: Vec<&String> = asked.difference(&tried).collect();
    assert!(untried.is_empty(), "what bouquet asks of {vendor} and its judge does not: {untried:#?}");
}

/// A call with `*` for every name that somebody chose.
fn kind(method: &str, path: &str) -> String {
    let mut kind = method.to_owned() + " ";
    let mut before = "";
    for segment in path.split('/').skip(1) {
        // The name of an object may hold slashes.
        if matches!(before, "o" | "u") {
            return kind + "/*";
        }
        let is_name = matches!(before, "n" | "b" | "tailnet" | "shapes") || is_id(segment);
        kind += if is_name { "/*" } else { "/" };
        kind += if is_name { "" } else { segment };
        before = segment;
    }
    kind
}

fn is_id(segment: &str) -> bool {
    let is_hex = segment.len() == 32 && segment.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    is_hex || is_number || segment.starts_with("ocid1.") || segment.ends_with("CNTRL")
}

#[test]
fn calls_that_differ_in_names_alone_are_of_one_kind() {
    for (one, other) in [
        ("/v1/servers/1001/actions/poweron", "/v1/servers/7/actions/poweron"),
        ("/n/frabc/b/one/o/a/b", "/n/frxyz/b/two/o/c"),
        (
            "/20160918/images/ocid1.image.oc1.x.aaa/shapes/VM.One",
            "/20160918/images/ocid1.image.oc1.x.bbb/shapes/VM.Two",
        ),
        ("/api/v2/tailnet/-/keys/kA1CNTRL", "/api/v2/tailnet/a.example.com/keys/kB2CNTRL"),
    ] {
        assert_eq!(kind("GET", one), kind("GET", other));
    }
    assert_ne!(kind("GET", "/v1/servers/1"), kind("GET", "/v1/servers"));
    assert_ne!(kind("GET", "/n/frabc/b/one/u"), kind("GET", "/n/frabc/b/one/u/a"));
}
