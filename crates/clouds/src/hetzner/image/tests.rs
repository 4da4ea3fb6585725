//! A whole image against a small project that keeps its objects, and against one that was cut off in.

use super::super::marks::tests::an_image;
use super::super::wanted::tests::place;
use super::super::{Hetzner, marks};
use crate::rescue::sshd::{Shell, Sshd};
use crate::scripted::{Asked, Reply, lines, with_ssh};
use crate::{Error, Found, ImageOrder, Progress, State, Why, hetzner};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use wire::Secret;

/// A project with room for one of each.
struct Project {
    server: Option<Value>,
    ssh_key: Option<Value>,
    snapshot: Option<Value>,
    /// Looks until a snapshot is ready.
    looks_left: u32,
    /// Whether the next answer to a snapshot's order is lost.
    lose_order: bool,
    ssh: Arc<Mutex<Sshd>>,
}

fn say(status: u16, body: &Value) -> Reply {
    Reply::Say(status, body.to_string())
}

fn missing() -> Reply {
    say(404, &json!({ "error": { "code": "not_found", "message": "gone", "details": null } }))
}

impl Project {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let (method, path) = asked.line.split_once(' ').unwrap();
        let path = path.trim_start_matches("/v1/").split('?').next().unwrap();
        let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        match (method, path) {
            ("GET", "images") if asked.line.contains("type=system") => {
                say(200, &json!({ "images": [{ "id": 5, "status": "available", "description": "Debian 12" }] }))
            }
            ("GET", "images") => say(200, &json!({ "images": self.snapshot.iter().collect::<Vec<_>>() })),
            ("GET", "servers") => say(200, &json!({ "servers": self.server.iter().collect::<Vec<_>>() })),
            ("GET", "ssh_keys") => say(200, &json!({ "ssh_keys": self.ssh_key.iter().collect::<Vec<_>>() })),
            ("GET", "images/9") => self.snapshot_later(),
            ("GET", _) => self.server.as_ref().map_or_else(missing, |server| say(200, &json!({ "server": server }))),
            ("POST", "ssh_keys") => {
                self.ssh_key =
                    Some(json!({ "id": 3, "name": body["name"], "labels": body["labels"], "key": body["public_key"] }));
                say(201, &json!({ "ssh_key": self.ssh_key }))
            }
            ("POST", "servers") => {
                self.server = Some(json!({
                    "id": 7, "name": body["name"], "labels": body["labels"], "status": "off",
                    "server_type": { "name": body["server_type"] }, "location": { "name": body["location"] },
                    "public_net": { "ipv4": { "id": 1, "ip": "203.0.113.9" }, "ipv6": null, "firewalls": [] },
                }));
                say(201, &json!({ "server": self.server, "action": {} }))
            }
            ("POST", action) => self.act(action, &body),
            ("DELETE", path) => {
                let slot = match path.split('/').next().unwrap() {
                    "servers" => &mut self.server,
                    "ssh_keys" => &mut self.ssh_key,
                    _ => &mut self.snapshot,
                };
                slot.take().map_or_else(missing, |_| say(200, &json!({ "action": {} })))
            }
            other => panic!("nobody answers {other:?}"),
        }
    }

    fn act(&mut self, path: &str, body: &Value) -> Reply {
        let status = match path {
            "servers/7/actions/enable_rescue" => None,
            "servers/7/actions/poweron" => {
                let key = &self.ssh_key.as_ref().unwrap()["key"];
                self.ssh.lock().unwrap().authorized = key.as_str().unwrap().to_owned();
                Some("running")
            }
            "servers/7/actions/poweroff" => Some("off"),
            "servers/7/actions/create_image" => {
                let (labels, description) = (&body["labels"], &body["description"]);
                self.snapshot = Some(json!({
                    "id": 9, "type": "snapshot", "status": "creating", "labels": labels, "description": description,
                }));
                if std::mem::take(&mut self.lose_order) {
                    return Reply::Break;
                }
                return say(201, &json!({ "action": {}, "image": self.snapshot }));
            }
            other => panic!("nobody answers {other}"),
        };
        if let (Some(status), Some(server)) = (status, &mut self.server) {
            server["status"] = status.into();
        }
        say(201, &json!({ "action": {} }))
    }

    fn snapshot_later(&mut self) -> Reply {
        let Some(snapshot) = &mut self.snapshot else { return missing() };
        self.looks_left = self.looks_left.saturating_sub(1);
        if self.looks_left == 0 {
            snapshot["status"] = "available".into();
        }
        say(200, &json!({ "image": snapshot }))
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<(String, u64)>>);

impl Progress for Heard {
    fn at(&self, what: &str, done_bytes: u64, _: u64) {
        self.0.lock().unwrap().push((what.to_owned(), done_bytes));
    }
}

/// A rescue system on which all goes well.
const GOOD: Shell = |command| match command {
    "grep -q ^/dev/sda /proc/mounts" => (1, ""),
    "blkdiscard /dev/sda" => (1, "blkdiscard: BLKDISCARD ioctl failed"),
    "sync" => (0, ""),
    write if write.contains("| dd of=/dev/sda") => {
        (0, "4194304 bytes (4.2 MB) copied\r8388608 bytes (8.4 MB) copied\n")
    }
    _ => (127, "not found"),
};

fn labels(role_or_image: Option<&str>) -> Value {
    match role_or_image {
        Some(_) => json!(marks::builder("bouquet")),
        None => json!(marks::image("bouquet", &an_image())),
    }
}

struct Run {
    made: Result<Found, Error>,
    lines: Vec<String>,
    heard: Vec<(String, u64)>,
    project: Arc<Mutex<Project>>,
}

async fn run(shell: Shell, prepare: impl FnOnce(&mut Project)) -> Run {
    let ssh = Arc::new(Mutex::new(Sshd { authorized: String::new(), shell }));
    let mut project =
        Project { server: None, ssh_key: None, snapshot: None, looks_left: 2, lose_order: false, ssh: ssh.clone() };
    prepare(&mut project);
    let project = Arc::new(Mutex::new(project));
    let asked_project = project.clone();
    let (line, asked) = with_ssh(move |asked| asked_project.lock().unwrap().answer(asked), Some(ssh));
    let cloud = Hetzner::new(&Secret::new("t"), &http::Uri::from_static(hetzner::ENDPOINT)).unwrap();
    let order = ImageOrder {
        cluster: "bouquet".into(),
        image: an_image(),
        source: "https://factory.example/image/x/v1.14.6/hcloud-arm64.raw.xz".into(),
        builder: place("hel1", "cax11"),
    };
    let heard = Heard::default();
    let made = cloud.make_image(&line, &order, &heard).await;
    Run { made, lines: lines(&asked), heard: heard.0.into_inner().unwrap(), project }
}

fn nothing_is_left(run: &Run) -> bool {
    let project = run.project.lock().unwrap();
    project.server.is_none() && project.ssh_key.is_none()
}

#[tokio::test(start_paused = true)]
async fn an_image_is_written_snapshotted_and_its_tools_are_gone() {
    let run = run(GOOD, |_| {}).await;
    let made = run.made.as_ref().unwrap();
    assert_eq!((made.state.clone(), marks::image_of(&made.labels)), (State::Ready, Some(an_image())));
    assert_eq!(made.key, marks::image_key("bouquet", &an_image()));
    assert!(run.heard.contains(&("writing the disk image".into(), 8_388_608)), "{:?}", run.heard);
    assert!(nothing_is_left(&run));
    let order = ["enable_rescue", "poweron", "poweroff", "create_image", "DELETE /v1/servers/7"];
    let at: Vec<_> = order.iter().map(|step| run.lines.iter().position(|line| line.contains(step))).collect();
    assert!(at.is_sorted() && at.iter().all(Option::is_some), "{:#?}", run.lines);
}

#[tokio::test(start_paused = true)]
async fn what_a_cut_off_run_left_is_removed_first() {
    let run = run(GOOD, |project| {
        let left = json!({ "id": 7, "name": "bouquet-image-arm64", "labels": labels(Some("builder")), "status": "running",
            "server_type": { "name": "cax11" }, "location": { "name": "hel1" } });
        project.server = Some(left);
        project.ssh_key = Some(json!({ "id": 3, "name": "bouquet-image-arm64", "labels": labels(Some("builder")) }));
    })
    .await;
    assert!(run.made.is_ok() && nothing_is_left(&run), "{:?}", run.made);
    let deleted = run.lines.iter().position(|line| line == "DELETE /v1/servers/7");
    assert!(deleted < run.lines.iter().position(|line| line == "POST /v1/servers"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_on_the_way_is_waited_for_and_none_is_made() {
    let run = run(GOOD, |project| {
        project.snapshot = Some(json!({ "id": 9, "status": "creating", "labels": labels(None), "description": "" }));
    })
    .await;
    assert_eq!(run.made.unwrap().id, "9");
    assert!(!run.lines.iter().any(|line| line.starts_with("POST")), "{:#?}", run.lines);
}

#[tokio::test(start_paused = true)]
async fn a_broken_snapshot_is_replaced() {
    let run = run(GOOD, |project| {
        project.snapshot = Some(json!({ "id": 9, "status": "unavailable", "labels": labels(None), "description": "" }));
    })
    .await;
    assert!(run.made.is_ok(), "{:?}", run.made);
    assert!(run.lines.iter().any(|line| line == "DELETE /v1/images/9"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_whose_order_got_no_answer_is_not_ordered_twice() {
    let run = run(GOOD, |project| project.lose_order = true).await;
    assert!(run.made.is_ok(), "{:?}", run.made);
    assert_eq!(run.lines.iter().filter(|line| line.ends_with("create_image")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_download_that_fails_says_why_and_leaves_nothing() {
    let run = run(
        |command| match command {
            write if write.contains("wget") => (8, "https://x: ERROR 404: Not Found.\n0 bytes copied\n"),
            other => GOOD(other),
        },
        |_| {},
    )
    .await;
    let error = run.made.as_ref().unwrap_err();
    assert_eq!(error.why, Why::Trouble);
    assert!(error.message.contains("ERROR 404: Not Found."), "{error}");
    assert!(nothing_is_left(&run) && run.project.lock().unwrap().snapshot.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_disk_in_use_is_never_written() {
    let run = run(|command| if command.contains("dd of=") { panic!("written") } else { (0, "") }, |_| {}).await;
    assert!(run.made.as_ref().unwrap_err().message.contains("in use"), "{:?}", run.made);
    assert!(nothing_is_left(&run));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_machine_with_the_builders_name_is_left_alone() {
    let run = run(GOOD, |project| {
        project.server = Some(json!({ "id": 7, "name": "bouquet-image-arm64", "status": "running", "labels": {},
            "server_type": { "name": "cax11" }, "location": { "name": "hel1" } }));
    })
    .await;
    assert_eq!(run.made.unwrap_err().why, Why::Taken);
    assert!(run.lines.iter().all(|line| line.starts_with("GET")), "{:#?}", run.lines);
}
