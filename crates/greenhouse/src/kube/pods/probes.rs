//! The kubelet's probes of a container: `httpGet` and `tcpSocket`. `exec` and `grpc` succeed: no process is there to ask.

use super::containers::judged;
use super::environment::port_of;
use crate::kube::cluster;
use crate::kube::network::{Place, door_of};
use crate::net::{From, Peer, Serves};
use crate::world::World;
use http::Request;
use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;
use wire::Body;

/// What the kubelet asks of a container, and of which.
pub(super) struct Probes {
    place: Place,
    startup: Option<Probe>,
    liveness: Option<Probe>,
    readiness: Option<Probe>,
}

#[derive(Clone, Debug)]
struct Probe {
    kind: Kind,
    delay: Duration,
    period: Duration,
    timeout: Duration,
    failures: u64,
    successes: u64,
}

#[derive(Clone, Debug)]
enum Kind {
    Http { port: u16, path: String, headers: Vec<(String, String)> },
    Tcp { port: u16 },
}

impl Probes {
    pub(super) fn of(container: &Value, pod: &Value, place: &Place) -> Self {
        let probe = |field: &str| Probe::read(&container[field], pod);
        Probes {
            place: place.clone(),
            startup: probe("startupProbe"),
            liveness: probe("livenessProbe"),
            readiness: probe("readinessProbe"),
        }
    }

    pub(super) fn has_startup(&self) -> bool {
        self.startup.is_some()
    }

    pub(super) fn has_readiness(&self) -> bool {
        self.readiness.is_some()
    }

    /// Carries them out; returns when the container is to be killed.
    pub(super) async fn until_dead(&self, world: &World) {
        if let Some(startup) = &self.startup {
            let mut failures = 0;
            world.time().sleep(startup.delay).await;
            while !startup.passes(world, &self.place).await {
                failures += 1;
                if failures >= startup.failures {
                    return;
                }
                world.time().sleep(startup.period).await;
            }
            let ready = self.readiness.is_none();
            world.with(|state| judged(world, state, &self.place, true, ready));
        }
        let readiness = async {
            if let Some(probe) = &self.readiness {
                self.keep_judging(world, probe).await;
            }
            std::future::pending::<()>().await;
        };
        let liveness = async {
            match &self.liveness {
                Some(probe) => probe.until_it_fails(world, &self.place).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = readiness => {}
            () = liveness => {}
        }
    }

    async fn keep_judging(&self, world: &World, probe: &Probe) {
        world.time().sleep(probe.delay).await;
        let (mut ready, mut streak) = (false, 0);
        loop {
            let passed = probe.passes(world, &self.place).await;
            streak = if passed == ready { 0 } else { streak + 1 };
            if streak >= if ready { probe.failures } else { probe.successes } {
                (ready, streak) = (!ready, 0);
                world.with(|state| judged(world, state, &self.place, true, ready));
            }
            world.time().sleep(probe.period).await;
        }
    }
}

impl Probe {
    fn read(probe: &Value, pod: &Value) -> Option<Self> {
        let kind = if probe["httpGet"].is_object() {
            let get = &probe["httpGet"];
            let headers = get["httpHeaders"].as_array().into_iter().flatten();
            let headers = headers.filter_map(|at| Some((at["name"].as_str()?.into(), at["value"].as_str()?.into())));
            let path = get["path"].as_str().filter(|path| path.starts_with('/')).unwrap_or("/").to_owned();
            Kind::Http { port: port_of(pod, &get["port"])?, path, headers: headers.collect() }
        } else if probe["tcpSocket"].is_object() {
            Kind::Tcp { port: port_of(pod, &probe["tcpSocket"]["port"])? }
        } else {
            return None;
        };
        let figure = |field: &str, default: u64| probe[field].as_u64().filter(|at| *at > 0).unwrap_or(default);
        Some(Probe {
            kind,
            delay: Duration::from_secs(probe["initialDelaySeconds"].as_u64().unwrap_or(0)),
            period: Duration::from_secs(figure("periodSeconds", 10)),
            timeout: Duration::from_secs(figure("timeoutSeconds", 1)),
            failures: figure("failureThreshold", 3),
            successes: figure("successThreshold", 1),
        })
    }

    async fn until_it_fails(&self, world: &World, place: &Place) {
        world.time().sleep(self.delay).await;
        let mut failures = 0;
        loop {
            failures = if self.passes(world, place).await { 0 } else { failures + 1 };
            if failures >= self.failures {
                return;
            }
            world.time().sleep(self.period).await;
        }
    }

    async fn passes(&self, world: &World, place: &Place) -> bool {
        world.time().within(self.timeout, self.ask(world, place)).await.unwrap_or(false)
    }

    async fn ask(&self, world: &World, place: &Place) -> bool {
        let port = match &self.kind {
            Kind::Http { port, .. } | Kind::Tcp { port } => *port,
        };
        let found = world.with(|state| door_of(cluster(state, place.cluster)?, &place.uid, port));
        let Some((endpoint, (machine, boot))) = found else { return false };
        let Kind::Http { path, headers, .. } = &self.kind else { return true };
        if !matches!(endpoint.serves, Serves::Door(..)) {
            return false;
        }
        let mut request = Request::get(path).header("user-agent", "kube-probe/1.37");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let Ok(request) = request.body(Body::default()) else { return false };
        let address = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        let peer = Peer { address, from: From::Machine(machine), to: Some((machine, boot)), certificates: None };
        let answer = world.exchange(&endpoint, peer, request).await;
        answer.is_ok_and(|answer| (200..400).contains(&answer.status().as_u16()))
    }
}
