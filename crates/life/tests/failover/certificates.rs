//! An authority that the watcher trusts, and what the nodes show.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// A certificate and its key, PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

pub struct Certificates {
    pub authority: String,
    pub good: Pair,
    /// For another name.
    pub foreign: Pair,
    pub expired: Pair,
}

impl Certificates {
    pub fn for_host(host: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pair = |name: &str, until_year: i32| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(until_year, 1, 1);
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            Pair { certificate: certificate.pem(), key: key.serialize_pem() }
        };
        Certificates {
            authority: issuer.pem(),
            good: pair(host, 2100),
            foreign: pair("somebody.else.test", 2100),
            expired: pair(host, 2021),
        }
    }
}
