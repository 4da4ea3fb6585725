//! What is told to the cluster and to people: Events, `ingressnodes`, webhooks.

use super::Process;
use crate::permit::Standing;
use crate::status::Happening;
use crate::tell::{Anchor, Events, Hook, Hooks, Keeper, Reporter, recall};
use std::time::Duration;
use tokio::sync::mpsc;

/// Objects are looked at this often.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// Complaints that still stand are said again.
const COMPLAIN_EVERY: Duration = Duration::from_mins(10);

/// Whoever has something to tell.
pub struct Announcer {
    /// To the cluster.
    pub client: kube::Client,
    /// What Events say.
    pub events: Events,
    /// To people.
    pub hooks: Vec<Hook>,
    /// What happens.
    pub happenings: mpsc::Receiver<Happening>,
}

impl Process {
    /// Tells, for as long as it is polled.
    pub async fn announce(&self, announcer: Announcer) {
        let Announcer { client, events, hooks, mut happenings } = announcer;
        let teller = Hooks::default();
        let cluster = self.with(|mind| mind.aim.cluster.clone());
        let pass_on = async {
            while let Some(happening) = happenings.recv().await {
                tracing::info!(what = ?happening.what, subject = happening.subject, "{}", happening.text);
                events.happened(&happening);
                teller.happened(&happening);
            }
        };
        tokio::join!(
            pass_on,
            self.complain(&events),
            events.run(client.clone()),
            teller.run(hooks, &cluster, &self.parts.line, &self.parts.counters),
            self.keep_objects(&client),
        );
    }

    async fn complain(&self, events: &Events) {
        let mut sight = self.parts.sight.clone();
        let mut said = Vec::new();
        loop {
            let scene = sight.borrow_and_update().scene.clone();
            let complaints = scene.map(|scene| scene.complaints.clone()).unwrap_or_default();
            for complaint in complaints.iter().filter(|complaint| !said.contains(*complaint)) {
                tracing::warn!(object = complaint.object.name, reason = complaint.reason, "{}", complaint.message);
                events.complain(complaint);
            }
            said = complaints;
            tokio::select! {
                biased;
                Ok(()) = sight.changed() => {}
                () = self.time.sleep(COMPLAIN_EVERY) => said.clear(),
            }
        }
    }

    fn anchor(&self) -> Anchor {
        Anchor { at: self.time.now(), ms: self.now_ms() }
    }

    async fn keep_objects(&self, client: &kube::Client) {
        match recall(client, self.anchor()).await {
            Ok(memory) => self.with(|mind| mind.recall(memory)),
            Err(error) => tracing::debug!(%error, "nothing is recalled from ingressnodes"),
        }
        let (mut keeper, mut reporter) = (Keeper::new(client.clone()), Reporter::new(client.clone()));
        loop {
            let status = self.status.borrow().clone();
            let now_ms = self.now_ms();
            let writer = self.with(|mind| {
                let writes = mind.holder.standing(now_ms) != Standing::Mute;
                mind.scene.clone().filter(|_| writes).map(|scene| (scene, mind.memory.clone()))
            });
            let kept = match &writer {
                Some((scene, memory)) => keeper.keep(scene, &status, memory, self.anchor()).await,
                None => Ok(()),
            };
            let told = match kept {
                Ok(()) => reporter.report(&status).await,
                Err(error) => Err(error),
            };
            if let Err(error) = told {
                tracing::debug!(%error, "ingressnodes are not kept");
            }
            self.time.sleep(KEEP_EVERY).await;
        }
    }
}
