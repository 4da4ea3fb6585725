//! Access that a control plane hands out: the admin's kubeconfig, and talosconfigs for other roles.

use super::super::proto::common::Data;
use super::super::proto::machine as wire;
use super::super::{config, node, pki};
use super::{Answers, Api, streams};
use base64::Engine as _;
use std::io::Write as _;
use std::time::Duration;
use streams::once;
use tonic::Status;

/// How long an admin's client certificate is good for (`cluster.adminKubeconfig.certLifetime`).
const ADMIN_VALID: Duration = Duration::from_hours(24 * 365);
/// Roles that Talos knows; others are dropped from what is asked for.
const ROLES: &[&str] = &[
    "os:admin",
    "os:etcd:backup",
    "os:image:verifier",
    "os:impersonator",
    "os:meta:writer",
    "os:operator",
    "os:reader",
];

impl Api {
    /// A gzipped tar with one file and, as in life, no trailer.
    pub(super) fn admin_kubeconfig(&self) -> Result<Answers<Data>, Status> {
        self.needs_control_plane("kubeconfig")?;
        let (complete, issued) = self.kubernetes_admin()?;
        let text = kubeconfig(&complete, &issued);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let packed = gzip.write_all(&tar("kubeconfig", text.as_bytes())).and_then(|()| gzip.finish());
        packed.map(once).map_err(|error| Status::internal(error.to_string()))
    }

    /// A client certificate of Kubernetes' own administrators.
    pub(super) fn kubernetes_admin(&self) -> Result<(config::Complete, pki::Issued), Status> {
        let complete = self.look(|state| node(state, self.boot.id).and_then(|node| node.complete().cloned()))?;
        let complete = complete.ok_or_else(|| Status::failed_precondition("kubeconfig is not available yet"))?;
        let issued = self.client(&complete.kube_ca, "admin", Some("system:masters"), ADMIN_VALID)?;
        Ok((complete, issued))
    }

    fn client(
        &self,
        authority: &config::PemPair,
        common_name: &str,
        organization: Option<&str>,
        valid: Duration,
    ) -> Result<pki::Issued, Status> {
        let wanted =
            pki::Wanted { common_name, organization, names: Vec::new(), addresses: Vec::new(), server: false, valid };
        let now = self.boot.world.now();
        let mut rng = self.boot.world.rng(&format!("client {} {organization:?} {}", self.boot.id, now.as_second()));
        pki::issue(authority, &wanted, &mut rng, now).ok_or_else(|| Status::internal("the authority cannot issue"))
    }

    pub(super) fn client_configuration(
        &self,
        request: &wire::GenerateClientConfigurationRequest,
    ) -> Result<wire::GenerateClientConfigurationResponse, Status> {
        self.needs_control_plane("generate client configuration")?;
        let valid = request.crt_ttl.and_then(|ttl| Duration::try_from(ttl).ok()).filter(|ttl| !ttl.is_zero());
        let valid = valid.ok_or_else(|| Status::invalid_argument("crt_ttl should be positive"))?;
        let complete = self.look(|state| node(state, self.boot.id).and_then(|node| node.complete().cloned()))?;
        let complete = complete.ok_or_else(|| Status::unavailable("connection reset"))?;
        let mut roles: Vec<&str> =
            request.roles.iter().map(String::as_str).filter(|role| ROLES.contains(role)).collect();
        roles.sort_unstable();
        roles.dedup();
        let context = match roles.as_slice() {
            [] => complete.cluster_name.clone(),
            [only] => format!("{}@{}", only.trim_start_matches("os:"), complete.cluster_name),
            _ => return Err(Status::unimplemented("several roles in one certificate")),
        };
        let issued = self.client(&complete.ca, "", roles.first().copied(), valid)?;
        let ca = complete.ca.crt.clone().unwrap_or_default();
        let crt = block("CERTIFICATE", issued.chain.first().map_or(&[][..], Vec::as_slice)).into_bytes();
        let key = block("ED25519 PRIVATE KEY", &issued.key).into_bytes();
        let talosconfig = format!(
            "context: {context}\ncontexts:\n    {context}:\n        endpoints: []\n        ca: {}\n        crt: {}\n        \
             key: {}\n",
            base64(&ca),
            base64(&crt),
            base64(&key),
        );
        let message =
            wire::GenerateClientConfiguration { metadata: None, ca, crt, key, talosconfig: talosconfig.into_bytes() };
        Ok(wire::GenerateClientConfigurationResponse { messages: vec![message] })
    }
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn block(label: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(label, der.to_vec()))
}

fn kubeconfig(complete: &config::Complete, issued: &pki::Issued) -> String {
    let certificate = issued.chain.first().map(|der| block("CERTIFICATE", der)).unwrap_or_default();
    let cluster = &complete.cluster_name;
    let (host, port) = &complete.endpoint;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {cluster}\n  cluster:\n    server: https://{host}:{port}\n    \
         certificate-authority-data: {}\nusers:\n- name: admin@{cluster}\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: {}\ncontexts:\n- context:\n    cluster: {cluster}\n    namespace: default\n    \
         user: admin@{cluster}\n  name: admin@{cluster}\ncurrent-context: admin@{cluster}\n",
        base64(complete.kube_ca.crt.as_deref().unwrap_or_default()),
        base64(certificate.as_bytes()),
        base64(block("PRIVATE KEY", &issued.key).as_bytes()),
    )
}

/// One regular file in ustar format.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = header.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, name.as_bytes());
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(place) = header.get_mut(148..156) {
        place.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    let mut tar = header.to_vec();
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
    tar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tar_header_carries_its_checksum() {
        let tar = tar("kubeconfig", b"abc");
        assert_eq!(tar.len(), 1024);
        let sum: u32 = tar[..512]
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        assert_eq!(&tar[148..154], format!("{sum:06o}").as_bytes());
        assert_eq!(&tar[124..135], b"00000000003");
    }
}
