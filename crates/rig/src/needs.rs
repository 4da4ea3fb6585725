//! Whether a rig can stand on this machine, and if not, in one sentence why.

use crate::cgroup;
use crate::failure::{Failure, output};
use crate::programs::Programs;
use std::path::Path;
use std::process::Command;

/// Looks whether everything is there that a rig needs, these programs among it.
pub(crate) fn met(names: &[&'static str]) -> Result<Programs, Failure> {
    match lack() {
        Some(lack) => Err(Failure::Lacks(lack)),
        None => Programs::named(names),
    }
}

fn lack() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("it needs Linux".into());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = status.lines().any(|line| line.split_whitespace().take(3).eq(["Uid:", "0", "0"]));
    if !root {
        return Some("it needs root, for namespaces, mounts and control groups".into());
    }
    for tool in ["unshare", "nsenter", "mount"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return Some(format!("it needs `{tool}` (package util-linux)"));
        }
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("it needs /dev/net/tun (kernel option CONFIG_TUN), for Tailscale".into());
    }
    let hierarchies = cgroup::hierarchies();
    let has = |name: &str| hierarchies.iter().any(|folder| folder.ends_with(name));
    if !cgroup::unified() && !["cpu", "cpuset", "memory", "pids"].into_iter().all(has) {
        return Some("it needs control groups, of version 2 or with cpu, cpuset, memory and pids of version 1".into());
    }
    let mut attempt = Command::new("unshare");
    attempt.args(["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "--", "sh", "-ec"]);
    let refused =
        output(attempt.arg("mount -t tmpfs tmpfs /run && : >/run/here && mount -o remount,bind,ro /")).err()?;
    Some(format!("it needs to make namespaces and mount in them (CAP_SYS_ADMIN): {refused}"))
}
