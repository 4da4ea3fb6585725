//! What the rig is for, told once: a page behind an ingress on three nodes, and what a client and the API see of it when a
//! machine is cut off, loses its power, or has a proxy that hangs.

use crate::failure::Failure;
use crate::host::{now, until};
use crate::machine::{LILY, MACHINES, Machine, ROSE, TULIP};
use crate::{Answer, Rig};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The page's host name, in the Ingress.
const HOST: &str = "web.rig.test";
/// A program that ends, or a page that answers again, within this.
const SOON: Duration = Duration::from_mins(1);
/// The API waits 40 s for a node's word, then looks every 5 s.
const GRACE: Duration = Duration::from_mins(1);

/// What was measured, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// From the manifests to an answer from every pod through every machine.
    pub served_s: f32,
    /// From the cut of a cable to a node that the API does not call Ready.
    pub cut_not_ready_s: f32,
    /// From the first look after the cut to the client's own failure.
    pub cut_unreachable_s: f32,
    /// From the healed cable to a node that is Ready.
    pub healed_ready_s: f32,
    /// From the healed cable to the client's first answer.
    pub healed_reachable_s: f32,
    /// From the power's return to the client's first answer.
    pub restarted_reachable_s: f32,
    /// From the return of the control plane's power to three nodes that are Ready and serve.
    pub control_plane_back_s: f32,
    /// From the frozen proxy to a pod that the API does not call ready.
    pub frozen_unready_s: f32,
    /// Memory of all processes, in MiB, with everything up.
    pub memory_mib: u64,
}

/// Tells the whole story on a rig that is up, and says what is reached.
pub fn tell(rig: &mut Rig, talk: fn(&str)) -> Result<Figures, Failure> {
    let mut figures = Figures { served_s: serve(rig, talk)?, ..Figures::default() };
    figures.memory_mib = rig.memory_mib();
    talk(&format!("        {} MiB of memory", figures.memory_mib));
    cut_and_heal(rig, talk, &mut figures)?;
    freeze_and_thaw(rig, talk, &mut figures)?;
    kill_and_start(rig, talk, &mut figures)?;
    kill_control_plane(rig, talk, &mut figures)?;
    Ok(figures)
}

/// Traefik on every machine, two pods behind it: the client gets both of them through each machine.
fn serve(rig: &Rig, talk: fn(&str)) -> Result<f32, Failure> {
    let begun = now();
    let traefik = rig.image("bouquet.test/traefik:3.7.15", "traefik", &["/traefik"])?;
    let web = rig.image("bouquet.test/web:1", "guest", &["/guest", "web"])?;
    rig.import(&rig.archive("story", &[traefik, web])?)?;
    rig.apply(include_str!("../manifests/traefik.yaml"))?;
    rig.apply(include_str!("../manifests/web.yaml"))?;
    for machine in MACHINES {
        let mut nodes = BTreeSet::new();
        until(&format!("both pods answer through {}", machine.name), SOON, || {
            nodes.extend(page(rig, machine)?.body.split_once("node=").map(|(_, node)| node.trim().to_owned()));
            Ok((nodes.len() == 2).then_some(()))
        })?;
        talk(&format!("{}  {} serves the pods on {}", since(begun), machine.name, Vec::from_iter(nodes).join(" and ")));
    }
    let asked = ["exec", "deployment/web", "--", "/guest", "get", "http://web.default.svc.cluster.local/", "web"];
    until("a pod reaches the Service by its name", SOON, || rig.kubectl(&asked).map(Some))?;
    talk(&format!("{}  a pod reaches the others by the name of their Service", since(begun)));
    Ok(begun.elapsed().as_secs_f32())
}

fn cut_and_heal(rig: &Rig, talk: fn(&str), figures: &mut Figures) -> Result<(), Failure> {
    let begun = now();
    rig.cut(LILY)?;
    figures.cut_unreachable_s = unreachable(rig, LILY)?;
    talk(&format!("{}  lily's cable is out: the client cannot reach it", since(begun)));
    until("lily is not Ready", GRACE, || Ok((!is_ready(rig, LILY)?).then_some(())))?;
    figures.cut_not_ready_s = begun.elapsed().as_secs_f32();
    talk(&format!("{}  the API says that lily is not Ready", since(begun)));
    for machine in MACHINES.into_iter().filter(|machine| *machine != LILY) {
        until(&format!("{} answers", machine.name), SOON, || page(rig, machine).map(Some))?;
    }
    let begun = now();
    rig.heal(LILY)?;
    until("lily answers", SOON, || page(rig, LILY).map(Some))?;
    figures.healed_reachable_s = begun.elapsed().as_secs_f32();
    talk(&format!("{}  lily's cable is in: the client reaches it", since(begun)));
    rig.until_ready(&[LILY])?;
    figures.healed_ready_s = begun.elapsed().as_secs_f32();
    talk(&format!("{}  lily is Ready", since(begun)));
    Ok(())
}

/// A proxy that hangs: its machine is well, its port is open, and nothing comes back.
fn freeze_and_thaw(rig: &Rig, talk: fn(&str), figures: &mut Figures) -> Result<(), Failure> {
    let begun = now();
    rig.freeze("traefik", TULIP)?;
    unreachable(rig, TULIP)?;
    talk(&format!("{}  tulip's Traefik hangs: the client gets no answer", since(begun)));
    until("tulip's Traefik is not ready", SOON, || Ok((!traefik_ready(rig, TULIP)?).then_some(())))?;
    figures.frozen_unready_s = begun.elapsed().as_secs_f32();
    talk(&format!("{}  the API says that tulip's Traefik is not ready", since(begun)));
    rig.thaw("traefik", TULIP)?;
    let begun = now();
    until("tulip answers", SOON, || page(rig, TULIP).map(Some))?;
    talk(&format!("{}  tulip's Traefik goes on: the client is answered", since(begun)));
    Ok(())
}

fn kill_and_start(rig: &mut Rig, talk: fn(&str), figures: &mut Figures) -> Result<(), Failure> {
    let begun = now();
    rig.kill(TULIP)?;
    unreachable(rig, TULIP)?;
    talk(&format!("{}  tulip's power is out: kubelet, containers and network are gone", since(begun)));
    let begun = now();
    rig.start(TULIP)?;
    until("tulip answers", SOON, || page(rig, TULIP).map(Some))?;
    figures.restarted_reachable_s = begun.elapsed().as_secs_f32();
    talk(&format!("{}  tulip's power is back: the client is answered", since(begun)));
    rig.until_ready(&MACHINES)
}

/// Without its control plane a cluster goes on serving, and nobody can change it.
fn kill_control_plane(rig: &mut Rig, talk: fn(&str), figures: &mut Figures) -> Result<(), Failure> {
    let begun = now();
    rig.kill(ROSE)?;
    unreachable(rig, ROSE)?;
    for machine in [LILY, TULIP] {
        page(rig, machine)?;
    }
    talk(&format!("{}  rose's power is out, and the control plane's: lily and tulip serve", since(begun)));
    let begun = now();
    rig.start(ROSE)?;
    rig.until_ready(&MACHINES)?;
    until("rose answers", SOON, || page(rig, ROSE).map(Some))?;
    figures.control_plane_back_s = begun.elapsed().as_secs_f32();
    talk(&format!("{}  rose's power is back: all nodes are Ready, and rose serves", since(begun)));
    Ok(())
}

/// The page, as the client gets it through a machine.
fn page(rig: &Rig, machine: Machine) -> Result<Answer, Failure> {
    let answer = rig.get(&format!("http://{}/", machine.public()), HOST)?;
    if answer.status == 200 { Ok(answer) } else { Err(Failure::Unread { program: "the ingress", said: answer.body }) }
}

/// One request, which must fail; how long that took.
fn unreachable(rig: &Rig, machine: Machine) -> Result<f32, Failure> {
    let begun = now();
    // Any answer at all, a refusal included, would come from something that lives.
    match rig.get(&format!("http://{}/", machine.public()), HOST) {
        Ok(answer) => Err(Failure::Unread { program: "a machine that cannot be reached", said: answer.body }),
        Err(_) => Ok(begun.elapsed().as_secs_f32()),
    }
}

fn is_ready(rig: &Rig, machine: Machine) -> Result<bool, Failure> {
    Ok(rig.nodes()?.iter().any(|node| node.name == machine.name && node.ready))
}

fn traefik_ready(rig: &Rig, machine: Machine) -> Result<bool, Failure> {
    let field = format!("--field-selector=spec.nodeName={}", machine.name);
    let condition = r#"--output=jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}"#;
    Ok(rig.kubectl(&["get", "pods", "--namespace=traefik", &field, condition])?.trim() == "True")
}

fn since(begun: Instant) -> String {
    format!("{:5.1} s", begun.elapsed().as_secs_f32())
}
