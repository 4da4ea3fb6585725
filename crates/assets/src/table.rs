//! The table itself.

/// Who needs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// A test; CI must have it.
    Test,
    /// A figure of `cargo xtask bench`, or work by hand.
    Bench,
}

/// How a program comes to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comes {
    /// A main package, built by the `go.mod` and `go.sum` committed in `assets/go/MODULE`. `.` is a program of ours around
    /// somebody's package.
    Go {
        /// Folder below `assets/go`.
        module: &'static str,
        /// Import path of the main package.
        package: &'static str,
        /// Go's `-tags`.
        tags: &'static str,
        /// Added to the linker's flags `-s -w`.
        link: &'static str,
    },
    /// A virtual environment with what `assets/python/REQUIREMENTS.txt` pins.
    Python {
        /// File below `assets/python`, without its ending.
        requirements: &'static str,
        /// Name below the environment's `bin`.
        program: &'static str,
    },
    /// A file of one package that `assets/npm/ASSET/package-lock.json` pins; none of its scripts is run.
    Npm {
        /// The package.
        package: &'static str,
        /// Name inside the package.
        file: &'static str,
    },
    /// Debian packages and what they depend on, unpacked into a folder of their own; nothing is installed.
    Debian {
        /// Names of packages.
        packages: &'static [&'static str],
        /// The program below that folder.
        program: &'static str,
    },
}

/// A program of somebody else's, in one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// What it is asked for by; unique.
    pub name: &'static str,
    /// The version that is pinned; for Debian, the release's.
    pub version: &'static str,
    /// Who needs it.
    pub tier: Tier,
    /// What it judges, in a few words.
    pub judges: &'static str,
    /// How it comes.
    pub comes: Comes,
    /// Arguments with which it ends soon and well; none where it has no such.
    pub probe: &'static [&'static str],
}

/// The asset of that name.
pub fn named(name: &str) -> Option<&'static Asset> {
    TABLE.iter().find(|asset| asset.name == name)
}

const KUBERNETES: &str = "-X k8s.io/component-base/version.gitVersion=v1.37.2 \
     -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37";
const BOOKWORM: &str = "debian-12";
const NODES: &str = "what a cluster of real nodes does";
/// With a font: an unpacked browser has none to draw with.
const BROWSER: &[&str] = &["chromium-headless-shell", "fonts-dejavu-core"];
const NODE_PACKAGES: &[&str] =
    &["containerd", "runc", "containernetworking-plugins", "iproute2", "iptables", "busybox-static"];

const fn go(module: &'static str, package: &'static str) -> Comes {
    Comes::Go { module, package, tags: "", link: "" }
}

const fn kubernetes(package: &'static str) -> Comes {
    Comes::Go { module: "kubernetes", package, tags: "", link: KUBERNETES }
}

const fn containerd(package: &'static str) -> Comes {
    Comes::Go { module: "containerd", package, tags: "no_btrfs,no_zfs,no_devmapper", link: "" }
}

/// Its `go.mod` wants a newer Go than the others: `GOTOOLCHAIN=auto` fetches it.
const EXTERNAL_DNS: Comes = Comes::Go {
    module: "external-dns",
    package: "sigs.k8s.io/external-dns",
    tags: "",
    link: "-X sigs.k8s.io/external-dns/pkg/apis/externaldns.Version=v0.23.0",
};

const MACHINED: Comes = Comes::Go {
    module: "talos",
    package: "github.com/siderolabs/talos/internal/app/machined",
    tags: "tcell_minimal,grpcnotrace",
    link: "",
};

const fn debian(packages: &'static [&'static str], program: &'static str) -> Comes {
    Comes::Debian { packages, program }
}

const fn asset(name: &'static str, version: &'static str, judges: &'static str, comes: Comes) -> Asset {
    Asset { name, version, tier: Tier::Test, judges, comes, probe: &["--version"] }
}

impl Asset {
    /// Whether making it takes minutes.
    pub fn slow(&self) -> bool {
        matches!(self.comes, Comes::Go { package, .. } if package != ".")
    }

    /// How it comes, in a word.
    pub fn way(&self) -> &'static str {
        match self.comes {
            Comes::Go { .. } => "go",
            Comes::Python { .. } => "pypi",
            Comes::Npm { .. } => "npm",
            Comes::Debian { .. } => "debian",
        }
    }

    const fn for_bench(mut self) -> Self {
        self.tier = Tier::Bench;
        self
    }

    const fn probe(mut self, arguments: &'static [&'static str]) -> Self {
        self.probe = arguments;
        self
    }
}

/// Every program, cheapest first.
pub const TABLE: &[Asset] = &[
    asset("machinery", "1.13.9", "machine configurations and bundles", go("machinery", ".")).probe(&[]),
    asset("schematic", "1.4.0", "schematic ids", go("schematic", ".")).probe(&[]),
    asset("tailnet", "2.9.0", "the Tailscale emulator", go("tailnet", ".")).probe(&[]),
    asset(
        "cloud-clients",
        "2026-11",
        "the cloud emulators",
        Comes::Python { requirements: "clouds", program: "python" },
    ),
    asset(
        "kubectl",
        "1.37.1",
        "the Kubernetes emulator",
        Comes::Python { requirements: "kubectl", program: "kubectl" },
    )
    .probe(&["version", "--client"]),
    asset("named", BOOKWORM, "RFC 2136 requests", debian(&["bind9", "bind9-utils"], "usr/sbin/named")).probe(&["-v"]),
    asset("knotd", BOOKWORM, "RFC 2136 requests", debian(&["knot"], "usr/sbin/knotd")),
    asset("dig", BOOKWORM, "the emulated resolvers", debian(&["bind9-dnsutils"], "usr/bin/dig")).probe(&["-v"]),
    asset("sshd", BOOKWORM, "the session with a rescue system", debian(&["openssh-server"], "usr/sbin/sshd"))
        .probe(&[]),
    asset("qemu-img", BOOKWORM, "disk images", debian(&["qemu-utils"], "usr/bin/qemu-img")),
    asset("helm", "3.22.0", "the Kubernetes emulator", go("helm", "helm.sh/helm/v3/cmd/helm")).probe(&["version"]),
    asset("talosctl", "1.13.9", "the Talos emulator", go("talosctl", "github.com/siderolabs/talos/cmd/talosctl"))
        .probe(&["version", "--client"]),
    asset("etcd", "3.7.0", "the Kubernetes emulator", kubernetes("go.etcd.io/etcd/server/v3")),
    asset("kube-apiserver", "1.37.2", "the Kubernetes emulator", kubernetes("k8s.io/kubernetes/cmd/kube-apiserver")),
    // What looks at the watcher's status page and metrics.
    asset("promlint", "1.25.0", "metrics", go("promlint", ".")).probe(&[]),
    asset("chromium", BOOKWORM, "the status page", debian(BROWSER, "usr/lib/chromium/chromium-headless-shell")),
    asset("axe", "4.14.1", "the status page", Comes::Npm { package: "axe-core", file: "axe.min.js" }).probe(&[]),
    // What a real Talos node is made of.
    asset("launcher", "1", "nothing: it starts Talos nodes", go("launcher", ".")).probe(&[]),
    asset(
        "crane",
        "0.22.1",
        "nothing: it serves images",
        go("crane", "github.com/google/go-containerregistry/cmd/crane"),
    )
    .probe(&["version"]),
    asset(
        "discovery-service",
        "1.0.17",
        "the Talos emulator",
        go("discovery", "github.com/siderolabs/discovery-service/cmd/discovery-service"),
    )
    .probe(&[]),
    asset("runc", BOOKWORM, "the Talos emulator", debian(&["runc", "libseccomp2", "libc6"], "usr/sbin/runc")),
    asset("etcd-3.6", "3.6.12", "the Talos emulator", go("etcd36", "go.etcd.io/etcd/server/v3")),
    asset(
        "containerd-2",
        "2.2.4",
        "the Talos emulator",
        containerd("github.com/containerd/containerd/v2/cmd/containerd"),
    ),
    asset(
        "containerd-shim-runc-v2",
        "2.2.4",
        "the Talos emulator",
        containerd("github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"),
    )
    .probe(&["-v"]),
    asset("machined", "1.13.9", "the Talos emulator", MACHINED).probe(&[]),
    // What the rig's machines are made of.
    asset("guest", "1", "nothing: a part of the rig", go("guest", ".")).probe(&[]),
    asset("containerd", BOOKWORM, "what a node runs", debian(NODE_PACKAGES, "usr/bin/containerd")),
    asset("traefik", "3.7.15", "the ingress", Comes::Python { requirements: "traefik", program: "traefik" })
        .probe(&["version"]),
    asset("kube-controller-manager", "1.37.2", NODES, kubernetes("k8s.io/kubernetes/cmd/kube-controller-manager")),
    asset("kube-scheduler", "1.37.2", NODES, kubernetes("k8s.io/kubernetes/cmd/kube-scheduler")),
    asset("kubelet", "1.37.2", NODES, kubernetes("k8s.io/kubernetes/cmd/kubelet")),
    asset("kube-proxy", "1.37.2", NODES, kubernetes("k8s.io/kubernetes/cmd/kube-proxy")),
    asset("coredns", "1.14.7", "names inside the cluster", go("dns", "github.com/coredns/coredns"))
        .probe(&["-version"]),
    asset("headscale", "0.29.2", "the mesh", go("tailscale", "github.com/juanfont/headscale/cmd/headscale"))
        .probe(&["version"]),
    asset("tailscale", "1.101.0", "the mesh", go("tailscale", "tailscale.com/cmd/tailscale")).probe(&["version"]),
    asset("tailscaled", "1.101.0", "the mesh", go("tailscale", "tailscale.com/cmd/tailscaled")),
    // What the watcher is measured against.
    asset("external-dns", "0.23.0", "nothing: it is the watcher's peer", EXTERNAL_DNS).for_bench(),
];
