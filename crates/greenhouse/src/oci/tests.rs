//! The emulator on the wire, in process, by a client that signs as the vendor's SDKs do.

mod images;
mod instances;
mod network;
mod protocol;
mod storage;

use crate::world::{Greenhouse, Options};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use wire::{Body, Rng, Target, Time};

const IAAS: &str = "iaas.eu-frankfurt-1.oraclecloud.com";
const IDENTITY: &str = "identity.eu-frankfurt-1.oci.oraclecloud.com";
const STORAGE: &str = "objectstorage.eu-frankfurt-1.oraclecloud.com";
const LIMITS: &str = "limits.eu-frankfurt-1.oci.oraclecloud.com";
const NETWORK_BODY: &str = "application/json";

/// A signing client of one world.
struct Client {
    greenhouse: Greenhouse,
    key: RsaKeyPair,
    key_id: String,
    tenancy: String,
    /// Sent with every call, before the signature's own headers.
    extra: Vec<(&'static str, String)>,
    /// What the client believes of the time, in seconds off.
    skew_s: i64,
}

/// An answer, read whole.
struct Got {
    status: u16,
    headers: HeaderMap,
    bytes: Bytes,
    json: Value,
}

impl Got {
    fn code(&self) -> (u16, &str) {
        (self.status, self.json["code"].as_str().unwrap_or_default())
    }

    fn id(&self) -> String {
        assert!(self.status < 300, "{} {}", self.status, self.json);
        self.json["id"].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Client {
    fn new(faults: &[&str]) -> Self {
        let start: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let faults = faults.iter().map(|rule| (*rule).to_owned()).collect();
        let options = Options { faults, ..Options::default() };
        let greenhouse = Greenhouse::new(&options, Time::starting_at(start, Rng::seeded(1))).unwrap();
        let credentials = greenhouse.credentials();
        let config = |name: &str| {
            let line = credentials["OCI_CONFIG"].lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            line.unwrap().to_owned()
        };
        let key = RsaKeyPair::from_pkcs8(pem::parse(&credentials["OCI_KEY"]).unwrap().contents()).unwrap();
        let key_id = format!("{}/{}/{}", config("tenancy"), config("user"), config("fingerprint"));
        Client { greenhouse, key, key_id, tenancy: config("tenancy"), extra: Vec::new(), skew_s: 0 }
    }

    fn with(&mut self, name: &'static str, value: impl Into<String>) -> &mut Self {
        self.extra.push((name, value.into()));
        self
    }

    async fn send(&self, method: &str, host: &str, path: &str, body: Option<(&str, Bytes)>) -> Got {
        let date = self.greenhouse.world.now() + jiff::SignedDuration::from_secs(self.skew_s);
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut lines = vec![
            ("date", date.clone()),
            ("(request-target)", format!("{} {path}", method.to_lowercase())),
            ("host", host.to_owned()),
        ];
        let mut request = http::Request::builder().method(method).uri(path).header("date", date).header("host", host);
        for (name, value) in &self.extra {
            request = request.header(*name, value);
        }
        let (kind, bytes) = body.unwrap_or((NETWORK_BODY, Bytes::new()));
        if matches!(method, "POST" | "PUT") {
            let digest = STANDARD.encode(Sha256::digest(&bytes));
            let of_body = [
                ("content-length", bytes.len().to_string()),
                ("content-type", kind.to_owned()),
                ("x-content-sha256", digest),
            ];
            for (name, value) in &of_body {
                request = request.header(*name, value);
            }
            let streamed = method == "PUT" && (path.contains("/o/") || path.contains("/u/"));
            lines.extend(of_body.into_iter().filter(|_| !streamed));
        }
        let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
        let text: Vec<String> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let mut signature = vec![0; 256];
        let random = ring::rand::SystemRandom::new();
        self.key.sign(&RSA_PKCS1_SHA256, &random, text.join("\n").as_bytes(), &mut signature).unwrap();
        let authorization = format!(
            "Signature algorithm=\"rsa-sha256\",headers=\"{}\",keyId=\"{}\",signature=\"{}\",version=\"1\"",
            names.join(" "),
            self.key_id,
            STANDARD.encode(signature)
        );
        let request = request.header("authorization", authorization).body(Body::from(bytes)).unwrap();
        read(self.greenhouse.wire().call(&Target::https(host, 443), request).await.unwrap()).await
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Got {
        let body = body.map(|body| (NETWORK_BODY, Bytes::from(body.to_string())));
        self.send(method, IAAS, &format!("/20160918{path}"), body).await
    }

    async fn get(&self, path: &str) -> Got {
        self.call("GET", path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Got {
        self.call("POST", path, Some(body)).await
    }

    async fn put(&self, path: &str, body: Value) -> Got {
        self.call("PUT", path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Got {
        self.call("DELETE", path, None).await
    }

    async fn list(&self, kind: &str, filter: &str) -> Vec<Value> {
        let got = self.get(&format!("/{kind}?compartmentId={}{filter}", self.tenancy)).await;
        assert_eq!(got.status, 200, "{}", got.json);
        got.json.as_array().unwrap().clone()
    }

    async fn wait(&self, seconds: u64) {
        self.greenhouse.world.delay(Duration::from_secs(seconds)).await;
    }

    async fn state(&self, path: &str) -> String {
        self.get(path).await.json["lifecycleState"].as_str().unwrap_or("-").to_owned()
    }

    async fn domain(&self) -> String {
        let path = format!("/20160918/availabilityDomains?compartmentId={}", self.tenancy);
        self.send("GET", IDENTITY, &path, None).await.json[0]["name"].as_str().unwrap().to_owned()
    }

    /// A VCN with a gateway, a default route and a subnet that lets `port` in from anywhere. Returns VCN and subnet.
    async fn network(&self, port: u16) -> (String, String) {
        let body = json!({"compartmentId": self.tenancy, "cidrBlocks": ["10.0.0.0/16"], "displayName": "net"});
        let vcn = self.post("/vcns", body).await;
        let (vcn, table) = (vcn.id(), vcn.json["defaultRouteTableId"].as_str().unwrap().to_owned());
        self.wait(3).await;
        let body = json!({"compartmentId": self.tenancy, "vcnId": vcn, "isEnabled": true, "displayName": "way"});
        let gateway = self.post("/internetGateways", body).await.id();
        let rules = json!([{"destination": "0.0.0.0/0", "destinationType": "CIDR_BLOCK", "networkEntityId": gateway}]);
        assert_eq!(self.put(&format!("/routeTables/{table}"), json!({"routeRules": rules})).await.status, 200);
        let list = json!({
            "compartmentId": self.tenancy, "vcnId": vcn, "displayName": "rules",
            "ingressSecurityRules": [{"protocol": "6", "source": "0.0.0.0/0",
                "tcpOptions": {"destinationPortRange": {"min": port, "max": port}}}],
            "egressSecurityRules": [{"protocol": "all", "destination": "0.0.0.0/0"}],
        });
        let list = self.post("/securityLists", list).await.id();
        let body = json!({
            "compartmentId": self.tenancy, "vcnId": vcn, "cidrBlock": "10.0.1.0/24", "displayName": "sub",
            "securityListIds": [list],
        });
        let subnet = self.post("/subnets", body).await.id();
        self.wait(3).await;
        (vcn, subnet)
    }

    /// A launch of a platform image on A1 with 2 cores and 12 GB.
    async fn launch_details(&self, subnet: &str, name: &str) -> Value {
        let images = self.list("images", "&shape=VM.Standard.A1.Flex&operatingSystem=Oracle%20Linux").await;
        json!({
            "availabilityDomain": self.domain().await,
            "compartmentId": self.tenancy,
            "displayName": name,
            "shape": "VM.Standard.A1.Flex",
            "shapeConfig": {"ocpus": 2, "memoryInGBs": 12},
            "sourceDetails": {"sourceType": "image", "imageId": images[0]["id"], "bootVolumeSizeInGBs": 50},
            "createVnicDetails": {"subnetId": subnet, "assignPublicIp": true},
            "metadata": {"user_data": STANDARD.encode("#!talos")},
        })
    }

    /// The VNIC of an instance.
    async fn vnic(&self, instance: &str) -> Value {
        let attachments = self.list("vnicAttachments", &format!("&instanceId={instance}")).await;
        let vnic = attachments[0]["vnicId"].as_str().unwrap();
        self.get(&format!("/vnics/{vnic}")).await.json
    }
}

async fn read(answer: http::Response<Body>) -> Got {
    let (head, body) = answer.into_parts();
    let bytes = body.collect(64 << 20).await.unwrap();
    let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Got { status: head.status.as_u16(), headers: head.headers, bytes, json }
}
