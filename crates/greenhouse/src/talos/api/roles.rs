//! Roles: what a client certificate's organizations let its bearer do (Talos, `machined.go`).

use super::super::pki;
use crate::net::Peer;
use axum::extract::Request;
use tonic::Status;

/// The roles of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles(pub Vec<String>);

/// Set by a control plane's apid on what it forwards, beside its own certificate.
#[derive(Clone)]
pub(super) struct Forwarded(pub Roles);

const ADMIN: &str = "os:admin";
const OPERATOR: &str = "os:operator";
const READER: &str = "os:reader";
const IMPERSONATOR: &str = "os:impersonator";
const BACKUP: &str = "os:etcd:backup";

const FOR_OPERATORS: &[&str] = &[
    "/machine.MachineService/EtcdAlarmDisarm",
    "/machine.MachineService/EtcdDefragment",
    "/machine.MachineService/Reboot",
    "/machine.MachineService/Shutdown",
    "/machine.MachineService/ServiceStart",
    "/machine.MachineService/ServiceStop",
    "/machine.MachineService/ServiceRestart",
    "/machine.ImageService/Pull",
];
const FOR_READERS: &[&str] = &[
    "/machine.MachineService/CPUFreqStats",
    "/machine.MachineService/CPUInfo",
    "/machine.MachineService/DiskStats",
    "/machine.MachineService/Dmesg",
    "/machine.MachineService/EtcdAlarmList",
    "/machine.MachineService/Events",
    "/machine.MachineService/EtcdMemberList",
    "/machine.MachineService/EtcdStatus",
    "/machine.MachineService/Hostname",
    "/machine.MachineService/LoadAvg",
    "/machine.MachineService/Logs",
    "/machine.MachineService/Memory",
    "/machine.MachineService/NetworkDeviceStats",
    "/machine.MachineService/Processes",
    "/machine.MachineService/ServiceList",
    "/machine.MachineService/SystemStat",
    "/machine.MachineService/Version",
    "/cluster.ClusterService/HealthCheck",
    "/storage.StorageService/Disks",
    "/cosi.resource.State/Get",
    "/cosi.resource.State/List",
    "/cosi.resource.State/Watch",
];

/// What `os:etcd:backup` may do.
const FOR_BACKUPS: &[&str] = &[
    "/machine.MachineService/EtcdAlarmList",
    "/machine.MachineService/EtcdMemberList",
    "/machine.MachineService/EtcdSnapshot",
    "/machine.MachineService/EtcdStatus",
];

impl Roles {
    pub(super) fn has(&self, role: &str) -> bool {
        self.0.iter().any(|own| own == role)
    }

    pub(super) fn is_reader(&self) -> bool {
        self.has(READER)
    }

    pub(super) fn is_admin(&self) -> bool {
        self.has(ADMIN)
    }

    /// Whether the roles are enough for a call. What is on no list is for admins.
    pub(super) fn may_call(&self, path: &str) -> bool {
        self.is_admin()
            || self.has(OPERATOR) && (FOR_OPERATORS.contains(&path) || FOR_READERS.contains(&path))
            || self.has(READER) && FOR_READERS.contains(&path)
            || self.has(BACKUP) && FOR_BACKUPS.contains(&path)
            || self.has(OPERATOR) && path == "/machine.MachineService/EtcdSnapshot"
    }
}

/// The roles of whoever sent this request: in maintenance mode everybody reads; else they are in the certificate, or
/// in what a forwarding apid says, if it shows that it is one.
pub(super) fn of(request: &Request, maintenance: bool) -> Result<Roles, Status> {
    if maintenance {
        return Ok(Roles(vec![READER.to_owned()]));
    }
    let certificates = request.extensions().get::<Peer>().and_then(|peer| peer.certificates.as_ref());
    let leaf = certificates.and_then(|chain| chain.first());
    let own = leaf.and_then(|leaf| pki::client_roles(leaf)).map(Roles);
    // apid refuses such certificates in the handshake.
    let own = own.ok_or_else(|| Status::unavailable("tls: bad certificate: unexpected extended key usage"))?;
    match request.extensions().get::<Forwarded>() {
        Some(Forwarded(roles)) if own.has(IMPERSONATOR) => Ok(roles.clone()),
        _ => Ok(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(role: &str, call: &str) -> bool {
        Roles(vec![role.to_owned()]).may_call(&format!("/machine.MachineService/{call}"))
    }

    #[test]
    fn each_role_may_do_its_own_and_no_more() {
        assert!(may("os:admin", "Bootstrap") && may("os:admin", "SomethingNew"));
        assert!(may("os:operator", "Reboot") && !may("os:operator", "Reset"));
        assert!(may("os:reader", "Version") && !may("os:reader", "Reboot") && !may("os:reader", "SomethingNew"));
        assert!(may("os:etcd:backup", "EtcdSnapshot") && !may("os:reader", "EtcdSnapshot"));
        assert!(may("os:etcd:backup", "EtcdStatus") && !may("os:etcd:backup", "Version"));
        assert!(!may("os:nobody", "Version"));
    }
}
