//! Other people's programs that the rig is made of, under paths that are the same inside of every namespace.

use crate::failure::{Failure, disk};
use crate::host::{MARK, below, mark};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a cluster of kubelets is made of.
pub(crate) const NAMES: &[&str] = &[
    "containerd",
    "coredns",
    "etcd",
    "guest",
    "headscale",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "tailscale",
    "tailscaled",
    "traefik",
];
/// Names that the multi-call program of iptables is called by.
const TABLES: &[&str] =
    &["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// All of them, made and at hand.
#[derive(Debug)]
pub(crate) struct Programs {
    made: BTreeMap<&'static str, assets::Program>,
    /// The folder on this machine that holds them all.
    pub cache: PathBuf,
}

impl Programs {
    /// Finds those that a cluster of kubelets is made of; none may be missing.
    pub fn find() -> Result<Self, Failure> {
        Self::named(NAMES)
    }

    /// Finds those of these names; none may be missing.
    pub fn named(names: &[&'static str]) -> Result<Self, Failure> {
        let cache = assets::Cache::of_user();
        let found = |name: &&'static str| Some((*name, cache.program(assets::named(name)?)?));
        let made: BTreeMap<&str, assets::Program> = names.iter().filter_map(found).collect();
        let missing: Vec<&str> = names.iter().copied().filter(|name| !made.contains_key(name)).collect();
        let folder = made.values().next().and_then(|program| program.folder.parent());
        match folder {
            Some(folder) if missing.is_empty() => Ok(Self { cache: folder.to_owned(), made }),
            _ => {
                let missing = missing.join(" ");
                Err(Failure::Lacks(format!("it needs programs that `cargo xtask assets {missing}` makes")))
            }
        }
    }

    /// Where a program is on this machine.
    pub fn here(&self, name: &str) -> Result<&Path, Failure> {
        self.made
            .get(name)
            .map(|program| program.path.as_path())
            .ok_or_else(|| Failure::Nothing(format!("asset {name}")))
    }

    /// The folder on this machine that came with a program.
    pub fn folder(&self, name: &str) -> Result<&Path, Failure> {
        let made = self.made.get(name).ok_or_else(|| Failure::Nothing(format!("asset {name}")))?;
        Ok(&made.folder)
    }

    /// Where a program is inside of the rig's namespaces.
    pub fn inside(&self, name: &str) -> Result<PathBuf, Failure> {
        self.here(name).map(|path| self.moved(path))
    }

    /// A file of the Debian packages, inside of the rig's namespaces.
    pub fn tool(&self, file: &str) -> PathBuf {
        self.tools().join(file)
    }

    /// Gives a command the surroundings in which all of these programs run, and nothing of those of whoever runs the rig.
    /// The command is marked as one of the machine `owner`, or of the rig.
    pub fn equip(&self, command: &mut Command, owner: &str) {
        let folders = ["usr/sbin", "usr/bin", "sbin", "bin"].map(|folder| self.tool(folder));
        let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
        let all: Vec<PathBuf> = [below("bin")].into_iter().chain(folders).chain(system).collect();
        let path: Vec<OsString> = all.into_iter().map(PathBuf::into_os_string).collect();
        command
            .env_clear()
            .env(MARK, mark(owner))
            .env("PATH", path.join(&OsString::from(":")))
            .env("HOME", "/tmp")
            .env("LANG", "C.UTF-8");
        let places = [
            format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH),
            format!("lib/{}-linux-gnu", std::env::consts::ARCH),
        ];
        let [libraries, more] = places.map(|place| self.tool(&place));
        command.env("XTABLES_LIBDIR", libraries.join("xtables"));
        command.env("LD_LIBRARY_PATH", [libraries.as_os_str(), more.as_os_str()].join(&OsString::from(":")));
    }

    /// Lays out what the state folder must have for the paths above to be right, but for the mount.
    pub fn lay(&self) -> Result<(), Failure> {
        let (bin, assets) = (below("bin"), below("assets"));
        disk(&bin, fs::create_dir_all(&bin))?;
        disk(&assets, fs::create_dir_all(&assets))?;
        for name in TABLES {
            let link = bin.join(name);
            disk(&link, symlink(self.tool("usr/sbin/xtables-nft-multi"), &link))?;
        }
        // A copy: by its path the rig knows its own first processes again.
        let guest = bin.join("guest");
        disk(&guest, fs::copy(self.here("guest")?, &guest)).map(drop)
    }

    fn tools(&self) -> PathBuf {
        self.made.get("containerd").map(|program| self.moved(&program.folder)).unwrap_or_default()
    }

    fn moved(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.cache).map_or_else(|_| path.to_owned(), |rest| below("assets").join(rest))
    }
}
