use crate::Span;
use crate::catalogue::{self, CLOUDS};
use crate::cluster::{Backup, Place};
use crate::code;
use crate::fault::{Faults, did_you_mean, help};
use crate::fields::{At, Fields, Part, Unreadable, shown, text};
use crate::tree::{Entry, Value};
use crate::units;

/// Keys of `backup`.
pub(crate) const BACKUP_KEYS: &[&str] = &["to", "every", "keep"];

const DAY_S: u64 = 86_400;
const EVERY_S_DEFAULT: u64 = DAY_S;
const KEEP_S_DEFAULT: u64 = 30 * DAY_S;
const FORM: &str = "write s3://bucket@cloud/region, such as s3://bouquet-backups@hetzner/nbg1";

/// A backup as the file describes it, and where its location stands.
pub(crate) struct BackupWish {
    pub(crate) backup: Backup,
    span: Span,
}

/// Reads `backup`: a location, a mapping, or `none`.
pub(crate) fn read_backup(entry: &Entry, faults: &mut Faults) -> Part<BackupWish> {
    match &entry.value.value {
        Value::Text(none) if none == "none" => Ok(None),
        Value::Map(_) => read_long(entry, faults).map(Some).ok_or(Unreadable),
        _ => {
            let to = text(&entry.value, "`backup`", faults).ok_or(Unreadable)?;
            let (bucket, place) = location(&to, faults).ok_or(Unreadable)?;
            Ok(Some(wish(bucket, place, to.span, EVERY_S_DEFAULT, KEEP_S_DEFAULT)))
        }
    }
}

fn read_long(entry: &Entry, faults: &mut Faults) -> Option<BackupWish> {
    let fields = Fields::read(&entry.value, "`backup`", &entry.key_span, BACKUP_KEYS, faults)?;
    let mut duration = |key: &str, default: u64| match fields.get(key) {
        Some(node) => units::seconds(node, &format!("`{key}` of `backup`"), faults),
        None => Some(At { value: default, span: entry.key_span.clone() }),
    };
    let (every_s, keep_s) = (duration("every", EVERY_S_DEFAULT), duration("keep", KEEP_S_DEFAULT));
    if let (Some(every), Some(keep)) = (&every_s, &keep_s)
        && keep.value < every.value
    {
        let message = "backups are gone before the next one is made";
        faults.error(code::BAD_BACKUP, &keep.span, message, help("make `keep` longer than `every`"));
    }
    let to = fields.require("to", "s3://bouquet-backups@hetzner/nbg1", faults)?;
    let to = text(to, "`to` of `backup`", faults)?;
    let (bucket, place) = location(&to, faults)?;
    Some(wish(bucket, place, to.span, every_s?.value, keep_s?.value))
}

fn wish(bucket: String, place: Option<(String, String)>, span: Span, every_s: u64, keep_s: u64) -> BackupWish {
    let (cloud, region) = place.unzip();
    BackupWish { backup: Backup { bucket, cloud, region, every_s, keep_s }, span }
}

fn location(to: &At<&str>, faults: &mut Faults) -> Option<(String, Option<(String, String)>)> {
    let mut refuse = |message: String, remedy: &str| {
        faults.error(code::BAD_BACKUP, &to.span, message, help(remedy));
        None
    };
    let Some(rest) = to.value.strip_prefix("s3://") else {
        return refuse(format!("`{}` is no backup location", shown(to.value)), FORM);
    };
    let (bucket, place) = match rest.split_once('@') {
        Some((bucket, place)) => (bucket, Some(place)),
        None => (rest, None),
    };
    if bucket.contains('/') {
        return refuse("a backup location has no path".to_owned(), "leave it out: each cluster has its own prefix");
    }
    if !is_bucket(bucket) {
        let rule = "use 3 to 63 lower-case letters, digits, dots and hyphens";
        return refuse(format!("`{}` cannot be a bucket's name", shown(bucket)), rule);
    }
    let Some(place) = place else { return Some((bucket.to_owned(), None)) };
    let Some((cloud, region)) = place.split_once('/').filter(|(_, region)| !region.is_empty() && !region.contains('/'))
    else {
        return refuse(format!("`{}` is no cloud/region", shown(place)), FORM);
    };
    let Some(known) = catalogue::find(cloud).filter(|known| known.object_storage) else {
        let clouds: Vec<_> = CLOUDS.iter().filter(|known| known.object_storage).map(|known| known.cloud).collect();
        let elsewhere = "for another S3 server write s3://bucket, and set AWS_ENDPOINT_URL_S3";
        let remedy = did_you_mean(cloud, clouds, elsewhere);
        faults.error(code::UNKNOWN_CLOUD, &to.span, format!("there is no cloud `{}`", shown(cloud)), remedy);
        return None;
    };
    if !known.regions.contains(&region) {
        let message = format!("{cloud} is not known to have a region `{}`", shown(region));
        let remedy = did_you_mean(region, known.regions.iter().copied(), "`bouquet check` asks the cloud itself");
        faults.warning(code::NOT_IN_CATALOGUE, &to.span, message, remedy);
    }
    Some((bucket.to_owned(), Some((cloud.to_owned(), region.to_owned()))))
}

/// docs.aws.amazon.com, "Bucket naming rules": the part that every S3 server keeps.
fn is_bucket(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'))
        && edge(name.chars().next())
        && edge(name.chars().last())
        && !name.contains("..")
}

/// A fire in one region should not take node and backup.
pub(crate) fn check_distance<'a>(
    wish: &BackupWish,
    nodes: impl IntoIterator<Item = (&'a str, &'a [At<Place>])>,
    faults: &mut Faults,
) {
    let (Some(cloud), Some(region)) = (&wish.backup.cloud, &wish.backup.region) else { return };
    let beside = |at: &At<Place>| matches!(&at.value, Place::Cloud(it) if it.cloud == *cloud && it.region == *region);
    let near: Vec<&str> =
        nodes.into_iter().filter(|(_, places)| places.iter().any(beside)).map(|(name, _)| name).collect();
    if !near.is_empty() {
        let message = format!("the backup lies in {cloud}/{region}, where {} may live too", near.join(", "));
        faults.warning(code::BACKUP_BESIDE_NODE, &wish.span, message, help("keep it in another region"));
    }
}
