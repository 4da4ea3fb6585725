//! Schematics, and the canonical form that their ids are taken of.
//!
//! The id is the SHA-256 of the parsed document written again by Go's yaml.v3 (image-factory, `pkg/schematic`): four
//! spaces a level, list items indented under their key, empty fields left out, `customization` always there, lists in
//! the order given.

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What an image is made of beyond plain Talos.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct Schematic {
    pub overlay: Overlay,
    pub customization: Customization,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct Overlay {
    pub image: String,
    pub name: String,
    pub options: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct Customization {
    pub embedded_machine_configuration: String,
    pub extra_kernel_args: Vec<String>,
    pub meta: Vec<Meta>,
    pub system_extensions: SystemExtensions,
    pub bootloader: String,
    pub secureboot: SecureBoot,
    pub disk_image: DiskLayout,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Meta {
    pub key: u8,
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct SystemExtensions {
    pub official_extensions: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct SecureBoot {
    pub include_well_known_certificates: bool,
    pub enroll_keys: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct DiskLayout {
    pub sector_size: u32,
}

impl Schematic {
    /// Reads YAML, or JSON, which is YAML. The error is the parser's.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("EOF".into());
        }
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    /// SHA-256 of the canonical form, hex.
    pub(crate) fn id(&self) -> String {
        hex::encode(Sha256::digest(self.canonical()))
    }

    /// The canonical form.
    pub(crate) fn canonical(&self) -> String {
        let mut out = Canonical::default();
        if self.overlay != Overlay::default() {
            out.open(0, "overlay");
            out.field(1, "image", &self.overlay.image);
            out.field(1, "name", &self.overlay.name);
            if !self.overlay.options.is_empty() {
                out.open(1, "options");
                out.map(2, &self.overlay.options);
            }
        }
        let customization = &self.customization;
        if *customization == Customization::default() {
            out.line(0, "customization: {}");
            return out.0;
        }
        out.open(0, "customization");
        out.optional(1, "embeddedMachineConfiguration", &customization.embedded_machine_configuration);
        out.list(1, "extraKernelArgs", &customization.extra_kernel_args);
        if !customization.meta.is_empty() {
            out.open(1, "meta");
            for meta in &customization.meta {
                out.line(2, &format!("- key: {}", meta.key));
                out.indented(2, "  ", "value", &meta.value);
            }
        }
        if !customization.system_extensions.official_extensions.is_empty() {
            out.open(1, "systemExtensions");
            out.list(2, "officialExtensions", &customization.system_extensions.official_extensions);
        }
        out.optional(1, "bootloader", &customization.bootloader);
        if customization.secureboot != SecureBoot::default() {
            out.open(1, "secureboot");
            out.optional(2, "enrollKeys", &customization.secureboot.enroll_keys);
            if customization.secureboot.include_well_known_certificates {
                out.line(2, "includeWellKnownCertificates: true");
            }
        }
        if customization.disk_image.sector_size != 0 {
            out.open(1, "diskImage");
            out.line(2, &format!("sectorSize: {}", customization.disk_image.sector_size));
        }
        out.0
    }
}

/// YAML as yaml.v3 writes it.
#[derive(Default)]
struct Canonical(String);

impl Canonical {
    fn line(&mut self, level: usize, text: &str) {
        let _ = writeln!(self.0, "{:indent$}{text}", "", indent = level * 4);
    }

    fn open(&mut self, level: usize, key: &str) {
        self.line(level, &format!("{key}:"));
    }

    fn optional(&mut self, level: usize, key: &str, value: &str) {
        if !value.is_empty() {
            self.field(level, key, value);
        }
    }

    fn field(&mut self, level: usize, key: &str, value: &str) {
        self.indented(level, "", key, value);
    }

    fn list(&mut self, level: usize, key: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        self.open(level, key);
        for item in items {
            let _ = write!(self.0, "{:indent$}- ", "", indent = (level + 1) * 4);
            self.scalar(item, (level + 1) * 4 + 2);
        }
    }

    fn map(&mut self, level: usize, map: &Map<String, Value>) {
        let mut keys: Vec<&String> = map.keys().collect();
        keys.sort();
        for key in keys {
            match map.get(key) {
                Some(Value::String(text)) => self.field(level, key, text),
                Some(Value::Object(inner)) if !inner.is_empty() => {
                    self.open(level, key);
                    self.map(level + 1, inner);
                }
                Some(other) => self.line(level, &format!("{key}: {other}")),
                None => {}
            }
        }
    }

    fn indented(&mut self, level: usize, pad: &str, key: &str, value: &str) {
        let indent = level * 4;
        let _ = write!(self.0, "{:indent$}{pad}{key}: ", "");
        // A block of text starts at the next multiple of four columns after its key, which `- ` has moved by two.
        self.scalar(value, (indent + pad.len()) / 4 * 4 + 4);
    }

    fn scalar(&mut self, value: &str, indent: usize) {
        if value.contains('\n') {
            let keep = if !value.ends_with('\n') {
                "|-"
            } else if value.ends_with("\n\n") {
                "|+"
            } else {
                "|"
            };
            self.0.push_str(keep);
            self.0.push('\n');
            for line in value.trim_end_matches('\n').split('\n') {
                if line.is_empty() {
                    self.0.push('\n');
                } else {
                    let _ = writeln!(self.0, "{:indent$}{line}", "");
                }
            }
            return;
        }
        let written = if reads_as_another_type(value) {
            serde_json::Value::from(value).to_string()
        } else if is_plain(value) {
            value.to_owned()
        } else {
            format!("'{}'", value.replace('\'', "''"))
        };
        self.0.push_str(&written);
        self.0.push('\n');
    }
}

/// Words and numbers that YAML 1.1 or 1.2 would not read back as text: yaml.v3 puts them in double quotes.
fn reads_as_another_type(value: &str) -> bool {
    const WORDS: &[&str] = &["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let number = value.replace('_', "");
    WORDS.contains(&value.to_lowercase().as_str())
        || number.parse::<f64>().is_ok()
        || ["0x", "0o", "0b"].iter().any(|prefix| number.starts_with(prefix))
}

/// Whether a scalar can stand without quotes in a block.
fn is_plain(value: &str) -> bool {
    let starts_well = match value.chars().next() {
        Some('-' | '?' | ':') => value.chars().nth(1).is_some_and(|second| !second.is_whitespace()),
        Some(first) => !",[]{}#&*!|>'\"%@` ".contains(first),
        None => false,
    };
    starts_well
        && !value.ends_with([' ', ':'])
        && !value.contains(": ")
        && !value.contains(" #")
        && !value.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> String {
        Schematic::parse(text).unwrap().id()
    }

    #[test]
    fn ids_are_those_of_the_real_factory() {
        assert_eq!(id("customization: {}"), "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba");
        assert_eq!(id("customization: {}"), id("{}"));
        assert!(Schematic::parse("").is_err());
        let extensions = |list: &str| {
            id(&format!(r#"{{"customization": {{"systemExtensions": {{"officialExtensions": [{list}]}}}}}}"#))
        };
        let [tailscale, iscsi, util] =
            [r#""siderolabs/tailscale""#, r#""siderolabs/iscsi-tools""#, r#""siderolabs/util-linux-tools""#];
        assert_eq!(extensions(tailscale), "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b");
        assert_eq!(
            extensions(&[tailscale, iscsi, util].join(",")),
            "8f04ea6b6016f12a593fa8a87441270075c648cb75482c2d9d3db8cecda47da1"
        );
        assert_eq!(
            extensions(&[iscsi, tailscale, util].join(",")),
            "708747e350d604ae9e57227d8dcf274091453ddb1097b765d4ea8884f1992c1f"
        );
        assert_eq!(
            id("customization:\n  systemExtensions:\n    officialExtensions: [siderolabs/tailscale]\n  \
                extraKernelArgs: [net.ifnames=0, console=ttyS0]\n"),
            "c16612be09079fd90efdc5da34e40ee9a0dc1ac50ad22540c0b9a72dd83a03f3"
        );
        assert!(extensions(r#""siderolabs/qemu-guest-agent""#).starts_with("ce4c980550"));
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(Schematic::parse("customization: {systemExtension: {}}").is_err());
        assert!(Schematic::parse("custom: {}").is_err());
        assert!(Schematic::parse("[1]").is_err());
    }

    #[test]
    fn scalars_are_quoted_as_go_would() {
        let text = r#"{"customization": {"extraKernelArgs": ["true", "-selinux", "a: b", "*x", "1.5"],
            "embeddedMachineConfiguration": "a: 1\n\nb: 2\n", "meta": [{"key": 10, "value": "{}"}]}}"#;
        let wanted = "customization:\n    embeddedMachineConfiguration: |\n        a: 1\n\n        b: 2\n    \
            extraKernelArgs:\n        - \"true\"\n        - -selinux\n        - 'a: b'\n        - '*x'\n        \
            - \"1.5\"\n    meta:\n        - key: 10\n          value: '{}'\n";
        assert_eq!(Schematic::parse(text).unwrap().canonical(), wanted);
    }
}
