use super::Oci;
use super::api::{Ask, Service, escape};
use super::change::gone_is_fine;
use super::create::invalid;
use super::mark::{self, INSTANCE};
use super::model::{Instance, Listed};
use crate::{Error, Found, Why};
use http::Method;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use wire::{Line, Pace};

/// Oracle's most: the last mebibyte of the serial console.
const CONSOLE_BYTES: u32 = 1 << 20;
/// A capture takes seconds.
const CAPTURE_MAX: Duration = Duration::from_mins(2);
/// What the boot loader of Talos's images for Oracle is made for.
const FIRMWARE: &str = "UEFI_64";
/// Of the console's end.
const LINES_SHOWN: usize = 5;
const LINE_CHARS_MAX: usize = 240;

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct History {
    id: String,
    #[serde(default)]
    lifecycle_state: Option<String>,
}

impl Oci {
    pub(super) async fn diagnosis(&self, line: &Line, there: &Found) -> Result<String, Error> {
        if there.key.kind != INSTANCE {
            return Err(invalid("oci GET /instances/ID", format!("{} is no machine", there.key)));
        }
        let region = there.key.region.as_str();
        let path = format!("/instances/{}", escape(&there.id));
        let ask = Ask::<Listed<Instance>>::get("oci GET /instances/ID", Service::Core, path);
        let instance = match self.send(line, region, &ask).await {
            Ok(instance) => instance,
            Err(error) if error.why == Why::NotFound => return Ok("the instance is gone".to_owned()),
            Err(error) => return Err(error),
        };
        let lifecycle = instance.lifecycle_state.unwrap_or_else(|| "in no state".to_owned());
        if lifecycle != "RUNNING" {
            return Ok(format!("the instance is {lifecycle}{}", lifecycle_words(&lifecycle)));
        }
        let firmware = instance.detail.launch_options.and_then(|options| options.firmware);
        if let Some(firmware) = firmware.filter(|firmware| firmware != FIRMWARE) {
            return Ok(format!(
                "the instance is RUNNING with the firmware {firmware}, and Talos's image boots with {FIRMWARE} only"
            ));
        }
        let console = self.console(line, there).await?;
        let words = console.as_deref().map_or_else(|| "its console could not be captured".to_owned(), console_words);
        Ok(format!("the instance is RUNNING, which Oracle says of machines that never booted too; {words}"))
    }

    /// The serial console's text; `None` if Oracle does not manage to capture it.
    async fn console(&self, line: &Line, there: &Found) -> Result<Option<String>, Error> {
        let region = there.key.region.as_str();
        let body = json!({"instanceId": there.id, "freeformTags": mark::machine_part(&there.labels)});
        let call = "oci POST /instanceConsoleHistories";
        let ask = Ask::<History>::post(call, Service::Core, "/instanceConsoleHistories", &body);
        let history = self.send(line, region, &ask).await?;
        let path = format!("/instanceConsoleHistories/{}", escape(&history.id));
        let text = self.captured(line, region, &path, history).await;
        // Captures are kept for ever otherwise.
        let call = "oci DELETE /instanceConsoleHistories/ID";
        gone_is_fine(self.send(line, region, &Ask::plain(call, Service::Core, Method::DELETE, path)).await)?;
        text
    }

    async fn captured(
        &self,
        line: &Line,
        region: &str,
        path: &str,
        mut history: History,
    ) -> Result<Option<String>, Error> {
        let get = Ask::<History>::get("oci GET /instanceConsoleHistories/ID", Service::Core, path.to_owned());
        let mut waited = Duration::ZERO;
        loop {
            match history.lifecycle_state.as_deref() {
                Some("SUCCEEDED") => break,
                Some("FAILED") => return Ok(None),
                _ if waited > CAPTURE_MAX => return Ok(None),
                _ => {}
            }
            let wait = Pace::VENDOR.next(waited);
            line.time().sleep(wait).await;
            waited += wait;
            history = self.send(line, region, &get).await?;
        }
        let path = format!("{path}/data?length={CONSOLE_BYTES}");
        let call = "oci GET /instanceConsoleHistories/ID/data";
        let ask = Ask::new(call, Service::Core, Method::GET, path, |_, answer| {
            Ok(String::from_utf8_lossy(&answer.body).into_owned())
        });
        self.send(line, region, &ask).await.map(Some)
    }
}

fn lifecycle_words(lifecycle: &str) -> &'static str {
    match lifecycle {
        "STOPPED" | "STOPPING" => {
            ": Oracle stops idle Always Free machines (a week below 20 % of processor, network and memory)"
        }
        "PROVISIONING" | "STARTING" => ": it has not begun to boot",
        "TERMINATING" | "TERMINATED" => ": it is being deleted, or was",
        _ => "",
    }
}

/// What the console's text means.
fn console_words(console: &str) -> String {
    let lines: Vec<String> = console.lines().map(readable).filter(|line| !line.is_empty()).collect();
    let has = |needle: &str| lines.iter().any(|line| line.contains(needle));
    if lines.is_empty() {
        return "its console is empty: the firmware found nothing to boot, or the image was imported for BIOS \
                instead of UEFI"
            .to_owned();
    }
    let talos: Vec<&String> = lines.iter().filter(|line| line.contains("[talos]")).collect();
    if talos.is_empty() && (has("UEFI Interactive Shell") || has("UEFI Shell") || has("Shell>")) {
        return "its console stands in the UEFI Shell: the firmware found no boot loader on the disk (wrong \
                architecture, or an image that does not boot here)"
            .to_owned();
    }
    if talos.is_empty() {
        return format!("its console ends: {}", ending(&lines));
    }
    let meaning = lines.iter().rev().find_map(|line| talos_words(line));
    let said = format!("Talos runs, and says last: {}", ending(&talos));
    meaning.map_or_else(|| said.clone(), |meaning| format!("{meaning}; {said}"))
}

/// The last different lines.
fn ending<T: AsRef<str>>(lines: &[T]) -> String {
    let mut shown: Vec<&str> = Vec::new();
    for line in lines.iter().rev().map(AsRef::as_ref) {
        if shown.len() < LINES_SHOWN && !shown.contains(&line) {
            shown.push(line);
        }
    }
    shown.reverse();
    shown.join(" / ")
}

/// What a line of Talos's means for whoever launched the machine; `None` if nothing in particular.
fn talos_words(line: &str) -> Option<&'static str> {
    const SIGNS: &[(&str, &str)] = &[
        ("config.AcquireController", "Talos cannot read the user data: truncated, or no configuration"),
        (
            "maintenance mode, waiting for configuration",
            "Talos found no user data: none was given, or the image comes from the installer of another platform than oracle",
        ),
        ("ext-tailscale: boot: invalid key", "the tailnet refused its auth key"),
    ];
    SIGNS.iter().find(|(sign, _)| line.contains(sign)).map(|(_, meaning)| *meaning)
}

/// Without colours, cursor movements and other control characters; what a machine prints is not to be trusted on a
/// terminal.
fn readable(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    while let Some(next) = chars.next() {
        if next == '\u{1b}' {
            if chars.next_if_eq(&'[').is_some() {
                // A control sequence ends in its first letter.
                while chars.next().is_some_and(|part| !('@'..='~').contains(&part)) {}
            }
        } else if !next.is_control() {
            out.push(next);
        }
    }
    out.trim().chars().take(LINE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_console_is_put_in_plain_words() {
        assert!(console_words("\r\n \u{1b}[2J\n").contains("console is empty"));
        assert!(console_words("UEFI Interactive Shell v2.2\nShell> ").contains("UEFI Shell"));
        let talos = "UEFI Shell\n[    5.1] [talos] failed to load config: base64\n";
        assert_eq!(console_words(talos), "Talos runs, and says last: [    5.1] [talos] failed to load config: base64");
        assert_eq!(console_words("a\nb\n\u{1b}[31mc\u{1b}[0m"), "its console ends: a / b / c");
    }

    proptest! {
        #[test]
        fn no_console_can_move_the_cursor(console in any::<String>()) {
            prop_assert!(!console_words(&console).chars().any(char::is_control));
        }
    }
}
