//! Where this machine's calls come from, as clouds see it: the only place that a first contact may come from.

use crate::rest::{Ask, Rest, garbled, refused, silent_refusal};
use crate::{Error, Settings, Why};
use std::net::IpAddr;
use wire::Line;

/// The bucket of the calls here.
pub const BUCKET: &str = "operator";
/// Where users say it themselves: addresses, separated by commas.
const VARIABLE: &str = "BOUQUET_OPERATOR_ADDRESS";
/// Amazon's service that answers with the caller's IPv4 address as plain text; it has run since 2010.
const ASKED: &str = "https://checkip.amazonaws.com";
const CALL: &str = "checkip GET /";

/// The machine that bouquet runs on.
#[derive(Clone)]
pub struct Operator {
    /// What the user has said; empty if it is to be asked.
    known: Vec<IpAddr>,
    asked: Rest,
}

impl Operator {
    /// From `BOUQUET_OPERATOR_ADDRESS`, or to be asked when it is needed.
    pub fn from_settings(settings: &dyn Settings) -> Result<Self, Error> {
        let text = settings.variable(VARIABLE);
        let known = text.iter().flat_map(|text| text.expose().split(','));
        let wrong = |text: &str| refused(VARIABLE, Why::Invalid, format!("{text:?} is no IP address"));
        let known = known.map(str::trim).map(|text| text.parse().map_err(|_| wrong(text)));
        let asked = Rest::new(BUCKET, VARIABLE, &http::Uri::from_static(ASKED), silent_refusal)?;
        Ok(Operator { known: known.collect::<Result<_, _>>()?, asked })
    }

    /// Its addresses, sorted.
    pub async fn addresses(&self, line: &Line) -> Result<Vec<IpAddr>, Error> {
        let mut addresses = self.known.clone();
        if addresses.is_empty() {
            let call = self.asked.call(Ask::get(CALL, "/"), |call, answer| {
                let text = String::from_utf8_lossy(&answer.body);
                text.trim().parse().map_err(|_| garbled(call, answer, "no IP address"))
            })?;
            addresses.push(line.send(call).await?);
        }
        addresses.sort_unstable();
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preset;

    #[test]
    fn a_user_may_say_the_addresses_and_nonsense_is_named() {
        let of = |text| Operator::from_settings(&Preset::from_iter([(VARIABLE, text)]));
        let known = of("203.0.113.7, 2001:db8::7").unwrap().known;
        assert_eq!(known, ["203.0.113.7".parse::<IpAddr>().unwrap(), "2001:db8::7".parse().unwrap()]);
        let error = of("home").err().unwrap();
        assert_eq!((error.call, error.why), (VARIABLE, Why::Invalid));
    }
}
