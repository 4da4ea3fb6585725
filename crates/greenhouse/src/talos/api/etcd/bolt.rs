//! A bbolt database as one transaction of etcd would have left it: two meta pages, an empty freelist, a root bucket, and
//! a leaf for each bucket.
//!
//! The layout is bbolt's own (`go.etcd.io/bbolt/internal/common`, version 2 of the format), little endian as on every
//! machine that Talos runs on. A bucket is one leaf page with as many overflow pages as it takes, which bbolt reads like
//! any other; only a bucket of more than 65,535 keys would need branches, and is cut off there.

const PAGE_BYTES: usize = 4096;
/// Id, flags, count, overflow.
const PAGE_HEADER_BYTES: usize = 16;
/// Flags, position, length of the key, length of the value.
const ELEMENT_BYTES: usize = 16;
const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const FREELIST: u16 = 0x10;
/// Flag of a leaf's element whose value is a bucket.
const IS_BUCKET: u32 = 0x01;
/// Pages before the first bucket's: meta, meta, freelist, root.
const FIRST_BUCKET: u64 = 4;

/// What a bucket holds, by key.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The bytes of a database with these buckets; keys and names are put in order.
pub(super) fn database(buckets: Vec<(&str, Pairs)>) -> Vec<u8> {
    let mut buckets = buckets;
    buckets.sort_by(|one, other| one.0.cmp(other.0));
    let mut leaves = Vec::new();
    let mut root = Vec::new();
    let mut page = FIRST_BUCKET;
    for (name, mut pairs) in buckets {
        pairs.sort();
        pairs.truncate(usize::from(u16::MAX));
        let leaf = leaf(page, 0, &pairs);
        // A bucket's value: its root page, and the sequence that etcd never uses.
        root.push((name.as_bytes().to_vec(), [page.to_le_bytes(), 0_u64.to_le_bytes()].concat()));
        page += (leaf.len() / PAGE_BYTES) as u64;
        leaves.extend(leaf);
    }
    let mut freelist = header(2, FREELIST, 0, 0);
    freelist.resize(PAGE_BYTES, 0);
    let mut all = [meta(0, page), meta(1, page), freelist, leaf(3, IS_BUCKET, &root)].concat();
    all.extend(leaves);
    all
}

fn header(id: u64, flags: u16, count: usize, overflow: usize) -> Vec<u8> {
    let mut header = id.to_le_bytes().to_vec();
    header.extend(flags.to_le_bytes());
    header.extend(u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    header.extend(u32::try_from(overflow).unwrap_or(u32::MAX).to_le_bytes());
    header
}

/// One leaf. Positions count from the element that holds them.
fn leaf(id: u64, flags: u32, pairs: &Pairs) -> Vec<u8> {
    let data_bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
    let elements_bytes = pairs.len() * ELEMENT_BYTES;
    let pages = (PAGE_HEADER_BYTES + elements_bytes + data_bytes).div_ceil(PAGE_BYTES);
    let mut page = header(id, LEAF, pairs.len(), pages - 1);
    let mut at = elements_bytes;
    for (number, (key, value)) in pairs.iter().enumerate() {
        for word in [flags as usize, at - number * ELEMENT_BYTES, key.len(), value.len()] {
            page.extend(u32::try_from(word).unwrap_or(u32::MAX).to_le_bytes());
        }
        at += key.len() + value.len();
    }
    page.extend(pairs.iter().flat_map(|(key, value)| key.iter().chain(value)));
    page.resize(pages * PAGE_BYTES, 0);
    page
}

/// The meta page of a transaction: its number decides which of the two.
fn meta(transaction: u64, pages: u64) -> Vec<u8> {
    let mut meta = Vec::new();
    for word in [MAGIC, VERSION, u32::try_from(PAGE_BYTES).unwrap_or(0), 0] {
        meta.extend(word.to_le_bytes());
    }
    // Root bucket's page and sequence, the freelist's page, the end, the transaction.
    for word in [3, 0, 2, pages, transaction] {
        meta.extend(word.to_le_bytes());
    }
    let checksum = fnv1a(&meta);
    let mut page = header(transaction % 2, META, 0, 0);
    page.extend(meta);
    page.extend(checksum.to_le_bytes());
    page.resize(PAGE_BYTES, 0);
    page
}

/// FNV-1a of 64 bits, as Go's `hash/fnv` has it.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_fnv_1a() {
        // From the hash's own test vectors.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_bucket_takes_as_many_pages_as_it_needs_and_the_end_is_known() {
        let big = (0..100_u8).map(|number| (vec![number], vec![0; 100])).collect();
        let all = database(vec![("key", big), ("alarm", Vec::new())]);
        // Three before the root, the root, `alarm` on one page, `key` on three.
        assert_eq!(all.len(), PAGE_BYTES * 8);
        let word = |at: usize| u64::from_le_bytes(all[at..at + 8].try_into().unwrap());
        assert_eq!(word(PAGE_HEADER_BYTES + 16 + 24), 8, "the meta page says how many pages there are");
        assert_eq!(all[PAGE_BYTES * 5 + 12], 2, "two pages of overflow");
    }
}
