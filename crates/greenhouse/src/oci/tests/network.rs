use super::*;

#[tokio::test(start_paused = true)]
async fn a_vcn_comes_with_its_defaults_and_takes_them_with_it() {
    let client = Client::new(&[]);
    let body = json!({"compartmentId": client.tenancy, "cidrBlocks": ["10.0.0.0/16"], "displayName": "net"});
    let made = client.post("/vcns", body).await;
    assert_eq!(made.json["lifecycleState"], "PROVISIONING");
    let path = format!("/vcns/{}", made.id());
    client.wait(3).await;
    assert_eq!(client.state(&path).await, "AVAILABLE");
    let list = made.json["defaultSecurityListId"].as_str().unwrap();
    let list = client.get(&format!("/securityLists/{list}")).await.json;
    assert_eq!(list["ingressSecurityRules"][0]["tcpOptions"]["destinationPortRange"]["min"], 22);
    assert_eq!(client.list("routeTables", "").await.len(), 1);
    let refused = client.delete(&format!("/routeTables/{}", made.json["defaultRouteTableId"].as_str().unwrap())).await;
    assert_eq!(refused.code(), (409, "IncorrectState"));
    assert_eq!(client.delete(&path).await.status, 204);
    assert_eq!(client.state(&path).await, "TERMINATING");
    client.wait(3).await;
    assert_eq!(client.get(&path).await.status, 404);
    assert_eq!(client.list("routeTables", "").await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn ranges_are_checked() {
    let client = Client::new(&[]);
    for wrong in ["10.0.0.0/8", "10.0.0.1/16", "10.0.0.0"] {
        let body = json!({"compartmentId": client.tenancy, "cidrBlock": wrong});
        assert_eq!(client.post("/vcns", body).await.code(), (400, "InvalidParameter"), "{wrong}");
    }
    let (vcn, _) = client.network(80).await;
    let subnet = |cidr: &str| json!({"compartmentId": client.tenancy, "vcnId": vcn, "cidrBlock": cidr});
    for wrong in ["10.1.0.0/24", "10.0.1.128/25", "10.0.0.0/16"] {
        assert_eq!(client.post("/subnets", subnet(wrong)).await.code(), (400, "InvalidParameter"), "{wrong}");
    }
    assert_eq!(client.post("/subnets", subnet("10.0.2.0/24")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_network_is_taken_down_in_one_order_only() {
    let client = Client::new(&[]);
    let (vcn, subnet) = client.network(80).await;
    let id = |all: Vec<Value>, name: &str| {
        let found = all.into_iter().find(|it| it["displayName"] == name);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let gateway = id(client.list("internetGateways", "").await, "way");
    let list = id(client.list("securityLists", "").await, "rules");
    let table = id(client.list("routeTables", "").await, "Default Route Table for net");
    let code = |got: Got| got.json["code"].as_str().unwrap_or("ok").to_owned();
    assert_eq!(code(client.delete(&format!("/vcns/{vcn}")).await), "IncorrectState");
    assert_eq!(code(client.delete(&format!("/internetGateways/{gateway}")).await), "Conflict");
    assert_eq!(code(client.delete(&format!("/securityLists/{list}")).await), "IncorrectState");
    assert_eq!(code(client.delete(&format!("/subnets/{subnet}")).await), "ok");
    client.wait(3).await;
    assert_eq!(code(client.put(&format!("/routeTables/{table}"), json!({"routeRules": []})).await), "ok");
    assert_eq!(code(client.delete(&format!("/internetGateways/{gateway}")).await), "ok");
    assert_eq!(code(client.delete(&format!("/vcns/{vcn}")).await), "Conflict", "the security list is still there");
    assert_eq!(code(client.delete(&format!("/securityLists/{list}")).await), "ok");
    assert_eq!(code(client.delete(&format!("/vcns/{vcn}")).await), "ok");
}

#[tokio::test(start_paused = true)]
async fn a_vcn_may_be_busy_and_a_subnet_in_use_for_no_visible_reason() {
    let client = Client::new(&["oci vcn-busy for net times 1", "oci subnet-in-use for sub times 1"]);
    let (vcn, subnet) = client.network(80).await;
    assert_eq!(client.delete(&format!("/subnets/{subnet}")).await.code(), (409, "Conflict"));
    assert_eq!(client.delete(&format!("/subnets/{subnet}")).await.status, 204);
    assert_eq!(client.delete(&format!("/vcns/{vcn}")).await.code(), (409, "IncorrectState"));
}

#[tokio::test(start_paused = true)]
async fn rules_are_checked_and_groups_keep_them() {
    let client = Client::new(&[]);
    let (vcn, _) = client.network(80).await;
    let group =
        client.post("/networkSecurityGroups", json!({"compartmentId": client.tenancy, "vcnId": vcn})).await.id();
    let path = format!("/networkSecurityGroups/{group}");
    let add = format!("{path}/actions/addSecurityRules");
    let rule = |protocol: &str, source: &str, low: u16, high: u16| {
        json!({"securityRules": [{"direction": "INGRESS", "protocol": protocol, "source": source,
            "tcpOptions": {"destinationPortRange": {"min": low, "max": high}}}]})
    };
    for wrong in [
        rule("17", "0.0.0.0/0", 80, 80),
        rule("6", "0.0.0.0/33", 80, 80),
        rule("6", "0.0.0.0/0", 81, 80),
        rule("tcp", "0.0.0.0/0", 80, 80),
        json!({"securityRules": [{"protocol": "6", "source": "0.0.0.0/0"}]}),
    ] {
        assert_eq!(client.post(&add, wrong.clone()).await.status, 400, "{wrong}");
    }
    let added = client.post(&add, rule("6", "203.0.113.0/24", 443, 443)).await;
    let id = added.json["securityRules"][0]["id"].clone();
    assert_eq!(client.get(&format!("{path}/securityRules?direction=INGRESS")).await.json.as_array().unwrap().len(), 1);
    assert_eq!(client.get(&format!("{path}/securityRules?direction=EGRESS")).await.json, json!([]));
    let remove = format!("{path}/actions/removeSecurityRules");
    assert_eq!(client.post(&remove, json!({"securityRuleIds": ["nonsense"]})).await.status, 404);
    assert_eq!(client.post(&remove, json!({"securityRuleIds": [id]})).await.status, 204);
    assert_eq!(client.get(&format!("{path}/securityRules")).await.json, json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_vcn_is_listed_like_any_other() {
    let client = Client::new(&[]);
    client.greenhouse.foreign("vcn", "theirs").unwrap();
    assert_eq!(client.list("vcns", "").await[0]["displayName"], "theirs");
    let inventory = client.greenhouse.inventory();
    assert_eq!(inventory["oci_vcns"][0]["displayName"], "theirs");
    assert_eq!(inventory["oci_route_tables"].as_array().unwrap().len(), 1);
    assert_eq!(inventory["oci_images"], json!([]), "only what the tenancy imported");
}
