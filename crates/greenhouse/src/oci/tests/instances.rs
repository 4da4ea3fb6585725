use super::*;
use crate::machine;
use std::net::IpAddr;

const ANYWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

impl Client {
    async fn launch(&self, name: &str) -> (String, String, String) {
        let (vcn, subnet) = self.network(443).await;
        let id = self.post("/instances", self.launch_details(&subnet, name).await).await.id();
        (id, vcn, subnet)
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_comes_up_and_shows_its_public_address_when_it_runs() {
    let client = Client::new(&[]);
    let (_, subnet) = client.network(443).await;
    let made = client.post("/instances", client.launch_details(&subnet, "tulip").await).await;
    let (id, work) = (made.id(), made.header("opc-work-request-id").to_owned());
    assert_eq!(made.json["lifecycleState"], "PROVISIONING");
    let vnic = client.vnic(&id).await;
    assert_eq!((&vnic["publicIp"], &vnic["privateIp"]), (&Value::Null, &json!("10.0.1.2")));
    assert_eq!(client.get(&format!("/workRequests/{work}")).await.json["status"], "IN_PROGRESS");
    client.wait(60).await;
    assert_eq!(client.state(&format!("/instances/{id}")).await, "RUNNING");
    assert_eq!(client.get(&format!("/workRequests/{work}")).await.json["percentComplete"], 100);
    let public: IpAddr = client.vnic(&id).await["publicIp"].as_str().unwrap().parse().unwrap();
    client.greenhouse.world.with(|state| {
        let machine = state.machines.values().find(|machine| machine.name == "tulip").unwrap();
        assert_eq!((machine.public.as_slice(), machine.power, machine.cores), ([public].as_slice(), true, 2));
        assert_eq!(machine.user_data.as_deref(), Some(STANDARD.encode("#!talos").as_bytes()));
        assert_eq!((machine.vendor_id.as_str(), machine.memory_mib), (id.as_str(), 12 << 10));
    });
    assert!(client.greenhouse.stages().iter().any(|it| (it.subject.as_str(), it.name) == ("tulip", "oci-launch")));
    assert!(client.greenhouse.log().contains("oci instance tulip: RUNNING"), "{}", client.greenhouse.log());
}

#[tokio::test(start_paused = true)]
async fn only_what_the_rules_name_gets_in_and_only_with_a_way_back() {
    let client = Client::new(&[]);
    let (_, vcn, subnet) = client.launch("tulip").await;
    client.wait(60).await;
    let admits = |port| {
        client.greenhouse.world.with(|state| {
            let id = machine::named(state, "tulip").unwrap();
            machine::admits(state, id, ANYWHERE, port)
        })
    };
    assert_eq!([admits(443), admits(50_000), admits(22)], [true, false, false]);
    let table = client.get(&format!("/subnets/{subnet}")).await.json["routeTableId"].as_str().unwrap().to_owned();
    assert_eq!(client.put(&format!("/routeTables/{table}"), json!({"routeRules": []})).await.status, 200);
    assert!(!admits(443), "without a route of {vcn} to the internet no answer gets out");
}

#[tokio::test(start_paused = true)]
async fn termination_takes_the_machine_and_the_vnic_lags() {
    let client = Client::new(&[]);
    let (id, _, subnet) = client.launch("tulip").await;
    client.wait(60).await;
    let path = format!("/instances/{id}");
    let ended = client.delete(&format!("{path}?preserveBootVolume=false")).await;
    assert_eq!((ended.status, ended.header("opc-work-request-id").is_empty()), (204, false));
    assert_eq!(client.state(&path).await, "TERMINATING");
    assert_eq!(client.delete(&path).await.code(), (409, "IncorrectState"));
    while client.state(&path).await != "TERMINATED" {
        client.wait(1).await;
    }
    assert!(client.greenhouse.world.with(|state| state.machines.is_empty()));
    assert_eq!(client.delete(&format!("/subnets/{subnet}")).await.code(), (409, "Conflict"));
    client.wait(21).await;
    assert_eq!(client.delete(&format!("/subnets/{subnet}")).await.status, 204);
    assert_eq!(client.list("bootVolumes", "").await.len(), 0);
    assert_eq!(client.list("instances", "").await[0]["lifecycleState"], "TERMINATED");
    let inventory = client.greenhouse.inventory();
    for kind in ["oci_instances", "oci_vnics", "oci_public_ips", "oci_boot_volumes"] {
        assert_eq!(inventory[kind], json!([]), "{kind}");
    }
    client.wait(3700).await;
    assert_eq!(client.list("instances", "").await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_launch_cut_short_ends_as_cleanly() {
    let client = Client::new(&["oci vnic-stuck=900"]);
    let (id, _, subnet) = client.launch("tulip").await;
    assert_eq!(client.delete(&format!("/instances/{id}?preserveBootVolume=true")).await.status, 204);
    client.wait(120).await;
    assert_eq!(client.state(&format!("/instances/{id}")).await, "TERMINATED");
    let works = client.list("workRequests", &format!("&resourceId={id}")).await;
    assert_eq!((&works[0]["status"], &works[1]["status"]), (&json!("SUCCEEDED"), &json!("FAILED")));
    assert_eq!(client.list("vnicAttachments", "").await[0]["lifecycleState"], "DETACHING");
    assert_eq!(client.delete(&format!("/subnets/{subnet}")).await.code(), (409, "Conflict"));
    client.wait(900).await;
    assert_eq!(client.delete(&format!("/subnets/{subnet}")).await.status, 204);
    let kept = client.list("bootVolumes", "").await;
    assert_eq!(kept[0]["displayName"], "tulip (Boot Volume)");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_launched_is_refused_in_the_vendors_words() {
    let client = Client::new(&[]);
    let (_, subnet) = client.network(443).await;
    let good = client.launch_details(&subnet, "tulip").await;
    let but = |pointer: &str, value: Value| {
        let mut body = good.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[field] = value;
        body
    };
    let x86 = client.list("images", "&shape=VM.Standard.E4.Flex").await[0]["id"].clone();
    for (wrong, code, words) in [
        (but("/shapeConfig", Value::Null), (400, "InvalidParameter"), "without ShapeConfig"),
        (but("/shapeConfig/ocpus", json!(0.5)), (400, "InvalidParameter"), "ocpus"),
        (but("/shapeConfig/memoryInGBs", json!(500)), (400, "InvalidParameter"), "memoryInGBs"),
        (but("/shape", json!("VM.Nonsense")), (404, "NotAuthorizedOrNotFound"), "shape VM.Nonsense not found"),
        (but("/sourceDetails/imageId", x86), (400, "InvalidParameter"), "is not valid for image"),
        (but("/sourceDetails/bootVolumeSizeInGBs", json!(49)), (400, "InvalidParameter"), "bootVolumeSizeInGBs"),
        (but("/metadata/user_data", json!("no base64!")), (400, "InvalidParameter"), "base64"),
        (but("/metadata/user_data", json!("A".repeat(32_000))), (400, "InvalidParameter"), "32000"),
        (but("/availabilityDomain", json!("x:EU-FRANKFURT-1-AD-1")), (400, "InvalidParameter"), "availabilityDomain"),
        (but("/createVnicDetails/privateIp", json!("10.0.2.9")), (400, "InvalidParameter"), "privateIp"),
        (but("/createVnicDetails/assignPublicIP", json!(true)), (400, "CannotParseRequest"), ""),
        (but("/compartmentId", Value::Null), (400, "MissingParameter"), "compartmentId"),
    ] {
        let got = client.post("/instances", wrong).await;
        assert_eq!(got.code(), code, "{}", got.json);
        assert!(got.json["message"].as_str().unwrap().contains(words), "{}", got.json);
    }
    client.greenhouse.world.with(|state| state.oci.limits.insert("standard-a1-core-count", 1));
    let got = client.post("/instances", good).await;
    assert_eq!(got.code(), (400, "LimitExceeded"));
    assert!(got.json["message"].as_str().unwrap().contains("standard-a1-core-count"));
    assert!(client.greenhouse.world.with(|state| state.machines.is_empty()), "nothing is left of a refused launch");
    assert_eq!(client.list("vnicAttachments", "").await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn capacity_comes_back_and_one_token_still_makes_one_instance() {
    let mut client = Client::new(&[
        "oci no-capacity for VM.Standard.A1.Flex times 1",
        "oci limit-exceeded for VM.Standard.A1.Flex times 1",
        "oci shape-not-found for VM.Standard.A1.Flex times 1",
        "oci image-shape for VM.Standard.A1.Flex times 1",
    ]);
    let (_, subnet) = client.network(443).await;
    let body = client.launch_details(&subnet, "tulip").await;
    client.with("opc-retry-token", "once");
    let mut codes = Vec::new();
    for _ in 0..4 {
        let got = client.post("/instances", body.clone()).await;
        codes.push((got.status, got.json["code"].as_str().unwrap().to_owned()));
    }
    codes.sort();
    let codes: Vec<(u16, &str)> = codes.iter().map(|(status, code)| (*status, code.as_str())).collect();
    let wanted =
        [(400, "InvalidParameter"), (400, "LimitExceeded"), (404, "NotAuthorizedOrNotFound"), (500, "InternalError")];
    assert_eq!(codes, wanted);
    let id = client.post("/instances", body.clone()).await.id();
    assert_eq!(client.post("/instances", body).await.id(), id);
    assert_eq!(client.list("instances", "").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_report_foretells_capacity_without_using_the_fault_up() {
    let client = Client::new(&["oci no-capacity for VM.Standard.A1.Flex times 1"]);
    let ask = json!({
        "compartmentId": client.tenancy, "availabilityDomain": client.domain().await,
        "shapeAvailabilities": [{"instanceShape": "VM.Standard.A1.Flex", "instanceShapeConfig": {"ocpus": 4}},
            {"instanceShape": "VM.Standard.E4.Flex"}, {"instanceShape": "VM.Nonsense"}],
    });
    for _ in 0..2 {
        let report = client.post("/computeCapacityReports", ask.clone()).await.json;
        let statuses: Vec<&Value> =
            report["shapeAvailabilities"].as_array().unwrap().iter().map(|it| &it["availabilityStatus"]).collect();
        assert_eq!(statuses, ["OUT_OF_HOST_CAPACITY", "AVAILABLE", "HARDWARE_NOT_SUPPORTED"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_public_address_may_lag_behind_running() {
    let client = Client::new(&["oci no-address=40 for tulip"]);
    let (id, _, _) = client.launch("tulip").await;
    while client.state(&format!("/instances/{id}")).await != "RUNNING" {
        client.wait(1).await;
    }
    client.wait(30).await;
    assert_eq!(client.vnic(&id).await["publicIp"], Value::Null);
    client.wait(15).await;
    assert!(client.vnic(&id).await["publicIp"].is_string());
}

#[tokio::test(start_paused = true)]
async fn an_instance_follows_its_machine_and_its_actions() {
    let client = Client::new(&[]);
    let (id, _, _) = client.launch("tulip").await;
    let path = format!("/instances/{id}");
    assert_eq!(client.call("POST", &format!("{path}?action=STOP"), None).await.code(), (409, "IncorrectState"));
    client.wait(60).await;
    client.greenhouse.kill("tulip").unwrap();
    assert_eq!(client.state(&path).await, "STOPPED");
    assert_eq!(client.call("POST", &format!("{path}?action=START"), None).await.json["lifecycleState"], "STARTING");
    client.wait(60).await;
    assert_eq!(client.state(&path).await, "RUNNING");
    assert_eq!(client.call("POST", &format!("{path}?action=SOFTSTOP"), None).await.json["lifecycleState"], "STOPPING");
    client.wait(61).await;
    assert_eq!(client.state(&path).await, "STOPPED");
    assert_eq!(client.call("POST", &format!("{path}?action=FLY"), None).await.code(), (400, "InvalidParameter"));
    client.greenhouse.destroy("tulip").unwrap();
    assert_eq!(client.state(&path).await, "TERMINATED");
    assert_eq!(client.greenhouse.inventory()["oci_vnics"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_console_history_has_what_came_out_so_far() {
    let client = Client::new(&[]);
    let (id, _, _) = client.launch("tulip").await;
    client.wait(60).await;
    client.greenhouse.world.with(|state| {
        let machine = machine::named(state, "tulip").unwrap();
        state.machines.get_mut(&machine).unwrap().console.clear();
        machine::console(state, machine, "UEFI Interactive Shell v2.2");
    });
    let history = client.post("/instanceConsoleHistories", json!({"instanceId": id})).await;
    assert_eq!(history.json["lifecycleState"], "REQUESTED");
    let path = format!("/instanceConsoleHistories/{}", history.id());
    assert_eq!(client.get(&format!("{path}/data")).await.code(), (409, "IncorrectState"));
    client.wait(10).await;
    assert_eq!(client.state(&path).await, "SUCCEEDED");
    let data = client.get(&format!("{path}/data?length=4")).await;
    assert_eq!((data.bytes.as_ref(), data.header("opc-bytes-remaining")), (b"UEFI".as_slice(), "23"));
}
