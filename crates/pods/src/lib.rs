//! What pods of the simulated world run of the product's own: the watcher, once a pod.
//!
//! It gets what its container would: variables and files of the pod, its way out, its clock, its ports. Only listening
//! differs: a door of the pod stands where a socket would. The world itself knows nothing of the product.
//!
//! This crate refuses to decide anything: what a program does is its own crate's.

use async_trait::async_trait;
use axum::Router;
use clouds::{Preset, Settings};
use futures::future::BoxFuture;
use greenhouse::{Certificate, Doors, Pod, Program, Programs};
use std::sync::Arc;
use std::time::Duration;
use watcher::kubernetes::Access;
use watcher::peer::Papers;
use watcher::run::{self, CONFIG, NAMESPACE, Ports, Surroundings, Watcher};
use watcher::start::Unfit;
use wire::Time;

/// Between two looks whether a door must show newer papers.
const PAPERS_LOOK: Duration = Duration::from_hours(1);

/// Every program of the product's own, by its image.
pub fn programs() -> Programs {
    let program: Program = Arc::new(|pod| -> BoxFuture<'static, ()> { Box::pin(watch(pod)) });
    let image = addons::image();
    // Programs go by repository.
    let repository = image.rsplit_once(':').map_or(image.as_str(), |(name, _)| name);
    Programs::default().with(repository, program)
}

async fn watch(pod: Pod) {
    let term = pod.term.clone();
    match watcher(pod) {
        Ok(watcher) => watcher.run(term.asked()).await,
        Err(error) => tracing::error!("{error}"),
    }
}

fn watcher(pod: Pod) -> Result<Watcher, Unfit> {
    let Pod { env, files, wire, time, doors, .. } = pod;
    let files = files.into_iter().filter_map(|(path, bytes)| Some((path, String::from_utf8(bytes).ok()?)));
    let preset: Preset = env.clone().into_iter().chain(files).collect();
    let settings: Arc<dyn Settings> = Arc::new(preset);
    let variable = |name: &str, default: &str| env.get(name).map_or_else(|| default.to_owned(), String::clone);
    let namespace = variable("POD_NAMESPACE", NAMESPACE);
    Watcher::new(Surroundings {
        config: run::configuration(&*settings, CONFIG)?,
        pod: variable("POD_NAME", "bouquet-watcher"),
        node: variable("NODE_NAME", ""),
        access: Access::of_pod(&settings, &namespace)?,
        namespace,
        settings,
        wire,
        time: time.clone(),
        ports: Arc::new(Listening { doors, time }),
    })
}

struct Listening {
    doors: Doors,
    time: Time,
}

#[async_trait]
impl Ports for Listening {
    async fn serve(&self, port: u16, papers: Option<&Papers>, router: Router) {
        loop {
            let certificate = papers.map(|papers| {
                let identity = papers.identity();
                let (chain, key) = (identity.chain().to_vec(), identity.key().to_vec());
                Certificate { chain, key, clients: vec![papers.authority_der().to_vec()] }
            });
            self.doors.open(port, certificate, router.clone());
            match papers {
                Some(_) => self.time.sleep(PAPERS_LOOK).await,
                None => std::future::pending().await,
            }
        }
    }
}
