//! What the effects do when answers are lost, names are taken, and things are on their way out.

use super::found::tests::{FIREWALL, SERVER};
use super::wanted::tests::{a_need, place};
use super::*;
use crate::scripted::{Asked, Reply, line, lines};
use crate::{Stock, Why, hetzner};

fn hetzner() -> Hetzner {
    Hetzner::new(&Secret::new("t0ken"), &http::Uri::from_static(hetzner::ENDPOINT)).unwrap()
}

/// The server `bouquet-lily` as wanted, with what it stands on.
fn lily() -> (Wanted, Given) {
    let wanted = hetzner().wanted(&a_need()).remove(1);
    let ids = wanted.needs.iter().zip(["38", "77"]).map(|(key, id)| (key.clone(), id.to_owned())).collect();
    (wanted, Given { ids, user_data: Some(Secret::new("H4sI")) })
}

fn say(status: u16, body: impl Into<String>) -> Reply {
    Reply::Say(status, body.into())
}

fn refusal(status: u16, code: &str) -> Reply {
    say(status, format!(r#"{{"error": {{"code": "{code}", "message": "no", "details": null}}}}"#))
}

fn servers(items: &str) -> Reply {
    say(200, format!(r#"{{"servers": [{items}], "meta": {{"pagination": {{"next_page": null}}}}}}"#))
}

#[tokio::test(start_paused = true)]
async fn a_server_is_born_behind_its_firewall_with_its_image_and_mark() {
    let (line, asked) = line(|_| say(201, format!(r#"{{"server": {SERVER}, "action": {{}}, "root_password": null}}"#)));
    let (wanted, given) = lily();
    let made = hetzner().create(&line, &wanted, &given).await.unwrap();
    assert_eq!((made.key, made.spec), (wanted.key, wanted.spec));
    let Asked { line, authorization, body } = asked.lock().unwrap()[0].clone();
    assert_eq!((line.as_str(), authorization.as_str()), ("POST /v1/servers", "Bearer t0ken"));
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["firewalls"][0]["firewall"], &body["image"]), (&38.into(), &77.into()));
    assert_eq!((&body["user_data"], &body["start_after_create"]), (&"H4sI".into(), &true.into()));
    assert_eq!(body["labels"]["bouquet.dev/node"], "lily");
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_was_lost_is_looked_up_and_not_sent_again() {
    let (line, asked) = line(|asked| if asked.line.starts_with("POST") { Reply::Break } else { servers(SERVER) });
    let (wanted, given) = lily();
    let made = hetzner().create(&line, &wanted, &given).await.unwrap();
    assert_eq!(made.id, "42");
    assert_eq!(lines(&asked), ["POST /v1/servers", "GET /v1/servers?name=bouquet-lily&page=1&per_page=50"]);
}

#[tokio::test(start_paused = true)]
async fn a_create_that_was_lost_without_effect_is_sent_once_more() {
    let mut posts = 0;
    let (line, asked) = line(move |asked| {
        if !asked.line.starts_with("POST") {
            return servers("");
        }
        posts += 1;
        if posts == 1 { Reply::Break } else { say(201, format!(r#"{{"server": {SERVER}}}"#)) }
    });
    let (wanted, given) = lily();
    assert_eq!(hetzner().create(&line, &wanted, &given).await.unwrap().id, "42");
    assert_eq!(lines(&asked).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_taken_name_is_ours_by_mark_or_said_to_be_foreign() {
    let (wanted, given) = lily();
    let taken = |there: String| {
        line(
            move |asked| {
                if asked.line.starts_with("POST") { refusal(409, "uniqueness_error") } else { servers(&there) }
            },
        )
    };
    let (line, _) = taken(SERVER.to_owned());
    assert_eq!(hetzner().create(&line, &wanted, &given).await.unwrap().id, "42");
    for (foreign, words) in [
        (SERVER.replace("bouquet.dev/cluster", "other"), "which is not ours"),
        (SERVER.replace("\"fsn1\"", "\"nbg1\""), "in nbg1, which is ours, but elsewhere"),
    ] {
        let (line, _) = taken(foreign);
        let error = hetzner().create(&line, &wanted, &given).await.unwrap_err();
        assert_eq!(error.why, Why::Taken);
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn out_of_stock_is_capacity_and_asked_once() {
    let (line, asked) = line(|_| refusal(412, "resource_unavailable"));
    let (wanted, given) = lily();
    assert_eq!(hetzner().create(&line, &wanted, &given).await.unwrap_err().why, Why::Capacity);
    assert_eq!(lines(&asked).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_firewall_still_in_use_is_deleted_when_it_is_free() {
    let mut left = 3;
    let (line, asked) = line(move |_| {
        left -= 1;
        if left > 0 { refusal(422, "resource_in_use") } else { say(204, "") }
    });
    let firewall = found::firewall("bouquet", serde_json::from_str(FIREWALL).unwrap());
    hetzner().delete(&line, &firewall).await.unwrap();
    assert_eq!(lines(&asked), ["DELETE /v1/firewalls/38"; 3]);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_deleted_and_what_is_not_ours_never_is() {
    let (line, asked) = line(|_| refusal(404, "not_found"));
    let mut firewall = found::firewall("bouquet", serde_json::from_str(FIREWALL).unwrap());
    hetzner().delete(&line, &firewall).await.unwrap();
    firewall.ours = false;
    assert_eq!(hetzner().delete(&line, &firewall).await.unwrap_err().why, Why::Forbidden);
    assert_eq!(lines(&asked).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_costs_one_call_a_kind_and_names_firewalls() {
    let (line, asked) = line(|asked| {
        let field = asked.line.trim_start_matches("GET /v1/").split('?').next().unwrap().to_owned();
        let items = match field.as_str() {
            "servers" => SERVER,
            "firewalls" => FIREWALL,
            _ => "",
        };
        say(200, format!(r#"{{"{field}": [{items}]}}"#))
    });
    let all = hetzner().find(&line, "bouquet", &[]).await.unwrap();
    let names: Vec<String> = all.iter().map(|found| found.key.to_string()).collect();
    assert_eq!(names, ["hetzner firewall bouquet-nodes", "hetzner server bouquet-lily"]);
    assert_eq!(all[1].spec["firewalls"][0], "bouquet-nodes");
    assert_eq!(lines(&asked).len(), KINDS.len());
}

#[tokio::test(start_paused = true)]
async fn changed_rules_are_set_and_a_changed_machine_type_is_refused() {
    let (line, asked) = line(|_| say(201, r#"{"actions": []}"#));
    let mut firewall = found::firewall("bouquet", serde_json::from_str(FIREWALL).unwrap());
    let wanted = hetzner().wanted(&a_need());
    firewall.spec["rules"] = serde_json::json!([]);
    let now = hetzner().update(&line, &firewall, &wanted[0], &Given::default()).await.unwrap();
    assert_eq!(now.spec, wanted[0].spec);
    assert_eq!(lines(&asked), ["POST /v1/firewalls/38/actions/set_rules"]);
    let mut server = found::server("bouquet", serde_json::from_str(SERVER).unwrap(), &[]);
    server.spec["server_type"] = "cax11".into();
    let error = hetzner().update(&line, &server, &wanted[1], &Given::default()).await.unwrap_err();
    assert_eq!(error.why, Why::Invalid);
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_diagnosed_in_hetzners_words() {
    let (line, _) = line(|asked| {
        if asked.line.contains("/actions") {
            return say(
                200,
                r#"{"actions": [{"id": 1, "command": "create_server", "status": "success", "error": null},
                {"id": 2, "command": "start_server", "status": "error",
                 "error": {"code": "unknown_error", "message": "Unknown Error"}}]}"#,
            );
        }
        say(200, format!(r#"{{"server": {}}}"#, SERVER.replace("running", "off")))
    });
    let server = found::server("bouquet", serde_json::from_str(SERVER).unwrap(), &[]);
    assert_eq!(
        hetzner().diagnose(&line, &server).await.unwrap(),
        "Hetzner says that bouquet-lily is off; start_server failed: Unknown Error (unknown_error)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_read_only_or_wrong_token_is_named_before_anything_is_made() {
    let check = |may: (u16, &'static str)| async move {
        let (line, _) = line(move |asked| match (asked.line.as_str(), may) {
            (_, (401, code)) => refusal(401, code),
            ("POST /v1/ssh_keys", (status, code)) => refusal(status, code),
            (path, _) => {
                let field = path.trim_start_matches("GET /v1/").split('?').next().unwrap();
                say(200, format!(r#"{{"{field}": [], "pricing": {{"currency": "EUR"}}}}"#))
            }
        });
        hetzner().check(&line).await
    };
    let wrong = check((401, "unauthorized")).await;
    assert_eq!((wrong.len(), wrong[0].code.as_deref(), wrong[0].fatal), (1, Some("BQ0206"), true));
    let read_only = check((403, "token_readonly")).await;
    assert_eq!((read_only[0].subject.as_str(), read_only[0].code.as_deref()), ("HCLOUD_TOKEN", Some("BQ0207")));
    let good = check((422, "invalid_input")).await;
    assert!(good.iter().all(|finding| finding.code.is_none()), "{good:?}");
}

#[tokio::test(start_paused = true)]
async fn prices_that_cannot_be_read_do_not_stop_an_offer() {
    let (line, _) =
        line(
            |asked| {
                if asked.line.contains("pricing") { say(200, "<html>") } else { say(200, r#"{"server_types": []}"#) }
            },
        );
    let offers = hetzner().offers(&line, &[place("hel1", "cax11")]).await.unwrap();
    assert!(matches!(offers[0].stock, Stock::Unknown(_)) && offers[0].price.is_some());
}
