//! A world with machines in it that are about to boot, and an operator who talks to them.

use super::super::node;
use super::super::proto::cosi::state_client::StateClient;
use super::super::proto::cosi::{GetRequest, Resource};
use super::super::proto::machine::machine_service_client::MachineServiceClient;
use super::super::proto::machine::{BootstrapRequest, ServiceInfo};
use crate::factory;
use crate::machine::{self, Arch, Firmware, Machine, MachineId, Os};
use crate::world::{Greenhouse, Options, World};
use base64::Engine as _;
use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;
use tonic::Status;
use wire::{Channel, Identity, Rng, Roots, Route, Target, Time, Tls};

pub(crate) const TALOS: &str = "1.14.6";

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// An authority as Talos's bundles hold it.
pub(crate) struct Authority {
    pub crt: String,
    pub key: String,
    der: Vec<u8>,
    params: CertificateParams,
    signer: KeyPair,
}

impl Authority {
    pub(crate) fn new(organization: &str, algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let signer = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, organization);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&signer).unwrap();
        let key = if algorithm == &rcgen::PKCS_ED25519 {
            signer.serialize_pem().replace("PRIVATE KEY", "ED25519 PRIVATE KEY")
        } else {
            use p256::pkcs8::DecodePrivateKey as _;
            let secret = p256::SecretKey::from_pkcs8_der(&signer.serialize_der()).unwrap();
            pem::encode(&pem::Pem::new("EC PRIVATE KEY", secret.to_sec1_der().unwrap().to_vec()))
        };
        Authority { crt: certificate.pem(), key, der: certificate.der().to_vec(), params, signer }
    }

    pub(crate) fn client(&self, organization: &str) -> Identity {
        self.user("", organization)
    }

    /// A server's certificate and key, PEM.
    pub(crate) fn server(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.signer)).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.der.clone()
    }

    pub(crate) fn user(&self, name: &str, organization: &str) -> Identity {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.distinguished_name.push(DnType::OrganizationName, organization);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let issuer = Issuer::from_params(&self.params, &self.signer);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Identity::new(vec![certificate.der().to_vec()], key.serialize_der())
    }
}

/// All secrets of a cluster.
pub(crate) struct Secrets {
    pub os: Authority,
    pub kube: Authority,
    pub etcd: Authority,
    pub token: String,
    pub bootstrap_token: String,
}

impl Secrets {
    pub(crate) fn new() -> Self {
        Secrets {
            os: Authority::new("talos", &rcgen::PKCS_ED25519),
            kube: Authority::new("kubernetes", &rcgen::PKCS_ECDSA_P256_SHA256),
            etcd: Authority::new("etcd", &rcgen::PKCS_ECDSA_P256_SHA256),
            token: "abcdef.0123456789abcdef".into(),
            bootstrap_token: "fedcba.0123456789abcdef".into(),
        }
    }
}

/// A configuration to be; what a test changes are its fields or its text.
pub(crate) struct Recipe {
    pub name: &'static str,
    pub control_plane: bool,
    pub endpoint: String,
    pub node_subnet: &'static str,
    pub auth_key: Option<String>,
    pub version: &'static str,
}

impl Recipe {
    pub(crate) fn new(name: &'static str, control_plane: bool, endpoint: &str) -> Self {
        Recipe {
            name,
            control_plane,
            endpoint: endpoint.into(),
            node_subnet: "198.51.100.0/24",
            auth_key: None,
            version: "1.37.1",
        }
    }

    pub(crate) fn text(&self, secrets: &Secrets) -> String {
        let pair = |authority: &Authority, indent: usize, with_key: bool| {
            let pad = " ".repeat(indent);
            let key = if with_key { base64(&authority.key) } else { "\"\"".into() };
            format!("{pad}crt: {}\n{pad}key: {key}\n", base64(&authority.crt))
        };
        let kind = if self.control_plane { "controlplane" } else { "worker" };
        let iface = if self.auth_key.is_some() { "[--iface=tailscale0]" } else { "[]" };
        let mut text = format!(
            "version: v1alpha1\nmachine:\n  type: {kind}\n  token: {}\n  ca:\n{}  certSANs: [127.0.0.1]\n  kubelet:\n    \
             image: ghcr.io/siderolabs/kubelet:v{}\n    nodeIP:\n      validSubnets: [{}]\n  features:\n    kubePrism:\n      \
             enabled: true\n      port: 7445\ncluster:\n  id: {}\n  secret: {}\n  clusterName: bouquet\n  controlPlane:\n    \
             endpoint: {}\n  token: {}\n  discovery:\n    enabled: true\n  network:\n    cni:\n      name: flannel\n      \
             flannel:\n        extraArgs: {iface}\n    podSubnets: [10.244.0.0/16]\n    serviceSubnets: [10.96.0.0/12]\n  ca:\n{}",
            secrets.token,
            pair(&secrets.os, 4, self.control_plane),
            self.version,
            self.node_subnet,
            base64([1; 32]),
            base64([2; 32]),
            self.endpoint,
            secrets.bootstrap_token,
            pair(&secrets.kube, 4, self.control_plane),
        );
        if self.control_plane {
            write!(text,
                "  apiServer:\n    image: registry.k8s.io/kube-apiserver:v{}\n  etcd:\n    ca:\n{}    advertisedSubnets: [{}]\n",
                self.version,
                pair(&secrets.etcd, 6, true),
                self.node_subnet
            ).unwrap();
        }
        write!(text, "---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: {}\n", self.name).unwrap();
        if let Some(key) = &self.auth_key {
            write!(text,
                "---\napiVersion: v1alpha1\nkind: ExtensionServiceConfig\nname: tailscale\nenvironment:\n  - TS_AUTHKEY={key}\n  \
                 - TS_HOSTNAME={}\n  - TS_AUTH_ONCE=true\n",
                self.name
            ).unwrap();
        }
        text
    }
}

/// base64 of gzip, as user data carries it.
pub(crate) fn packed(text: &str) -> Bytes {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    Bytes::from(base64(gzip.finish().unwrap()))
}

pub(crate) struct Rig {
    pub greenhouse: Greenhouse,
    pub secrets: Secrets,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with_faults(&[])
    }

    pub(crate) fn with_faults(faults: &[&str]) -> Self {
        Self::with(&Options { faults: faults.iter().map(|rule| (*rule).to_owned()).collect(), ..Options::default() })
    }

    pub(crate) fn with(options: &Options) -> Self {
        let time = Time::starting_at("2026-11-22T12:00:00Z".parse().unwrap(), Rng::seeded(options.seed));
        Rig { greenhouse: Greenhouse::new(options, time).unwrap(), secrets: Secrets::new() }
    }

    pub(crate) fn world(&self) -> &World {
        &self.greenhouse.world
    }

    /// A machine of nobody's cloud with an image for it and this user data, without power.
    pub(crate) fn machine(&self, id: MachineId, user_data: Option<Bytes>) -> MachineId {
        let disk = self.image(&[], TALOS, "hcloud", Arch::Arm64);
        self.world().with(|state| {
            state.machines.insert(
                id,
                Machine {
                    vendor: "bench",
                    name: format!("machine-{id}"),
                    vendor_id: id.to_string(),
                    arch: Arch::Arm64,
                    firmware: Firmware::Uefi,
                    cores: 2,
                    memory_mib: 4096,
                    disk_gib: 40,
                    region: "hel1".into(),
                    public: vec![Self::address(id)],
                    private: None,
                    user_data,
                    disk,
                    rescue: None,
                    power: false,
                    boot: 0,
                    os: Os::Off,
                    console: Vec::new(),
                },
            );
        });
        id
    }

    pub(crate) fn image(&self, extensions: &[&str], talos: &str, platform: &str, arch: Arch) -> Bytes {
        self.world().with(|state| factory::prebuilt(state, extensions, talos, platform, arch)).unwrap()
    }

    /// TEST-NET-2, by id.
    pub(crate) fn address(id: MachineId) -> IpAddr {
        format!("198.51.100.{id}").parse().unwrap()
    }

    pub(crate) fn change(&self, id: MachineId, work: impl FnOnce(&mut Machine)) {
        self.world().with(|state| work(state.machines.get_mut(&id).unwrap()));
    }

    pub(crate) fn on(&self, id: MachineId) {
        machine::power_on(self.world(), id);
    }

    pub(crate) async fn wait(&self, seconds: u64) {
        self.world().time().sleep(Duration::from_secs(seconds)).await;
    }

    pub(crate) fn console(&self, id: MachineId) -> String {
        self.world().with(|state| state.machines[&id].console.join("\n"))
    }

    /// What a service's process has written.
    pub(crate) fn written(&self, id: MachineId, service: &str) -> String {
        self.world().with(|state| node(state, id).unwrap().services.get(service).unwrap().log().join("\n"))
    }

    pub(crate) fn channel(&self, id: MachineId, identity: Option<Identity>) -> Channel {
        let roots = if identity.is_some() { Roots::Only(vec![self.secrets.os.der.clone()]) } else { Roots::Unverified };
        let host = Self::address(id).to_string();
        let tls = Tls { server_name: host.clone(), roots, identity };
        let target = Target { route: Route::Direct, host, port: 50_000, tls: Some(tls) };
        Channel::new(self.greenhouse.wire(), self.world().time().clone(), target, Duration::from_secs(20))
    }

    pub(crate) fn talos(&self, id: MachineId) -> MachineServiceClient<Channel> {
        MachineServiceClient::new(self.channel(id, Some(self.secrets.os.client("os:admin"))))
    }

    pub(crate) async fn bootstrap(&self, id: MachineId) -> Result<(), Status> {
        self.talos(id).bootstrap(BootstrapRequest::default()).await.map(drop)
    }

    pub(crate) async fn service(&self, id: MachineId, name: &str) -> ServiceInfo {
        let list = self.talos(id).service_list(()).await.unwrap().into_inner();
        list.messages[0].services.iter().find(|service| service.id == name).unwrap().clone()
    }

    pub(crate) async fn resource(&self, id: MachineId, kind: &str, name: &str) -> Result<Resource, Status> {
        let mut client = StateClient::new(self.channel(id, Some(self.secrets.os.client("os:admin"))));
        let request = GetRequest { namespace: String::new(), r#type: kind.into(), id: name.into() };
        client.get(request).await.map(|answer| answer.into_inner().resource.unwrap())
    }

    /// Whether the node says of itself that it is ready.
    pub(crate) fn ready(&self, id: MachineId) -> bool {
        self.world().with(|state| {
            super::super::node(state, id).is_some_and(|node| super::super::services::unmet(node).is_empty())
        })
    }

    /// A control plane that has booted, was bootstrapped and is ready.
    pub(crate) async fn control_plane(&self) -> MachineId {
        let recipe = Recipe::new("rose", true, "https://198.51.100.1:6443");
        let rose = self.machine(1, Some(packed(&recipe.text(&self.secrets))));
        self.on(rose);
        self.wait(40).await;
        self.bootstrap(rose).await.unwrap();
        self.wait(60).await;
        rose
    }
}
