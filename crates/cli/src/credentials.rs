//! What the file needs of the environment, all of it at once and before anybody is called.

use crate::args::{Args, Verb};
use crate::context::{Loaded, counted};
use crate::failure::{Failure, Marked};
use crate::render::{self, Ink};
use crate::settings::Environment;
use clouds::cloudflare::Cloudflare;
use clouds::rfc2136::Rfc2136;
use clouds::tailscale::Tailnet;
use clouds::{CLOUDS, Settings, Why};
use spec::{DnsProvider, Fault, Place, Severity};
use wire::MeshProxy;

/// What a vendor wants, by the name that the cluster file has for it.
const WANTED: &[(&str, &str)] = &[
    ("hetzner", "HCLOUD_TOKEN is an API token of the Hetzner project, Read & Write: docs/accounts.md#hetzner"),
    (
        "oci",
        "OCI_CLI_CONFIG_FILE names what `oci setup config` writes; its user may manage all-resources in the compartment: \
         docs/accounts.md#oci",
    ),
    (
        "tailscale",
        "make an OAuth client with the scopes devices:core, auth_keys and policy_file:read: docs/accounts.md#tailscale",
    ),
    (
        "cloudflare",
        "CLOUDFLARE_API_TOKEN is an API token with Zone:Read and DNS:Edit on the domain's zone: \
         docs/accounts.md#cloudflare",
    ),
    (
        "watcher",
        "make a second API token with Zone:Read and DNS:Edit on the domain's zone alone; the watcher keeps it in the \
         cluster, where yours must never be: docs/accounts.md#the-watchers-token",
    ),
    ("rfc2136", "`key` of `dns` is the path of a TSIG key file, as `tsig-keygen` writes it: docs/accounts.md#rfc2136"),
    (
        "s3",
        "backups need an access key that may list, read, write and delete the bucket's objects: docs/accounts.md#s3",
    ),
];

/// How addresses are written.
const ADDRESS: &str = "write it as https://host[:port]";

/// Fails with everything that is missing or wrong, each beside the line of the file that needs it.
pub fn look(args: &Args, loaded: &Loaded, environment: &Environment) -> Result<(), Failure> {
    let mut faults = clouds(loaded, environment);
    faults.extend(tailnet(loaded, environment));
    faults.extend(dns(loaded, environment));
    faults.extend(watcher(args, loaded, environment));
    faults.extend(others(environment));
    let errors = faults.len();
    faults.extend(backup(loaded, environment));
    let marked = Marked { path: loaded.path.clone(), text: loaded.text.clone(), faults };
    if errors > 0 {
        let verb = if errors == 1 { "is" } else { "are" };
        let message = format!("{} {verb} missing or wrong; nobody was called", counted(errors, "setting"));
        return Err(Failure::marked(marked, message).help("set each in the environment, or in `.env` beside the file"));
    }
    if matches!(args.verb, Verb::Check) {
        render::faults(Ink::talk(args), &marked);
    }
    Ok(())
}

fn clouds(loaded: &Loaded, environment: &Environment) -> Vec<Fault> {
    let named = CLOUDS.iter().filter_map(|cloud| Some((cloud, place_of(loaded, cloud.name)?)));
    named
        .filter_map(|(cloud, place)| fault(loaded, environment, cloud.name, &place, (cloud.open)(environment)))
        .collect()
}

/// The path of the first place at a cloud: `nodes.rose.on[0]`.
fn place_of(loaded: &Loaded, cloud: &str) -> Option<String> {
    loaded.cluster.nodes.iter().find_map(|(name, node)| {
        let is_there = |place: &Place| matches!(place, Place::Cloud(place) if place.cloud == cloud);
        Some(format!("nodes.{name}.on[{}]", node.places.iter().position(is_there)?))
    })
}

fn tailnet(loaded: &Loaded, environment: &Environment) -> Option<Fault> {
    fault(loaded, environment, "tailscale", "mesh", Tailnet::from_settings(environment))
}

fn dns(loaded: &Loaded, environment: &Environment) -> Option<Fault> {
    match &loaded.cluster.dns.as_ref()?.provider {
        DnsProvider::Cloudflare => {
            fault(loaded, environment, "cloudflare", "dns", Cloudflare::from_settings(environment))
        }
        DnsProvider::Rfc2136(at) => {
            let error = Rfc2136::from_settings(environment, &at.server, at.key.as_deref()).err()?;
            let span = loaded.reading.span("dns");
            let message = format!("`dns`: {}", error.message);
            Some(Fault { code: error.why.code(), severity: Severity::Error, message, span, help: wanted("rfc2136") })
        }
    }
}

/// The watcher's own token, which what applies needs and what only looks does not.
fn watcher(args: &Args, loaded: &Loaded, environment: &Environment) -> Option<Fault> {
    let installs = matches!(args.verb, Verb::Check | Verb::Apply { .. });
    let token = environment.variable(addons::TOKEN_VARIABLE).map(addons::Credential::Token);
    let lacks = addons::lacks_credential(&loaded.cluster, token.as_ref());
    (installs && lacks).then(|| Fault {
        code: "BQ0421",
        severity: Severity::Error,
        message: format!("{} is not set: the watcher needs a DNS token of its own", addons::TOKEN_VARIABLE),
        span: loaded.reading.span("dns"),
        help: wanted("watcher"),
    })
}

/// Variables that no line of the file asks for.
fn others(environment: &Environment) -> Vec<Fault> {
    let settings: &dyn Settings = environment;
    let url = settings.endpoint("BOUQUET_FACTORY_URL", talos::FACTORY_URL);
    let factory = url.ok().and_then(|url| talos::Factory::new(&url)).is_none().then(|| Fault {
        code: "BQ0601",
        severity: Severity::Error,
        message: "BOUQUET_FACTORY_URL is no http or https address".to_owned(),
        span: None,
        help: Some(ADDRESS.to_owned()),
    });
    let proxy = mesh_proxy(environment).err().map(|failure| Fault {
        code: "BQ0601",
        severity: Severity::Error,
        message: failure.message,
        span: None,
        help: failure.help,
    });
    factory.into_iter().chain(proxy).collect()
}

/// The way into the mesh, if one is named.
pub fn mesh_proxy(environment: &Environment) -> Result<Option<MeshProxy>, Failure> {
    // The value may hold a password, so it is not repeated.
    let wrong = |_| {
        Failure::new("BQ0601", "BOUQUET_MESH_PROXY is no proxy's address")
            .help("write it as socks5h://host:port or http://host:port")
    };
    environment.variable("BOUQUET_MESH_PROXY").map(|text| text.expose().parse().map_err(wrong)).transpose()
}

/// Backups come after the cluster, so what they need is no reason not to begin.
fn backup(loaded: &Loaded, environment: &Environment) -> Option<Fault> {
    loaded.cluster.backup.as_ref()?;
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let missing: Vec<&str> = names.into_iter().filter(|name| environment.variable(name).is_none()).collect();
    (!missing.is_empty()).then(|| Fault {
        code: "BQ0206",
        severity: Severity::Warning,
        message: format!("{} {} not set", missing.join(" and "), if missing.len() == 1 { "is" } else { "are" }),
        span: loaded.reading.span("backup"),
        help: wanted("s3"),
    })
}

fn fault<T>(
    loaded: &Loaded,
    environment: &Environment,
    vendor: &str,
    path: &str,
    opened: Result<T, clouds::Error>,
) -> Option<Fault> {
    let error = opened.err()?;
    let (code, help) = match error.why {
        Why::Unauthenticated => (error.why.code(), wanted(vendor)),
        _ => ("BQ0601", Some(ADDRESS.to_owned())),
    };
    let span = loaded.reading.span(path);
    Some(Fault { code, severity: Severity::Error, message: words(environment, &error), span, help })
}

fn wanted(vendor: &str) -> Option<String> {
    let known = WANTED.iter().find(|(name, _)| *name == vendor);
    known.map(|(_, wanted)| (*wanted).to_owned())
}

/// One sentence about a variable. The clients say `it is …` of the variable that their error names.
fn words(environment: &Environment, error: &clouds::Error) -> String {
    let (name, message) = (error.call, error.message.as_str());
    if error.why == Why::Invalid {
        // The clients repeat the address, and people keep passwords in addresses.
        return format!("{name} is no http or https address");
    }
    if let Some(rest) = message.strip_prefix("it ") {
        return format!("{name} {rest}");
    }
    if let Some(rest) = message.strip_prefix("neither it ") {
        return format!("neither {name} {rest}");
    }
    // A default that does not work is not the fault of a variable that nobody has set.
    if environment.variable(name).is_some() { format!("{name}: {message}") } else { message.to_owned() }
}
