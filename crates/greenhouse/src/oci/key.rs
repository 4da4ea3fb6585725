//! The API signing key of the tenancy's user: what `openssl genrsa 2048` would have made.
//!
//! Every world has the same key. Finding two 1024-bit primes takes some tenths of a second, which a thousand worlds
//! would pay a thousand times, and nothing in a world hangs on which key it is. It protects nothing either.

use md5::{Digest, Md5};
use num_bigint::BigUint;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use std::sync::OnceLock;
use wire::Rng;

const PRIME_BYTES: usize = 128;
const EXPONENT: u32 = 65_537;
/// Rounds of Miller–Rabin. For random 1024-bit candidates 5 leave an error below 2⁻¹⁰⁰ (FIPS 186-5, table B.1).
const ROUNDS: u32 = 5;
/// Candidates are divided by all primes below this first: nine in ten fall there.
const SIEVE_BELOW: u32 = 2_000;
/// `rsaEncryption`, 1.2.840.113549.1.1.1, with its NULL parameter.
const ALGORITHM: &[u8] = &[0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

/// A user's key pair, with what the tenancy has registered of it.
pub(super) struct UserKey {
    /// PKCS#8, PEM.
    pub pem: String,
    /// MD5 of the DER public key, hexadecimal pairs with colons.
    pub fingerprint: String,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl UserKey {
    /// The key, made when first asked for.
    pub(super) fn get() -> &'static UserKey {
        static KEY: OnceLock<UserKey> = OnceLock::new();
        KEY.get_or_init(|| UserKey::generate(&mut Rng::seeded(0).child("oci user key")))
    }

    fn generate(rng: &mut Rng) -> Self {
        let one = BigUint::from(1u8);
        let exponent = BigUint::from(EXPONENT);
        loop {
            let (first, second) = (prime(rng), prime(rng));
            let (high, low) = if first > second { (first, second) } else { (second, first) };
            let (below_high, below_low) = (&high - &one, &low - &one);
            let private = exponent.modinv(&(&below_high * &below_low));
            let (Some(private), Some(coefficient)) = (private, low.modinv(&high)) else { continue };
            let modulus = &high * &low;
            let exponents = [&private % &below_high, &private % &below_low];
            let public = sequence(&[integer(&modulus), integer(&exponent)].concat());
            // RSAPrivateKey, RFC 8017 A.1.2: version, n, e, d, p, q, d mod p-1, d mod q-1, q⁻¹ mod p.
            let [first, second] = exponents;
            let version = BigUint::from(0u8);
            let numbers = [version, modulus.clone(), exponent.clone(), private, high, low, first, second, coefficient];
            let document = document(&sequence(&numbers.map(|number| integer(&number)).concat()));
            return UserKey {
                pem: pem::encode(&pem::Pem::new("PRIVATE KEY", document)),
                fingerprint: fingerprint(&public),
                modulus: modulus.to_bytes_be(),
                exponent: exponent.to_bytes_be(),
            };
        }
    }

    /// Whether `signature` is this key's over `text`, RSASSA-PKCS1-v1_5 with SHA-256.
    pub(super) fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let public = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        public.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature).is_ok()
    }
}

/// PKCS#8 around an RSAPrivateKey.
fn document(private: &[u8]) -> Vec<u8> {
    sequence(&[&integer(&BigUint::from(0u8)), ALGORITHM, &tlv(4, private)].concat())
}

/// Of an RSAPublicKey, as part of its SubjectPublicKeyInfo.
fn fingerprint(public: &[u8]) -> String {
    let bits = tlv(3, &[&[0], public].concat());
    Md5::digest(sequence(&[ALGORITHM, &bits].concat())).map(|byte| format!("{byte:02x}")).join(":")
}

/// A prime whose two top bits are set, so that the product of two has exactly 2048 bits.
fn prime(rng: &mut Rng) -> BigUint {
    let small: Vec<u32> =
        (3..SIEVE_BELOW).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).collect();
    let zero = BigUint::from(0u8);
    loop {
        let mut candidate = BigUint::from_bytes_be(&rng.bytes::<PRIME_BYTES>());
        let top = candidate.bits().max(8 * PRIME_BYTES as u64) - 1;
        for bit in [0, top - 1, top] {
            candidate.set_bit(bit, true);
        }
        if small.iter().all(|prime| &candidate % *prime != zero) && is_prime(&candidate, rng) {
            return candidate;
        }
    }
}

/// Miller–Rabin.
fn is_prime(n: &BigUint, rng: &mut Rng) -> bool {
    let one = BigUint::from(1u8);
    let last = n - &one;
    let twos = last.trailing_zeros().unwrap_or(0);
    let odd = &last >> twos;
    (0..ROUNDS).all(|_| {
        let base = BigUint::from_bytes_be(&rng.bytes::<64>()) + 2u8;
        let mut x = base.modpow(&odd, n);
        if x == one || x == last {
            return true;
        }
        (1..twos).any(|_| {
            x = &x * &x % n;
            x == last
        })
    })
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut out = vec![tag];
    match length.as_slice() {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(0));
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}

fn sequence(content: &[u8]) -> Vec<u8> {
    tlv(0x30, content)
}

fn integer(number: &BigUint) -> Vec<u8> {
    let mut bytes = number.to_bytes_be();
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    tlv(2, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};

    #[test]
    fn the_key_is_one_that_ring_takes_and_whose_signatures_verify() {
        let key = UserKey::get();
        let pair = RsaKeyPair::from_pkcs8(pem::parse(&key.pem).unwrap().contents()).unwrap();
        assert_eq!(pair.public().modulus_len(), 256);
        assert_eq!(pair.public_key().as_ref().len(), 270);
        let mut signature = vec![0; 256];
        pair.sign(&RSA_PKCS1_SHA256, &ring::rand::SystemRandom::new(), b"text", &mut signature).unwrap();
        assert!(key.verify(b"text", &signature));
        assert!(!key.verify(b"texT", &signature));
        assert_eq!(key.fingerprint.split(':').count(), 16);
    }
}
