//! Checksums of a body that a client may send beside it.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// What a checksum may be made by, as the headers `x-amz-checksum-…` name it.
pub(super) const KINDS: &[&str] = &["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];
/// Castagnoli's polynomial, bits reversed.
const CRC32C: u32 = 0x82f6_3b78;
/// The polynomial of NVM Express (base specification 2.0, §5.2.1.3.4), bits reversed.
const CRC64_NVME: u64 = 0x9a6c_9329_ac4b_c9b5;

/// The checksum of that kind, big-endian; `None` for an unknown kind.
pub(super) fn of(kind: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    Some(match kind {
        "crc32" => {
            let mut crc = flate2::Crc::new();
            crc.update(bytes);
            crc.sum().to_be_bytes().to_vec()
        }
        "crc32c" => {
            let table: [u32; 256] = std::array::from_fn(|byte| {
                (0..8).fold(u32::try_from(byte).unwrap_or(0), |it, _| it >> 1 ^ if it & 1 == 1 { CRC32C } else { 0 })
            });
            let entry = |crc: u32, byte: u8| table.get(usize::from(crc.to_le_bytes()[0] ^ byte)).copied().unwrap_or(0);
            let crc = bytes.iter().fold(u32::MAX, |crc, byte| crc >> 8 ^ entry(crc, *byte));
            (!crc).to_be_bytes().to_vec()
        }
        "crc64nvme" => {
            let table: [u64; 256] = std::array::from_fn(|byte| {
                (0..8).fold(byte as u64, |it, _| it >> 1 ^ if it & 1 == 1 { CRC64_NVME } else { 0 })
            });
            let entry = |crc: u64, byte: u8| table.get(usize::from(crc.to_le_bytes()[0] ^ byte)).copied().unwrap_or(0);
            let crc = bytes.iter().fold(u64::MAX, |crc, byte| crc >> 8 ^ entry(crc, *byte));
            (!crc).to_be_bytes().to_vec()
        }
        "sha1" => digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec(),
        "sha256" => digest(&SHA256, bytes).as_ref().to_vec(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_values_of_the_catalogues_come_out() {
        let made = |kind| hex::encode(of(kind, b"123456789").unwrap());
        assert_eq!(made("crc32"), "cbf43926");
        assert_eq!(made("crc32c"), "e3069283");
        assert_eq!(made("crc64nvme"), "ae8b14860a799888");
        assert_eq!(made("sha1"), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
        assert!(made("sha256").starts_with("15e2b0d3"));
        assert_eq!(of("md5", b""), None);
    }
}
