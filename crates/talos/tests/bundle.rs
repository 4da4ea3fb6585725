//! The secrets bundle and what is issued from it.
#![allow(clippy::unwrap_used, reason = "a program of tests, helpers included")]

mod example;

use example::{bundle, now};
use std::time::Duration;
use talos::{
    AgeIdentity, Bundle, BundleError, PkiError, Role, kubeconfig, kubernetes_admin, recipients_of, talos_client,
    talosconfig,
};
use wire::{Rng, Secret};

const YEAR: Duration = Duration::from_hours(8760);

fn der(pem_text: &str) -> Vec<u8> {
    pem::parse(pem_text).unwrap().into_contents()
}

#[test]
fn the_same_seed_and_time_give_the_same_bytes() {
    let text = bundle().to_talsecret_yaml();
    assert_eq!(text.expose(), bundle().to_talsecret_yaml().expose());
    let other = Bundle::generate(&mut Rng::seeded(8), now()).unwrap();
    assert_ne!(text.expose(), other.to_talsecret_yaml().expose());
}

#[test]
fn labels_are_the_ones_talos_insists_on() {
    let bundle = bundle();
    let label = |pem_text: &str| pem::parse(pem_text).unwrap().tag().to_owned();
    assert_eq!(label(bundle.os.key.expose()), "ED25519 PRIVATE KEY");
    for key in [&bundle.k8s.key, &bundle.etcd.key, &bundle.aggregator.key, &bundle.service_account] {
        assert_eq!(label(key.expose()), "EC PRIVATE KEY");
    }
}

#[test]
fn authorities_are_ten_years_old_at_their_end_and_named_as_talos_names_them() {
    let bundle = bundle();
    for (authority, subject) in
        [(&bundle.os, "O=talos"), (&bundle.k8s, "O=kubernetes"), (&bundle.etcd, "O=etcd"), (&bundle.aggregator, "")]
    {
        let der = authority.der().unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(certificate.subject().to_string(), subject);
        assert_eq!(certificate.issuer().to_string(), subject);
        let validity = certificate.validity();
        assert_eq!(validity.not_before.timestamp(), now().as_second());
        assert_eq!(validity.not_after.timestamp() - validity.not_before.timestamp(), 87_600 * 3600);
        assert!(certificate.is_ca());
        let usage = certificate.key_usage().unwrap().unwrap().value;
        assert!(usage.key_cert_sign() && usage.digital_signature() && !usage.crl_sign());
        let extended = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.server_auth && extended.client_auth);
        assert_eq!(certificate.raw_serial().len(), 16);
        let key_id = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.len()),
            _ => None,
        });
        assert_eq!(key_id, Some(20));
    }
}

#[test]
fn export_and_import_are_inverse() {
    let text = bundle().to_talsecret_yaml();
    assert!(!text.expose().contains("bouquet"), "what is ours stays out of the export");
    let read = Bundle::from_talsecret_yaml(text.expose()).unwrap();
    assert_eq!(read.to_talsecret_yaml().expose(), text.expose());
    assert_eq!(read.repository_password.expose(), "");
}

#[test]
fn unknown_keys_and_tokens_that_look_like_numbers_are_read() {
    let text = bundle().to_talsecret_yaml().expose().to_owned();
    let token = bundle().bootstrap_token.expose().to_owned();
    let changed = text.replace(&token, "123456.1234567890123456") + "later: { thing: 1 }\n";
    let read = Bundle::from_talsecret_yaml(&changed).unwrap();
    assert_eq!(read.bootstrap_token.expose(), "123456.1234567890123456");
    let again = Bundle::from_talsecret_yaml(read.to_talsecret_yaml().expose()).unwrap();
    assert_eq!(again.bootstrap_token.expose(), "123456.1234567890123456");
}

#[test]
fn a_wrong_field_is_named_and_never_quoted() {
    let text = bundle().to_talsecret_yaml().expose().to_owned();
    let mixed = {
        let other = Bundle::generate(&mut Rng::seeded(9), now()).unwrap();
        let mut bundle = bundle();
        bundle.k8s.key = other.k8s.key;
        bundle.to_talsecret_yaml().expose().to_owned()
    };
    let wrong = |field, reason| BundleError::Wrong { field, reason };
    for (text, wanted) in [
        (text.replace("trustdinfo", "other"), BundleError::Missing("trustdinfo")),
        (text.replace(bundle().cluster_id.expose(), "''"), BundleError::Missing("cluster.id")),
        (text.replace(bundle().cluster_secret.expose(), "c2hvcnQ="), wrong("cluster.secret", "not 32 bytes in base64")),
        (
            text.replace(bundle().trustd_token.expose(), "HUNTER.2"),
            wrong("trustdinfo.token", "not a token of the form xxxxxx.xxxxxxxxxxxxxxxx"),
        ),
        (mixed, BundleError::Pki { field: "certs.k8s", error: PkiError::Mismatch }),
    ] {
        let error = Bundle::from_talsecret_yaml(&text).unwrap_err();
        assert_eq!(error, wanted);
        assert!(!error.to_string().contains("HUNTER"));
    }
}

#[test]
fn any_recipient_opens_what_was_sealed_for_several() {
    let [alice, bob, eve] = [(); 3].map(|()| AgeIdentity::generate());
    let sealed = bundle().seal(&[alice.recipient.clone(), bob.recipient.clone()]).unwrap();
    assert!(sealed.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    for identity in [alice.key_file(), bob.key_file()] {
        let opened = Bundle::open(&sealed, &identity).unwrap();
        assert_eq!(opened.to_talsecret_yaml().expose(), bundle().to_talsecret_yaml().expose());
        assert_eq!(opened.repository_password.expose(), bundle().repository_password.expose());
    }
    assert_eq!(Bundle::open(&sealed, &eve.identity).unwrap_err(), BundleError::NoMatchingIdentity);
    assert_eq!(recipients_of(&alice.key_file()).unwrap(), [alice.recipient]);
}

#[test]
fn what_is_no_age_file_or_key_is_said() {
    let identity = AgeIdentity::generate();
    let sealed = bundle().seal(std::slice::from_ref(&identity.recipient)).unwrap();
    let cut: String = sealed.split_inclusive('\n').take(6).collect();
    for text in ["", "cluster: {}", cut.as_str()] {
        assert!(matches!(Bundle::open(text, &identity.identity), Err(BundleError::NotAge(_))), "{text}");
    }
    assert_eq!(Bundle::open(&sealed, &Secret::new("# nothing\n")).unwrap_err(), BundleError::BadIdentity);
    assert_eq!(bundle().seal(&["age1x".into()]).unwrap_err(), BundleError::BadRecipient("age1x".into()));
    assert_eq!(bundle().seal(&[]).unwrap_err(), BundleError::NoRecipient);
}

#[test]
fn nothing_of_a_bundle_can_be_printed() {
    let bundle = bundle();
    let shown = format!("{bundle:?} {:?}", talos_client(&bundle, Role::Admin, now(), YEAR, &mut Rng::seeded(1)));
    assert!(!shown.contains("PRIVATE KEY") && !shown.contains(bundle.bootstrap_token.expose()), "{shown}");
}

#[test]
fn a_talos_client_is_what_apid_accepts() {
    let bundle = bundle();
    let issued = talos_client(&bundle, Role::Reader, now(), YEAR, &mut Rng::seeded(1)).unwrap();
    let leaf = der(&issued.crt);
    let (_, certificate) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    assert_eq!(certificate.subject().to_string(), "O=os:reader");
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && !extended.server_auth && !extended.any && extended.other.is_empty());
    let authority = bundle.os.der().unwrap();
    let (_, signer) = x509_parser::parse_x509_certificate(&authority).unwrap();
    assert_eq!(certificate.issuer().as_raw(), signer.subject().as_raw());
    assert!(certificate.verify_signature(Some(signer.public_key())).is_ok());
    assert_eq!(issued.identity.chain(), std::slice::from_ref(&leaf));
    assert!(certificate.validity().not_before.timestamp() < now().as_second());
}

#[test]
fn a_kubernetes_admin_is_in_the_masters_group() {
    let bundle = bundle();
    let issued = kubernetes_admin(&bundle, now(), YEAR, &mut Rng::seeded(1)).unwrap();
    let leaf = der(&issued.crt);
    let (_, certificate) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    assert_eq!(certificate.subject().to_string(), "O=system:masters, CN=admin");
    let authority = bundle.k8s.der().unwrap();
    let (_, signer) = x509_parser::parse_x509_certificate(&authority).unwrap();
    assert!(certificate.verify_signature(Some(signer.public_key())).is_ok());
}

#[test]
fn dates_that_no_certificate_can_hold_are_refused() {
    let ages = Duration::from_secs(u64::MAX);
    assert_eq!(talos_client(&bundle(), Role::Admin, now(), ages, &mut Rng::seeded(1)).unwrap_err(), PkiError::Dates);
}

#[test]
fn client_files_have_what_their_tools_look_for() {
    let bundle = bundle();
    let mut rng = Rng::seeded(1);
    let talos = talos_client(&bundle, Role::Admin, now(), YEAR, &mut rng).unwrap();
    let file = talosconfig("bouquet", &bundle, &talos, &["100.64.0.1".into()], &["100.64.0.1".into()]);
    let value: serde_json::Value = serde_saphyr::from_str(file.expose()).unwrap();
    assert_eq!(value["context"], "bouquet");
    assert_eq!(value["contexts"]["bouquet"]["endpoints"][0], "100.64.0.1");

    let admin = kubernetes_admin(&bundle, now(), YEAR, &mut rng).unwrap();
    let server = "https://api.bouquet.example.com:6443";
    let file = kubeconfig("bouquet", &bundle, &admin, server, Some("socks5://127.0.0.1:1080"));
    let value: serde_json::Value = serde_saphyr::from_str(file.expose()).unwrap();
    assert_eq!(value["clusters"][0]["cluster"]["server"], server);
    assert_eq!(value["clusters"][0]["cluster"]["proxy-url"], "socks5://127.0.0.1:1080");
    assert_eq!(value["current-context"], "admin@bouquet");
}
