//! A third cloud, in memory: what it takes to add one. The boundary is narrow enough when this stays under 300 lines.

use async_trait::async_trait;
use clouds::{
    Arch, Cloud, Error, Finding, Found, Given, Image, ImageOrder, Key, Money, Need, NeedMachine, Offer, Openness,
    Power, Preset, Progress, Registered, Settings, State, Stock, Wanted, Why,
};
use serde_json::json;
use spec::{CloudPlace, Role};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use wire::{Body, Line, Rng, Stream, Target, Time, Wire};

const MARK: &str = "bouquet.dev/cluster";
const NODE: &str = "bouquet.dev/node";

/// A greenhouse shelf: pots are machines, cuttings are images.
#[derive(Default)]
struct Shelf {
    things: Mutex<BTreeMap<Key, Found>>,
}

fn key(kind: &str, region: &str, name: String) -> Key {
    Key { cloud: "shelf".into(), kind: kind.into(), region: region.into(), name }
}

fn cutting(image: &Image) -> Key {
    key("cutting", &image.region, format!("{}-{}", image.talos, image.arch))
}

impl Shelf {
    fn open(settings: &dyn Settings) -> Result<Arc<dyn Cloud>, Error> {
        settings.needed("SHELF_KEY")?;
        Ok(Arc::new(Shelf::default()))
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<Key, Found>) -> T) -> T {
        work(&mut self.things.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, call: &'static str, found: &Found, change: impl FnOnce(&mut Found)) -> Result<Found, Error> {
        let missing = || Error { call, why: Why::NotFound, vendor_code: None, message: format!("no {}", found.key) };
        self.with(|things| {
            let thing = things.get_mut(&found.key).filter(|thing| thing.ours).ok_or_else(missing)?;
            change(thing);
            Ok(thing.clone())
        })
    }
}

#[async_trait]
impl Cloud for Shelf {
    fn name(&self) -> &'static str {
        "shelf"
    }

    fn platform(&self) -> &'static str {
        "nocloud"
    }

    fn images_have_regions(&self) -> bool {
        true
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["pot", "cutting"]
    }

    fn wanted(&self, need: &Need) -> Vec<Wanted> {
        let pot = |machine: &NeedMachine| Wanted {
            key: key("pot", &machine.place.region, format!("{}-{}", need.cluster, machine.node)),
            node: Some(machine.node.clone()),
            needs: vec![cutting(&machine.image)],
            spec: json!({ "size": machine.place.machine, "cluster": need.cluster }),
            is_machine: true,
        };
        let mut all: Vec<Wanted> = need.machines.iter().map(pot).collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }

    async fn find(&self, _: &Line, cluster: &str, kinds: &[&str]) -> Result<Vec<Found>, Error> {
        let asked = |found: &&Found| kinds.is_empty() || kinds.contains(&found.key.kind.as_str());
        let judged =
            |found: &Found| Found { ours: found.labels.get(MARK).is_some_and(|mark| mark == cluster), ..found.clone() };
        Ok(self.with(|things| things.values().filter(asked).map(judged).collect()))
    }

    async fn offers(&self, _: &Line, places: &[CloudPlace]) -> Result<Vec<Offer>, Error> {
        let offer = |place: &CloudPlace| Offer {
            place: place.clone(),
            stock: Stock::Available,
            arch: Arch::Arm64,
            cores: 2,
            memory_gib: 4,
            disk_gib: 40,
            price: Some(Money { currency: "EUR".into(), milli: 1000 }),
            price_source: "live".into(),
        };
        Ok(places.iter().map(offer).collect())
    }

    async fn check(&self, _: &Line, _: &Need) -> Vec<Finding> {
        vec![Finding::fine("shelf", "stands")]
    }

    async fn create(&self, _: &Line, wanted: &Wanted, _: &Given) -> Result<Found, Error> {
        let node = wanted.node.clone().unwrap_or_default();
        let cluster = wanted.spec["cluster"].as_str().unwrap_or_default().to_owned();
        let place = CloudPlace {
            cloud: "shelf".into(),
            region: wanted.key.region.clone(),
            machine: wanted.spec["size"].as_str().unwrap_or_default().into(),
            size: None,
        };
        let found = Found {
            key: wanted.key.clone(),
            id: wanted.key.name.clone(),
            ours: true,
            left_behind: false,
            place: Some(place),
            node: wanted.node.clone(),
            state: State::Ready,
            spec: wanted.spec.clone(),
            addresses: Vec::new(),
            labels: [(MARK.to_owned(), cluster), (NODE.to_owned(), node)].into(),
        };
        self.with(|things| match things.get(&wanted.key) {
            Some(there) if there.labels.get(MARK) != found.labels.get(MARK) => {
                let message = format!("{} is not ours", there.key);
                Err(Error { call: "shelf create", why: Why::Taken, vendor_code: None, message })
            }
            Some(there) => Ok(there.clone()),
            None => Ok(things.entry(wanted.key.clone()).or_insert(found).clone()),
        })
    }

    async fn update(&self, _: &Line, found: &Found, wanted: &Wanted, _: &Given) -> Result<Found, Error> {
        self.change("shelf update", found, |thing| thing.spec = wanted.spec.clone())
    }

    async fn delete(&self, _: &Line, found: &Found) -> Result<(), Error> {
        self.with(|things| things.remove(&found.key));
        Ok(())
    }

    async fn mark(&self, _: &Line, found: &Found, label: &str, value: Option<&str>) -> Result<(), Error> {
        self.change("shelf mark", found, |thing| {
            thing.labels.remove(label);
            thing.labels.extend(value.map(|value| (label.into(), value.into())));
        })
        .map(drop)
    }

    async fn power(&self, _: &Line, found: &Found, power: Power) -> Result<(), Error> {
        let state = if power == Power::Off { State::Off } else { State::Ready };
        self.change("shelf power", found, |thing| thing.state = state).map(drop)
    }

    async fn diagnose(&self, _: &Line, found: &Found) -> Result<String, Error> {
        Ok(format!("{} is {:?}", found.key.name, found.state))
    }

    async fn make_image(&self, _: &Line, order: &ImageOrder, progress: &dyn Progress) -> Result<Found, Error> {
        progress.at("rooting", 1, 1);
        let key = cutting(&order.image);
        let image = Found {
            id: key.name.clone(),
            key: key.clone(),
            ours: true,
            left_behind: false,
            place: None,
            node: None,
            state: State::Ready,
            spec: json!(order.image),
            addresses: Vec::new(),
            labels: [(MARK.to_owned(), order.cluster.clone())].into(),
        };
        Ok(self.with(|things| things.entry(key).or_insert(image).clone()))
    }

    fn image_of(&self, found: &Found) -> Option<Image> {
        (found.key.kind == "cutting").then(|| serde_json::from_value(found.spec.clone()).ok()).flatten()
    }
}

/// A wire to nowhere: this cloud needs none.
struct Nowhere;

impl Wire for Nowhere {
    fn call(
        &self,
        target: &Target,
        _: http::Request<Body>,
    ) -> futures::future::BoxFuture<'static, Result<http::Response<Body>, wire::Error>> {
        let host = target.authority();
        Box::pin(async move { Err(wire::Error::Refused(host)) })
    }

    fn open(&self, target: &Target) -> futures::future::BoxFuture<'static, Result<Box<dyn Stream>, wire::Error>> {
        let host = target.authority();
        Box::pin(async move { Err(wire::Error::Refused(host)) })
    }
}

struct Silent;

impl Progress for Silent {
    fn at(&self, _: &str, _: u64, _: u64) {}
}

#[tokio::test(start_paused = true)]
async fn a_third_cloud_is_one_module_and_one_line() {
    let line_of_registration = Registered { name: "shelf", variables: &["SHELF_KEY"], open: Shelf::open };
    assert_eq!((line_of_registration.open)(&Preset::default()).err().map(|error| error.call), Some("SHELF_KEY"));
    let set: Preset = line_of_registration.variables.iter().map(|name| (*name, "k")).collect();
    let cloud = (line_of_registration.open)(&set).unwrap();
    let line = Line::new(Arc::new(Nowhere), Time::starting_at(jiff::Timestamp::UNIX_EPOCH, Rng::seeded(1)), &[]);
    let place = CloudPlace { cloud: "shelf".into(), region: "south".into(), machine: "small".into(), size: None };
    let image = Image { region: "south".into(), arch: Arch::Arm64, schematic: "ab".into(), talos: "1.14.6".into() };
    let fern = NeedMachine { node: "fern".into(), role: Role::Worker, place: place.clone(), image: image.clone() };
    let need = Need { cluster: "bouquet".into(), machines: vec![fern], openness: Openness::default() };

    let order = ImageOrder { cluster: need.cluster.clone(), image, source: "…".into(), builder: place };
    let made = cloud.make_image(&line, &order, &Silent).await.unwrap();
    assert_eq!(cloud.image_of(&made), Some(order.image));

    let wanted = cloud.wanted(&need);
    assert_eq!(wanted[0].needs, [made.key]);
    cloud.create(&line, &wanted[0], &Given::default()).await.unwrap();
    let again = cloud.create(&line, &wanted[0], &Given::default()).await.unwrap();
    let found = cloud.find(&line, "bouquet", &["pot"]).await.unwrap();
    assert_eq!(found, [again]);
    assert_eq!(
        (&found[0].key, &found[0].spec, found[0].is_machine_of("fern")),
        (&wanted[0].key, &wanted[0].spec, true)
    );
    assert!(!cloud.find(&line, "another", &["pot"]).await.unwrap()[0].ours);

    cloud.delete(&line, &found[0]).await.unwrap();
    cloud.delete(&line, &found[0]).await.unwrap();
    assert_eq!(cloud.find(&line, "bouquet", &["pot"]).await.unwrap(), []);
}
