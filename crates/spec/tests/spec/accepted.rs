use crate::{EXAMPLES, listing};
use spec::FirstContact::{Maintenance, UserData};
use spec::{Certificates, Cluster, DnsProvider, Place, Role, Storage};

fn example(name: &str) -> Cluster {
    let (_, text) = EXAMPLES.iter().find(|(known, _)| *known == name).unwrap();
    accepted(text)
}

fn accepted(text: &str) -> Cluster {
    let reading = spec::read(text);
    let faults = listing(text, &reading);
    reading.cluster.unwrap_or_else(|| panic!("{faults}"))
}

#[test]
fn the_missions_file_is_the_missions_cluster() {
    let cluster = example("bouquet");
    assert_eq!(cluster.name, "bouquet");
    assert_eq!(cluster.domain.as_deref(), Some("bouquet.example.com"));
    assert_eq!((cluster.talos.to_string(), cluster.kubernetes.to_string()), ("1.14.6".into(), "1.37.1".into()));
    assert_eq!(cluster.with_role(Role::ControlPlane).collect::<Vec<_>>(), ["rose"]);
    assert_eq!(cluster.with_role(Role::Worker).collect::<Vec<_>>(), ["lily", "tulip"]);
    let Place::Cloud(tulip) = &cluster.nodes["tulip"].places[0] else { panic!() };
    assert_eq!(tulip.to_string(), "oci/eu-frankfurt-1/VM.Standard.A1.Flex");
    let size = tulip.size.unwrap();
    assert_eq!((size.cpus, size.memory_gib, size.disk_gib), (4, 24, 200));
    assert_eq!(cluster.dns.unwrap().provider, DnsProvider::Cloudflare);
    assert_eq!(cluster.storage, Some(Storage::OpenEbs));
    assert_eq!(cluster.ingress.unwrap().nodes, ["lily", "tulip"]);
    assert_eq!(cluster.certificates, Certificates::LetsEncrypt);
    let backup = cluster.backup.unwrap();
    assert_eq!((backup.bucket.as_str(), backup.cloud.as_deref()), ("bouquet-backups", Some("hetzner")));
    assert_eq!((backup.every_s, backup.keep_s), (86_400, 30 * 86_400));
}

#[test]
fn the_missions_file_is_warned_only_of_what_is_free() {
    let (_, text) = EXAMPLES[0];
    let codes: Vec<_> = spec::read(text).faults.into_iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["BQ0117"]);
}

#[test]
fn the_smallest_file_gets_every_default() {
    let cluster = example("minimal");
    insta::assert_snapshot!(format!("{cluster:#?}"));
}

#[test]
fn alternatives_keep_their_order_and_their_own_sizes() {
    let cluster = example("three-control-planes");
    let sizes = |node: &str| -> Vec<String> {
        let places = cluster.nodes[node].places.iter();
        places
            .map(|place| match place {
                Place::Cloud(place) => format!("{place} {:?}", place.size.map(|size| (size.cpus, size.disk_gib))),
                Place::Address(_) => panic!(),
            })
            .collect()
    };
    assert_eq!(sizes("iris"), ["oci/eu-frankfurt-1/VM.Standard.A1.Flex Some((2, 50))", "hetzner/nbg1/cpx22 None"]);
    assert_eq!(
        sizes("tulip"),
        [
            "oci/eu-frankfurt-1/VM.Standard.A1.Flex Some((2, 100))",
            "oci/eu-frankfurt-1/VM.Standard.E5.Flex Some((2, 100))",
            "hetzner/nbg1/cpx32 None"
        ]
    );
}

#[test]
fn no_key_reaches_user_data_that_others_can_read() {
    let nodes = |first_contact: &str| {
        let text = format!(
            "cluster: a\n{first_contact}nodes:\n  \
             cp: {{ role: control-plane, on: [hetzner/hel1/cax11, oci/eu-paris-1/VM.Standard.A1.Flex], cpus: 1, memory: 6GB }}\n  \
             own: {{ role: worker, on: address/203.0.113.7 }}\n  \
             oci: {{ role: worker, on: oci/eu-paris-1/VM.Standard2.1 }}\n"
        );
        let cluster = accepted(&text);
        ["cp", "own", "oci"].map(|name| cluster.nodes[name].first_contact)
    };
    assert_eq!(nodes(""), [Maintenance, Maintenance, UserData]);
    assert_eq!(nodes("first-contact: user-data\n"), [UserData, Maintenance, UserData]);
    assert_eq!(nodes("first-contact: maintenance\n"), [Maintenance, Maintenance, Maintenance]);
}

#[test]
fn long_forms_say_what_a_word_cannot() {
    let cluster = accepted(include_str!("long-forms.yaml"));
    insta::assert_snapshot!(format!("{cluster:#?}"));
}

#[test]
fn a_patch_written_as_a_mapping_keeps_its_meaning() {
    let text = "cluster: a\nnodes: { rose: { role: control-plane, on: hetzner/hel1/cax11 } }\n\
                patches:\n  - machine: { sysctls: { vm.max_map_count: '262144', a: \"yes\" }, list: [1, 2.5, ~, true] }\n";
    let cluster = accepted(text);
    insta::assert_snapshot!(cluster.patches[0], @r#"
    machine:
      sysctls:
        vm.max_map_count: "262144"
        a: "yes"
      list:
      - 1
      - 2.5
      - null
      - true
    "#);
}

#[test]
fn a_default_is_pointed_at_by_its_owner() {
    let (_, text) = EXAMPLES[0];
    let reading = spec::read(text);
    let at = |path: &str| reading.span(path).map(|span| &text[span]);
    assert_eq!(at("nodes.rose.on[0]"), Some("hetzner/hel1/cax11"));
    assert_eq!(at("nodes.rose"), Some("rose"));
    assert_eq!(at("nodes.rose.patches[3]"), Some("rose"));
    assert_eq!(at("backup.to"), Some("s3://bouquet-backups@hetzner/nbg1"));
    assert_eq!(at("watcher"), None);
}

#[test]
fn aliases_and_merges_are_followed() {
    let text = "cluster: a\nnodes:\n  a: &w { role: worker, on: hetzner/hel1/cx23 }\n  b: *w\n  \
                c: { <<: *w, role: control-plane }\n";
    let cluster = accepted(text);
    assert_eq!(cluster.nodes["b"].role, Role::Worker);
    assert_eq!(cluster.nodes["c"].role, Role::ControlPlane);
    assert_eq!(cluster.nodes["c"].places, cluster.nodes["a"].places);
}

#[test]
fn warnings_leave_the_cluster_usable() {
    let text = "cluster: a\ntalos: 1.16.0\nkubernetes: 1.40.0\ndomain: a.example.com\nnodes:\n  \
                a: { role: control-plane, on: [hetzner/hel1/cx93, hetzner/hel1/cx93, oci/xx-nowhere-9/VM.Standard2.1] }\n\
                backup: s3://backups@hetzner/hel1\n";
    accepted(text);
    insta::assert_snapshot!(listing(text, &spec::read(text)));
}

#[test]
fn line_and_column_count_characters_from_one() {
    let text = "é: x\n  ü: y";
    assert_eq!(spec::line_and_column(text, 0), (1, 1));
    assert_eq!(spec::line_and_column(text, text.find('x').unwrap()), (1, 4));
    assert_eq!(spec::line_and_column(text, text.find('y').unwrap()), (2, 6));
    assert_eq!(spec::line_and_column(text, 999), (2, 7));
}
