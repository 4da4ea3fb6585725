//! What the mission's own node asks of Oracle, byte for byte, and in which order it goes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

use clouds::{Arch, Cloud, Image, Need, NeedMachine, Oci, OciConfig, Openness, Wanted};
use spec::{CloudPlace, Role, Size};
use wire::Secret;

fn oci() -> Oci {
    let config = OciConfig {
        user: "ocid1.user.oc1..aaaa".into(),
        fingerprint: "12:34:56:78:90:ab:cd:ef:12:34:56:78:90:ab:cd:ef".into(),
        tenancy: "ocid1.tenancy.oc1..bbbb".into(),
        region: "eu-frankfurt-1".into(),
        key_file: "~/.oci/key.pem".into(),
        compartment: "ocid1.tenancy.oc1..bbbb".into(),
    };
    Oci::new(config, &Secret::new(include_str!("oci_keys/pkcs8.pem")), None).unwrap()
}

fn machine(node: &str, region: &str) -> NeedMachine {
    let size = Size { cpus: 4, memory_gib: 24, disk_gib: 200 };
    let (cloud, machine) = ("oci".to_owned(), "VM.Standard.A1.Flex".to_owned());
    let image = Image { region: region.into(), arch: Arch::Arm64, schematic: "ab".repeat(32), talos: "1.14.6".into() };
    let place = CloudPlace { cloud, region: region.into(), machine, size: Some(size) };
    NeedMachine { node: node.into(), role: Role::Worker, place, image }
}

fn need(machines: Vec<NeedMachine>) -> Need {
    Need { cluster: "bouquet".into(), machines, openness: Openness::default() }
}

#[test]
fn tulip_asks_for_a_network_and_one_machine() {
    insta::assert_yaml_snapshot!(oci().wanted(&need(vec![machine("tulip", "eu-frankfurt-1")])));
}

#[test]
fn the_order_of_machines_changes_nothing() {
    let there = |names: [&str; 3]| {
        let machines = names.map(|name| machine(name, if name == "c" { "us-ashburn-1" } else { "eu-frankfurt-1" }));
        oci().wanted(&need(machines.to_vec()))
    };
    assert_eq!(there(["a", "b", "c"]), there(["c", "b", "a"]));
    assert_eq!(there(["a", "b", "c"]).len(), 5 + 2 + 5 + 1);
}

#[test]
fn machines_of_other_clouds_are_not_ours_to_make() {
    let mut rose = machine("rose", "hel1");
    rose.place.cloud = "hetzner".into();
    assert_eq!(oci().wanted(&need(vec![rose])), []);
}

#[test]
fn everything_comes_after_what_it_needs_and_goes_before_it() {
    let all = oci().wanted(&need(vec![machine("tulip", "eu-frankfurt-1")]));
    let kinds = oci().kinds().to_vec();
    let falls_at = |one: &Wanted| kinds.iter().position(|kind| *kind == one.key.kind).unwrap();
    for (at, one) in all.iter().enumerate() {
        // An image is made apart.
        for needed in one.needs.iter().filter(|needed| needed.kind != "image") {
            let found = all.iter().position(|other| other.key == *needed).unwrap();
            assert!(found < at, "{} before {}", one.key, needed);
            assert!(falls_at(one) < falls_at(&all[found]), "{needed} would be deleted under {}", one.key);
        }
    }
}

#[test]
fn nothing_but_web_mesh_and_path_mtu_comes_in() {
    let all = oci().wanted(&need(vec![machine("tulip", "eu-frankfurt-1")]));
    let filter = all.iter().find(|one| one.key.kind == "security_list").unwrap();
    let open: Vec<String> = filter.spec["ingressSecurityRules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| {
            let options = ["tcpOptions", "udpOptions"].iter().find_map(|options| rule.get(*options));
            let port = options.map(|options| options["destinationPortRange"]["max"].to_string());
            format!("{} {}", rule["protocol"].as_str().unwrap(), port.unwrap_or_default())
        })
        .collect();
    assert_eq!(open, ["1 ", "17 41641", "6 80", "6 443"]);
}
