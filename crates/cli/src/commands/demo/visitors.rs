//! Somebody on the internet who asks for a page, again and again, and what the zone says meanwhile.

use crate::failure::Failure;
use greenhouse::Greenhouse;
use http::Request;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;
use wire::{Body, Roots, Route, Target, Time, Tls};

/// As long as people wait before they leave.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two visits.
const PAUSE: Duration = Duration::from_secs(1);
/// After so many pages in a row the trouble is over for visitors too.
const CALM: u32 = 30;
/// No act takes longer.
const ACT_MAX: Duration = Duration::from_mins(15);
/// Answered by whoever the request is routed to behind the ingress controller.
const PATH: &str = "/.well-known/bouquet/visitor";

/// What is known of the world from outside: pages, and the zone.
pub(super) struct Visitors<'a> {
    /// The world that they live in.
    pub world: &'a Greenhouse,
    /// Its clock.
    pub time: &'a Time,
    /// The host that they ask.
    pub host: String,
    /// The name that every node's addresses stand under.
    pub pool: String,
    /// Whose address it is.
    pub nodes: BTreeMap<IpAddr, String>,
    /// Where it is told.
    pub say: &'a dyn Fn(&str),
}

/// What has been seen of an act so far.
#[derive(Default)]
struct Seen {
    unserved: u32,
    in_a_row: u32,
    published: BTreeSet<String>,
}

impl Visitors<'_> {
    /// They come until the zone names exactly these nodes and pages come without fail; every change is told.
    pub async fn until(&self, wanted: &BTreeSet<String>) -> Result<(), Failure> {
        let begun = self.time.now();
        let mut seen = Seen { published: self.published(), ..Seen::default() };
        while self.time.now().duration_since(begun) < SignedDuration::try_from(ACT_MAX).unwrap_or_default() {
            match self.visit().await {
                Ok(()) => seen.in_a_row += 1,
                Err(why) => {
                    if seen.unserved == 0 {
                        self.tell(begun, &format!("a visitor gets no page: {why}"));
                    }
                    seen.unserved += 1;
                    seen.in_a_row = 0;
                }
            }
            let published = self.published();
            if published != seen.published {
                self.tell(begun, &format!("DNS now: {}", words(&published)));
                seen.published = published;
            }
            if seen.published == *wanted && seen.in_a_row >= CALM {
                let before = match seen.unserved {
                    0 => String::new(),
                    1 => ", one before them was not".to_owned(),
                    count => format!(", {count} before them were not"),
                };
                self.tell(begun, &format!("the last {CALM} visitors were served{before}"));
                return Ok(());
            }
            self.time.sleep(PAUSE).await;
        }
        let found = words(&seen.published);
        let wanted = words(wanted);
        Err(Failure::new("BQ0602", format!("DNS was to name {wanted}, and names {found} a quarter of an hour later")))
    }

    async fn visit(&self) -> Result<(), String> {
        let tls = Tls { server_name: self.host.clone(), roots: Roots::Unverified, identity: None };
        let target = Target { route: Route::Direct, host: self.host.clone(), port: 443, tls: Some(tls) };
        let request = Request::get(format!("https://{}{PATH}", self.host)).header("host", &self.host);
        let request = request.body(Body::default()).map_err(|error| error.to_string())?;
        let wire = self.world.wire();
        let answered = self.time.within(PATIENCE, wire.call(&target, request)).await;
        match answered {
            Err(_) => Err(format!("nothing within {} s", PATIENCE.as_secs())),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => Err(format!("status {}", answer.status().as_u16())),
        }
    }

    /// Nodes that the zone names now.
    fn published(&self) -> BTreeSet<String> {
        let inventory = self.world.inventory();
        let records = inventory.get("cloudflare_records").and_then(|records| records.as_array()).into_iter().flatten();
        let text = |record: &serde_json::Value, field: &str| record.get(field)?.as_str().map(str::to_owned);
        let of_pool = records.filter(|record| text(record, "name").as_deref() == Some(&self.pool));
        let addresses = of_pool.filter_map(|record| text(record, "content")?.parse::<IpAddr>().ok());
        addresses.map(|address| self.nodes.get(&address).cloned().unwrap_or_else(|| address.to_string())).collect()
    }

    fn tell(&self, begun: Timestamp, what: &str) {
        let now = self.time.now();
        let passed = now.duration_since(begun).as_secs_f64();
        let clock = now.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string();
        (self.say)(&format!("  {clock}  {passed:>+7.1} s  {what}"));
    }
}

fn words(nodes: &BTreeSet<String>) -> String {
    if nodes.is_empty() {
        return "nobody".to_owned();
    }
    nodes.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
