use crate::args::Args;
use crate::failure::Failure;
use crate::{files, render};

/// Writes a commented cluster file.
pub fn run(args: &Args, name: &str, domain: Option<&str>, force: bool) -> Result<u8, Failure> {
    let path = args.file.display().to_string();
    if args.file.exists() && !force {
        return Err(Failure::new("BQ0605", format!("{path} is there already")).help("add --force to overwrite it"));
    }
    let text = template(name, domain);
    let reading = spec::read(&text);
    if reading.has_errors() {
        let code = reading.faults.first().map_or("BQ0601", |fault| fault.code);
        let message = "with these answers the file would not be right".to_owned();
        return Err(Failure { faults: reading.faults, source: text, ..Failure::new(code, message) });
    }
    files::write(&args.file, text.as_bytes(), 0o644)?;
    render::talk(&format!(
        "wrote {path}\nnext: set the variables of docs/accounts.md, then `bouquet check` and `bouquet plan`"
    ));
    Ok(0)
}

fn template(name: &str, domain: Option<&str>) -> String {
    let dns = match domain {
        Some(domain) => format!(
            "domain: {domain}            # lives in a zone of the DNS provider, found by longest suffix\ndns: cloudflare"
        ),
        None => "# domain: cluster.example.com    # names that the cluster serves …\n# dns: cloudflare                # … and who keeps their records".to_owned(),
    };
    format!(
        "# yaml-language-server: $schema=./bouquet.schema.json
# One cluster. `bouquet plan` shows what this file would change, `bouquet apply` makes it so.
cluster: {name}
{dns}
talos: {talos}
kubernetes: {kubernetes}

# A node is a name. `on` is cloud/region/machine, or a list of them in order of preference, because stock runs out:
#   on: [hetzner/hel1/cax11, hetzner/nbg1/cax11, hetzner/hel1/cpx22]
nodes:
  rose:
    role: control-plane
    on: hetzner/hel1/cax11
  lily:
    role: worker
    on: hetzner/fsn1/cax21
  # A flexible machine needs its size:
  # tulip:
  #   role: worker
  #   on: oci/eu-frankfurt-1/VM.Standard.A1.Flex
  #   cpus: 2
  #   memory: 12GiB
  #   disk: 100GiB

mesh: tailscale
",
        talos = spec::DEFAULT_TALOS,
        kubernetes = spec::DEFAULT_KUBERNETES,
    )
}
