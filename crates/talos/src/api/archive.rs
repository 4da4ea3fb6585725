use flate2::read::GzDecoder;
use std::io::Read as _;

/// A kubeconfig is a few kilobytes; whatever is longer is not one.
const UNPACKED_BYTES_MAX: u64 = 1 << 20;
const BLOCK: usize = 512;

/// The content of the first regular file called `name` in a gzipped tar. The end marker may be missing: Talos sends none.
pub(super) fn file_in_tar_gz(packed: &[u8], name: &str) -> Option<String> {
    let mut tar = Vec::new();
    GzDecoder::new(packed).take(UNPACKED_BYTES_MAX).read_to_end(&mut tar).ok()?;
    let mut rest = tar.as_slice();
    loop {
        let (header, after) = rest.split_at_checked(BLOCK)?;
        let size = octal(header.get(124..136)?)?;
        let content = after.get(..size)?;
        let is_regular = matches!(header.get(156), Some(b'0' | 0));
        if is_regular && text(header.get(..100)?) == name {
            return String::from_utf8(content.to_vec()).ok();
        }
        rest = after.get(size.next_multiple_of(BLOCK)..)?;
    }
}

fn octal(field: &[u8]) -> Option<usize> {
    usize::from_str_radix(text(field).trim(), 8).ok()
}

fn text(field: &[u8]) -> &str {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    field.get(..end).and_then(|field| std::str::from_utf8(field).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    fn entry(name: &str, content: &str) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        block[156] = b'0';
        block.extend(content.as_bytes());
        block.resize(block.len().next_multiple_of(BLOCK), 0);
        block
    }

    fn packed(tar: &[u8]) -> Vec<u8> {
        let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
        writer.write_all(tar).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn the_named_file_is_found_without_an_end_marker() {
        let tar = [entry("other", "x"), entry("kubeconfig", "apiVersion: v1\n")].concat();
        assert_eq!(file_in_tar_gz(&packed(&tar), "kubeconfig").as_deref(), Some("apiVersion: v1\n"));
    }

    #[test]
    fn anything_else_is_nothing() {
        let tar = entry("kubeconfig", "apiVersion: v1\n");
        for bytes in [&b""[..], b"<html>", &packed(b"short"), &packed(&entry("other", "x")), &packed(&tar[..520])] {
            assert_eq!(file_in_tar_gz(bytes, "kubeconfig"), None);
        }
    }
}
