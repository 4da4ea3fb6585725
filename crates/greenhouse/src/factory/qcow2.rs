//! qcow2, version 3: the writer that the factory needs, and the reader that an import needs.
//!
//! Layout and field names are those of QEMU's `docs/interop/qcow2.txt`. Clusters are 64 KiB; there are no backing
//! files, snapshots, compressed clusters or encryption, and the reader refuses images that have them.

use std::collections::BTreeMap;

const MAGIC: [u8; 4] = *b"QFI\xfb";
const CLUSTER_BITS: u32 = 16;
const CLUSTER: usize = 1 << CLUSTER_BITS;
/// Entries of one L2 table: 8 bytes each.
const L2_ENTRIES: u64 = (CLUSTER / 8) as u64;
const HEADER_BYTES: u32 = 104;
/// Set in L1 and L2 entries whose cluster has refcount one.
const COPIED: u64 = 1 << 63;
/// L2 entry: the cluster is compressed.
const COMPRESSED: u64 = 1 << 62;
/// Bits of an entry that hold a host offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Nothing here images more than this; the reader stops there.
const RAW_BYTES_MAX: u64 = 256 << 20;

/// Writes `raw` as an image of `virtual_bytes`; what lies beyond `raw`, and clusters of zeros, are not allocated.
pub(crate) fn from_raw(raw: &[u8], virtual_bytes: u64) -> Vec<u8> {
    let data: BTreeMap<u64, &[u8]> =
        (0u64..).zip(raw.chunks(CLUSTER)).filter(|(_, cluster)| cluster.iter().any(|byte| *byte != 0)).collect();
    let mut tables: Vec<u64> = data.keys().map(|cluster| cluster / L2_ENTRIES).collect();
    tables.dedup();
    let l1_entries = virtual_bytes.div_ceil(CLUSTER as u64 * L2_ENTRIES);
    // Clusters in order: header, refcount table, refcount block, L1, L2 tables, data.
    let (l1_at, l2_at) = (3u64, 4u64);
    let data_at = l2_at + tables.len() as u64;
    let clusters = data_at + data.len() as u64;

    let mut image = header(virtual_bytes, l1_entries, l1_at);
    image.resize(CLUSTER, 0);
    push_cluster(&mut image, [offset_of(2)]);
    let mut refcounts = vec![0; CLUSTER];
    for count in refcounts.chunks_exact_mut(2).take(usize::try_from(clusters).unwrap_or(usize::MAX)) {
        count.copy_from_slice(&1u16.to_be_bytes());
    }
    image.extend_from_slice(&refcounts);
    let mut l1 = vec![0; usize::try_from(l1_entries).unwrap_or(0)];
    for (table, host) in tables.iter().zip(l2_at..) {
        if let Some(entry) = usize::try_from(*table).ok().and_then(|at| l1.get_mut(at)) {
            *entry = offset_of(host) | COPIED;
        }
    }
    push_cluster(&mut image, l1);
    let hosts: BTreeMap<u64, u64> = data.keys().copied().zip(data_at..).collect();
    for table in tables {
        let entry = |cluster| hosts.get(&cluster).map_or(0, |host| offset_of(*host) | COPIED);
        push_cluster(&mut image, (table * L2_ENTRIES..(table + 1) * L2_ENTRIES).map(entry));
    }
    for cluster in data.values() {
        image.extend_from_slice(cluster);
        image.resize(image.len().next_multiple_of(CLUSTER), 0);
    }
    image
}

fn offset_of(cluster: u64) -> u64 {
    cluster << CLUSTER_BITS
}

fn header(virtual_bytes: u64, l1_entries: u64, l1_at: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(CLUSTER);
    let word = |header: &mut Vec<u8>, value: u32| header.extend_from_slice(&value.to_be_bytes());
    let long = |header: &mut Vec<u8>, value: u64| header.extend_from_slice(&value.to_be_bytes());
    header.extend_from_slice(&MAGIC);
    word(&mut header, 3); // version
    long(&mut header, 0); // backing file offset
    word(&mut header, 0); // backing file size
    word(&mut header, CLUSTER_BITS);
    long(&mut header, virtual_bytes);
    word(&mut header, 0); // encryption
    word(&mut header, u32::try_from(l1_entries).unwrap_or(u32::MAX));
    long(&mut header, offset_of(l1_at));
    long(&mut header, offset_of(1)); // refcount table
    word(&mut header, 1); // refcount table clusters
    word(&mut header, 0); // snapshots
    long(&mut header, 0); // snapshots offset
    long(&mut header, 0); // incompatible features
    long(&mut header, 0); // compatible features
    long(&mut header, 0); // autoclear features
    word(&mut header, 4); // refcount order: 16 bits
    word(&mut header, HEADER_BYTES);
    header
}

fn push_cluster(image: &mut Vec<u8>, entries: impl IntoIterator<Item = u64>) {
    let end = image.len() + CLUSTER;
    for entry in entries {
        image.extend_from_slice(&entry.to_be_bytes());
    }
    image.resize(end, 0);
}

/// Reads an image back: the raw disk up to the end of its last allocated cluster. `None` if it is no qcow2, is cut,
/// or uses what this reader does not know.
pub(crate) fn to_raw(image: &[u8]) -> Option<Vec<u8>> {
    let is_known = image.starts_with(&MAGIC)
        && matches!(word(image, 4)?, 2 | 3)
        && long(image, 8)? == 0
        && word(image, 32)? == 0
        && word(image, 60)? == 0;
    let bits = word(image, 20)?;
    if !is_known || !(9..=21).contains(&bits) || (word(image, 4)? == 3 && long(image, 72)? != 0) {
        return None;
    }
    let cluster = 1u64 << bits;
    let entries = cluster / 8;
    let virtual_bytes = long(image, 24)?;
    let (l1_entries, l1_from) = (u64::from(word(image, 36)?), long(image, 40)?);
    let mut raw = Vec::new();
    for table in 0..l1_entries {
        let l2_from = entry(image, l1_from, table)? & OFFSET;
        if l2_from == 0 {
            continue;
        }
        for at in 0..entries {
            let found = entry(image, l2_from, at)?;
            if found & COMPRESSED != 0 {
                return None;
            }
            // Bit 0 of a version 3 entry: reads as zeros.
            let (host, zero) = (found & OFFSET, found & 1 != 0);
            let guest = (table * entries + at) * cluster;
            if host == 0 || zero || guest >= virtual_bytes {
                continue;
            }
            let length = cluster.min(virtual_bytes - guest);
            let end = guest + length;
            if end > RAW_BYTES_MAX {
                return None;
            }
            let bytes = slice(image, host, length)?;
            raw.resize(usize::try_from(guest).ok()?, 0);
            raw.extend_from_slice(bytes);
        }
    }
    Some(raw)
}

fn entry(image: &[u8], table: u64, index: u64) -> Option<u64> {
    long(image, usize::try_from(table.checked_add(index * 8)?).ok()?)
}

fn slice(image: &[u8], from: u64, length: u64) -> Option<&[u8]> {
    image.get(usize::try_from(from).ok()?..usize::try_from(from.checked_add(length)?).ok()?)
}

fn word(image: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*image.get(at..)?.first_chunk()?))
}

fn long(image: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*image.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_reads_back_as_it_was_written() {
        let mut raw = vec![0; 5 * CLUSTER + 100];
        raw[3] = 7;
        raw[2 * CLUSTER + 1] = 8;
        raw[5 * CLUSTER + 99] = 9;
        let image = from_raw(&raw, 8 << 30);
        let mut back = to_raw(&image).unwrap();
        assert!(back[raw.len()..].iter().all(|byte| *byte == 0));
        back.truncate(raw.len());
        assert_eq!(back, raw);
    }

    #[test]
    fn cut_and_foreign_images_are_refused() {
        let image = from_raw(&[1; 100], 1 << 20);
        assert_eq!(to_raw(&image[..image.len() - 1]), None);
        assert_eq!(to_raw(&image[..90]), None);
        assert_eq!(to_raw(b"KDMV"), None);
        let mut with_backing = image.clone();
        with_backing[15] = 1;
        assert_eq!(to_raw(&with_backing), None);
    }

    #[test]
    fn qemu_finds_no_fault_with_it() {
        let folder = std::env::temp_dir().join(format!("bouquet-qcow2-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("image.qcow2");
        std::fs::write(&path, from_raw(&[1; 200_000], 8 << 30)).unwrap();
        let check = std::process::Command::new("qemu-img").args(["check", "--output=json"]).arg(&path).output();
        std::fs::remove_dir_all(&folder).unwrap();
        // Where QEMU's tools are not installed, the layout test above is all there is.
        if let Ok(check) = check {
            assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
        }
    }
}
