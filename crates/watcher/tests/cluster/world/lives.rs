//! Vantages come and go: processes, their pods, and the power of the machines under them.

use super::{At, Pod, Vantage, World, name};
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use watcher::face::Health;
use watcher::lease::LeaseTimes;
use watcher::mind::Me;
use watcher::process::Process;
use watcher::scene::VantagePod;
use watcher::start::Start;
use wire::{Roots, Time};

impl World {
    /// The vantage's pod is gone, its process before it; another comes under a new name.
    pub fn replace(self: &Arc<Self>, node: usize) {
        self.crash(node);
        let count = self.count();
        let pod = Pod { name: format!("w{:02}-{node}", count % 97), address: unique(count) };
        let old = std::mem::replace(&mut self.pods.lock().unwrap()[node], pod.clone());
        self.change(|state| {
            state.scene.vantages.remove(&old.name);
            let vantage = VantagePod { node: name(node), address: pod.address, terminating: false };
            state.scene.vantages.insert(pod.name, vantage);
        });
        self.start(node);
    }

    fn count(&self) -> u64 {
        let mut counter = self.counter.lock().unwrap();
        *counter += 1;
        *counter
    }

    pub(super) fn pod(&self, node: usize) -> Pod {
        self.pods.lock().unwrap()[node].clone()
    }

    /// Starts the vantage of a node in a new life, if it has power and does not run.
    pub fn start(self: &Arc<Self>, node: usize) {
        if !self.state().up[node] || self.process(node).is_some() {
            return;
        }
        let (life, pod) = (self.count(), self.pod(node));
        // No two clocks show the same, and each process counts from its own start.
        let skew = jiff::SignedDuration::from_secs(i64::try_from(life % 600).unwrap() - 300);
        let origin = self.time.now().checked_add(skew).unwrap();
        let time = Time::starting_at(origin, self.time.rng(&format!("life {life}")));
        let at = At { world: self.clone(), node, time: time.clone() };
        let (config, sight) = (self.config.clone(), self.sights[node].subscribe());
        let times = match config.profile {
            spec::Profile::Default => LeaseTimes::default(),
            spec::Profile::Fast => LeaseTimes::fast(),
        };
        let start = Start {
            config,
            me: Me { pod: pod.name, node: name(node), life },
            roots: Roots::Unverified,
            wire: Arc::new(at.clone()),
            provider: Arc::new(at.clone()),
            mouth: Arc::new(at.clone()),
            sight,
            counters: Arc::default(),
            health: Health::new(time.clone()),
            time,
        };
        let (process, _) = start.process();
        let (running, world) = (process.clone(), self.clone());
        let mut life = Box::pin(async move {
            tokio::join!(running.run(), running.stand(&at, times));
        });
        let run = tokio::spawn(poll_fn(move |context| {
            let mut state = world.state();
            if state.stalled.contains(&node) {
                state.wakers.push(context.waker().clone());
                return Poll::Pending;
            }
            drop(state);
            life.as_mut().poll(context)
        }));
        self.vantages.lock().unwrap()[node] = Some(Vantage { process, run });
    }

    /// The vantage's process is killed.
    pub fn crash(&self, node: usize) {
        let vantage = self.vantages.lock().unwrap()[node].take();
        if let Some(vantage) = vantage {
            vantage.run.abort();
            self.state().crashed_ms = self.now_ms();
        }
    }

    /// All is over: what holds on to the world is let go.
    pub fn end(&self) {
        (0..self.nodes()).for_each(|node| self.crash(node));
    }

    /// The node loses its power, and its vantage with it.
    pub fn kill(&self, node: usize) {
        self.change(|state| state.up[node] = false);
        self.crash(node);
    }

    /// Its power is back.
    pub fn revive(self: &Arc<Self>, node: usize) {
        self.change(|state| state.up[node] = true);
        self.start(node);
    }

    pub fn process(&self, node: usize) -> Option<Arc<Process>> {
        self.vantages.lock().unwrap()[node].as_ref().map(|vantage| vantage.process.clone())
    }
}

/// An address that no pod had before.
fn unique(count: u64) -> IpAddr {
    let [.., a, b, c] = count.to_be_bytes();
    IpAddr::from([10, a, b, c])
}
