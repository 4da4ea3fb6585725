use super::ConfigError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use sha2::{Digest, Sha256};
use wire::Secret;

/// Signs requests as Oracle's SDKs do: draft-cavage-http-signatures, `rsa-sha256`.
///
/// Source: the vendor's Python SDK, `oci/signer.py` 2.189.0, and its requests as captured.
pub(super) struct Signer {
    key: RsaKeyPair,
    /// `tenancy/user/fingerprint`.
    key_id: String,
}

/// What the signature covers besides date, target and host.
pub(super) enum Covers<'a> {
    /// Nothing more: GET, HEAD, DELETE, and the bytes of objects and their parts, which Oracle exempts.
    Head,
    /// The body, its length and its type: POST and PUT everywhere else.
    Body(&'a [u8]),
}

const X_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-content-sha256");

impl Signer {
    /// `key_pem`: PKCS#8 or PKCS#1, unencrypted, 2048 to 4096 bits. Text after the key, such as the `OCI_API_KEY` line
    /// that the console appends, is passed over.
    pub(super) fn new(key_id: String, key_pem: &Secret) -> Result<Self, ConfigError> {
        Ok(Signer { key: key_pair(key_pem.expose())?, key_id })
    }

    /// The headers to send with a request at `now`. `path_and_query` must be exactly what the request line will say,
    /// and `host` what the `Host` header will.
    pub(super) fn headers(
        &self,
        method: &Method,
        path_and_query: &str,
        host: &str,
        covers: &Covers<'_>,
        now: Timestamp,
    ) -> Option<HeaderMap> {
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()?;
        let target = format!("{} {path_and_query}", method.as_str().to_ascii_lowercase());
        let mut lines = vec![("date", date.clone()), ("(request-target)", target), ("host", host.to_owned())];
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, HeaderValue::from_str(&date).ok()?);
        headers.insert(header::HOST, HeaderValue::from_str(host).ok()?);
        if let Covers::Body(body) = covers {
            let hash = BASE64.encode(Sha256::digest(body));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(X_CONTENT_SHA256, HeaderValue::from_str(&hash).ok()?);
            lines.push(("content-length", body.len().to_string()));
            lines.push(("content-type", "application/json".to_owned()));
            lines.push(("x-content-sha256", hash));
        }
        let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
        let text: Vec<String> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let authorization = format!(
            "Signature algorithm=\"rsa-sha256\",headers=\"{}\",keyId=\"{}\",signature=\"{}\",version=\"1\"",
            names.join(" "),
            self.key_id,
            self.sign(text.join("\n").as_bytes())?,
        );
        let mut authorization = HeaderValue::from_str(&authorization).ok()?;
        authorization.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, authorization);
        Some(headers)
    }

    fn sign(&self, text: &[u8]) -> Option<String> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        // PKCS#1 v1.5 signatures are the same every time: ring draws from the system only to blind its arithmetic.
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).ok()?;
        Some(BASE64.encode(signature))
    }
}

fn key_pair(text: &str) -> Result<RsaKeyPair, ConfigError> {
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(ConfigError::Encrypted);
    }
    let block = pem::parse(text).map_err(|_| ConfigError::NotAKey("no PEM file".to_owned()))?;
    let pair = match block.tag() {
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8(block.contents()),
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(block.contents()),
        "ENCRYPTED PRIVATE KEY" => return Err(ConfigError::Encrypted),
        other => return Err(ConfigError::NotAKey(format!("a {}", other.to_ascii_lowercase()))),
    };
    pair.map_err(|error| ConfigError::BadKey(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    const KEY_ID: &str = "ocid1.tenancy.oc1..bbbb/ocid1.user.oc1..aaaa/12:34:56:78:90:ab:cd:ef:12:34:56:78:90:ab:cd:ef";
    const HOST: &str = "iaas.eu-frankfurt-1.oraclecloud.com";
    const PKCS8: &str = include_str!("../../tests/oci_keys/pkcs8.pem");
    const PKCS1: &str = include_str!("../../tests/oci_keys/pkcs1.pem");

    fn signer(pem: &str) -> Result<Signer, ConfigError> {
        Signer::new(KEY_ID.to_owned(), &Secret::new(pem))
    }

    fn headers(method: &Method, path: &str, covers: &Covers<'_>) -> HeaderMap {
        let now = "2026-11-23T09:00:00Z".parse().unwrap();
        signer(PKCS8).unwrap().headers(method, path, HOST, covers, now).unwrap()
    }

    fn signature(headers: &HeaderMap) -> &str {
        let text = headers[header::AUTHORIZATION].to_str().unwrap();
        text.split("signature=\"").nth(1).unwrap().split('"').next().unwrap()
    }

    #[test]
    fn signatures_are_those_of_the_vendors_own_sdk() {
        let list = "/20160918/instances?compartmentId=ocid1.tenancy.oc1..bbbb&limit=1000";
        let ours = [
            headers(&Method::GET, list, &Covers::Head),
            headers(&Method::POST, "/20160918/vcns", &Covers::Body(b"{\"a\":1}")),
            headers(&Method::POST, "/20160918/instances/x?action=STOP", &Covers::Body(b"")),
        ];
        let theirs: Vec<&str> = include_str!("../../tests/oci_keys/signatures.txt").lines().collect();
        assert_eq!(ours.iter().map(signature).collect::<Vec<_>>(), theirs);
    }

    #[test]
    fn the_public_key_verifies_what_was_signed() {
        let headers = headers(&Method::PUT, "/n/ns/b/bucket/o/dir%2Fx", &Covers::Head);
        let text = format!(
            "date: {}\n(request-target): put /n/ns/b/bucket/o/dir%2Fx\nhost: {HOST}",
            headers[header::DATE].to_str().unwrap()
        );
        assert!(headers.get(X_CONTENT_SHA256).is_none(), "object bytes are not signed");
        let key = key_pair(PKCS8).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
        let signed = BASE64.decode(signature(&headers)).unwrap();
        assert!(public.verify(text.as_bytes(), &signed).is_ok());
        assert!(public.verify(text.replace("put", "get").as_bytes(), &signed).is_err());
    }

    #[test]
    fn both_pem_forms_of_a_key_are_the_same_key() {
        let public = |pem: &str| key_pair(pem).unwrap().public_key().as_ref().to_vec();
        assert_eq!(public(PKCS8), public(PKCS1));
        assert_eq!(public(PKCS8), public(&format!("{PKCS8}OCI_API_KEY")));
    }

    #[test]
    fn what_is_no_usable_key_is_said_without_showing_it() {
        let encrypted = include_str!("../../tests/oci_keys/enc.pem");
        let public = include_str!("../../tests/oci_keys/public.pem");
        let error = |pem: &str| signer(pem).err().unwrap();
        assert_eq!(error(encrypted), ConfigError::Encrypted);
        assert_eq!(error(public), ConfigError::NotAKey("a public key".into()));
        assert_eq!(error(""), ConfigError::NotAKey("no PEM file".into()));
        let cut = PKCS8.lines().enumerate().filter(|(at, _)| *at != 5).map(|(_, line)| format!("{line}\n"));
        assert!(matches!(error(&cut.collect::<String>()), ConfigError::BadKey(_)));
    }
}
