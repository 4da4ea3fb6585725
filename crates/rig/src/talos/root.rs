//! The file system that every Talos node boots from: what Talos's own image recipe puts into its container image.

use super::Parts;
use crate::failure::{Failure, disk};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Mount points, and folders that Talos expects to find.
const FOLDERS: &[&str] = &[
    ".extra",
    "boot/EFI",
    "dev",
    "etc/cni/net.d",
    "etc/containerd",
    "etc/cri/conf.d/hosts",
    "etc/iscsi",
    "etc/kubernetes/manifests",
    "etc/lvm",
    "etc/nvme",
    "etc/selinux/targeted/contexts/files",
    "etc/ssl/certs",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "sys",
    "system",
    "tmp",
    "usr/bin",
    "usr/etc",
    "usr/lib/firmware",
    "usr/lib/modules",
    "usr/libexec/kubernetes",
    "usr/local/lib/kubelet/credentialproviders",
    "usr/local/share",
    "usr/share/spdx",
    "usr/share/zoneinfo/Etc",
    "var",
];

/// Links: name, and what it leads to.
const LINKS: &[(&str, &str)] = &[
    ("bin", "usr/bin"),
    ("etc/ca-certificates", "/etc/ssl"),
    ("etc/pki", "/etc/ssl"),
    ("etc/ssl/certs/ca-certificates", "ca-certificates.crt"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib"),
    ("sbin", "usr/bin"),
    ("usr/bin/dashboard", "init"),
    ("usr/bin/poweroff", "init"),
    ("usr/bin/reboot", "init"),
    ("usr/bin/shutdown", "init"),
    ("usr/local/share/ca-certificates", "/etc/ssl"),
    ("usr/sbin", "bin"),
    ("usr/share/ca-certificates", "/etc/ssl"),
];

/// Files over which Talos mounts its own.
const PLACES: &[&str] = &[
    "etc/cri/conf.d/01-registries.part",
    "etc/cri/conf.d/20-customization.part",
    "etc/cri/conf.d/base-spec.json",
    "etc/cri/conf.d/cri.toml",
    "etc/extensions.yaml",
    "etc/hostname",
    "etc/hosts",
    "etc/iscsi/initiatorname.iscsi",
    "etc/machine-id",
    "etc/nfsmount.conf",
    "etc/nvme/hostid",
    "etc/nvme/hostnqn",
    "etc/resolv.conf",
    "etc/selinux/targeted/contexts/files/file_contexts",
    "etc/ssl/certs/ca-certificates.crt",
];

/// The system's own containerd runs Talos's services, and no pods.
const SYSTEM_CONTAINERD: &str = r#"version = 3
disabled_plugins = [
  "io.containerd.cri.v1.images",
  "io.containerd.cri.v1.runtime",
  "io.containerd.grpc.v1.cri",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.nri.v1.nri",
  "io.containerd.podsandbox.controller.v1.podsandbox",
]
"#;

/// The one for pods reads what Talos writes from the machine's configuration.
const POD_CONTAINERD: &str = r#"version = 3
disabled_plugins = ["io.containerd.internal.v1.tracing"]
imports = ["/etc/cri/conf.d/cri.toml"]
"#;
const POD_CONTAINERD_BASE: &str = r#"[plugins."io.containerd.cri.v1.images"]
  discard_unpacked_layers = true
  use_local_image_pull = true

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  base_runtime_spec = "/etc/cri/conf.d/base-spec.json"

[plugins."io.containerd.nri.v1.nri"]
  disable = true
"#;

/// Lays it out in an empty folder.
pub(super) fn lay(parts: &Parts, root: &Path) -> Result<(), Failure> {
    for folder in FOLDERS {
        let path = root.join(folder);
        disk(&path, fs::create_dir_all(&path))?;
    }
    for (name, to) in LINKS {
        let path = root.join(name);
        disk(&path, symlink(to, &path))?;
    }
    let version = super::TALOS;
    let release = format!("NAME=\"Talos\"\nID=talos\nVERSION_ID=v{version}\nPRETTY_NAME=\"Talos (v{version})\"\n");
    let texts = [
        ("etc/containerd/config.toml", SYSTEM_CONTAINERD),
        ("etc/cri/conf.d/00-base.part", POD_CONTAINERD_BASE),
        ("etc/cri/containerd.toml", POD_CONTAINERD),
        ("etc/os-release", release.as_str()),
        // By this file Talos knows that it is in a container, and leaves disks and the kernel alone.
        ("usr/etc/in-container", "true\n"),
    ];
    let empty = PLACES.iter().map(|place| (*place, ""));
    for (name, text) in texts.into_iter().chain(empty) {
        let path = root.join(name);
        disk(&path, fs::write(&path, text))?;
    }
    for (name, from) in parts.files()? {
        let path = root.join(name);
        disk(&from, fs::copy(&from, &path))?;
    }
    Ok(())
}
