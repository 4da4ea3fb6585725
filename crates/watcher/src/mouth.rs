//! How vantages reach each other in life: over mutual TLS, once the cluster's authority is known.

use crate::peer::{Papers, Peer, Told};
use crate::permit::{Ask, Release, Reply};
use crate::process::Mouth;
use crate::scene::VantagePod;
use async_trait::async_trait;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wire::Line;

/// By then there is something newer to say.
const WITHIN: Duration = Duration::from_secs(1);

/// A mouth without papers is not heard.
pub struct Speaker {
    line: Line,
    papers: Arc<OnceLock<Papers>>,
}

impl Speaker {
    /// `papers` may be filled in later.
    pub fn new(line: Line, papers: Arc<OnceLock<Papers>>) -> Self {
        Speaker { line, papers }
    }
}

#[async_trait]
impl Mouth for Speaker {
    async fn tell(&self, peer: &VantagePod, told: &Told) -> Option<Told> {
        Peer::at(peer.address, WITHIN).tell(&self.line, self.papers.get()?, told).await.ok()
    }

    async fn ask(&self, peer: &VantagePod, ask: &Ask) -> Option<Reply> {
        Peer::at(peer.address, WITHIN).ask(&self.line, self.papers.get()?, ask).await.ok()
    }

    async fn release(&self, peer: &VantagePod, release: &Release) -> Option<()> {
        Peer::at(peer.address, WITHIN).release(&self.line, self.papers.get()?, release).await.ok()
    }
}
