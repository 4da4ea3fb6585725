//! A zone and what may stand beside what in it.

use super::Lies;
use super::answers::SERVERS;
use super::api::Failure;
use super::record::Record;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Records of a zone on the Free plan, created since September 2024.
const RECORDS_MAX: usize = 200;

/// A zone.
#[derive(Clone)]
pub(super) struct Zone {
    pub id: String,
    pub name: String,
    /// By id.
    pub records: BTreeMap<String, Record>,
    /// Of the zone's start; grows with every change.
    pub serial: u32,
    /// What lists show until then, where they lag behind.
    pub lagging: Option<(Timestamp, BTreeMap<String, Record>)>,
}

/// Where serial numbers begin: Cloudflare's count from a clock of its own.
const FIRST_SERIAL: u32 = 2_374_000_000;

impl Zone {
    pub(super) fn new(id: String, name: &str) -> Self {
        Zone {
            id,
            name: name.trim_end_matches('.').to_ascii_lowercase(),
            records: BTreeMap::new(),
            serial: FIRST_SERIAL,
            lagging: None,
        }
    }

    /// The records that a list shows.
    pub(super) fn listed(&self, now: Timestamp) -> &BTreeMap<String, Record> {
        self.lagging.as_ref().filter(|(until, _)| now < *until).map_or(&self.records, |(_, records)| records)
    }

    /// Lets lists show for a while what was before.
    pub(super) fn lag(&mut self, before: Zone, now: Timestamp, seconds: i64) {
        if self.lagging.as_ref().is_none_or(|(until, _)| *until <= now) {
            let until = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
            self.lagging = Some((until, before.records));
        }
    }

    /// Adds a record.
    pub(super) fn insert(&mut self, record: Record, lies: &Lies) -> Result<(), Failure> {
        if self.records.len() >= RECORDS_MAX {
            return Err(Failure::bad(81_045, "Record quota exceeded."));
        }
        self.replace(record, lies)
    }

    /// Puts a record in the place of the one with its id, if there is one.
    pub(super) fn replace(&mut self, record: Record, lies: &Lies) -> Result<(), Failure> {
        let mut beside = self.records.values().filter(|other| other.id != record.id && other.name == record.name);
        let kind = record.kind.as_str();
        let clash = beside.find_map(|other| match (kind, other.kind.as_str()) {
            _ if kind == other.kind && record.content == other.content => {
                let accepted = lies.contains("cloudflare-identical-records");
                (!accepted).then_some((81_058, "An identical record already exists."))
            }
            ("CNAME", "A" | "AAAA") if lies.contains("cloudflare-cname-beside-address") => None,
            ("CNAME", "A" | "AAAA" | "CNAME") => {
                Some((81_053, "An A, AAAA, or CNAME record with that host already exists."))
            }
            ("A" | "AAAA", "CNAME") => Some((81_054, "A CNAME record with that host already exists.")),
            ("NS", other) if other != "NS" && record.name != self.name => {
                Some((81_055, "A record with that host already exists."))
            }
            (_, "NS") if kind != "NS" && record.name != self.name => {
                Some((81_056, "NS records with that host already exist."))
            }
            _ => None,
        });
        if let Some((code, message)) = clash {
            return Err(Failure::bad(code, message));
        }
        self.records.insert(record.id.clone(), record);
        self.serial = self.serial.wrapping_add(1);
        Ok(())
    }

    pub(super) fn record(&self, id: &str) -> Result<&Record, Failure> {
        self.records.get(id).ok_or_else(Failure::no_record)
    }

    pub(super) fn remove(&mut self, id: &str) -> Result<Record, Failure> {
        let removed = self.records.remove(id).ok_or_else(Failure::no_record)?;
        self.serial = self.serial.wrapping_add(1);
        Ok(removed)
    }

    /// As the API shows it.
    pub(super) fn body(&self, account: &str) -> Value {
        json!({
            "id": self.id, "name": self.name, "status": "active", "paused": false, "type": "full",
            "development_mode": 0,
            "name_servers": SERVERS,
            "original_name_servers": ["ns1.registrar.example", "ns2.registrar.example"],
            "original_registrar": null, "original_dnshost": null,
            "created_on": "2025-03-14T09:20:00.000000Z", "modified_on": "2025-03-14T09:40:00.000000Z",
            "activated_on": "2025-03-14T09:40:00.000000Z", "vanity_name_servers": [], "vanity_name_servers_ips": null,
            "meta": {
                "step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": false,
            },
            "owner": {"id": null, "type": "user", "email": null},
            "account": {"id": account, "name": "Gardener's Account"},
            "tenant": {"id": null, "name": null}, "tenant_unit": {"id": null},
            "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:read"],
            "plan": {
                "id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "name": "Free Website", "price": 0, "currency": "USD",
                "frequency": "", "is_subscribed": false, "can_subscribe": false, "legacy_id": "free",
                "legacy_discount": false, "externally_managed": false,
            },
        })
    }
}
