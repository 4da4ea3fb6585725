use super::ask;
use crate::args::Args;
use crate::failure::{Failure, Marked};
use crate::{files, render};

/// Writes a commented cluster file. Asks for what the command line does not say, if somebody is there; never overwrites.
pub async fn run(args: &Args, name: Option<&str>, domain: Option<&str>) -> Result<u8, Failure> {
    let path = args.file.display().to_string();
    if args.file.exists() {
        return Err(Failure::new("BQ0605", format!("{path} is there already"))
            .help("name another with `-f FILE`, or remove it first"));
    }
    let name = answered(name, "Name of the cluster [bouquet]: ").await?.unwrap_or_else(|| "bouquet".to_owned());
    let domain = answered(domain, "Domain whose names it serves, if any: ").await?;
    let text = template(&name, domain.as_deref());
    let faults = spec::read(&text).faults;
    if !faults.is_empty() {
        return Err(Failure::marked(Marked { path, text, faults }, "with these answers the file would not be right"));
    }
    files::write(&args.file, text.as_bytes(), 0o644)?;
    render::talk(&format!("wrote {path}"));
    let next = "set the variables that docs/accounts.md names, then `bouquet check` and `bouquet plan`";
    render::talk(&render::hanging("next: ", "next: ".len(), next));
    Ok(0)
}

/// What the command line says, else what somebody answers; `None` where nobody does.
async fn answered(said: Option<&str>, question: &str) -> Result<Option<String>, Failure> {
    if said.is_some() || !ask::is_possible() {
        return Ok(said.map(str::to_owned));
    }
    Ok(Some(ask::answer(question).await?).filter(|answer| !answer.is_empty()))
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
