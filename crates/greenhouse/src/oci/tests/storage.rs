use super::*;

impl Client {
    async fn bucket(&self) -> String {
        let namespace = self.send("GET", STORAGE, "/n", None).await.json.as_str().unwrap().to_owned();
        let body = json!({"name": "seeds", "compartmentId": self.tenancy, "freeformTags": {"a": "b"}}).to_string();
        let made = self.send("POST", STORAGE, &format!("/n/{namespace}/b"), Some((NETWORK_BODY, body.into()))).await;
        assert_eq!(made.json["name"], "seeds");
        format!("/n/{namespace}/b/seeds")
    }

    async fn store(&self, method: &str, path: &str, body: &'static str) -> Got {
        self.send(method, STORAGE, path, Some(("application/octet-stream", Bytes::from_static(body.as_bytes())))).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_is_put_read_listed_and_deleted_under_its_escaped_name() {
    let mut client = Client::new(&[]);
    let bucket = client.bucket().await;
    let object = format!("{bucket}/o/dir%2Fseed");
    client.with("if-none-match", "*").with("opc-meta-kind", "tulip");
    assert!(!client.store("PUT", &object, "bulb").await.header("etag").is_empty());
    assert_eq!(client.store("PUT", &object, "bulb").await.code(), (412, "IfNoneMatchFailed"));
    client.extra.clear();
    let got = client.send("GET", STORAGE, &object, None).await;
    assert_eq!((got.bytes.as_ref(), got.header("opc-meta-kind")), (b"bulb".as_slice(), "tulip"));
    let head = client.send("HEAD", STORAGE, &object, None).await;
    assert_eq!((head.status, head.header("content-length"), head.bytes.len()), (200, "4", 0));
    client.with("range", "bytes=1-2");
    let part = client.send("GET", STORAGE, &object, None).await;
    assert_eq!((part.status, part.bytes.as_ref()), (206, b"ul".as_slice()));
    client.extra.clear();
    let list = client.send("GET", STORAGE, &format!("{bucket}/o?prefix=dir%2F&fields=name,size"), None).await;
    assert_eq!(list.json["objects"], json!([{"name": "dir/seed", "size": 4}]));
    let list = client.send("GET", STORAGE, &format!("{bucket}/o?delimiter=%2F"), None).await;
    assert_eq!((&list.json["objects"], &list.json["prefixes"]), (&json!([]), &json!(["dir/"])));
    assert_eq!(client.send("DELETE", STORAGE, &bucket, None).await.code(), (409, "BucketNotEmpty"));
    assert_eq!(client.send("DELETE", STORAGE, &object, None).await.status, 204);
    assert_eq!(client.send("GET", STORAGE, &object, None).await.code(), (404, "ObjectNotFound"));
    assert_eq!(client.send("DELETE", STORAGE, &bucket, None).await.status, 204);
    assert_eq!(client.send("GET", STORAGE, &bucket, None).await.code(), (404, "BucketNotFound"));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_is_made_once() {
    let client = Client::new(&[]);
    let path = client.bucket().await;
    let collection = path.trim_end_matches("/seeds");
    let body = json!({"name": "seeds", "compartmentId": client.tenancy}).to_string();
    let again = client.send("POST", STORAGE, collection, Some((NETWORK_BODY, body.into()))).await;
    assert_eq!(again.code(), (409, "BucketAlreadyExists"));
    let list = client.send("GET", STORAGE, &format!("{collection}?compartmentId={}", client.tenancy), None).await;
    assert_eq!(list.json[0]["freeformTags"], json!({"a": "b"}));
    assert_eq!(client.send("GET", STORAGE, "/n/other/b/seeds", None).await.code(), (404, "NamespaceNotFound"));
}

#[tokio::test(start_paused = true)]
async fn parts_become_an_object_in_the_order_of_their_numbers() {
    let client = Client::new(&[]);
    let bucket = client.bucket().await;
    let body = json!({"object": "big/one"}).to_string();
    let made = client.send("POST", STORAGE, &format!("{bucket}/u"), Some((NETWORK_BODY, body.into()))).await;
    let upload = made.json["uploadId"].as_str().unwrap().to_owned();
    let path = format!("{bucket}/u/big%2Fone?uploadId={upload}");
    let second = client.store("PUT", &format!("{path}&uploadPartNum=2"), "lip").await.header("etag").to_owned();
    let first = client.store("PUT", &format!("{path}&uploadPartNum=1"), "tu").await.header("etag").to_owned();
    assert_eq!(client.store("PUT", &format!("{path}&uploadPartNum=0"), "x").await.code(), (400, "InvalidUploadPart"));
    assert_eq!(client.send("DELETE", STORAGE, &bucket, None).await.code(), (409, "BucketNotEmpty"));
    let parts = client.send("GET", STORAGE, &path, None).await.json;
    assert_eq!((parts[0]["partNumber"].clone(), parts[1]["size"].clone()), (json!(1), json!(3)));
    let commit = |parts: Value| {
        let body = json!({"partsToCommit": parts}).to_string();
        client.send("POST", STORAGE, &path, Some((NETWORK_BODY, body.into())))
    };
    let one = json!({"partNum": 1, "etag": first});
    assert_eq!(commit(json!([one])).await.code(), (400, "InvalidUploadPart"), "part 2 is neither in nor out");
    assert_eq!(commit(json!([one, {"partNum": 2, "etag": second}])).await.status, 200);
    assert_eq!(client.send("GET", STORAGE, &format!("{bucket}/o/big%2Fone"), None).await.bytes, "tulip");
    assert_eq!(client.send("GET", STORAGE, &path, None).await.code(), (404, "NoSuchUpload"));
    let aborted =
        client.send("POST", STORAGE, &format!("{bucket}/u"), Some((NETWORK_BODY, r#"{"object":"x"}"#.into()))).await;
    let upload = aborted.json["uploadId"].as_str().unwrap();
    assert_eq!(client.send("DELETE", STORAGE, &format!("{bucket}/u/x?uploadId={upload}"), None).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn a_preauthenticated_request_needs_no_signature_until_it_expires() {
    let client = Client::new(&[]);
    let bucket = client.bucket().await;
    client.store("PUT", &format!("{bucket}/o/seed"), "bulb").await;
    let body = json!({
        "name": "once", "objectName": "seed", "accessType": "ObjectRead", "timeExpires": "2026-11-22T11:00:00Z",
    });
    let made =
        client.send("POST", STORAGE, &format!("{bucket}/p"), Some((NETWORK_BODY, body.to_string().into()))).await;
    let uri = made.json["accessUri"].as_str().unwrap().to_owned();
    let fetch = || async {
        let request = http::Request::get(&uri).header("host", STORAGE).body(Body::default()).unwrap();
        read(client.greenhouse.wire().call(&Target::https(STORAGE, 443), request).await.unwrap()).await
    };
    assert_eq!(fetch().await.bytes, "bulb");
    client.wait(3600).await;
    assert_eq!(fetch().await.status, 404);
}
