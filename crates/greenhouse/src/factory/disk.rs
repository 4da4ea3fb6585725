//! A disk image that is small, of the right shape, and whose damage shows.

use crate::machine::Arch;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// What a raw disk image boots: read from its first bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct DiskImage {
    /// Schematic id.
    pub schematic: String,
    /// Names of system extensions in the schematic: `siderolabs/tailscale`, …
    pub extensions: Vec<String>,
    /// Talos version without `v`.
    pub talos: String,
    /// `hcloud`, `oracle`, `metal`.
    pub platform: String,
    pub arch: Arch,
}

/// Size of a raw image. In life 1246 MiB.
const RAW_BYTES: usize = 1 << 20;
/// How much of it stands for the file systems' content; the rest is zero, as most of a real image is.
const PAYLOAD_BYTES: usize = 48 << 10;
const SECTOR: usize = 512;
const MAGIC: &[u8; 8] = b"TALOSIMG";
/// Magic, length of the description (u32 LE), SHA-256 over description and payload.
const HEADER: usize = 8 + 4 + 32;

impl DiskImage {
    /// Reads the image that a disk starts with, if it is one and is whole.
    pub(crate) fn on(disk: &[u8]) -> Option<Self> {
        let rest = disk.strip_prefix(MAGIC)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let description = rest.get(..length)?;
        let payload_from = payload_offset(length)?;
        let payload = disk.get(payload_from..payload_from.checked_add(PAYLOAD_BYTES)?)?;
        if Sha256::new().chain_update(description).chain_update(payload).finalize().as_slice() != digest {
            return None;
        }
        serde_json::from_slice(description).ok()
    }

    /// The raw image: description, pseudo-random payload, zeros.
    pub(crate) fn raw(&self) -> Bytes {
        let description = serde_json::to_vec(self).unwrap_or_default();
        let payload = payload(&description);
        let digest = Sha256::new().chain_update(&description).chain_update(&payload).finalize();
        let mut disk = Vec::with_capacity(RAW_BYTES);
        disk.extend_from_slice(MAGIC);
        disk.extend_from_slice(&u32::try_from(description.len()).unwrap_or(u32::MAX).to_le_bytes());
        disk.extend_from_slice(&digest);
        disk.extend_from_slice(&description);
        disk.resize(payload_offset(description.len()).unwrap_or(SECTOR), 0);
        disk.extend_from_slice(&payload);
        disk.resize(RAW_BYTES.max(disk.len()), 0);
        Bytes::from(disk)
    }
}

/// Where the payload starts: the next sector after the description.
fn payload_offset(description: usize) -> Option<usize> {
    description.checked_add(HEADER)?.checked_next_multiple_of(SECTOR)
}

/// Bytes that no codec can shrink, so that a cut in the compressed image is a cut in the disk.
fn payload(description: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PAYLOAD_BYTES);
    let mut block = Sha256::digest(description);
    while bytes.len() < PAYLOAD_BYTES {
        bytes.extend_from_slice(&block);
        block = Sha256::digest(block);
    }
    bytes.truncate(PAYLOAD_BYTES);
    bytes
}

#[cfg(test)]
pub(super) fn sample() -> DiskImage {
    DiskImage {
        schematic: "ab".repeat(32),
        extensions: vec!["siderolabs/tailscale".into()],
        talos: "1.14.6".into(),
        platform: "hcloud".into(),
        arch: Arch::Arm64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_image_says_what_it_boots() {
        assert_eq!(DiskImage::on(&sample().raw()), Some(sample()));
    }

    #[test]
    fn a_cut_or_changed_image_boots_nothing() {
        let raw = sample().raw();
        assert_eq!(DiskImage::on(&raw[..PAYLOAD_BYTES]), None);
        for at in [0, 20, 60, 4_000, PAYLOAD_BYTES] {
            let mut damaged = raw.to_vec();
            damaged[at] ^= 1;
            assert_eq!(DiskImage::on(&damaged), None, "byte {at}");
        }
        assert_eq!(DiskImage::on(b"TALOSIMG\xff\xff\xff\xff"), None);
    }
}
