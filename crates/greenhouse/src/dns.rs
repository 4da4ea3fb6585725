//! Names: the zone's authority, and each party's caching resolver, which also remembers what is not there.

use crate::cloudflare::{self, Authority};
use crate::net::From;
use crate::tailscale;
use crate::world::State as Everything;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The resolvers' caches.
#[derive(Default)]
pub(crate) struct State {
    caches: BTreeMap<From, BTreeMap<String, Answer>>,
}

/// What a resolver remembers of a name; no addresses if there is no such name.
struct Answer {
    addresses: Vec<IpAddr>,
    until: Timestamp,
}

/// Resolves a name as `from`'s resolver would; empty if there is no such name. Each answer begins with another address
/// than the one before it, as resolvers' do.
pub(crate) fn resolve(state: &mut Everything, from: From, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if let Some(address) = tailscale::magic_dns(state, from, &name) {
        return vec![address];
    }
    let now = state.now();
    let cache = state.dns.caches.entry(from).or_default();
    cache.retain(|_, answer| answer.until > now);
    if let Some(answer) = cache.get_mut(&name) {
        rotate(&mut answer.addresses);
        return answer.addresses.clone();
    }
    let (addresses, ttl_s) = match cloudflare::authority(state, &name) {
        Authority::Addresses(addresses, ttl_s) => (addresses, ttl_s),
        Authority::NoSuchName(ttl_s) => (Vec::new(), ttl_s),
        Authority::NotHere => return Vec::new(),
    };
    let until = now.saturating_add(SignedDuration::from_secs(ttl_s.into())).unwrap_or(now);
    let answer = Answer { addresses: addresses.clone(), until };
    state.dns.caches.entry(from).or_default().insert(name, answer);
    addresses
}

/// Forgets what a party's resolver knows: its machine has started anew.
pub(crate) fn forget(state: &mut Everything, from: From) {
    state.dns.caches.remove(&from);
}

/// Moves the first address to the end of its family; IPv4 stays in front, since nobody here has only IPv6.
fn rotate(addresses: &mut [IpAddr]) {
    addresses.sort_by_key(IpAddr::is_ipv6);
    let of_v4 = addresses.iter().take_while(|address| address.is_ipv4()).count();
    if let Some(v4) = addresses.get_mut(..of_v4).filter(|v4| !v4.is_empty()) {
        v4.rotate_left(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Greenhouse, Options};
    use std::time::Duration;
    use wire::{Rng, Time};

    fn world() -> (Greenhouse, Time) {
        let time = Time::starting_at("2026-11-23T08:00:00Z".parse().unwrap(), Rng::seeded(1));
        (Greenhouse::new(&Options::default(), time.clone()).unwrap(), time)
    }

    fn ask(greenhouse: &Greenhouse, from: From) -> Vec<String> {
        let found = greenhouse.world.with(|state| resolve(state, from, "API.example.com."));
        found.into_iter().map(|address| address.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_was_asked_for_too_early_stays_missing_for_half_an_hour() {
        let (greenhouse, time) = world();
        let (rose, lily) = (From::Machine(1), From::Machine(2));
        assert!(ask(&greenhouse, rose).is_empty());
        greenhouse.foreign("record", "api").unwrap();
        assert_eq!(ask(&greenhouse, lily), ["198.51.100.99"], "who asks first now is told");
        time.sleep(Duration::from_secs(1799)).await;
        assert!(ask(&greenhouse, rose).is_empty());
        time.sleep(Duration::from_secs(1)).await;
        assert_eq!(ask(&greenhouse, rose), ["198.51.100.99"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_starts_anew_has_forgotten() {
        let (greenhouse, _) = world();
        let rose = From::Machine(1);
        assert!(ask(&greenhouse, rose).is_empty());
        greenhouse.foreign("record", "api").unwrap();
        greenhouse.world.with(|state| forget(state, rose));
        assert_eq!(ask(&greenhouse, rose), ["198.51.100.99"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_knows_the_tailnets_names_only_where_its_machine_takes_its_dns() {
        let (greenhouse, _) = world();
        let (operator, rose) = greenhouse.world.with(|state| {
            let kinds = crate::inventory::take(state);
            let name = kinds["tailscale_devices"][0]["name"].as_str().unwrap().to_owned();
            let label = name.split_once('.').unwrap().0;
            assert_eq!(resolve(state, From::Operator, label), resolve(state, From::Operator, &name));
            (resolve(state, From::Operator, &name), resolve(state, From::Machine(1), label))
        });
        assert!(operator.first().copied().is_some_and(tailscale::is_mesh));
        assert!(rose.is_empty());
    }

    #[test]
    fn addresses_take_turns() {
        let mut addresses = ["192.0.2.1", "2001:db8::1", "192.0.2.2"].map(|text| text.parse().unwrap());
        rotate(&mut addresses);
        assert_eq!(addresses.map(|address: IpAddr| address.to_string()), ["192.0.2.2", "192.0.2.1", "2001:db8::1"]);
    }
}
