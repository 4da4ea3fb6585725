//! One boot of one machine, from the boot loader to a node that runs.

use super::config::Config;
use super::{Apid, Node, Stage, api, etcd, kubelet, loader, maintenance, mesh, node_mut, services, source, trust};
use crate::machine::{self, MachineId, Os};
use crate::world::{State, World};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A boot that may be over at any time: whatever is asked of it is `None` once it is.
#[derive(Clone)]
pub(super) struct Boot {
    pub world: World,
    pub id: MachineId,
    number: u64,
}

impl Boot {
    pub(super) fn new(world: World, id: MachineId, number: u64) -> Self {
        Boot { world, id, number }
    }

    /// Looks at and changes the world, while this boot lasts.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.world.with(|state| machine::is_boot(state, self.id, self.number).then(|| work(state)))
    }

    /// Looks at and changes the node, while this boot lasts.
    pub(super) fn node<R>(&self, work: impl FnOnce(&mut Node) -> R) -> Option<R> {
        self.with(|state| node_mut(state, self.id).map(work)).flatten()
    }

    /// Something that takes between `low_ms` and `high_ms` in life.
    pub(super) async fn takes(&self, what: &str, low_ms: u64, high_ms: u64) -> Option<()> {
        let label = format!("{what} {} {}", self.id, self.number);
        self.world.delay_between(&label, low_ms, high_ms).await;
        self.with(|_| ())
    }

    /// Waits before trying again.
    pub(super) async fn pause(&self, seconds: u64) -> Option<()> {
        self.world.delay(Duration::from_secs(seconds)).await;
        self.with(|_| ())
    }

    /// Waits until the node has changed so that `look` finds something.
    pub(super) async fn until<R>(&self, mut look: impl FnMut(&State) -> Option<R>) -> Option<R> {
        let mut changes = self.node(|node| node.changed.subscribe())?;
        loop {
            if let Some(found) = self.with(|state| look(state))? {
                return Some(found);
            }
            // An error means that the node is gone; the next look says so.
            let _gone = changes.changed().await;
        }
    }

    /// Writes on the console and into the kernel log.
    pub(super) fn say(&self, line: impl Into<String>) -> Option<()> {
        self.with(|state| {
            machine::console(state, self.id, line);
            if let Some(node) = node_mut(state, self.id) {
                node.touch();
            }
        })
    }

    /// The name that stages and faults know the node by: its host name, else the machine's.
    pub(super) fn name(&self) -> String {
        let name = self.world.with(|state| {
            let of_machine = state.machines.get(&self.id).map(|machine| machine.name.clone());
            let of_node = super::node(state, self.id).map(|node| node.hostname.clone());
            of_node.filter(|name| !name.is_empty()).or(of_machine)
        });
        name.unwrap_or_default()
    }

    /// Runs a part of the boot and records how long it took. Here `node dies for NAME:STAGE` strikes.
    pub(super) async fn stage<R>(&self, name: &'static str, work: impl Future<Output = Option<R>>) -> Option<R> {
        let subject = self.name();
        if self.world.fault("node", "dies", &format!("{subject}:{name}")).is_some() {
            machine::power_off(&self.world, self.id);
            return None;
        }
        self.world.stage(&subject, name, work).await
    }

    /// Lets a part of the boot go on by itself.
    pub(super) fn spawn(&self, work: impl Future<Output = Option<()>> + Send + 'static) {
        self.world.spawn(async move {
            let _ended = work.await;
        });
    }
}

/// The whole of it.
pub(super) async fn run(boot: &Boot) -> Option<()> {
    let system = loader::load(boot)?;
    boot.stage("boot", async {
        // Kernel, initramfs and machined of a cloud machine.
        boot.takes("kernel", 5_000, 8_000).await?;
        start(boot, system)?;
        // Addresses by DHCP and the first answer of the platform's metadata service.
        boot.takes("network", 1_500, 3_500).await
    })
    .await?;
    let mut config = source::acquire(boot).await?;
    while config.as_ref().is_none_or(|config| config.complete.is_none()) {
        config = Some(maintenance::wait(boot).await?);
    }
    let config = config?;
    adopt(boot, &config)?;
    boot.stage("services", bring_up(boot, &config)).await?;
    spawn_parts(boot);
    boot.until(|state| super::node(state, boot.id).filter(|node| services::all_up(node)).map(|_| ())).await?;
    boot.with(|state| {
        if let Some(node) = node_mut(state, boot.id).filter(|node| node.stage == Stage::Booting) {
            node.set_stage(Stage::Running);
            let name = node.hostname.clone();
            machine::console(state, boot.id, "[talos] boot sequence: done");
            state.note(format_args!("node {name}: running"));
        }
    })
}

fn start(boot: &Boot, system: crate::factory::DiskImage) -> Option<()> {
    let (low, high) = {
        let number = if boot.world.lies("talos-boot-id-kept") { 0 } else { boot.number };
        let mut rng = boot.world.rng(&format!("boot id {} {number}", boot.id));
        (rng.next_u64(), rng.next_u64())
    };
    let boot_id = format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        low >> 32,
        low >> 16 & 0xffff,
        low & 0xfff,
        high >> 48 & 0xfff,
        high & 0xffff_ffff_ffff
    );
    let api = api::router(boot);
    boot.with(|state| {
        let started = state.now();
        machine::console(state, boot.id, format!("[talos] version v{} ({})", system.talos, system.platform));
        let Some(machine) = state.machines.get_mut(&boot.id) else { return };
        machine.os = Os::Talos(Box::new(Node {
            boot_id,
            services: services::Services::at_start(&system),
            system,
            stage: Stage::Booting,
            config: None,
            config_version: 0,
            hostname: String::new(),
            mesh: None,
            events: super::events::Events::default(),
            apid: Apid::Down,
            api,
            bootstrap: false,
            kube_api: None,
            kube_tls: None,
            ready: Err("the kubelet has not registered its node".into()),
            cni_due: false,
            locked: false,
            started,
            changed: watch::Sender::new(0),
        }));
        if let Some(node) = node_mut(state, boot.id) {
            node.service("machined", "Running", "Service started as goroutine", started);
        }
    })
}

/// Volumes, containerd, CRI and, on a control plane, apid and trustd.
async fn bring_up(boot: &Boot, config: &Arc<Config>) -> Option<()> {
    let complete = config.complete.as_ref()?;
    // Partitions are made and formatted at first boot, mounted later.
    boot.takes("volumes", 1_500, 3_000).await?;
    boot.serve("containerd", "Process Process([\"/bin/containerd\"]) started")?;
    boot.takes("apid", 800, 1_600).await?;
    if complete.control_plane {
        let issuer = complete.ca.clone();
        boot.node(|node| node.apid = Apid::Up { issuer, tls: None })?;
        boot.serve("apid", "Started task apid")?;
        boot.serve("trustd", "Started task trustd")?;
    } else {
        boot.node(|node| node.service_waits("apid", "Waiting for API certificates"))?;
    }
    boot.takes("cri", 3_000, 5_000).await?;
    boot.serve("cri", "Process Process([\"/bin/containerd\" \"--config\" \"/etc/cri/containerd.toml\"]) started")
}

/// Makes a configuration the active one: host name, services that it brings.
pub(super) fn adopt(boot: &Boot, config: &Arc<Config>) -> Option<()> {
    boot.with(|state| {
        let Some(machine) = state.machines.get(&boot.id) else { return };
        let (vendor, name, id) = (machine.vendor, machine.name.clone(), machine.vendor_id.clone());
        let now = state.now();
        let Some(node) = node_mut(state, boot.id) else { return };
        // Without a name in the configuration: the one that the platform's metadata tells, else one made of the id.
        let at_home = source::is_at_home(&node.system.platform, vendor);
        let hostname = config.hostname.clone().unwrap_or_else(|| if at_home { name } else { generated(&id) });
        node.hostname = hostname.split('.').next().unwrap_or_default().to_lowercase();
        node.config = Some(config.clone());
        node.config_version += 1;
        // A control plane issues from the authority that stands there now; a worker keeps what trustd gave it.
        if let (Some(complete), Apid::Up { issuer, .. }) = (&config.complete, &mut node.apid)
            && complete.control_plane
        {
            issuer.clone_from(&complete.ca);
        }
        node.services_of_config(now);
        node.touch();
    })
}

fn generated(machine: &str) -> String {
    use sha2::Digest as _;
    let digest = hex::encode(sha2::Sha256::digest(machine.as_bytes()));
    let letters: String = digest.chars().filter(|letter| !"01".contains(*letter)).take(6).collect();
    format!("talos-{}-{}", letters.get(..3).unwrap_or("abc"), letters.get(3..).unwrap_or("def"))
}

fn spawn_parts(boot: &Boot) {
    let here = boot.clone();
    boot.spawn(async move { mesh::run(&here).await });
    let here = boot.clone();
    boot.spawn(async move { trust::run(&here).await });
    let here = boot.clone();
    boot.spawn(async move { etcd::run(&here).await });
    let here = boot.clone();
    boot.spawn(async move { kubelet::run(&here).await });
}

impl Boot {
    /// A service runs and is well.
    pub(super) fn serve(&self, service: &str, message: &str) -> Option<()> {
        self.with(|state| {
            let now = state.now();
            machine::console(state, self.id, format!("[talos] service[{service}](Running): {message}"));
            if let Some(node) = node_mut(state, self.id) {
                node.service(service, "Running", message, now);
                node.healthy(service, Ok(()), now);
                node.touch();
            }
        })
    }

    /// A service is in another state than running.
    pub(super) fn service(&self, service: &str, state_name: &'static str, message: &str) -> Option<()> {
        self.with(|state| {
            let now = state.now();
            machine::console(state, self.id, format!("[talos] service[{service}]({state_name}): {message}"));
            if let Some(node) = node_mut(state, self.id) {
                node.service(service, state_name, message, now);
                node.touch();
            }
        })
    }
}
