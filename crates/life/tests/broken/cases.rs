//! What may be wrong in what a node receives, and what is to be said of it.

use super::meddler::Meddling;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use life::Life;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A control plane and a worker at Hetzner.
const HETZNER: &str = "cluster: bouquet
domain: bouquet.example.com
dns: cloudflare
ingress: none
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: hetzner/fsn1/cax21 }
";

/// The same with the worker at OCI.
const OCI: &str = "cluster: bouquet
domain: bouquet.example.com
dns: cloudflare
ingress: none
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: oci/eu-frankfurt-1/VM.Standard.A1.Flex, cpus: 4, memory: 24GiB, disk: 200GiB }
";

/// What has to be done after a boot broke so that the same file comes up.
#[derive(Clone, Copy, PartialEq)]
pub enum Remedy {
    /// Nothing: the product sets it right itself, once it can reach the node.
    None,
    /// The machine is deleted, as the error's help says.
    Machine,
    /// The image is wrong, or the one control plane: everything is made anew.
    Everything,
}

/// Something wrong in what a node receives.
pub struct Case {
    pub name: &'static str,
    pub file: &'static str,
    pub node: &'static str,
    pub prepare: fn(&Life),
    pub meddling: Meddling,
    /// What one error must say, all of it.
    pub says: &'static [&'static str],
    /// What no error may say.
    pub never: &'static [&'static str],
    pub remedy: Remedy,
}

/// A worker at Hetzner with a good image, of which nothing else is to be said.
const CASE: Case = Case {
    name: "",
    file: HETZNER,
    node: "lily",
    prepare: |life| life.snapshot("arm64"),
    meddling: |_| (),
    says: &[],
    never: &[],
    remedy: Remedy::Machine,
};

/// No token of the cluster's.
const TOKEN: &str = "abcdef.0123456789abcdef";

/// What is in user data when the cloud has kept half of it.
pub fn half(data: &str) -> String {
    data[..data.len() / 2 / 4 * 4].to_owned()
}

pub const CASES: &[Case] = &[
    Case {
        name: "wrong CA of a worker",
        meddling: |passing| passing.config("lily", "machine:", &pem(1).0, &pem(2).0),
        says: &[
            "lily was not Ready",
            "the certificate authority or the token in its configuration is not the cluster's",
        ],
        never: &["image", "auth key"],
        ..CASE
    },
    Case {
        name: "wrong CA of a control plane",
        node: "rose",
        meddling: |passing| {
            passing.config("rose", "machine:", &pem(1).0, &pem(2).0);
            passing.config("rose", "machine:", &pem(1).1, &pem(2).1);
        },
        says: &["rose did not take the bootstrap call", "a certificate of another certificate authority"],
        never: &["token", "image", "auth key"],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "expired auth key",
        meddling: |passing| passing.expire_key("lily"),
        says: &["lily did not appear on the tailnet", "its auth key expired at 2026-12-01 08:00:"],
        never: &["user data", "image that"],
        ..CASE
    },
    Case {
        name: "host name, everywhere",
        meddling: |passing| {
            passing.config("lily", "kind: HostnameConfig", "hostname: lily", "hostname: daisy");
            passing.config("lily", "TS_AUTHKEY", "TS_HOSTNAME=lily", "TS_HOSTNAME=daisy");
        },
        says: &["lily did not appear on the tailnet", "a device called \"daisy\"", "host name"],
        never: &["user data", "image that", "taken back"],
        ..CASE
    },
    Case {
        name: "host name, Talos's own",
        meddling: |passing| passing.config("lily", "kind: HostnameConfig", "hostname: lily", "hostname: daisy"),
        says: &["lily was not Ready", "knows \"daisy\"", "the host name (HostnameConfig: hostname)"],
        never: &["certificate authority", "token"],
        remedy: Remedy::None,
        ..CASE
    },
    Case {
        name: "architecture, at Hetzner",
        prepare: |life| life.snapshot_of("arm64", "amd64", &[talos::TAILSCALE]),
        node: "",
        says: &["image architecture does not match server type architecture"],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "architecture, at OCI",
        file: OCI,
        meddling: |passing| passing.image("oracle-arm64", "oracle-amd64"),
        says: &["lily did not appear on the tailnet", "UEFI Shell", "wrong architecture"],
        never: &["user data"],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "firmware",
        file: OCI,
        meddling: |passing| passing.firmware("BIOS"),
        says: &["lily did not appear on the tailnet", "the firmware BIOS", "UEFI_64 only"],
        never: &["user data", "architecture"],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "installer of another platform",
        file: OCI,
        meddling: |passing| passing.image("oracle-arm64", "metal-arm64"),
        says: &["lily did not appear on the tailnet", "the installer of another platform"],
        never: &["architecture", "truncated"],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "installer without the extension",
        prepare: |life| life.snapshot_of("arm64", "arm64", &[]),
        node: "",
        says: &[
            "did not appear on the tailnet",
            "auth key was never used",
            "another installer, or without the tailscale extension",
        ],
        remedy: Remedy::Everything,
        ..CASE
    },
    Case {
        name: "endpoint",
        meddling: |passing| passing.config("lily", "controlPlane:", "api.bouquet.example.com", "api.weeds.example.com"),
        says: &[
            "lily was not Ready",
            "the endpoint (cluster.controlPlane.endpoint)",
            "lookup api.weeds.example.com: no such host",
        ],
        never: &["token", "image"],
        remedy: Remedy::None,
        ..CASE
    },
    Case {
        name: "subnet of the node's address",
        meddling: |passing| passing.config("lily", "validSubnets", "100.64.0.0/10", "10.99.0.0/16"),
        says: &[
            "lily was not Ready",
            "the subnet of its node address (machine.kubelet.nodeIP.validSubnets)",
            "Waiting for node IP",
        ],
        never: &["token", "image"],
        remedy: Remedy::None,
        ..CASE
    },
    Case {
        name: "subnet of the firewall",
        meddling: |passing| passing.config("lily", "mesh-talos", "100.64.0.0/10", "10.99.0.0/16"),
        says: &["lily was not Ready", "the firewall in its configuration lets another subnet in"],
        never: &["token", "image"],
        ..CASE
    },
    Case {
        name: "token of Talos",
        meddling: |passing| passing.config("lily", "machine:", bundle(1).trustd_token.expose(), TOKEN),
        says: &[
            "lily was not Ready",
            "the certificate authority or the token in its configuration is not the cluster's",
        ],
        never: &["image", "auth key"],
        ..CASE
    },
    Case {
        name: "token of Kubernetes",
        meddling: |passing| passing.config("lily", "cluster:", bundle(1).bootstrap_token.expose(), TOKEN),
        says: &["lily was not Ready", "the bootstrap token (cluster.token)", "Unauthorized"],
        never: &["endpoint", "image"],
        remedy: Remedy::None,
        ..CASE
    },
    Case {
        name: "truncated user data, at Hetzner",
        meddling: |passing| passing.user_data("lily", half),
        says: &[
            "lily did not appear on the tailnet",
            "auth key was never used",
            "user data that it cannot read (truncated",
        ],
        ..CASE
    },
    Case {
        name: "truncated user data, at OCI",
        file: OCI,
        meddling: |passing| passing.user_data("lily", half),
        says: &["lily did not appear on the tailnet", "Talos cannot read the user data: truncated", "error unzipping"],
        never: &["architecture", "installer"],
        ..CASE
    },
];

/// The bundle of every life, which is that of seed 1; or another.
fn bundle(seed: u64) -> Arc<talos::Bundle> {
    static BUNDLES: Mutex<BTreeMap<u64, Arc<talos::Bundle>>> = Mutex::new(BTreeMap::new());
    let began = "2026-12-01T08:00:00Z".parse().unwrap();
    let make = || Arc::new(talos::Bundle::generate(&mut wire::Rng::seeded(seed), began).unwrap());
    BUNDLES.lock().unwrap().entry(seed).or_insert_with(make).clone()
}

/// Certificate and key of the machines' authority, as a configuration writes them.
fn pem(seed: u64) -> (String, String) {
    let os = &bundle(seed).os;
    (STANDARD.encode(&os.crt), STANDARD.encode(os.key.expose()))
}
