use clouds::cloudflare::Cloudflare;
use clouds::tailscale::Tailnet;
use clouds::{CLOUDS, Cloud, Image, RATES, Settings, Why};
use plan::Wish;
use spec::{Cluster, DnsProvider, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use talos::{Bundle, Mesh};
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
    pub zone: Option<Arc<Cloudflare>>,
    /// Base URL of the Image Factory.
    pub factory: http::Uri,
    /// What nodes are told about the tailnet.
    pub mesh: Mesh,
    /// Addresses that may reach machines at first contact.
    pub operators: Vec<IpAddr>,
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

/// The Image Factory that Sidero Labs runs.
const FACTORY: &str = "https://factory.talos.dev";

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
        let zone = match cluster.dns.as_ref().map(|dns| &dns.provider) {
            Some(DnsProvider::Cloudflare) => Some(Arc::new(Cloudflare::from_settings(settings)?)),
            Some(DnsProvider::Rfc2136(_)) => {
                return Err(clouds::Error {
                    call: "dns",
                    why: Why::Invalid,
                    vendor_code: None,
                    message: "the API name cannot be kept by RFC 2136 yet; leave `dns` out, or use cloudflare".into(),
                });
            }
            None => None,
        };
        Ok(Reach {
            line: Line::new(wire, time, RATES),
            clouds: clouds.collect::<Result<_, _>>()?,
            tailnet: Arc::new(Tailnet::from_settings(settings)?),
            zone,
            factory: settings.endpoint("BOUQUET_FACTORY_URL", FACTORY)?,
            mesh: Mesh::default(),
            operators: Vec::new(),
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
            operators: &self.operators,
        }
    }

    /// The Image Factory's URL of the disk image that a cloud boots.
    pub(crate) fn disk_image(&self, cloud: &dyn Cloud, image: &Image) -> String {
        let base = self.factory.to_string();
        let path = talos::disk_image_path(&image.schematic, &image.talos, cloud.platform(), &image.arch.to_string());
        format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'))
    }
}
