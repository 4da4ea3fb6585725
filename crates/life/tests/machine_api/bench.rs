//! Machines to be asked, real or emulated, and the tale of what they answered.

use futures::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;
use talos::{Bundle, Client, ClientError, Peer, Role};
use wire::{Rng, Roots, Route, Secret, SharedWire, Time};

/// Takes everything from the machine of that name, which has that address, and boots it with its configuration. Its address
/// from then on.
pub type Renew = Box<dyn Fn(&'static str, String) -> BoxFuture<'static, String>>;

/// Machines that have the same configurations, whoever runs them.
pub struct Bench {
    pub wire: SharedWire,
    pub time: Time,
    pub bundle: Bundle,
    /// Mesh address by name.
    pub addresses: BTreeMap<&'static str, String>,
    pub configs: BTreeMap<&'static str, Secret>,
    renew: Renew,
    tale: Vec<String>,
}

impl Bench {
    pub fn new(wire: SharedWire, time: Time, bundle: Bundle, renew: Renew) -> Self {
        let (addresses, configs) = (BTreeMap::new(), BTreeMap::new());
        Bench { wire, time, bundle, addresses, configs, renew, tale: Vec::new() }
    }

    pub fn client(&self, node: &str, role: Role) -> Client {
        self.client_of(&self.bundle, node, role)
    }

    pub fn admin(&self, node: &str) -> Client {
        self.client(node, Role::Admin)
    }

    /// One with a certificate of another cluster.
    pub fn stranger(&self, node: &str) -> Client {
        let other = Bundle::generate(&mut Rng::seeded(99), self.time.now()).unwrap();
        let issued = self.issued(&other, Role::Admin);
        let peer = Peer {
            route: Route::Mesh,
            address: self.addresses[node].clone(),
            roots: Roots::Unverified,
            identity: Some(issued.identity),
        };
        Client::new(self.wire.clone(), self.time.clone(), &peer).unwrap()
    }

    fn client_of(&self, bundle: &Bundle, node: &str, role: Role) -> Client {
        let peer = Peer::configured(
            self.addresses[node].clone(),
            bundle.os.der().unwrap(),
            self.issued(bundle, role).identity,
        );
        Client::new(self.wire.clone(), self.time.clone(), &peer).unwrap()
    }

    fn issued(&self, bundle: &Bundle, role: Role) -> talos::Issued {
        let mut rng = self.time.rng(&format!("certificate {role:?}"));
        talos::talos_client(bundle, role, self.time.now(), Duration::from_hours(24), &mut rng).unwrap()
    }

    /// A machine loses everything, and boots.
    pub async fn renew(&mut self, name: &'static str) {
        let address = (self.renew)(name, self.addresses[name].clone()).await;
        self.addresses.insert(name, address);
    }

    /// Asks until there is an answer, and fails if there is none in time.
    pub async fn until<T>(&self, what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let look = Box::pin(async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                self.time.sleep(Duration::from_millis(500)).await;
            }
        });
        self.time
            .within(limit, look)
            .await
            .unwrap_or_else(|_| panic!("never: {what}; so far:\n{}", self.tale.join("\n")))
    }

    /// Notes what came of a case.
    pub fn note(&mut self, case: &str, outcome: impl Display) {
        let mut text = without_ids(&outcome.to_string().replace("\n\t", " "));
        for (name, address) in &self.addresses {
            text = text.replace(address.as_str(), &format!("<{name}>"));
        }
        self.tale.push(format!("{case}: {text}"));
    }

    /// Notes a call that may be refused.
    pub fn answer<T>(&mut self, case: &str, answer: Result<T, ClientError>) {
        self.note(case, answer.map_or_else(|error| refusal(&error), |_| "ok".to_owned()));
    }

    /// What was noted.
    pub fn tale(self) -> String {
        self.tale.join("\n") + "\n"
    }
}

/// Members are called by numbers that are drawn.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| word.len() > 15 && word.chars().all(|letter| letter.is_ascii_digit());
    let words = text.split(' ').map(|word| if is_id(word.trim_end_matches(':')) { "<id>:" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// A refusal in the node's own words.
pub fn refusal(error: &ClientError) -> String {
    match error {
        ClientError::Refused { code, message, .. } => format!("{code:?}: {message}"),
        // A server that does not know the client says so when the client already takes the handshake for done.
        ClientError::Lost(_) => "lost".to_owned(),
        ClientError::TimedOut { .. } => "no answer".to_owned(),
        other => other.to_string(),
    }
}

/// Whether a snapshot is whole: pages of 512 bytes, and their SHA-256 behind them.
pub fn is_whole(snapshot: &[u8]) -> bool {
    let Some((pages, digest)) = snapshot.split_last_chunk::<32>() else { return false };
    !pages.is_empty() && pages.len() % 512 == 0 && Sha256::digest(pages).as_slice() == digest
}
