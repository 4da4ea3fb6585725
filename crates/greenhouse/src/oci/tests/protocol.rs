use super::*;

#[tokio::test(start_paused = true)]
async fn a_signed_call_is_answered_and_any_flaw_is_401() {
    let mut client = Client::new(&[]);
    let got = client.get(&format!("/vcns?compartmentId={}", client.tenancy)).await;
    assert_eq!((got.status, got.json.clone()), (200, json!([])));
    assert!(!got.header("opc-request-id").is_empty());

    let unsigned = http::Request::get("/20160918/vcns").header("host", IAAS).body(Body::default()).unwrap();
    let got = read(client.greenhouse.wire().call(&Target::https(IAAS, 443), unsigned).await.unwrap()).await;
    assert_eq!(got.code(), (401, "NotAuthenticated"));

    client.skew_s = 301;
    let got = client.list_code().await;
    assert_eq!(
        (got.code(), got.json["message"].as_str().unwrap().contains("clock skew")),
        ((401, "NotAuthenticated"), true)
    );
    client.skew_s = -299;
    assert_eq!(client.list_code().await.status, 200);
    client.key_id = client.key_id.replace("ocid1.user", "ocid1.loser");
    assert_eq!(client.list_code().await.code(), (401, "NotAuthenticated"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_what_was_signed_is_401() {
    let mut client = Client::new(&[]);
    client.with("x-content-sha256", STANDARD.encode(Sha256::digest("else")));
    let body = json!({"compartmentId": client.tenancy, "cidrBlocks": ["10.0.0.0/16"]});
    assert_eq!(client.post("/vcns", body).await.code(), (401, "NotAuthenticated"));
}

impl Client {
    async fn list_code(&self) -> Got {
        self.get(&format!("/vcns?compartmentId={}", self.tenancy)).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_that_is_not_subscribed_knows_nobody() {
    let client = Client::new(&[]);
    let path = format!("/20160918/vcns?compartmentId={}", client.tenancy);
    let got = client.send("GET", "iaas.uk-london-1.oraclecloud.com", &path, None).await;
    assert_eq!(got.code(), (401, "NotAuthenticated"));
    let got = client.send("GET", "iaas.eu-amsterdam-1.oraclecloud.com", &path, None).await;
    assert_eq!(got.status, 200);
}

#[tokio::test(start_paused = true)]
async fn identity_tells_domains_regions_and_compartments() {
    let client = Client::new(&[]);
    let get = |path: String| async move { path };
    let domains = format!("/20160918/availabilityDomains?compartmentId={}", client.tenancy);
    let domains = client.send("GET", IDENTITY, &domains, None).await;
    let names: Vec<&str> = domains.json.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 3);
    assert!(names[0].ends_with(":EU-FRANKFURT-1-AD-1"), "{names:?}");
    let path = get(format!("/20160918/tenancies/{}/regionSubscriptions", client.tenancy)).await;
    let regions = client.send("GET", IDENTITY, &path, None).await;
    assert_eq!((regions.json[0]["isHomeRegion"].clone(), regions.json.as_array().unwrap().len()), (json!(true), 2));
    let body = json!({"compartmentId": client.tenancy, "name": "bed", "description": "a bed"}).to_string();
    let made = client.send("POST", IDENTITY, "/20160918/compartments", Some((NETWORK_BODY, body.into()))).await.id();
    let path = format!("/20160918/compartments?compartmentId={}", client.tenancy);
    assert_eq!(client.send("GET", IDENTITY, &path, None).await.json[0]["id"], made);
    assert_eq!(client.get("/nonsense").await.code(), (404, "NotAuthorizedOrNotFound"));
}

#[tokio::test(start_paused = true)]
async fn lists_are_filtered_and_come_in_pages() {
    let client = Client::new(&[]);
    assert_eq!(client.get("/vcns").await.code(), (400, "MissingParameter"));
    for (at, name) in ["one", "two", "three"].iter().enumerate() {
        let body =
            json!({"compartmentId": client.tenancy, "cidrBlock": format!("10.{at}.0.0/16"), "displayName": name});
        client.post("/vcns", body).await.id();
    }
    let names = |all: &[Value]| all.iter().map(|it| it["displayName"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&client.list("vcns", "").await), ["three", "two", "one"]);
    assert_eq!(names(&client.list("vcns", "&displayName=two").await), ["two"]);
    assert_eq!(names(&client.list("vcns", "&lifecycleState=AVAILABLE").await).len(), 0);
    let first = client.get(&format!("/vcns?compartmentId={}&limit=2", client.tenancy)).await;
    let token = first.header("opc-next-page").to_owned();
    assert_eq!((names(first.json.as_array().unwrap()).len(), token.is_empty()), (2, false));
    let second = client.get(&format!("/vcns?compartmentId={}&limit=2&page={token}", client.tenancy)).await;
    assert_eq!((names(second.json.as_array().unwrap()), second.header("opc-next-page")), (vec!["one".into()], ""));
}

#[tokio::test(start_paused = true)]
async fn a_retry_token_makes_one_thing_only_and_is_spent_when_that_is_gone() {
    let mut client = Client::new(&[]);
    client.with("opc-retry-token", "token-1");
    let body = || json!({"compartmentId": client.tenancy, "cidrBlock": "10.0.0.0/16", "displayName": "net"});
    let first = client.post("/vcns", body()).await.id();
    assert_eq!(client.post("/vcns", body()).await.id(), first);
    assert_eq!(client.list("vcns", "").await.len(), 1);
    client.wait(3).await;
    assert_eq!(client.delete(&format!("/vcns/{first}")).await.status, 204);
    client.wait(3).await;
    assert_eq!(client.post("/vcns", body()).await.code(), (409, "InvalidatedRetryToken"));
    client.wait(24 * 3600).await;
    assert_ne!(client.post("/vcns", body()).await.id(), first);
}

#[tokio::test(start_paused = true)]
async fn an_old_etag_is_412_and_unknown_fields_are_400() {
    let mut client = Client::new(&[]);
    let body = json!({"compartmentId": client.tenancy, "cidrBlock": "10.0.0.0/16"});
    let made = client.post("/vcns", body).await;
    let (path, etag) = (format!("/vcns/{}", made.id()), made.header("etag").to_owned());
    let misspelt = json!({"compartmentId": client.tenancy, "cidrBlock": "10.0.0.0/16", "displayname": "x"});
    assert_eq!(client.post("/vcns", misspelt).await.code(), (400, "CannotParseRequest"));
    client.wait(3).await;
    client.with("if-match", etag);
    assert_eq!(client.put(&path, json!({"displayName": "other"})).await.code(), (412, "NoEtagMatch"));
    client.extra.clear();
    let now = client.get(&path).await.header("etag").to_owned();
    client.with("if-match", now);
    assert_eq!(client.put(&path, json!({"displayName": "other"})).await.json["displayName"], "other");
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_account_show_everywhere() {
    let client = Client::new(&["oci clock-skew times 1"]);
    assert_eq!(client.list_code().await.code(), (401, "NotAuthenticated"));
    assert_eq!(client.list_code().await.status, 200);
    let client = Client::new(&["oci suspended"]);
    assert_eq!(client.list_code().await.code(), (404, "NotAuthorizedOrNotFound"));
    let path = format!("/20190729/limitValues?compartmentId={}&serviceName=compute", client.tenancy);
    let limits = client.send("GET", LIMITS, &path, None).await;
    assert!(limits.json.as_array().unwrap().iter().all(|limit| limit["value"] == 0), "{}", limits.json);
}
