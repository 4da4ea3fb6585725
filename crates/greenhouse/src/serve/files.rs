//! What a client of a served world needs, as files: variables, trust, the OCI configuration.

use super::tls::Authority;
use super::{Address, ServeError};
use crate::net::OPERATOR;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// Trust stores that systems keep; the first that is there is added to ours.
const SYSTEM_ROOTS: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// What listens beside the vendors.
pub(super) struct Sockets {
    pub proxy: SocketAddr,
    pub control: SocketAddr,
    pub authority: SocketAddr,
    pub resolver: SocketAddr,
}

pub(super) fn write(
    dir: &Path,
    authority: &Authority,
    addresses: &[Address],
    sockets: &Sockets,
    credentials: &BTreeMap<&'static str, String>,
) -> Result<(), ServeError> {
    let keep = |name: &str, text: &str| {
        let path = dir.join(name);
        private(&path, text).map_err(ServeError::io(path.display().to_string()))
    };
    std::fs::create_dir_all(dir).map_err(ServeError::io(dir.display().to_string()))?;
    let dir = std::fs::canonicalize(dir).map_err(ServeError::io(dir.display().to_string()))?;
    let at = |name: &str| dir.join(name).display().to_string();
    let system = SYSTEM_ROOTS.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    keep("ca.pem", &format!("{}{system}", authority.pem()))?;
    let mut variables: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in credentials {
        match *name {
            "OCI_KEY" => keep("oci.pem", value)?,
            "OCI_CONFIG" => {
                let lines = value.lines().map(|line| match line.split_once('=') {
                    Some((key, _)) if key.trim() == "key_file" => format!("key_file={}", at("oci.pem")),
                    _ => line.to_owned(),
                });
                keep("oci.config", &(lines.collect::<Vec<_>>().join("\n") + "\n"))?;
                variables.insert("OCI_CLI_CONFIG_FILE", at("oci.config"));
            }
            name => drop(variables.insert(name, value.clone())),
        }
    }
    variables.extend(addresses.iter().map(|address| (address.variable, address.url.clone())));
    variables.extend(["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"].map(|name| (name, at("ca.pem"))));
    variables.insert("BOUQUET_MESH_PROXY", format!("socks5h://{}", sockets.proxy));
    variables.insert("BOUQUET_OPERATOR_ADDRESS", OPERATOR.to_string());
    variables.insert("BOUQUET_GREENHOUSE", format!("http://{}", sockets.control));
    variables.insert("BOUQUET_GREENHOUSE_DNS", sockets.authority.to_string());
    variables.insert("BOUQUET_GREENHOUSE_RESOLVER", sockets.resolver.to_string());
    let mut text = String::new();
    for (name, value) in &variables {
        let _ = writeln!(text, "export {name}='{}'", value.replace('\'', r"'\''"));
    }
    keep("env", &text)
}

/// Writes a file for its owner alone: it holds keys, and their programs complain of one that others may read.
fn private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}
