use super::Platform;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, GzBuilder};
use std::io::Write as _;
use wire::Secret;

/// A configuration that does not fit into the cloud's user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the machine configuration takes {length} bytes of user data; {} allows {limit}", .platform.name())]
pub struct TooLong {
    /// Which cloud's.
    pub platform: Platform,
    /// Bytes after gzip and base64.
    pub length: usize,
    /// Bytes allowed.
    pub limit: usize,
}

impl TooLong {
    /// The code that `bouquet explain` knows.
    pub fn code(&self) -> &'static str {
        "BQ0309"
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        "set `first-contact: maintenance` on the node, or shorten its patches"
    }
}

impl Platform {
    /// How much user data the cloud takes. Hetzner: 32 KiB (siderolabs/talos#8850); OCI: 32,000 bytes, for all metadata
    /// of the instance together. Own machines have none and are pushed to.
    pub fn user_data_limit(self) -> Option<usize> {
        match self {
            Platform::Hcloud => Some(32_768),
            Platform::Oracle => Some(32_000),
            Platform::Metal => None,
        }
    }
}

/// Packs a configuration as user data: base64 of gzip, which Talos undoes on both clouds. The same text gives the same
/// bytes.
pub fn user_data(config: &Secret, platform: Platform) -> Result<Secret, TooLong> {
    // No modification time and an unknown system, as the header would otherwise differ between builds.
    let mut writer = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    // Writing to memory cannot fail; if it did, the cut text would be refused by the node as truncated.
    let packed = writer.write_all(config.expose().as_bytes()).and_then(|()| writer.finish()).unwrap_or_default();
    let text = STANDARD.encode(packed);
    match platform.user_data_limit() {
        Some(limit) if text.len() > limit => Err(TooLong { platform, length: text.len(), limit }),
        _ => Ok(Secret::new(text)),
    }
}
