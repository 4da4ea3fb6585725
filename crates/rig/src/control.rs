//! The control plane, on rose.

use crate::certificates::{authority, certificate, key};
use crate::failure::{Failure, disk};
use crate::host::{below, until};
use crate::machine::{ROSE, SERVICE_CIDR};
use crate::settings;
use crate::space::background;
use crate::{Rig, strings};
use std::path::PathBuf;
use std::time::Duration;

/// After how many seconds without a word from its kubelet a machine is called unreachable.
const GRACE_S: u32 = 40;

/// Where somebody's kubeconfig is.
pub(crate) fn kubeconfig(name: &str) -> PathBuf {
    below(format!("pki/{name}.kubeconfig"))
}

/// Writes a kubeconfig for somebody who has a certificate.
pub(crate) fn write_kubeconfig(name: &str) -> Result<(), Failure> {
    let text = settings::kubeconfig(&settings::api_url(), &authority(), &certificate(name), &key(name));
    let path = kubeconfig(name);
    disk(&path, std::fs::write(&path, text.to_string()))
}

impl Rig {
    /// Starts the database and the API. Neither waits for the mesh, though others will reach them by it.
    pub(crate) fn start_api(&self) -> Result<(), Failure> {
        let lead = || self.command(ROSE);
        // Without fsync: a machine of the rig's loses its processes, never what the kernel has written for them.
        let etcd = strings(&["--name=rose", "--data-dir=/var/lib/etcd", "--unsafe-no-fsync", "--log-level=warn"]);
        background(lead()?, "rose-etcd", &self.programs.inside("etcd")?, &etcd)?;
        let file = |flag: &str, path: PathBuf| format!("--{flag}={}", path.display());
        let mut api = strings(&[
            "--etcd-servers=http://127.0.0.1:2379",
            "--secure-port=6443",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            // Names of machines are in nobody's zone.
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        ]);
        api.extend([
            format!("--advertise-address={}", ROSE.mesh()),
            format!("--service-cluster-ip-range={SERVICE_CIDR}"),
            file("tls-cert-file", certificate("apiserver")),
            file("tls-private-key-file", key("apiserver")),
            file("client-ca-file", authority()),
            file("kubelet-certificate-authority", authority()),
            file("kubelet-client-certificate", certificate("apiserver-kubelet")),
            file("kubelet-client-key", key("apiserver-kubelet")),
            file("service-account-key-file", certificate("service-accounts")),
            file("service-account-signing-key-file", key("service-accounts")),
        ]);
        background(lead()?, "rose-kube-apiserver", &self.programs.inside("kube-apiserver")?, &api)
    }

    /// Waits until the API is ready, and starts what works on it.
    pub(crate) fn start_controllers(&self) -> Result<(), Failure> {
        const STARTED: Duration = Duration::from_mins(1);
        until("the API is ready", STARTED, || self.kubectl(&["get", "--raw=/readyz"]).map(Some))?;
        for name in ["kube-controller-manager", "kube-scheduler"] {
            write_kubeconfig(name)?;
            let own = kubeconfig(name);
            let mut arguments = strings(&["--leader-elect=false"]);
            for flag in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
                arguments.push(format!("--{flag}={}", own.display()));
            }
            if name == "kube-controller-manager" {
                arguments.push("--use-service-account-credentials".into());
                arguments.push(format!("--node-monitor-grace-period={GRACE_S}s"));
                arguments.push(format!("--root-ca-file={}", authority().display()));
                arguments.push(format!("--service-account-private-key-file={}", key("service-accounts").display()));
                arguments.push(format!("--cluster-signing-cert-file={}", authority().display()));
                arguments.push(format!("--cluster-signing-key-file={}", key("ca").display()));
            }
            let lead = self.command(ROSE)?;
            background(lead, &format!("rose-{name}"), &self.programs.inside(name)?, &arguments)?;
        }
        Ok(())
    }
}
