//! Where a node's configuration comes from: STATE, else the platform's user data, else nowhere.
//!
//! What cannot be read is no reason for maintenance mode. Talos's `config.AcquireController` fails, publishes a
//! `ConfigLoadErrorEvent` and is restarted with a growing pause, for ever; apid never comes up (Talos,
//! `internal/app/machined/pkg/controllers/config/acquire.go`). Only "no configuration there" leads to maintenance.

use super::boot::Boot;
use super::config::Config;
use super::proto::machine::ConfigLoadErrorEvent;
use base64::Engine as _;
use bytes::Bytes;
use std::io::Read as _;
use std::sync::Arc;

/// More than a disk image's memory should be asked to hold: configurations are kilobytes.
const UNPACKED_LIMIT_BYTES: u64 = 16 << 20;

/// The configuration to start with; `Some(None)` if there is none.
pub(super) async fn acquire(boot: &Boot) -> Option<Option<Arc<Config>>> {
    let mut pause_s = 1;
    loop {
        match look(boot)? {
            Ok(found) => return Some(found),
            Err(error) => {
                boot.say(format!(
                    "[talos] controller failed {{\"component\": \"controller-runtime\", \"controller\": \"config.AcquireController\", \"error\": {error:?}}}"
                ))?;
                boot.node(|node| node.publish("machine.ConfigLoadErrorEvent", &ConfigLoadErrorEvent { error }, ""))?;
                boot.pause(pause_s).await?;
                pause_s = (pause_s * 2).min(60);
            }
        }
    }
}

fn look(boot: &Boot) -> Option<Result<Option<Arc<Config>>, String>> {
    let (saved, platform, version, vendor, user_data) = boot.with(|state| {
        let disk = state.talos.disks.get(&boot.id);
        let saved = disk.and_then(|disk| disk.config.clone());
        let node = super::node(state, boot.id)?;
        let machine = state.machines.get(&boot.id)?;
        let (platform, version) = (node.system.platform.clone(), node.system.talos.clone());
        Some((saved, platform, version, machine.vendor, machine.user_data.clone()))
    })??;
    if let Some(saved) = saved {
        boot.say("[talos] loading config from STATE")?;
        let read = Config::read(&saved, &version).map_err(|error| format!("failed to load config from STATE: {error}"));
        return Some(read.map(|config| Some(Arc::new(config))));
    }
    boot.say(format!("[talos] downloading config {{\"platform\": {platform:?}}}"))?;
    let bytes = match from_platform(&platform, vendor, user_data.as_ref()) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Some(Ok(None)),
        Err(error) => return Some(Err(format!("error acquiring via platform {platform}: {error}"))),
    };
    let config = match Config::read(&bytes, &version) {
        Ok(config) => Arc::new(config),
        Err(error) => return Some(Err(format!("failed to load config via platform {platform}: {error}"))),
    };
    boot.with(|state| {
        if let Some(disk) = state.talos.disks.get_mut(&boot.id) {
            disk.config = Some(bytes);
        }
    })?;
    Some(Ok(Some(config)))
}

/// What the platform's code makes of the metadata service that the machine's cloud runs at 169.254.169.254. Another
/// cloud's answers 404 to its paths, which counts as no configuration, as does an empty answer.
fn from_platform(platform: &str, vendor: &str, user_data: Option<&Bytes>) -> Result<Option<Bytes>, String> {
    let Some(data) = user_data.filter(|data| is_at_home(platform, vendor) && !data.is_empty()) else { return Ok(None) };
    let bytes = match (platform, unbase64(data)) {
        // Hetzner hands out what it was given; Talos takes it raw or in base64.
        ("hcloud", Err(_)) => data.clone(),
        (_, Ok(decoded)) => Bytes::from(decoded),
        (_, Err(error)) => return Err(error),
    };
    unpack(bytes).map(Some)
}

/// Platform of an image, and the cloud whose metadata service it knows.
const HOMES: &[(&str, &str)] = &[
    ("hcloud", "hetzner"),
    ("oracle", "oci"),
    // The machines of this module's tests, which no vendor lists and no vendor's firewall guards.
    #[cfg(test)]
    ("hcloud", "bench"),
];

/// Whether the image's platform code finds the metadata service that it knows.
pub(super) fn is_at_home(platform: &str, vendor: &str) -> bool {
    HOMES.contains(&(platform, vendor))
}

fn unbase64(data: &[u8]) -> Result<Vec<u8>, String> {
    let text: Vec<u8> = data.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| format!("illegal base64 data: {error}"))
}

fn unpack(bytes: Bytes) -> Result<Bytes, String> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(bytes.as_ref()).take(UNPACKED_LIMIT_BYTES);
    match reader.read_to_end(&mut plain) {
        Ok(_) => Ok(Bytes::from(plain)),
        Err(error) => Err(format!("error unzipping machine config: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn packed(text: &str) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    }

    fn base64(bytes: &[u8]) -> Bytes {
        Bytes::from(base64::engine::general_purpose::STANDARD.encode(bytes))
    }

    #[test]
    fn user_data_is_taken_raw_or_in_base64_packed_or_not() {
        let text = "version: v1alpha1\n";
        for data in [Bytes::from(text), base64(text.as_bytes()), base64(&packed(text)), Bytes::from(packed(text))] {
            assert_eq!(from_platform("hcloud", "hetzner", Some(&data)), Ok(Some(Bytes::from(text))));
        }
        assert_eq!(from_platform("oracle", "oci", Some(&base64(&packed(text)))), Ok(Some(Bytes::from(text))));
        assert!(from_platform("oracle", "oci", Some(&Bytes::from(text))).is_err(), "Oracle's must be base64");
    }

    #[test]
    fn truncated_user_data_is_an_error_and_not_an_empty_configuration() {
        let whole = base64(&packed(&"machine: {}\n".repeat(50)));
        let half = whole.slice(..whole.len() / 2 / 4 * 4);
        let error = from_platform("hcloud", "hetzner", Some(&half)).unwrap_err();
        assert!(error.starts_with("error unzipping machine config"), "{error}");
    }

    #[test]
    fn another_clouds_image_finds_no_configuration() {
        let data = base64(b"version: v1alpha1");
        for (platform, vendor) in [("hcloud", "oci"), ("oracle", "hetzner"), ("metal", "hetzner")] {
            assert_eq!(from_platform(platform, vendor, Some(&data)), Ok(None));
        }
    }
}
