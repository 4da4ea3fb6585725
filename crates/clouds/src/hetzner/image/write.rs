//! The image onto the temporary machine's disk, from its rescue system.

use super::wait::Wait;
use super::{Build, CALL};
use crate::rescue::{Login, Rescue};
use crate::rest::refused;
use crate::{Error, Found, Why};
use std::net::IpAddr;
use std::time::Duration;
use wire::{Pace, Route, Target};

/// SSH is refused for up to three minutes after the machine is said to run.
const BOOT: Duration = Duration::from_mins(8);
/// An image is about 100 MB on the way and 1.3 GB on the disk. A machine that cannot do it in this time never will.
const WRITE: Duration = Duration::from_mins(20);
/// The disk of every Hetzner machine type.
const DISK: &str = "/dev/sda";
/// Lines that are quoted when a command fails.
const QUOTED: usize = 3;

impl Build<'_> {
    pub(super) async fn write_disk(&self, server: &Found, login: &Login) -> Result<(), Error> {
        let rescue = self.log_in(server, login).await?;
        // Were this the stock system, its own disk would be written under its feet.
        if self.status(&rescue, &mounted()).await? == 0 {
            return Err(refused(CALL, Why::Trouble, format!("{DISK} is in use: this is not the rescue system")));
        }
        // A blank disk makes a small snapshot. Some machine types cannot discard; theirs is larger then.
        self.status(&rescue, &format!("blkdiscard {DISK}")).await?;
        let command = write(&self.order.source)?;
        let mut last: Vec<String> = Vec::new();
        let mut listen = |line: &str| {
            if let Some(bytes) = written_bytes(line) {
                self.progress.at("writing the disk image", bytes, 0);
            } else if !is_count(line) {
                last.push(line.to_owned());
                last.drain(..last.len().saturating_sub(QUOTED));
            }
        };
        let writing = rescue.run(&command, &mut listen);
        let late = |_| refused(CALL, Why::Trouble, format!("writing the disk took longer than {} s", WRITE.as_secs()));
        let status = self.line.time().within(WRITE, writing).await.map_err(late)?.map_err(|error| broken(&error))?;
        if status != 0 {
            let words = format!("the disk image could not be written (status {status}): {}", last.join("; "));
            return Err(refused(CALL, Why::Trouble, words));
        }
        match self.status(&rescue, "sync").await? {
            0 => Ok(()),
            status => Err(refused(CALL, Why::Trouble, format!("sync failed with status {status}"))),
        }
    }

    async fn status(&self, rescue: &Rescue, command: &str) -> Result<u32, Error> {
        rescue.run(command, &mut |_: &str| {}).await.map_err(|error| broken(&error))
    }

    async fn log_in(&self, server: &Found, login: &Login) -> Result<Rescue, Error> {
        let address = server.addresses.iter().find(|address| address.is_ipv4()).or(server.addresses.first());
        let address =
            address.ok_or_else(|| refused(CALL, Why::Trouble, "the temporary machine has no address".into()))?;
        let target = ssh(*address);
        let wait = Wait::new(self.line, "the rescue system's SSH", BOOT);
        loop {
            let failed = match Rescue::connect(self.line.wire(), self.line.time(), &target, login).await {
                Ok(rescue) => return Ok(rescue),
                Err(failed) => failed,
            };
            tracing::debug!(error = %failed, "no SSH yet");
            self.progress.at("waiting for its SSH", 0, 0);
            let late = |late: Error| Error { message: format!("{}; at last: {failed}", late.message), ..late };
            wait.pause(Pace::VENDOR).await.map_err(late)?;
        }
    }
}

/// A machine's SSH. Machines are reached as [`Route::Mesh`] by their public addresses too, so that a proxy into a
/// network that this machine is not on leads there.
fn ssh(address: IpAddr) -> Target {
    Target { route: Route::Mesh, ..Target::plain(address.to_string(), 22) }
}

fn broken(error: &crate::rescue::Failed) -> Error {
    refused(CALL, Why::Trouble, error.to_string())
}

/// Succeeds if the disk or a part of it is mounted.
fn mounted() -> String {
    format!("grep -q ^{DISK} /proc/mounts")
}

/// Streams the image onto the disk. Root's shell in the rescue system is bash, whose `pipefail` makes a broken
/// download fail the whole.
fn write(source: &str) -> Result<String, Error> {
    let unpack = match source.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("xz") => "xz -dc",
        Some("zst") => "zstd -dc",
        Some("gz") => "gzip -dc",
        _ => return Err(refused(CALL, Why::Invalid, format!("{source} is no .xz, .zst or .gz image"))),
    };
    let url = quoted(source);
    Ok(format!(
        "set -o pipefail; wget -nv -O - {url} | {unpack} | dd of={DISK} bs=4M iflag=fullblock conv=fsync status=progress"
    ))
}

/// One word for a POSIX shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `104857600 bytes (105 MB, 100 MiB) copied, 1 s, 105 MB/s`, as dd shows how far it is.
fn written_bytes(line: &str) -> Option<u64> {
    let (bytes, rest) = line.split_once(' ')?;
    if rest.starts_with("bytes") { bytes.parse().ok() } else { None }
}

/// `0+0 records in`: dd says so at its end whatever happened, and would push out the line that says what did.
fn is_count(line: &str) -> bool {
    line.ends_with(" records in") || line.ends_with(" records out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pipeline_unpacks_what_the_factory_packed() {
        let command = write("https://factory.example/image/ab/v1.14.6/hcloud-arm64.raw.xz").unwrap();
        assert_eq!(
            command,
            "set -o pipefail; wget -nv -O - 'https://factory.example/image/ab/v1.14.6/hcloud-arm64.raw.xz' | xz -dc \
             | dd of=/dev/sda bs=4M iflag=fullblock conv=fsync status=progress"
        );
        assert!(write("https://x.example/a.raw.zst").unwrap().contains("| zstd -dc |"));
        assert_eq!(write("https://x.example/a.qcow2").unwrap_err().why, Why::Invalid);
    }

    #[test]
    fn a_source_cannot_leave_its_quotes() {
        assert_eq!(quoted("a'; reboot '"), r"'a'\''; reboot '\'''");
    }

    #[test]
    fn dds_progress_is_read_and_other_words_are_not() {
        assert_eq!(written_bytes("104857600 bytes (105 MB, 100 MiB) copied, 1 s, 105 MB/s"), Some(104_857_600));
        for other in ["", "24+1 records in", "wget: bytes", "x bytes"] {
            assert_eq!(written_bytes(other), None, "{other}");
        }
    }
}
