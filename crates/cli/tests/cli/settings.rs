//! Variables that are missing or wrong: told by name, all at once, before anybody is called.

use crate::desk::{Desk, MISSION, ROSE, Said};

const HETZNER: (&str, &str) = ("HCLOUD_TOKEN", "t0ken");
const TAILSCALE: (&str, &str) = ("TAILSCALE_API_KEY", "k3y");

fn mission(name: &str) -> Desk {
    let desk = Desk::new(name);
    desk.write("bouquet.yaml", MISSION);
    desk
}

#[test]
fn in_an_empty_environment_everything_that_the_file_needs_is_named_at_once() {
    for verb in [&["check"][..], &["plan"], &["apply", "--yes"], &["destroy", "--yes"], &["status"]] {
        let said = mission("empty-environment").run(verb);
        assert_eq!((said.exit, said.out.as_str()), (Some(1), ""), "{said:?}");
        let expected = [
            ("HCLOUD_TOKEN is not set", "Read & Write", "docs/accounts.md#hetzner"),
            ("~/.oci/config: there is no such file", "OCI_CLI_CONFIG_FILE", "docs/accounts.md#oci"),
            ("TAILSCALE_OAUTH_CLIENT_SECRET", "auth_keys", "docs/accounts.md#tailscale"),
            ("CLOUDFLARE_API_TOKEN is not set", "DNS:Edit", "docs/accounts.md#cloudflare"),
            ("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "delete", "docs/accounts.md#s3"),
        ];
        for (what, scope, page) in expected {
            for words in [what, scope, page] {
                assert!(said.err.contains(words), "{verb:?} does not say {words:?}:\n{}", said.err);
            }
        }
        // Only what installs the watcher needs a token for it.
        let installs = matches!(verb, ["check" | "apply", ..]);
        let missing = if installs { 5 } else { 4 };
        assert_eq!(said.err.contains("BOUQUET_WATCHER_DNS_TOKEN is not set"), installs, "{}", said.err);
        let counted = format!("{missing} settings are missing or wrong; nobody was called");
        assert!(said.err.contains(&counted), "{}", said.err);
        assert!(said.err.lines().all(|line| line.chars().count() <= 80), "{}", said.err);
    }
}

#[test]
fn each_missing_variable_stands_beside_the_line_that_needs_it() {
    let said = mission("beside-the-line").run(&["-o", "json", "apply"]);
    let events = said.events();
    let faults = events[0]["faults"].as_array().expect("faults");
    let line_of = |words: &str| {
        let fault = faults.iter().find(|fault| fault["message"].as_str().is_some_and(|said| said.contains(words)));
        let line = fault.and_then(|fault| fault["place"]["line"].as_u64()).expect("a place");
        MISSION.lines().nth(usize::try_from(line - 1).expect("a line")).expect("a line of the file")
    };
    assert!(line_of("HCLOUD_TOKEN").contains("hetzner/"));
    assert!(line_of("oci/config").contains("oci/"));
    assert!(line_of("TAILSCALE_API_KEY").starts_with("mesh:"));
    assert!(line_of("CLOUDFLARE_API_TOKEN").starts_with("dns:"));
    assert_eq!(said.summary()["failed"], 0);
}

#[test]
fn the_env_file_beside_the_cluster_file_is_read() {
    let desk = Desk::new("env-file");
    desk.write("sub/bouquet.yaml", ROSE).write("sub/.env", "# mine\nexport HCLOUD_TOKEN='t0ken'\n");
    let said = desk.run(&["-f", "sub/bouquet.yaml", "plan"]);
    assert!(!said.err.contains("HCLOUD_TOKEN is not set"), "{}", said.err);
    assert!(said.err.contains("TAILSCALE_API_KEY"), "{}", said.err);
    assert!(said.err.contains("1 setting is missing or wrong"), "{}", said.err);
}

#[test]
fn half_a_pair_is_a_mistake_of_its_own() {
    let desk = Desk::new("half-a-pair");
    desk.write("bouquet.yaml", ROSE);
    let mut command = desk.bouquet(&["plan"]);
    let said = Said::of(command.envs([HETZNER]).env("TAILSCALE_OAUTH_CLIENT_ID", "id"));
    assert!(said.err.contains("error[BQ0206]: TAILSCALE_OAUTH_CLIENT_SECRET is not set"), "{}", said.err);
}

const TULIP: &str = "cluster: bouquet
nodes:
  tulip: { role: control-plane, on: oci/eu-frankfurt-1/VM.Standard.A1.Flex, cpus: 2, memory: 12GiB, disk: 50GiB }
";
const PROFILE: &str = "[DEFAULT]
user=ocid1.user.oc1..aaaa
fingerprint=12:34:56:78:90:ab:cd:ef:12:34:56:78:90:ab:cd:ef
tenancy=ocid1.tenancy.oc1..bbbb
region=eu-frankfurt-1
key_file=~/.oci/key.pem
";

fn with_oci(name: &str, config: &str, key: Option<&str>) -> Said {
    let desk = Desk::new(name);
    desk.write("bouquet.yaml", TULIP).write(".oci/config", config);
    if let Some(key) = key {
        desk.write(".oci/key.pem", key);
    }
    let said = Said::of(desk.bouquet(&["check"]).envs([TAILSCALE]));
    assert_eq!(said.exit, Some(1), "{said:?}");
    said
}

#[test]
fn an_oci_configuration_that_cannot_work_says_what_is_wrong_with_it() {
    let no_user = PROFILE.replace("user=", "usr=");
    let cases = [
        ("no-key", PROFILE, None, "~/.oci/key.pem: there is no such file"),
        ("no-pem", PROFILE, Some("hello"), "the OCI API key is"),
        (
            "public-key",
            PROFILE,
            Some("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
            "the OCI API key is",
        ),
        ("no-user", no_user.as_str(), None, "the OCI profile [DEFAULT] has no `user`"),
        ("no-profile", "[ashburn]\n", None, "no profile [DEFAULT]"),
        ("no-ini", "user: me\n", None, "line 1 of the OCI configuration is not `key=value`"),
    ];
    for (name, config, key, words) in cases {
        let said = with_oci(name, config, key);
        let joined = said.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(words), "{name}: {}", said.err);
        assert!(said.err.contains("error[BQ0206]"), "{name}: {}", said.err);
        assert!(said.err.contains("docs/accounts.md#oci"), "{name}: {}", said.err);
    }
}

#[test]
fn an_address_that_is_none_is_named_by_its_variable_and_never_repeated() {
    let wrong = [
        ("HCLOUD_ENDPOINT", "not an address"),
        ("TAILSCALE_BASE_URL", "ftp://pass:word@example.com"),
        ("BOUQUET_FACTORY_URL", "ftp://pass:word@example.com"),
        ("BOUQUET_MESH_PROXY", "pass:word@example.com"),
    ];
    for (name, value) in wrong {
        let desk = Desk::new(&format!("wrong-{name}"));
        desk.write("bouquet.yaml", ROSE);
        let said = Said::of(desk.bouquet(&["plan"]).envs([HETZNER, TAILSCALE]).env(name, value));
        assert_eq!(said.exit, Some(1), "{said:?}");
        assert!(said.err.contains(name), "{said:?}");
        assert!(!said.err.contains(value) && !said.err.contains("pass:word"), "{said:?}");
    }
}

#[test]
fn a_credential_that_is_no_header_is_not_repeated() {
    let desk = Desk::new("no-header");
    desk.write("bouquet.yaml", ROSE);
    let said = Said::of(desk.bouquet(&["plan"]).envs([TAILSCALE]).env("HCLOUD_TOKEN", "s3cr3t\nline"));
    assert_eq!(said.exit, Some(1), "{said:?}");
    assert!(said.err.contains("HCLOUD_TOKEN") && !said.err.contains("s3cr3t"), "{said:?}");
}

#[test]
fn a_bundle_that_cannot_be_opened_is_told_to_programs_too() {
    let desk = Desk::new("bundle");
    desk.write("bouquet.yaml", ROSE).write("bouquet.secrets.age", "no bundle");
    let key = talos::AgeIdentity::generate().key_file();
    let keys = [("", "BQ0304"), ("no key", "BQ0305"), (key.expose(), "BQ0303")];
    for (key, code) in keys {
        for verb in [&["check"][..], &["plan"], &["apply", "--yes"], &["destroy", "--yes"], &["status"]] {
            let args = [&["-o", "json"], verb].concat();
            let mut command = desk.bouquet(&args);
            let said = Said::of(command.envs([HETZNER, TAILSCALE, desk.trust(), ("SOPS_AGE_KEY", key)]));
            assert_eq!((said.exit, &said.events()[0]["code"]), (Some(1), &code.into()), "{said:?}");
            said.summary();
        }
    }
}
