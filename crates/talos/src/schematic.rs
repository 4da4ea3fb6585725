//! Image Factory schematics: what is in an image, and the id that follows from it.
//!
//! The id is the SHA-256 of the canonical YAML (facts: siderolabs/image-factory, `pkg/schematic`): four spaces of
//! indentation, empty fields left out, `customization` always there, lists in the order given. The Factory serves an id
//! only once its schematic has been posted ([`post`]).

use crate::ClientError;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::Duration;
use wire::{Answer, Call, Repeat, Target};

/// The registry and image server that Sidero Labs runs.
const REGISTRY: &str = "factory.talos.dev";
/// The Factory answers a post at once; images are another call.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What an image has besides Talos.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schematic {
    extra_kernel_args: Vec<String>,
    official_extensions: Vec<String>,
}

impl Schematic {
    /// What every bouquet node has: the mesh. In the order given here, which is sorted.
    pub fn for_bouquet() -> Self {
        Self::with_extensions(["siderolabs/tailscale"])
    }

    /// Of official extensions, sorted so that the same set gives the same id.
    pub fn with_extensions<'a>(extensions: impl IntoIterator<Item = &'a str>) -> Self {
        let mut official_extensions: Vec<String> = extensions.into_iter().map(str::to_owned).collect();
        official_extensions.sort();
        official_extensions.dedup();
        Schematic { extra_kernel_args: Vec::new(), official_extensions }
    }

    /// Names of the extensions.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.official_extensions.iter().map(String::as_str)
    }

    /// The canonical YAML, byte for byte what the id is the digest of.
    pub fn yaml(&self) -> String {
        if self.extra_kernel_args.is_empty() && self.official_extensions.is_empty() {
            return "customization: {}\n".to_owned();
        }
        let mut text = String::from("customization:\n");
        if !self.extra_kernel_args.is_empty() {
            text.push_str("    extraKernelArgs:\n");
            for arg in &self.extra_kernel_args {
                let _ = writeln!(text, "        - {arg}");
            }
        }
        if !self.official_extensions.is_empty() {
            text.push_str("    systemExtensions:\n        officialExtensions:\n");
            for extension in &self.official_extensions {
                let _ = writeln!(text, "            - {extension}");
            }
        }
        text
    }

    /// 64 hex digits.
    pub fn id(&self) -> String {
        hex::encode(Sha256::digest(self.yaml()))
    }
}

/// The Factory's path of a disk image: `/image/<id>/v1.14.6/hcloud-arm64.raw.xz`. OCI imports QCOW2; everybody else is
/// written to raw.
pub fn disk_image_path(schematic: &str, talos: &str, platform: &str, arch: &str) -> String {
    let format = if platform == "oracle" { "qcow2" } else { "raw.xz" };
    format!("/image/{schematic}/v{talos}/{platform}-{arch}.{format}")
}

/// The installer that an upgrade uses: the platform's own, or the node comes back as another platform (tuppr#228).
pub fn installer(schematic: &str, talos: &str, platform: &str) -> String {
    format!("{REGISTRY}/{platform}-installer/{schematic}:v{talos}")
}

#[derive(Deserialize)]
struct Posted {
    id: String,
}

/// Gives the schematic to the Factory at `base`; the answer is its id, which must be ours.
pub fn post(base: &http::Uri, schematic: &Schematic) -> Result<Call<String, ClientError>, ClientError> {
    let call = "factory POST /schematics";
    let target = Target::of_uri(base).ok_or_else(|| ClientError::garbled(call, "the Factory's address is no URL"))?;
    let request = http::Request::post(format!("{}/schematics", base.to_string().trim_end_matches('/')))
        .header(CONTENT_TYPE, "application/yaml")
        .body(Bytes::from(schematic.yaml()))
        .map_err(|error| ClientError::garbled(call, &error.to_string()))?;
    let id = schematic.id();
    let read = move |answer: &Answer| {
        if !answer.status.is_success() {
            return Err(ClientError::status(call, answer.status.as_u16()));
        }
        let posted: Posted =
            serde_json::from_slice(&answer.body).map_err(|error| ClientError::garbled(call, &error.to_string()))?;
        if posted.id == id {
            return Ok(posted.id);
        }
        Err(ClientError::garbled(call, &format!("the Factory calls the schematic {}, which is {id} here", posted.id)))
    };
    Ok(Call {
        name: call,
        bucket: "factory",
        target,
        request,
        repeat: Repeat::Safe,
        timeout: TIMEOUT,
        read: Box::new(read),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_upstreams() {
        let id = |extensions: &[&str]| Schematic::with_extensions(extensions.iter().copied()).id();
        assert_eq!(id(&[]), "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba");
        assert_eq!(id(&["siderolabs/tailscale"]), "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b");
        assert_eq!(
            id(&["siderolabs/tailscale", "siderolabs/util-linux-tools", "siderolabs/iscsi-tools"]),
            "708747e350d604ae9e57227d8dcf274091453ddb1097b765d4ea8884f1992c1f"
        );
        let args = ["net.ifnames=0", "console=ttyS0"].map(str::to_owned).to_vec();
        let schematic = Schematic { extra_kernel_args: args, ..Schematic::for_bouquet() };
        assert_eq!(schematic.id(), "c16612be09079fd90efdc5da34e40ee9a0dc1ac50ad22540c0b9a72dd83a03f3");
    }
}
