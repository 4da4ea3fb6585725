//! What servers' response codes mean for us. Sources: RFC 1035 §4.1.1, RFC 2136 §2.2, RFC 8945 §3.

use super::message::{Outcome, Unmet};
use super::{QUERY, UPDATE};
use crate::{Error, Why};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigError;

/// No such name is an answer to a query, not a refusal.
pub(super) fn of_query(answer: &Message) -> Result<(), Error> {
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(()),
        code => Err(sorted(QUERY, code)),
    }
}

/// A zone that is not there cannot be had either.
pub(super) fn of_transfer(answer: &Message) -> Result<(), Error> {
    match answer.response_code {
        ResponseCode::NoError => Ok(()),
        code => Err(sorted("rfc2136 AXFR", code)),
    }
}

/// A prerequisite that does not hold is an answer to an update.
pub(super) fn of_update(answer: &Message) -> Result<Outcome, Error> {
    match answer.response_code {
        ResponseCode::NoError => Ok(Outcome::Made),
        ResponseCode::YXDomain => Ok(Outcome::Unmet(Unmet::NameInUse)),
        ResponseCode::NXDomain => Ok(Outcome::Unmet(Unmet::NameFree)),
        ResponseCode::YXRRSet => Ok(Outcome::Unmet(Unmet::Exists)),
        ResponseCode::NXRRSet => Ok(Outcome::Unmet(Unmet::Absent)),
        code => Err(sorted(UPDATE, code)),
    }
}

/// What the server says of our signature, if it objects.
pub(super) fn of_signature(call: &'static str, answer: &Message, now_s: u64) -> Option<Error> {
    let tsig = &answer.signature()?.data;
    let (code, why, message) = match tsig.error? {
        // Knot says so too of a key that it knows and that no rule of the zone names.
        TsigError::BadKey => {
            ("BADKEY", Why::Unauthenticated, "the server knows no key of this name, or has no use for it here")
        }
        TsigError::BadSig => ("BADSIG", Why::Unauthenticated, "the server's key of this name is another"),
        TsigError::BadTime => {
            let server_s = tsig.other.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
            return Some(clock(call, if tsig.other.is_empty() { tsig.time } else { server_s }, now_s));
        }
        _ => ("BADTRUNC", Why::Invalid, "the server does not take this signature"),
    };
    let vendor_code = Some(format!("NOTAUTH {code}"));
    Some(Error { call, why, vendor_code, message: message.to_owned() })
}

/// An answer without a signature, though we signed: a refusal is believed, as it changes nothing.
pub(super) fn unsigned(call: &'static str, answer: &Message) -> Result<(), Error> {
    match answer.response_code {
        code @ (ResponseCode::Refused
        | ResponseCode::ServFail
        | ResponseCode::NotAuth
        | ResponseCode::NotImp
        | ResponseCode::FormErr) => Err(sorted(call, code)),
        _ => Ok(()),
    }
}

/// Two clocks that are too far apart.
pub(super) fn clock(call: &'static str, server_s: u64, now_s: u64) -> Error {
    let (much, how) = (server_s.abs_diff(now_s), if server_s > now_s { "ahead of" } else { "behind" });
    let message = format!("the server's clock is {much} s {how} this machine's");
    Error { call, why: Why::ClockSkew, vendor_code: Some("NOTAUTH BADTIME".to_owned()), message }
}

fn sorted(call: &'static str, code: ResponseCode) -> Error {
    let (name, why, message) = match code {
        ResponseCode::ServFail => ("SERVFAIL", Why::Trouble, "the server has trouble of its own"),
        ResponseCode::Refused if call == UPDATE => {
            ("REFUSED", Why::Forbidden, "the server's policy does not allow this change, or wants it signed")
        }
        ResponseCode::Refused => ("REFUSED", Why::Forbidden, "the server answers no such question from here"),
        ResponseCode::NotAuth => ("NOTAUTH", Why::Forbidden, "the server is no authority for this zone"),
        ResponseCode::NotImp => ("NOTIMP", Why::Forbidden, "the server takes no updates of this zone"),
        ResponseCode::NotZone => ("NOTZONE", Why::Invalid, "a name is outside the zone"),
        ResponseCode::FormErr => ("FORMERR", Why::Invalid, "the server cannot read the request"),
        other => {
            let message = format!("response code {} was not expected", u16::from(other));
            return Error { call, why: Why::Garbled, vendor_code: Some(u16::from(other).to_string()), message };
        }
    };
    Error { call, why, vendor_code: Some(name.to_owned()), message: message.to_owned() }
}
