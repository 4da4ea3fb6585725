//! Conditional requests (RFC 9110, 13) and ranges (14), on objects.

use super::call::Call;
use super::refusal::Refusal;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// As `Last-Modified` has it.
pub(super) fn http_date(at: Timestamp) -> String {
    at.strftime(HTTP_DATE).to_string()
}

fn moment(text: &str) -> Option<Timestamp> {
    Some(DateTime::strptime(HTTP_DATE, text).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn names(list: &str, etag: Option<&str>) -> bool {
    let Some(etag) = etag else { return false };
    list.split(',')
        .map(|one| one.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|one| one == "*" || one == etag)
}

/// Whether a write may happen to what is there now.
pub(super) fn may_write(call: &Call, etag: Option<&str>) -> Result<(), Refusal> {
    let refused = call.header("if-none-match").filter(|_| !call.lies("s3-put-overwrites"));
    if refused.is_some_and(|list| names(list, etag)) {
        return Err(Refusal::of("PreconditionFailed"));
    }
    match (call.header("if-match").filter(|_| !call.lies("s3-put-anyhow")), etag) {
        (Some(_), None) => Err(Refusal::of("NoSuchKey")),
        (Some(list), etag) if !names(list, etag) => Err(Refusal::of("PreconditionFailed")),
        _ => Ok(()),
    }
}

/// Whether a read is answered: `false` is 304.
pub(super) fn may_read(call: &Call, etag: &str, modified: Timestamp) -> Result<bool, Refusal> {
    let date = |name: &str| call.header(name).and_then(moment).map(Timestamp::as_second);
    let failed = match call.header("if-match") {
        Some(list) => !names(list, Some(etag)),
        None => date("if-unmodified-since").is_some_and(|since| modified.as_second() > since),
    };
    if failed {
        return Err(Refusal::of("PreconditionFailed"));
    }
    Ok(match call.header("if-none-match") {
        Some(list) => !names(list, Some(etag)),
        None => date("if-modified-since").is_none_or(|since| modified.as_second() > since),
    })
}

/// The half-open bounds of the one range that `bytes=…` names; `None` where the whole is to be answered.
pub(super) fn range(text: Option<&str>, total: usize) -> Result<Option<(usize, usize)>, Refusal> {
    let Some(wanted) = text.and_then(|text| text.strip_prefix("bytes=")).filter(|text| !text.contains(',')) else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let bounds = match wanted.split_once('-') {
        Some(("", last)) => number(last).map(|last| (total.saturating_sub(last), total)),
        Some((from, "")) => number(from).map(|from| (from, total)),
        Some((from, to)) => match (number(from), number(to)) {
            (Some(from), Some(to)) if from <= to => Some((from, to.saturating_add(1).min(total))),
            _ => None,
        },
        None => None,
    };
    match bounds {
        // What is no range is let be, as RFC 9110 says.
        None => Ok(None),
        Some((from, to)) if from < to => Ok(Some((from, to))),
        Some(_) => Err(Refusal::of("InvalidRange")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let read = |text| range(Some(text), 10);
        assert_eq!(read("bytes=2-4"), Ok(Some((2, 5))));
        assert_eq!(read("bytes=7-"), Ok(Some((7, 10))));
        assert_eq!(read("bytes=-3"), Ok(Some((7, 10))));
        assert_eq!(read("bytes=-30"), Ok(Some((0, 10))));
        assert_eq!(read("bytes=4-99"), Ok(Some((4, 10))));
        assert_eq!(read("bytes=10-"), Err(Refusal::of("InvalidRange")));
        for whole in ["bytes=4-2", "lines=1-2", "bytes=1-2,4-5", "bytes=x"] {
            assert_eq!(read(whole), Ok(None), "{whole}");
        }
    }

    #[test]
    fn dates_go_both_ways() {
        let at = Timestamp::from_second(1_796_112_000).unwrap();
        assert_eq!(http_date(at), "Tue, 01 Dec 2026 08:00:00 GMT");
        assert_eq!(moment(&http_date(at)), Some(at));
    }
}
