//! Schematics: what is added to a Talos image, and the id under which the Image Factory makes it.

mod scalar;

use crate::config::Platform;
use scalar::scalar;
use sha2::{Digest as _, Sha256};

/// Joins the node to the tailnet.
pub const TAILSCALE: &str = "siderolabs/tailscale";
/// Initiator tools, which replicated storage needs.
pub const ISCSI_TOOLS: &str = "siderolabs/iscsi-tools";
/// `nsenter`, `fstrim` and others, which storage engines call on the host.
pub const UTIL_LINUX_TOOLS: &str = "siderolabs/util-linux-tools";

/// The customisation of an image.
///
/// Its id is the sha256 of its canonical YAML as the factory writes it: four spaces, lists indented under their key, empty
/// fields left out, `customization` always there. The factory keeps the order of lists, so another order is another id;
/// [`Schematic::new`] sorts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Schematic {
    /// Names of official extensions. Their versions follow from the Talos version.
    pub extensions: Vec<String>,
    /// Added to the kernel's command line.
    pub kernel_args: Vec<String>,
}

impl Schematic {
    /// With these extensions, sorted and each once.
    pub fn new<I: IntoIterator<Item: Into<String>>>(extensions: I) -> Self {
        let sorted: std::collections::BTreeSet<String> = extensions.into_iter().map(Into::into).collect();
        Schematic { extensions: sorted.into_iter().collect(), kernel_args: Vec::new() }
    }

    /// The text that the id is the hash of.
    pub fn canonical(&self) -> String {
        let items = |indent: &str, items: &[String]| -> String {
            items.iter().flat_map(|item| [indent.to_owned(), "- ".to_owned(), scalar(item), "\n".to_owned()]).collect()
        };
        let mut text = String::new();
        if !self.kernel_args.is_empty() {
            text += "    extraKernelArgs:\n";
            text += &items("        ", &self.kernel_args);
        }
        if !self.extensions.is_empty() {
            text += "    systemExtensions:\n        officialExtensions:\n";
            text += &items("            ", &self.extensions);
        }
        if text.is_empty() { "customization: {}\n".to_owned() } else { format!("customization:\n{text}") }
    }

    /// 64 hexadecimal digits. The factory knows it only once the schematic has been sent to it.
    pub fn id(&self) -> String {
        hex::encode(Sha256::digest(self.canonical()))
    }
}

/// CPU architecture, as Talos spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// 64-bit ARM.
    Arm64,
    /// x86-64.
    Amd64,
}

impl Arch {
    /// `arm64` or `amd64`.
    pub fn name(self) -> &'static str {
        match self {
            Arch::Arm64 => "arm64",
            Arch::Amd64 => "amd64",
        }
    }
}

/// Path of a disk image below the factory's address. Hetzner's is a raw disk in xz, OCI's a qcow2.
pub fn image_path(schematic_id: &str, talos: spec::Version, platform: Platform, arch: Arch) -> String {
    let extension = match platform {
        Platform::Hcloud => "raw.xz",
        Platform::Oracle => "qcow2",
        Platform::Metal => "raw.zst",
    };
    format!("/image/{schematic_id}/v{talos}/{}-{}.{extension}", platform.name(), arch.name())
}

/// The image that upgrades a node. The platform's own: with the plain installer a node comes back as platform metal
/// (home-operations/tuppr#228). `registry` is `factory.talos.dev`, or a mirror of it.
pub fn installer_image(registry: &str, schematic_id: &str, talos: spec::Version, platform: Platform) -> String {
    format!("{registry}/{}-installer/{schematic_id}:v{talos}", platform.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(extensions: &[&str], kernel_args: &[&str]) -> Schematic {
        let own = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Schematic { extensions: own(extensions), kernel_args: own(kernel_args) }
    }

    /// Ids from the factory's own package (image-factory v1.4.0, pkg/schematic).
    #[test]
    fn ids_are_the_factory_s() {
        for (schematic, id) in [
            (exact(&[], &[]), "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"),
            (exact(&[TAILSCALE], &[]), "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b"),
            (
                exact(&[TAILSCALE, ISCSI_TOOLS, UTIL_LINUX_TOOLS], &[]),
                "8f04ea6b6016f12a593fa8a87441270075c648cb75482c2d9d3db8cecda47da1",
            ),
            (
                Schematic::new([TAILSCALE, ISCSI_TOOLS, UTIL_LINUX_TOOLS, TAILSCALE]),
                "708747e350d604ae9e57227d8dcf274091453ddb1097b765d4ea8884f1992c1f",
            ),
            (
                exact(&[TAILSCALE], &["net.ifnames=0", "console=ttyS0"]),
                "c16612be09079fd90efdc5da34e40ee9a0dc1ac50ad22540c0b9a72dd83a03f3",
            ),
            (
                exact(&["siderolabs/qemu-guest-agent"], &[]),
                "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515",
            ),
        ] {
            assert_eq!(schematic.id(), id, "{}", schematic.canonical());
        }
    }

    #[test]
    fn images_stand_where_the_factory_serves_them() {
        let talos = spec::Version { major: 1, minor: 14, patch: 6 };
        assert_eq!(image_path("abc", talos, Platform::Hcloud, Arch::Arm64), "/image/abc/v1.14.6/hcloud-arm64.raw.xz");
        assert_eq!(image_path("abc", talos, Platform::Oracle, Arch::Arm64), "/image/abc/v1.14.6/oracle-arm64.qcow2");
        assert_eq!(
            installer_image("factory.talos.dev", "abc", talos, Platform::Oracle),
            "factory.talos.dev/oracle-installer/abc:v1.14.6"
        );
    }
}
