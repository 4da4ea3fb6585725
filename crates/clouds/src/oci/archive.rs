//! The `.oci` archive that carries an image's settings beside its disk: a gzipped tar, made while it streams.
//!
//! Pure: bytes in, bytes out, nothing kept but what is not yet taken.

use crate::{Arch, Image};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::{self, Write};

const BLOCK: usize = 512;
/// What eleven octal digits of a ustar header can say: 8 GiB. The Image Factory's qcow2 files are far below.
const SIZE_MAX: u64 = 0o777_7777_7777;
/// Names the set of capability names that `imageCapabilityData` uses; every tenancy has it.
/// Source: oracle-cne/ocne, `pkg/image/oci` (Oracle's own image builder).
const CAPABILITIES_VERSION: &str = "34dd2cea-aff2-4f45-b8f6-1cb5290bfab2";

/// Shapes that an arm64 image of ours is declared fit for.
pub(super) const ARM_SHAPE: &str = "VM.Standard.A1.Flex";

/// What a capability schema, or the archive's metadata, says of firmware: UEFI and nothing else, as Talos's boot loader
/// does not start under the BIOS that OCI would otherwise choose.
pub(super) fn firmware() -> Value {
    json!({"descriptorType": "enumstring", "source": "IMAGE", "values": ["UEFI_64"], "defaultValue": "UEFI_64"})
}

/// `image_metadata.json`: version 2, paravirtualised, UEFI only.
/// Source: Talos's documentation for Oracle Cloud (v1.13), and oracle-cne/ocne for the form of the capabilities.
pub(super) fn metadata(image: &Image) -> Value {
    let shapes = match image.arch {
        Arch::Arm64 => json!([{"internalShapeName": ARM_SHAPE, "ocpuConstraints": null, "memoryConstraints": null}]),
        Arch::Amd64 => json!([]),
    };
    json!({
        "version": 2,
        "externalLaunchOptions": {
            "firmware": "UEFI_64",
            "networkType": "PARAVIRTUALIZED",
            "bootVolumeType": "PARAVIRTUALIZED",
            "remoteDataVolumeType": "PARAVIRTUALIZED",
            "localDataVolumeType": "PARAVIRTUALIZED",
            "launchOptionsSource": "PARAVIRTUALIZED",
            "pvAttachmentVersion": 2,
            "pvEncryptionInTransitEnabled": true,
            "consistentVolumeNamingEnabled": true,
        },
        "imageCapabilityData": {"capabilities": {"Compute.Firmware": firmware()}},
        "imageCapsFormatVersion": CAPABILITIES_VERSION,
        "operatingSystem": "Talos",
        "operatingSystemVersion": image.talos,
        "additionalMetadata": {"shapeCompatibilities": shapes},
    })
}

/// Compresses an archive of two files, the second of which comes in pieces.
pub(super) struct Archive {
    gzip: GzEncoder<Vec<u8>>,
    disk_bytes: u64,
    /// Bytes of the disk that are still to come.
    left: u64,
}

impl Archive {
    /// `disk_bytes`: the disk image's size, which a tar says before its content.
    pub(super) fn new(metadata: &Value, disk_bytes: u64) -> io::Result<Self> {
        let metadata = metadata.to_string();
        // A qcow2 of compressed clusters hardly shrinks: more effort would only cost time.
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&header("image_metadata.json", metadata.len() as u64)?)?;
        gzip.write_all(metadata.as_bytes())?;
        gzip.write_all(&padding(metadata.len() as u64))?;
        gzip.write_all(&header("output.QCOW2", disk_bytes)?)?;
        Ok(Archive { gzip, disk_bytes, left: disk_bytes })
    }

    /// Takes the next bytes of the disk.
    pub(super) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or_else(|| io::Error::other("the disk image is longer than was said"))?;
        self.gzip.write_all(piece)
    }

    /// Compressed bytes that can be taken, if there are at least `bytes` of them.
    pub(super) fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let ready = self.gzip.get_mut();
        if ready.len() < bytes {
            return None;
        }
        let rest = ready.split_off(bytes);
        Some(std::mem::replace(ready, rest))
    }

    /// The last compressed bytes. An error if the disk was cut short.
    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        if self.left > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the disk image was cut short"));
        }
        self.gzip.write_all(&padding(self.disk_bytes))?;
        self.gzip.write_all(&[0; 2 * BLOCK])?;
        self.gzip.finish()
    }
}

fn padding(bytes: u64) -> Vec<u8> {
    let block = BLOCK as u64;
    let missing = (block - bytes % block) % block;
    vec![0; usize::try_from(missing).unwrap_or(0)]
}

/// A ustar header of a plain file, dated 1970, so that the same content gives the same bytes.
fn header(name: &str, bytes: u64) -> io::Result<Vec<u8>> {
    if bytes > SIZE_MAX {
        return Err(io::Error::other("the disk image is over 8 GiB"));
    }
    let field = |text: String, width: usize| {
        let mut bytes = text.into_bytes();
        bytes.resize(width, 0);
        bytes
    };
    let before = [
        field(name.to_owned(), 100),
        field("0000644".to_owned(), 8),
        field("0000000".to_owned(), 8),
        field("0000000".to_owned(), 8),
        field(format!("{bytes:011o}"), 12),
        field("00000000000".to_owned(), 12),
    ]
    .concat();
    let after = [field("0".to_owned(), 1), field(String::new(), 100), b"ustar\x0000".to_vec()].concat();
    // The checksum counts its own field as blanks.
    let sum: u32 = before.iter().chain(&after).map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
    let mut header = [before, format!("{sum:06o}\0 ").into_bytes(), after].concat();
    header.resize(BLOCK, 0);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn image() -> Image {
        Image { region: "eu-frankfurt-1".into(), arch: Arch::Arm64, schematic: "ab".repeat(32), talos: "1.14.6".into() }
    }

    fn unpacked(pieces: &[u8]) -> Vec<u8> {
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(pieces).read_to_end(&mut tar).unwrap();
        tar
    }

    #[test]
    fn the_archive_holds_metadata_and_disk_whole() {
        let disk: Vec<u8> = (0..100_000u32).map(|at| (at * 31 % 251) as u8).collect();
        let meta = metadata(&image());
        let mut archive = Archive::new(&meta, disk.len() as u64).unwrap();
        let mut sent = Vec::new();
        for piece in disk.chunks(7000) {
            archive.write(piece).unwrap();
            while let Some(part) = archive.take(1000) {
                assert_eq!(part.len(), 1000);
                sent.extend(part);
            }
        }
        sent.extend(archive.finish().unwrap());
        let tar = unpacked(&sent);
        assert_eq!(tar.len() % BLOCK, 0);
        let text = meta.to_string();
        assert!(tar.starts_with(b"image_metadata.json\0"));
        assert_eq!(&tar[BLOCK..BLOCK + text.len()], text.as_bytes());
        let second = 2 * BLOCK + text.len() - text.len() % BLOCK;
        assert!(tar[second..].starts_with(b"output.QCOW2\0"));
        assert_eq!(&tar[second + BLOCK..second + BLOCK + disk.len()], disk);
    }

    #[test]
    fn a_header_sums_up_as_tar_expects() {
        let header = header("image_metadata.json", 5).unwrap();
        let mut blank = header.clone();
        blank[148..156].fill(b' ');
        let sum: u32 = blank.iter().map(|byte| u32::from(*byte)).sum();
        assert_eq!(header[148..156], *format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(&header[257..265], b"ustar\x0000");
    }

    #[test]
    fn a_disk_of_another_length_than_said_is_refused() {
        let mut short = Archive::new(&json!({}), 10).unwrap();
        short.write(&[0; 9]).unwrap();
        assert!(short.finish().is_err());
        let mut long = Archive::new(&json!({}), 10).unwrap();
        assert!(long.write(&[0; 11]).is_err());
        assert!(Archive::new(&json!({}), SIZE_MAX + 1).is_err());
    }

    #[test]
    fn no_firmware_but_uefi_is_allowed() {
        let meta = metadata(&image());
        let firmware = &meta["imageCapabilityData"]["capabilities"]["Compute.Firmware"];
        assert_eq!(firmware["values"], json!(["UEFI_64"]));
        assert_eq!(meta["additionalMetadata"]["shapeCompatibilities"][0]["internalShapeName"], ARM_SHAPE);
    }
}
