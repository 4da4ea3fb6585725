//! The formats a disk image is handed out in.

use super::disk::DiskImage;
use super::qcow2;
use bytes::Bytes;
use std::io::{Read, Write};

/// Virtual size of Talos's qcow2 for Oracle: 8 GiB.
const QCOW2_BYTES: u64 = 8 << 30;
/// What decompressors here agree to write.
const RAW_BYTES_MAX: u64 = 256 << 20;

/// How an image is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    Raw,
    RawXz,
    RawZst,
    Qcow2,
}

impl Format {
    /// By the ending of a file name, without its first dot.
    pub(crate) fn of(ending: &str) -> Option<Self> {
        match ending {
            "raw" => Some(Format::Raw),
            "raw.xz" => Some(Format::RawXz),
            "raw.zst" => Some(Format::RawZst),
            "qcow2" => Some(Format::Qcow2),
            _ => None,
        }
    }

    /// By image-factory's `internal/mime`.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Raw | Format::RawZst => "application/octet-stream",
            Format::RawXz => "application/x-xz",
            Format::Qcow2 => "application/x-qemu-disk",
        }
    }

    /// Packs an image.
    pub(crate) fn pack(self, image: &DiskImage) -> Bytes {
        let raw = image.raw();
        match self {
            Format::Raw => raw,
            Format::RawXz => Bytes::from(xz(&raw)),
            Format::RawZst => Bytes::from(ruzstd::encoding::compress_to_vec(
                raw.as_ref(),
                ruzstd::encoding::CompressionLevel::Fastest,
            )),
            Format::Qcow2 => Bytes::from(qcow2::from_raw(&raw, QCOW2_BYTES)),
        }
    }
}

fn xz(raw: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    // Writing to memory fails only when memory does.
    let _ = encoder.write_all(raw);
    encoder.finish().unwrap_or_default()
}

/// Decompresses as `xz -dc` would; the error is its word.
pub(crate) fn unxz(packed: &[u8]) -> Result<Vec<u8>, String> {
    if !packed.starts_with(b"\xfd7zXZ\0") {
        return Err("(stdin): File format not recognized".into());
    }
    drain(liblzma::read::XzDecoder::new(packed)).map_err(|_| {
        let cut = !packed.ends_with(b"YZ");
        if cut { "(stdin): Unexpected end of input".into() } else { "(stdin): Compressed data is corrupt".into() }
    })
}

/// Decompresses as `zstd -dc` would; the error is its word.
pub(crate) fn unzstd(packed: &[u8]) -> Result<Vec<u8>, String> {
    if !packed.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Err("zstd: /*stdin*\\: unsupported format".into());
    }
    let decoder = ruzstd::decoding::StreamingDecoder::new(packed)
        .map_err(|_| "/*stdin*\\ : Read error (39) : premature end".to_owned())?;
    drain(decoder).map_err(|_| "/*stdin*\\ : Decoding error (36) : Data corruption detected".to_owned())
}

fn drain(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    reader.take(RAW_BYTES_MAX).read_to_end(&mut raw)?;
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factory::disk::sample;

    #[test]
    fn every_format_unpacks_to_the_same_disk() {
        let raw = sample().raw();
        assert_eq!(unxz(&Format::RawXz.pack(&sample())).unwrap(), raw);
        assert_eq!(unzstd(&Format::RawZst.pack(&sample())).unwrap(), raw);
        let qcow2 = qcow2::to_raw(&Format::Qcow2.pack(&sample())).unwrap();
        assert_eq!(DiskImage::on(&qcow2), Some(sample()));
        assert_eq!(Format::Raw.pack(&sample()), raw);
    }

    #[test]
    fn a_cut_archive_is_an_error_not_a_short_disk() {
        for (format, unpack) in
            [(Format::RawXz, unxz as fn(&[u8]) -> Result<Vec<u8>, String>), (Format::RawZst, unzstd)]
        {
            let packed = format.pack(&sample());
            for cut in [0, 3, 20, packed.len() / 2, packed.len() - 1] {
                assert!(unpack(&packed[..cut]).is_err(), "{format:?} cut at {cut}");
            }
        }
    }
}
