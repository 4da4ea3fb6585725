use super::*;
use crate::factory;
use crate::machine::{self, Arch, Firmware};
use flate2::Compression;
use flate2::write::GzEncoder;

fn metadata(firmware: &str, capabilities: &Value) -> Value {
    json!({
        "version": 2,
        "externalLaunchOptions": {
            "firmware": firmware, "networkType": "PARAVIRTUALIZED", "bootVolumeType": "PARAVIRTUALIZED",
            "remoteDataVolumeType": "PARAVIRTUALIZED", "localDataVolumeType": "PARAVIRTUALIZED",
            "launchOptionsSource": "PARAVIRTUALIZED", "pvAttachmentVersion": 2,
            "pvEncryptionInTransitEnabled": true, "consistentVolumeNamingEnabled": true,
        },
        "imageCapabilityData": capabilities,
        "imageCapsFormatVersion": null,
        "operatingSystem": "Talos",
        "operatingSystemVersion": "1.14.6",
        "additionalMetadata": {"shapeCompatibilities": [
            {"internalShapeName": "VM.Standard.A1.Flex", "ocpuConstraints": null, "memoryConstraints": null}
        ]},
    })
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

impl Client {
    fn talos(&self) -> Bytes {
        self.greenhouse.world.with(|state| {
            let disk = factory::prebuilt(state, &[], "1.14.6", "oracle", Arch::Arm64).unwrap();
            factory::Format::Qcow2.pack(&factory::DiskImage::on(&disk).unwrap())
        })
    }

    /// Uploads an object and imports it. Returns the image and its work request.
    async fn import(&self, object: Vec<u8>, more: Value) -> (String, String) {
        let namespace = self.send("GET", STORAGE, "/n", None).await.json.as_str().unwrap().to_owned();
        let body = json!({"name": "images", "compartmentId": self.tenancy}).to_string();
        self.send("POST", STORAGE, &format!("/n/{namespace}/b"), Some((NETWORK_BODY, body.into()))).await;
        let path = format!("/n/{namespace}/b/images/o/talos.oci");
        assert_eq!(
            self.send("PUT", STORAGE, &path, Some(("application/octet-stream", object.into()))).await.status,
            200
        );
        let mut source = json!({
            "sourceType": "objectStorageTuple", "namespaceName": namespace, "bucketName": "images",
            "objectName": "talos.oci", "operatingSystem": "Talos",
        });
        source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let body = json!({"compartmentId": self.tenancy, "displayName": "talos", "imageSourceDetails": source});
        let made = self.post("/images", body).await;
        assert_eq!(made.json["lifecycleState"], "IMPORTING", "{}", made.json);
        (made.id(), made.header("opc-work-request-id").to_owned())
    }

    /// The firmware of the machine of an A1 instance of this image, and what its console says when it has had its time.
    async fn boot(&self, image: &str) -> (Firmware, String) {
        let (_, subnet) = self.network(443).await;
        let mut body = self.launch_details(&subnet, "tulip").await;
        body["sourceDetails"]["imageId"] = json!(image);
        self.post("/instances", body).await.id();
        self.wait(90).await;
        self.greenhouse.world.with(|state| {
            let machine = &state.machines[&machine::named(state, "tulip").unwrap()];
            (machine.firmware, machine.console.join("\n"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_archive_is_imported_in_minutes_and_boots_by_uefi_once_its_shape_is_added() {
    let client = Client::new(&[]);
    let described = metadata("UEFI_64", &Value::Null).to_string();
    let object = archive(&[("oracle-arm64.qcow2", &client.talos()), ("image_metadata.json", described.as_bytes())]);
    let (image, work) = client.import(object, json!({})).await;
    let path = format!("/images/{image}");
    assert_eq!(client.delete(&path).await.code(), (409, "IncorrectState"));
    client.wait(300).await;
    let percent = client.get(&format!("/workRequests/{work}")).await.json["percentComplete"].as_u64().unwrap();
    assert!((10..=50).contains(&percent), "{percent}");
    client.wait(1300).await;
    let shown = client.get(&path).await.json;
    assert_eq!(
        (&shown["lifecycleState"], &shown["launchOptions"]["firmware"]),
        (&json!("AVAILABLE"), &json!("UEFI_64"))
    );
    assert_eq!(client.get(&format!("/workRequests/{work}")).await.json["status"], "SUCCEEDED");
    assert!(client.greenhouse.stages().iter().any(|it| (it.subject.as_str(), it.name) == ("talos", "image-import")));
    assert_eq!(client.get(&format!("{path}/shapes/VM.Standard.A1.Flex")).await.status, 404);
    assert_eq!(client.call("PUT", &format!("{path}/shapes/VM.Standard.A1.Flex"), None).await.status, 200);
    let (firmware, console) = client.boot(&image).await;
    assert!(firmware == Firmware::Uefi && console.contains("[talos] version v1.14.6 (oracle)"), "{console}");
}

#[tokio::test(start_paused = true)]
async fn without_a_word_about_firmware_an_arm_instance_finds_nothing_to_start() {
    let client = Client::new(&[]);
    let (image, _) = client.import(client.talos().to_vec(), json!({"sourceImageType": "QCOW2"})).await;
    client.wait(1600).await;
    client.call("PUT", &format!("/images/{image}/shapes/VM.Standard.A1.Flex"), None).await;
    let (firmware, console) = client.boot(&image).await;
    assert_eq!((firmware, console.lines().last()), (Firmware::Bios, Some("No bootable device.")));
}

#[tokio::test(start_paused = true)]
async fn a_capability_schema_decides_the_firmware() {
    let client = Client::new(&[]);
    let (image, _) = client.import(client.talos().to_vec(), json!({"sourceImageType": "QCOW2"})).await;
    client.wait(1600).await;
    client.call("PUT", &format!("/images/{image}/shapes/VM.Standard.A1.Flex"), None).await;
    let global = client.get("/computeGlobalImageCapabilitySchemas").await.json[0].clone();
    let path = format!("/computeGlobalImageCapabilitySchemas/{}/versions", global["id"].as_str().unwrap());
    let versions = client.get(&path).await;
    assert!(versions.json[0].get("schemaData").is_none(), "a summary has no data");
    let version = client.get(&format!("{path}/{}", versions.json[0]["name"].as_str().unwrap())).await;
    assert_eq!(version.json["schemaData"]["Compute.Firmware"]["values"], json!(["BIOS", "UEFI_64"]));
    let schema = |values: Value, default: &str| {
        json!({
            "compartmentId": client.tenancy, "imageId": image,
            "computeGlobalImageCapabilitySchemaVersionName": global["currentVersionName"],
            "schemaData": {"Compute.Firmware": {
                "descriptorType": "enumstring", "source": "IMAGE", "values": values, "defaultValue": default,
            }},
        })
    };
    let path = "/computeImageCapabilitySchemas";
    assert_eq!(client.post(path, schema(json!(["EFI"]), "EFI")).await.code(), (400, "InvalidParameter"));
    assert_eq!(client.post(path, schema(json!(["UEFI_64"]), "BIOS")).await.code(), (400, "InvalidParameter"));
    client.post(path, schema(json!(["UEFI_64"]), "UEFI_64")).await.id();
    assert_eq!(client.post(path, schema(json!(["UEFI_64"]), "UEFI_64")).await.code(), (409, "Conflict"));
    let (firmware, console) = client.boot(&image).await;
    assert!(firmware == Firmware::Uefi && console.contains("[talos] version v1.14.6 (oracle)"), "{console}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_fails_the_import_and_leaves_no_image() {
    let client = Client::new(&[]);
    let talos = client.talos();
    let good = metadata("UEFI_64", &Value::Null).to_string();
    let misspelt = good.replace("externalLaunchOptions", "externalLaunchOption");
    let oddware = metadata("UEFI", &Value::Null).to_string();
    let whole = archive(&[("a.qcow2", &talos), ("image_metadata.json", good.as_bytes())]);
    for (what, object) in [
        ("garbage", b"garbage".to_vec()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("no metadata", archive(&[("a.qcow2", &talos)])),
        ("no image", archive(&[("image_metadata.json", good.as_bytes())])),
        ("misspelt", archive(&[("a.qcow2", &talos), ("image_metadata.json", misspelt.as_bytes())])),
        ("odd firmware", archive(&[("a.qcow2", &talos), ("image_metadata.json", oddware.as_bytes())])),
        ("damaged image", archive(&[("a.qcow2", &talos[..9000]), ("image_metadata.json", good.as_bytes())])),
    ] {
        let (image, work) = client.import(object, json!({})).await;
        client.wait(1600).await;
        assert_eq!(client.get(&format!("/workRequests/{work}")).await.json["status"], "FAILED", "{what}");
        let errors = client.get(&format!("/workRequests/{work}/errors")).await.json;
        assert!(errors[0]["message"].is_string(), "{what}: {errors}");
        assert_eq!(client.state(&format!("/images/{image}")).await, "DELETED", "{what}");
    }
    assert_eq!(client.greenhouse.inventory()["oci_images"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn capability_data_may_be_an_object_or_its_text() {
    let client = Client::new(&[]);
    let talos = client.talos();
    let capability = json!({"capabilities": {"Compute.Firmware": {
        "descriptorType": "enumstring", "values": ["UEFI_64"], "defaultValue": "UEFI_64",
    }}});
    for data in [capability.clone(), json!(capability.to_string()), capability["capabilities"].clone()] {
        let described = metadata("BIOS", &data).to_string();
        let object = archive(&[("output.QCOW2", &talos), ("image_metadata.json", described.as_bytes())]);
        let (image, _) = client.import(object, json!({})).await;
        client.wait(1600).await;
        let shown = client.get(&format!("/images/{image}")).await.json;
        assert_eq!(shown["launchOptions"]["firmware"], "UEFI_64", "{data}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_never_boots_runs_all_the_same() {
    let client = Client::new(&["oci no-boot for tulip"]);
    let described = metadata("UEFI_64", &Value::Null).to_string();
    let object = archive(&[("oracle-arm64.qcow2", &client.talos()), ("image_metadata.json", described.as_bytes())]);
    let (image, _) = client.import(object, json!({})).await;
    client.wait(1600).await;
    client.call("PUT", &format!("/images/{image}/shapes/VM.Standard.A1.Flex"), None).await;
    let (_, console) = client.boot(&image).await;
    assert_eq!(client.list("instances", "").await[0]["lifecycleState"], "RUNNING");
    assert!(console.contains("UEFI Interactive Shell"), "{console}");
}
