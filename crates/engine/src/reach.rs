use clouds::cloudflare::Cloudflare;
use clouds::rfc2136::Rfc2136;
use clouds::tailscale::Tailnet;
use clouds::{CLOUDS, Cloud, Image, Operator, RATES, Settings, Why, Zones};
use plan::Wish;
use spec::{Cluster, DnsProvider, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use talos::{Bundle, FACTORY_URL, Factory, Mesh, Platform};
use wire::{Line, SharedWire, Time};

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
        Ok(Reach {
            line: Line::new(wire, time, RATES),
            clouds: clouds.collect::<Result<_, _>>()?,
            tailnet: Arc::new(Tailnet::from_settings(settings)?),
            zone,
            factory: factory(settings)?,
            mesh: Mesh::default(),
            operator: Operator::from_settings(settings)?,
        })
    }

    /// The cloud of that name.
    pub fn cloud(&self, name: &str) -> Option<&Arc<dyn Cloud>> {
        self.clouds.iter().find(|cloud| cloud.name() == name)
    }

    /// What should be, for the planner.
    pub fn wish<'a>(&'a self, subject: &'a Subject) -> Wish<'a> {
        Wish { cluster: &subject.cluster, clouds: &self.clouds, schematics: &subject.schematics }
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
}
