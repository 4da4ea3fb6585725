//! Containers whose image has a program: each runs in a task of its own, is started again when it ends, and is shown in its pod's
//! status.

use super::environment::{self, Environment, Missing};
use super::probes::Probes;
use super::{is_going, kubelet_lives, node_of, set_condition, uid};
use crate::kube::network::{Door, Place};
use crate::kube::store::{Key, child, seconds};
use crate::kube::{Cluster, ClusterId, cluster_mut, workloads};
use crate::machine::MachineId;
use crate::program::{Doors, Pod, PodWire, Program, Seat, Term};
use crate::world::{State, World};
use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The kubelet's back-off: none before the first restart, then 10 s and twice as much each time.
const BACKOFF_FIRST: Duration = Duration::from_secs(10);
const BACKOFF_MOST: Duration = Duration::from_mins(5);
/// A container that has run for so long begins without a past.
const BACKOFF_FORGETS: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);
/// How often the kubelet tries again what it could not set up.
const RETRY: Duration = Duration::from_secs(10);

/// A pod's containers on their node.
pub(in crate::kube) struct Running {
    pub key: Key,
    /// Where, and in which of its boots.
    pub machine: (MachineId, u64),
    pub address: IpAddr,
    pub host_network: bool,
    /// Ports of the node that lead to ports of the pod.
    pub host_ports: Vec<(u16, u16)>,
    pub doors: BTreeMap<u16, Door>,
    containers: BTreeMap<String, Container>,
    /// The pod is gone.
    over: CancellationToken,
    /// It has been asked to end.
    stopping: CancellationToken,
    /// All its containers have.
    ended: CancellationToken,
}

impl Running {
    /// Ends with a start of a container; `None` if that is over.
    pub(in crate::kube) fn over(&self, container: &str, start: u64) -> Option<CancellationToken> {
        let container = self.containers.get(container).filter(|at| at.start == start)?;
        (!container.over.is_cancelled()).then(|| container.over.clone())
    }

    /// Ends all containers as a crash does.
    pub(in crate::kube) fn crash(&self) {
        for container in self.containers.values() {
            container.over.cancel();
        }
    }
}

struct Container {
    /// Which start of it this is; unique in the world.
    start: u64,
    over: CancellationToken,
    term: watch::Sender<bool>,
    /// `state` of its status.
    state: Value,
    /// `lastState`.
    last: Value,
    restarts: u64,
    started: bool,
    ready: bool,
    /// Its exit code, if it will not be started again.
    done: Option<i32>,
}

/// How a container has ended.
struct Exit {
    code: i32,
    reason: &'static str,
}

impl Exit {
    const KILLED: Exit = Exit { code: 137, reason: "Error" };

    fn of<E>(ended: &Result<(), E>) -> Self {
        match ended {
            Ok(()) => Exit { code: 0, reason: "Completed" },
            // What a Rust program that panics exits with.
            Err(_) => Exit { code: 101, reason: "Error" },
        }
    }
}

/// Whether this pod has a container with a program.
pub(super) fn has_program(cluster: &Cluster, pod: &Value) -> bool {
    cluster.machine(node_of(pod)).is_some() && containers(pod).any(|container| program(cluster, container).is_some())
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    pod["spec"]["containers"].as_array().into_iter().flatten()
}

fn program<'a>(cluster: &'a Cluster, container: &Value) -> Option<&'a Program> {
    cluster.programs.of(container["image"].as_str().unwrap_or_default())
}

fn named<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    containers(pod).find(|container| container["name"] == name)
}

/// Starts the containers of a pod that has its address.
pub(super) fn launch(world: &World, id: ClusterId, cluster: &mut Cluster, key: &Key, pod: &Value) {
    let Some(machine) = cluster.machine(node_of(pod)) else { return };
    let Some(address) = pod["status"]["podIP"].as_str().and_then(|text| text.parse().ok()) else { return };
    let over = CancellationToken::new();
    let of_program = containers(pod).filter(|container| program(cluster, container).is_some());
    let of_program = of_program.filter_map(|container| container["name"].as_str());
    let fresh: BTreeMap<String, Container> = of_program
        .map(|name| {
            let before = status_of(pod, name).and_then(|status| status["restartCount"].as_u64());
            let container = Container {
                start: 0,
                over: over.child_token(),
                term: watch::Sender::new(false),
                state: json!({"waiting": {"reason": "ContainerCreating"}}),
                last: json!({}),
                restarts: before.map_or(0, |before| before + 1),
                started: false,
                ready: false,
                done: None,
            };
            (name.to_owned(), container)
        })
        .collect();
    for name in fresh.keys() {
        let (world_of_container, uid, name) = (world.clone(), uid(pod).to_owned(), name.clone());
        world.spawn(async move { supervise(&world_of_container, id, &uid, &name).await });
    }
    let running = Running {
        key: key.clone(),
        machine,
        address,
        host_network: pod["spec"]["hostNetwork"] == true,
        host_ports: environment::host_ports(pod),
        doors: BTreeMap::new(),
        containers: fresh,
        over,
        stopping: CancellationToken::new(),
        ended: CancellationToken::new(),
    };
    cluster.running.insert(uid(pod).to_owned(), running);
}

fn status_of<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    pod["status"]["containerStatuses"].as_array()?.iter().find(|status| status["name"] == name)
}

/// Starts a container again and again, until its pod ends.
async fn supervise(world: &World, id: ClusterId, uid: &str, name: &str) {
    let mut pause = Duration::ZERO;
    loop {
        let prepared = world.with(|state| prepare(world, state, id, uid, name));
        let Some((start, ends)) = prepared else { return };
        let wait = match start {
            None => RETRY,
            Some(start) => {
                let since = world.now();
                let exit = start.run(world).await;
                if world.now().duration_since(since) >= BACKOFF_FORGETS {
                    pause = Duration::ZERO;
                }
                if !world.with(|state| exited(world, state, id, uid, name, (&exit, since, pause))) {
                    return;
                }
                let wait = pause;
                pause = (pause * 2).clamp(BACKOFF_FIRST, BACKOFF_MOST);
                wait
            }
        };
        tokio::select! {
            biased;
            () = ends.cancelled() => {}
            () = world.time().sleep(wait) => {}
        }
    }
}

/// One start, ready to run.
struct Start {
    pod: Pod,
    program: Program,
    over: CancellationToken,
    term: watch::Sender<bool>,
    grace: Duration,
    probes: Probes,
}

impl Start {
    async fn run(self, world: &World) -> Exit {
        let Start { pod, program, over, term, grace, probes } = self;
        let work = AssertUnwindSafe(async move { program(pod).await }).catch_unwind();
        tokio::pin!(work);
        tokio::select! {
            biased;
            () = over.cancelled() => return Exit::KILLED,
            ended = &mut work => return Exit::of(&ended),
            () = probes.until_dead(world) => drop(term.send_replace(true)),
        }
        tokio::select! {
            biased;
            () = over.cancelled() => Exit::KILLED,
            ended = &mut work => Exit::of(&ended),
            () = world.time().sleep(grace) => Exit::KILLED,
        }
    }
}

type Prepared = (Option<Start>, CancellationToken);

/// The next start of a container, or none where something of it is missing; `None`: the pod has ended.
fn prepare(world: &World, state: &mut State, id: ClusterId, uid: &str, name: &str) -> Option<Prepared> {
    let (now, number) = (state.now(), state.next_id());
    let cluster = cluster_mut(state, id)?;
    let running = cluster.running.get(uid)?;
    if running.over.is_cancelled() || running.stopping.is_cancelled() {
        end(cluster, uid, name, 0);
        return None;
    }
    let ends = running.stopping.clone();
    let pod = cluster.store.get(&running.key).cloned()?;
    let found = assemble(world, cluster, (id, uid, number), &pod, name, now);
    let container = cluster.running.get_mut(uid)?.containers.get_mut(name)?;
    let start = match found {
        Ok(start) => {
            container.start = number;
            container.over = start.over.clone();
            container.term = start.term.clone();
            container.state = json!({"running": {"startedAt": seconds(now)}});
            container.started = !start.probes.has_startup();
            container.ready = container.started && !start.probes.has_readiness();
            Some(start)
        }
        Err((reason, message)) => {
            container.state = json!({"waiting": {"reason": reason, "message": message}});
            None
        }
    };
    tell(world, state, id, uid);
    Some((start, ends))
}

fn assemble(
    world: &World,
    cluster: &Cluster,
    (id, uid, number): (ClusterId, &str, u64),
    pod: &Value,
    name: &str,
    now: Timestamp,
) -> Result<Start, Missing> {
    let gone = || ("ContainerCreating", String::new());
    let running = cluster.running.get(uid).ok_or_else(gone)?;
    let container = named(pod, name).ok_or_else(gone)?;
    let program = program(cluster, container).ok_or_else(gone)?.clone();
    let Environment { args, env, files } = environment::of(cluster, pod, container, now)?;
    let (over, term) = (running.over.child_token(), watch::Sender::new(false));
    let place = Place { cluster: id, uid: uid.to_owned(), container: name.to_owned(), start: number };
    let label = format!("pod {} {} {name} {number}", running.key.namespace, running.key.name);
    let policy = pod["spec"]["dnsPolicy"].as_str().unwrap_or("ClusterFirst");
    let seat = Seat {
        cluster: id,
        namespace: running.key.namespace.clone(),
        machine: running.machine.0,
        address: running.address,
        cluster_names: policy == "ClusterFirstWithHostNet" || policy == "ClusterFirst" && !running.host_network,
        label: label.clone(),
    };
    let probes = Probes::of(container, pod, &place);
    let grace = pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
    let pod = Pod {
        name: running.key.name.clone(),
        namespace: running.key.namespace.clone(),
        node: node_of(pod).to_owned(),
        address: running.address,
        args,
        env,
        files,
        wire: Arc::new(PodWire::new(world.clone(), seat, over.clone())),
        time: world.time().child(&label),
        doors: Doors::new(world.clone(), place),
        term: Term::new(term.subscribe()),
    };
    Ok(Start { pod, program, over, term, grace: Duration::from_secs(grace), probes })
}

/// Takes note of a container's end; whether it is to start again.
fn exited(
    world: &World,
    state: &mut State,
    id: ClusterId,
    uid: &str,
    name: &str,
    (exit, since, pause): (&Exit, Timestamp, Duration),
) -> bool {
    let now = state.now();
    let Some(cluster) = cluster_mut(state, id) else { return false };
    let Some(running) = cluster.running.get_mut(uid) else { return false };
    running.doors.retain(|_, door| door.container != name);
    let key = running.key.clone();
    let policy = cluster.store.get(&key).and_then(|pod| pod["spec"]["restartPolicy"].as_str().map(str::to_owned));
    let Some(container) = cluster.running.get_mut(uid).and_then(|running| running.containers.get_mut(name)) else {
        return false;
    };
    container.over.cancel();
    (container.ready, container.started) = (false, false);
    let terminated = json!({"terminated": {
        "exitCode": exit.code, "reason": exit.reason, "startedAt": seconds(since), "finishedAt": seconds(now),
    }});
    let is_final = match policy.as_deref() {
        Some("Never") => true,
        Some("OnFailure") => exit.code == 0,
        _ => false,
    };
    let stopping = cluster.running.get(uid).is_some_and(|running| running.stopping.is_cancelled());
    if let Some(container) = cluster.running.get_mut(uid).and_then(|running| running.containers.get_mut(name)) {
        if is_final || stopping {
            container.state = terminated;
        } else {
            container.last = terminated;
            container.restarts += 1;
            container.state = json!({"waiting": {"reason": "CrashLoopBackOff", "message": format!(
                "back-off {}s restarting failed container={name} pod={}_{}({uid})",
                pause.as_secs(), key.name, key.namespace,
            )}});
        }
    }
    if is_final || stopping {
        end(cluster, uid, name, exit.code);
    }
    if !stopping {
        let node = cluster.store.get(&key).map(|pod| node_of(pod).to_owned()).unwrap_or_default();
        state.note(format_args!("node {node}: container {name} has ended with {}", exit.code));
    }
    tell(world, state, id, uid);
    !is_final && !stopping
}

/// A container will not run again.
fn end(cluster: &mut Cluster, uid: &str, name: &str, code: i32) {
    let Some(running) = cluster.running.get_mut(uid) else { return };
    if let Some(container) = running.containers.get_mut(name) {
        container.done = Some(code);
    }
    if running.containers.values().all(|container| container.done.is_some()) {
        running.ended.cancel();
    }
}

/// What probes have found of a start.
pub(super) fn judged(world: &World, state: &mut State, place: &Place, started: bool, ready: bool) {
    let running = cluster_mut(state, place.cluster).and_then(|cluster| cluster.running.get_mut(&place.uid));
    let container = running.and_then(|running| running.containers.get_mut(&place.container));
    let Some(container) = container.filter(|at| at.start == place.start) else { return };
    if (container.started, container.ready) != (started, ready) {
        (container.started, container.ready) = (started, ready);
        tell(world, state, place.cluster, &place.uid);
    }
}

/// Has the kubelet tell the API what has become of a pod's containers, if it can.
fn tell(world: &World, state: &mut State, id: ClusterId, uid: &str) {
    let now = state.now();
    let Some(cluster) = cluster_mut(state, id) else { return };
    if write(cluster, uid, now) {
        workloads::wake(world, state, id);
    }
}

/// The same for all pods of a node; whether anything was new.
pub(in crate::kube) fn tell_all(cluster: &mut Cluster, node: &str, now: Timestamp) -> bool {
    let Some((machine, _)) = cluster.machine(node) else { return false };
    let here = cluster.running.iter().filter(|(_, running)| running.machine.0 == machine);
    let here: Vec<String> = here.map(|(uid, _)| uid.clone()).collect();
    let mut is_new = false;
    for uid in here {
        is_new |= write(cluster, &uid, now);
    }
    is_new
}

fn write(cluster: &mut Cluster, of: &str, now: Timestamp) -> bool {
    let Some(key) = cluster.running.get(of).map(|running| running.key.clone()) else { return false };
    let Some(pod) = cluster.store.get(&key).filter(|pod| uid(pod) == of).cloned() else { return false };
    if !cluster.available || !kubelet_lives(cluster, node_of(&pod), now) {
        return false;
    }
    let mut shown = (*pod).clone();
    show(cluster, &mut shown, now);
    let before = cluster.store.revision();
    cluster.store.put(&key, shown);
    cluster.store.revision() != before
}

/// Writes containers and what follows from them into a pod's status. Containers without a program run and are ready.
pub(super) fn show(cluster: &Cluster, pod: &mut Value, now: Timestamp) {
    let running = cluster.running.get(uid(pod));
    let statuses = containers(pod).map(|container| {
        let name = container["name"].as_str().unwrap_or_default();
        let Some(own) = running.and_then(|running| running.containers.get(name)) else {
            let since = status_of(pod, name).and_then(|status| status["state"]["running"]["startedAt"].as_str());
            return json!({
                "name": name, "image": container["image"], "imageID": "", "ready": true, "started": true,
                "restartCount": 0, "state": {"running": {"startedAt": since.map_or_else(|| seconds(now), str::to_owned)}},
            });
        };
        json!({
            "name": name, "image": container["image"], "imageID": "", "ready": own.ready, "started": own.started,
            "restartCount": own.restarts, "state": own.state, "lastState": own.last,
        })
    });
    let statuses: Vec<Value> = statuses.collect();
    let is_ready = statuses.iter().all(|status| status["ready"] == true);
    let codes: Option<Vec<i32>> = running
        .filter(|running| running.containers.len() == statuses.len())
        .and_then(|running| running.containers.values().map(|container| container.done).collect());
    let phase = match codes {
        Some(codes) if !is_going(pod) => {
            if codes.iter().all(|code| *code == 0) {
                "Succeeded"
            } else {
                "Failed"
            }
        }
        _ => "Running",
    };
    let status = child(pod, "status");
    status["phase"] = phase.into();
    status["containerStatuses"] = statuses.into();
    let (word, reason) = match (is_ready, phase) {
        (true, _) => ("True", ""),
        (false, "Succeeded") => ("False", "PodCompleted"),
        (false, _) => ("False", "ContainersNotReady"),
    };
    for kind in ["Ready", "ContainersReady"] {
        set_condition(pod, kind, word, reason, now);
    }
}

/// Asks a pod's containers to end; what tells that all of them have. `None`: none run.
pub(super) fn ask_to_end(cluster: &Cluster, uid: &str) -> Option<CancellationToken> {
    let running = cluster.running.get(uid)?;
    running.stopping.cancel();
    for container in running.containers.values() {
        container.term.send_replace(true);
    }
    Some(running.ended.clone())
}

/// Ends what is left of a pod at once.
pub(in crate::kube) fn kill(cluster: &mut Cluster, uid: &str) {
    if let Some(running) = cluster.running.remove(uid) {
        running.over.cancel();
    }
}

/// Ends the containers of every pod that the API no longer has.
pub(super) fn kill_orphans(cluster: &mut Cluster, now: Timestamp) {
    let is_orphan = |(of, running): &(&String, &Running)| {
        let is_there = cluster.store.get(&running.key).is_some_and(|pod| uid(pod) == of.as_str());
        let node = cluster.kubelets.iter().find(|(_, kubelet)| kubelet.machine == Some(running.machine));
        !is_there && node.is_none_or(|(name, _)| kubelet_lives(cluster, name, now))
    };
    let orphans: Vec<String> = cluster.running.iter().filter(is_orphan).map(|(uid, _)| uid.clone()).collect();
    for uid in orphans {
        kill(cluster, &uid);
    }
}
