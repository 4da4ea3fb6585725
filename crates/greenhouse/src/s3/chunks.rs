//! Bodies of the encoding `aws-chunked`: chunks with or without signatures, then trailers.

use super::refusal::Refusal;
use super::signature::Chain;
use bytes::Bytes;

/// A body put together, and what its trailer says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    pub bytes: Bytes,
    /// Names in lower case.
    pub trailers: Vec<(String, String)>,
}

/// Puts the chunks together; with a chain, each must be signed.
pub(super) fn decode(body: &[u8], mut chain: Option<Chain>) -> Result<Whole, Refusal> {
    let incomplete = || Refusal::of("IncompleteBody");
    let forged = || Refusal::of("SignatureDoesNotMatch");
    let mut bytes = Vec::new();
    let mut rest = body;
    loop {
        let (head, after) = line(rest).ok_or_else(incomplete)?;
        let (size, extension) = head.split_once(';').unwrap_or((head, ""));
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| incomplete())?;
        let chunk = after.get(..size).ok_or_else(incomplete)?;
        if let Some(chain) = &mut chain {
            let signature = extension.trim().strip_prefix("chunk-signature=").ok_or_else(forged)?;
            if !chain.follows("PAYLOAD", &[b"", chunk], signature) {
                return Err(forged());
            }
        }
        rest = after.get(size..).unwrap_or_default();
        if size == 0 {
            break;
        }
        rest = rest.strip_prefix(b"\r\n").ok_or_else(incomplete)?;
        bytes.extend_from_slice(chunk);
    }
    let trailers = trailers(rest, chain.as_mut())?;
    Ok(Whole { bytes: bytes.into(), trailers })
}

fn trailers(mut rest: &[u8], chain: Option<&mut Chain>) -> Result<Vec<(String, String)>, Refusal> {
    let (mut found, mut signature) = (Vec::new(), None);
    while let Some((head, after)) = line(rest).filter(|(head, _)| !head.is_empty()) {
        let (name, value) = head.split_once(':').ok_or_else(|| Refusal::of("IncompleteBody"))?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        if name == "x-amz-trailer-signature" {
            signature = Some(value);
        } else {
            found.push((name, value));
        }
        rest = after;
    }
    if let (Some(chain), false) = (chain, found.is_empty()) {
        let covered: String = found.iter().flat_map(|(name, value)| [name, ":", value, "\n"]).collect();
        if !signature.is_some_and(|signature| chain.follows("TRAILER", &[covered.as_bytes()], &signature)) {
            return Err(Refusal::of("SignatureDoesNotMatch"));
        }
    }
    Ok(found)
}

/// A line without its end, and what follows it.
fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((std::str::from_utf8(bytes.get(..end)?).ok()?, bytes.get(end + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together_and_their_trailer_is_read() {
        let body = b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Amz-Checksum-Crc32:DUoRhQ==\r\n\r\n";
        let whole = decode(body, None).unwrap();
        assert_eq!(whole.bytes, "hello world");
        assert_eq!(whole.trailers, [("x-amz-checksum-crc32".to_owned(), "DUoRhQ==".to_owned())]);
        assert_eq!(decode(b"0\r\n\r\n", None).unwrap(), Whole::default());
    }

    #[test]
    fn a_body_that_ends_early_is_incomplete() {
        for broken in ["", "5\r\nhell", "5\r\nhello", "5\r\nhello\r\n", "x\r\n", "ffffffffffffffff\r\n"] {
            assert_eq!(decode(broken.as_bytes(), None).unwrap_err().code, "IncompleteBody", "{broken}");
        }
    }
}
