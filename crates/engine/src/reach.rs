use addons::Credential;
use clouds::cloudflare::Cloudflare;
use clouds::rfc2136::{Key, Rfc2136};
use clouds::tailscale::Tailnet;
use clouds::{CLOUDS, Cloud, Image, Operator, RATES, Settings, Why, Zones};
use plan::Wish;
use spec::{Cluster, DnsProvider, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use talos::{Bundle, FACTORY_URL, Factory, Mesh, Platform};
use wire::{Line, Secret, SharedWire, Time};

/// All that can be reached from here.
#[derive(Clone)]
pub struct Reach {
    /// Sends calls; waits and retries.
    pub line: Line,
    /// Clouds that the file names.
    pub clouds: Vec<Arc<dyn Cloud>>,
    /// The tailnet's control server.
    pub tailnet: Arc<Tailnet>,
    /// The DNS provider, where the file has one.
    pub zone: Option<Arc<dyn Zones>>,
    /// The Image Factory.
    pub factory: Factory,
    /// What nodes are told about the tailnet.
    pub mesh: Mesh,
    /// Where our own calls come from, for machines at first contact.
    pub operator: Operator,
    /// The DNS provider as the watcher's own token reaches it, to see what it may do.
    pub watcher_zone: Option<Arc<dyn Zones>>,
    /// What the watcher may write DNS with; never what [`Reach::zone`] is reached with at Cloudflare.
    pub watcher: Option<Credential>,
}

/// The cluster that a run is about.
#[derive(Clone)]
pub struct Subject {
    /// The file.
    pub cluster: Arc<Cluster>,
    /// The secrets bundle, if there is one yet.
    pub bundle: Option<Arc<Bundle>>,
    /// By cloud name: the schematic id of its images.
    pub schematics: BTreeMap<String, String>,
    /// Whether add-ons take fields that others manage.
    pub adopt: bool,
}

/// The tag that everything of a cluster bears on the tailnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshTag(pub String);

impl MeshTag {
    /// Of a cluster.
    pub fn of(cluster: &str) -> Self {
        MeshTag(format!("tag:bouquet-{cluster}"))
    }
}

/// Where users set another Image Factory.
const FACTORY: &str = "BOUQUET_FACTORY_URL";

fn factory(settings: &dyn Settings) -> Result<Factory, clouds::Error> {
    let base = settings.endpoint(FACTORY, FACTORY_URL)?;
    Factory::new(&base).ok_or_else(|| clouds::Error {
        call: FACTORY,
        why: Why::Invalid,
        vendor_code: None,
        message: "it is no http or https address".into(),
    })
}

/// The DNS provider that the file names.
fn keeper(provider: &DnsProvider, settings: &dyn Settings) -> Result<Arc<dyn Zones>, clouds::Error> {
    Ok(match provider {
        DnsProvider::Cloudflare => Arc::new(Cloudflare::from_settings(settings)?),
        DnsProvider::Rfc2136(at) => Arc::new(Rfc2136::from_settings(settings, &at.server, at.key.as_deref())?),
    })
}

/// What the user has set for the watcher. A TSIG key is one of its zone's server, which tells who may change what; a token
/// of Cloudflare's is a person's.
fn watcher(cluster: &Cluster, settings: &dyn Settings) -> Result<Option<Credential>, clouds::Error> {
    let Some(dns) = cluster.dns.as_ref().filter(|_| addons::has_watcher(cluster)) else { return Ok(None) };
    match &dns.provider {
        DnsProvider::Cloudflare => Ok(settings.variable(addons::TOKEN_VARIABLE).map(Credential::Token)),
        DnsProvider::Rfc2136(at) => at.key.as_deref().map(|path| tsig(settings, path)).transpose(),
    }
}

/// Settings in which the watcher's token stands where the user's own does.
struct Lent<'a> {
    settings: &'a dyn Settings,
    token: &'a Secret,
}

impl Settings for Lent<'_> {
    fn variable(&self, name: &str) -> Option<Secret> {
        if name == clouds::cloudflare::TOKEN { Some(self.token.clone()) } else { self.settings.variable(name) }
    }

    fn file(&self, path: &str) -> Result<Secret, String> {
        self.settings.file(path)
    }
}

fn watcher_zone(
    watcher: Option<&Credential>,
    settings: &dyn Settings,
) -> Result<Option<Arc<dyn Zones>>, clouds::Error> {
    let Some(Credential::Token(token)) = watcher else { return Ok(None) };
    let zone = Cloudflare::from_settings(&Lent { settings, token })?;
    Ok(Some(Arc::new(zone)))
}

fn tsig(settings: &dyn Settings, path: &str) -> Result<Credential, clouds::Error> {
    let (file, key) = Key::from_settings(settings, path)?;
    Ok(Credential::Tsig { name: key.name(), algorithm: key.algorithm().to_string(), file })
}

impl Reach {
    /// Opens everything that the file names, from what the user has set.
    pub fn open(
        cluster: &Cluster,
        settings: &dyn Settings,
        wire: SharedWire,
        time: Time,
    ) -> Result<Self, clouds::Error> {
        let places = cluster.nodes.values().flat_map(|node| &node.places);
        let named: BTreeSet<&str> = places
            .filter_map(|place| match place {
                Place::Cloud(place) => Some(place.cloud.as_str()),
                Place::Address(_) => None,
            })
            .collect();
        let clouds = CLOUDS.iter().filter(|cloud| named.contains(cloud.name)).map(|cloud| (cloud.open)(settings));
        let zone = cluster.dns.as_ref().map(|dns| keeper(&dns.provider, settings)).transpose()?;
        let watcher = watcher(cluster, settings)?;
        Ok(Reach {
            line: Line::new(wire, time, RATES),
            clouds: clouds.collect::<Result<_, _>>()?,
            tailnet: Arc::new(Tailnet::from_settings(settings)?),
            zone,
            factory: factory(settings)?,
            mesh: Mesh::default(),
            operator: Operator::from_settings(settings)?,
            watcher_zone: watcher_zone(watcher.as_ref(), settings)?,
            watcher,
        })
    }

    /// The cloud of that name.
    pub fn cloud(&self, name: &str) -> Option<&Arc<dyn Cloud>> {
        self.clouds.iter().find(|cloud| cloud.name() == name)
    }

    /// What should be, for the planner.
    pub fn wish<'a>(&'a self, subject: &'a Subject) -> Wish<'a> {
        Wish {
            cluster: &subject.cluster,
            clouds: &self.clouds,
            schematics: &subject.schematics,
            watcher: self.watcher.as_ref(),
            adopt: subject.adopt,
        }
    }

    /// The Image Factory's URL of the disk image that a cloud boots.
    pub(crate) fn disk_image(&self, cloud: &dyn Cloud, image: &Image, talos_version: spec::Version) -> String {
        let platform = Platform::named(cloud.platform()).unwrap_or(Platform::Metal);
        let arch = match image.arch {
            clouds::Arch::Arm64 => talos::Arch::Arm64,
            clouds::Arch::Amd64 => talos::Arch::Amd64,
        };
        self.factory.url(&talos::image_path(&image.schematic, talos_version, platform, arch))
    }

    /// An administrator's client of the cluster's Kubernetes API, through the first control plane that answers.
    pub async fn kubernetes(&self, subject: &Subject) -> Result<kube::Client, crate::Error> {
        let tag = MeshTag::of(&subject.cluster.name);
        let devices = crate::observe::devices(self, &tag, &[]).await?;
        crate::kubernetes::answering(self, subject, &devices).await
    }
}
