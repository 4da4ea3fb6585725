//! Configurations that Talos's own machinery (1.13.9) takes or refuses: the same verdicts here.

use super::super::config::{Config, ConfigError};
use super::rig::{Recipe, Secrets, base64};
use bytes::Bytes;

fn read(text: &str) -> Result<Config, ConfigError> {
    Config::read(&Bytes::from(text.to_owned()), "1.13.9")
}

struct Texts {
    control_plane: String,
    worker: String,
    machine_key: String,
}

fn texts() -> Texts {
    let secrets = Secrets::new();
    let text = |control_plane| {
        let recipe = Recipe::new("rose", control_plane, "https://198.51.100.1:6443");
        Recipe { auth_key: Some("tskey-auth-x".into()), version: "1.36.0", ..recipe }.text(&secrets)
    };
    Texts { control_plane: text(true), worker: text(false), machine_key: base64(&secrets.os.key) }
}

/// What is changed in a good control plane's configuration (from, to), and a part of the answer.
const SPOILT: &[(&str, &str, &str)] = &[
    ("  token: abcdef", "  tokenn: x\n  token: abcdef", "unknown keys found during decoding:\nmachine.tokenn"),
    ("  token: abcdef", "  type: worker\n  token: abcdef", "duplicate mapping key"),
    ("type: controlplane", "type: queen", "unknown machine type \"queen\""),
    ("https://198.51.100.1:6443", "https://:6443", "hostname must not be blank"),
    ("https://198.51.100.1:6443", "198.51.100.1", "hostname must not be blank"),
    ("198.51.100.1:6443", "198.51.100.1:99999", "port number must be between 1 and 65535"),
    ("validSubnets: [198.51.100.0/24]", "validSubnets: [mesh]", "kubelet nodeIP subnet is not valid: \"mesh\""),
    ("advertisedSubnets: [198.51.100.0/24]", "advertisedSubnets: [a/b]", "etcd advertised subnet is not valid"),
    ("name: flannel", "name: calico", "cni name should be one of"),
    ("version: v1alpha1", "version: v1alpha1\npersist: false", ".persist should be enabled"),
    ("  id: ", "  # ", "cluster discovery service requires .cluster.id"),
    ("v1.36.0", "v1.39.0", "version of Kubernetes 1.39.0 is too new to be used with Talos 1.13.9"),
    ("hostname: rose", "hostname: rose\nauto: stable", "cannot be set at the same time"),
    ("  kubelet:\n", "  network:\n    hostname: x\n  kubelet:\n", "static hostname is already set"),
    ("  kubelet:\n", "  nodeLabels:\n    \"a b\": x\n  kubelet:\n", "name \"a b\" is invalid"),
    ("enabled: true\n      port", "enabled: \"true\"\n      port", "into bool"),
    ("[--iface=tailscale0]", "--iface=tailscale0", "into a list"),
];

/// Documents that are added to a good configuration, and a part of the answer.
const ADDED: &[(&str, &str)] = &[
    ("kind: HostnameConfig\nhostname: x", "duplicate document v1alpha1/HostnameConfig/ is not allowed"),
    ("kind: NopeConfig", "\"NopeConfig\" \"v1alpha1\": not registered"),
    ("name: x", "unknown keys found during decoding:\nname"),
    ("kind: NetworkDefaultActionConfig\ningress: maybe", "maybe does not belong to DefaultAction values"),
    ("kind: NetworkRuleConfig\nname: a\nportSelector:\n  protocol: tcp", "portSelector.ports is required"),
    ("kind: NetworkRuleConfig\nname: a\nportSelector:\n  ports: [5-2]\n  protocol: tcp", "invalid port range: 5-2"),
    ("kind: NetworkRuleConfig\nname: a\nportSelector:\n  ports: [5]\ningress:\n  - subnet: 100.64.0.1", "no '/'"),
    ("kind: RoutingRuleConfig\nname: x\naction: blackhole", "must be priority parsable unsigned integer"),
    ("kind: RoutingRuleConfig\nname: \"32500\"\naction: blackhole", "excluding reserved priorities"),
    ("kind: RoutingRuleConfig\nname: \"1000\"\nsrc: 10.244.0.0/16", "either table or a non-unicast action"),
    ("kind: StaticHostConfig\nname: host\nhostnames: [a.b]", "name must be a valid IP address"),
    ("kind: UserVolumeConfig\nname: local", "disk selector is required"),
    ("kind: UserVolumeConfig\nname: lo_cal\nvolumeType: directory", "name can only contain"),
    ("kind: VolumeConfig\nname: DATA", "volumes are supported"),
    ("kind: VolumeConfig\nname: EPHEMERAL\nprovisioning:\n  maxSize: lots", "strconv.ParseFloat"),
    ("kind: ExtensionServiceConfig\nname: other", "no config files found for extension \"other\""),
];

/// Documents that may be added.
const FINE: &[&str] = &[
    "kind: RoutingRuleConfig\nname: \"1000\"\nsrc: 10.244.0.0/16\ndst: 169.254.169.254/32\naction: blackhole",
    "kind: UserVolumeConfig\nname: local\nvolumeType: directory",
    "kind: UserVolumeConfig\nname: local\nprovisioning:\n  diskSelector:\n    match: system_disk\n  minSize: 10GB",
    "kind: VolumeConfig\nname: EPHEMERAL\nprovisioning:\n  maxSize: 20GB",
    "kind: StaticHostConfig\nname: 1.2.3.4\nhostnames: [a.b]",
    "kind: NetworkRuleConfig\nname: a\nportSelector:\n  ports: [50000, 2379-2380]\n  protocol: tcp\ningress:\n  - subnet: 100.64.0.0/10",
];

#[test]
fn what_talos_takes_is_taken() {
    let texts = texts();
    assert_eq!(read(&texts.control_plane).map(|config| config.complete.is_some()), Ok(true));
    assert_eq!(read(&texts.worker).map(|config| config.hostname), Ok(Some("rose".into())));
    for added in FINE {
        let text = format!("{}---\napiVersion: v1alpha1\n{added}\n", texts.control_plane);
        assert_eq!(read(&text).map(drop), Ok(()), "{added}");
    }
}

#[test]
fn what_talos_refuses_is_refused_in_its_words() {
    let good = texts().control_plane;
    let spoilt = SPOILT.iter().map(|(from, to, why)| (good.replacen(from, to, 1), *why));
    let added = ADDED.iter().map(|(added, why)| (format!("{good}---\napiVersion: v1alpha1\n{added}\n"), *why));
    for (text, why) in spoilt.chain(added) {
        assert_ne!(text, good, "{why}");
        let error = read(&text).expect_err(why).to_string();
        assert!(error.contains(why), "{error}\ndoes not say\n{why}");
    }
}

#[test]
fn ca_keys_are_required_on_control_planes_and_refused_on_workers() {
    let texts = texts();
    let error = read(&texts.control_plane.replace(&texts.machine_key, "\"\"")).unwrap_err().to_string();
    assert!(error.contains("issuing CA key is required for controlplane nodes"), "{error}");
    let with_key = texts.worker.replacen("key: \"\"", &format!("key: {}", texts.machine_key), 1);
    let error = read(&with_key).unwrap_err().to_string();
    assert!(error.contains("issuing Talos API CA key is not allowed on non-controlplane nodes"), "{error}");
}

#[test]
fn nothing_and_no_mapping_are_no_configuration() {
    assert_eq!(read("").map(drop), Err(ConfigError::Empty));
    assert!(matches!(read("- a\n"), Err(ConfigError::Syntax(_))));
}
