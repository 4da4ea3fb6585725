//! The watcher for clusters that bouquet did not make: one manifest, and a Helm chart, as files.
//!
//! Both come from the functions that `bouquet apply` installs from. The chart's templates are the same objects with
//! Helm's words where the values go.

use crate::config::watching;
use crate::watcher::{self, Spread};
use crate::{Object, SYSTEM, yaml};
use serde_json::Value;
use spec::{Watching, ZoneKeeper};
use std::collections::BTreeMap;

const DOMAIN: &str = "bouquet.example.com";
const HEAD: &str = "# The watcher, for any Kubernetes cluster: withdraws a node's DNS records when it no longer serves, and restores them.
#
# 1. In the ConfigMap: `cluster`, `pool`, `canary.host`, `provider`, `ingressClass` and `ingressPods` are yours to set; the
#    Ingress `bouquet-canary` has the same host and class.
# 2. A Cloudflare token of its own, with Zone:Read and DNS:Edit on the one zone:
#      kubectl create namespace bouquet-system
#      kubectl -n bouquet-system create secret generic bouquet-watcher-dns --from-literal=CLOUDFLARE_API_TOKEN=…
# 3. kubectl apply -f watcher.yaml
#
# It begins with `dryRun: true`, which changes nothing and shows what it would do; set it to false when you agree.
#
# Written from bouquet's own source; run its tests with BOUQUET_UPDATE=1 to write it anew.
";
const VALUES_HEAD: &str = "# The container image; with a digest it is certain which.
image: IMAGE
# Three vantages are the fewest of which a majority can be without one.
replicas: 3
# config.yaml of the watcher. With `dryRun` it changes nothing, and shows what it would do.
# A Cloudflare token of its own goes into the Secret bouquet-watcher-dns, key CLOUDFLARE_API_TOKEN.
config:
";

/// Every file under `deploy/`, by its path there.
pub fn files() -> BTreeMap<&'static str, String> {
    let config = Watching { dry_run: true, ..watching("bouquet", DOMAIN, ZoneKeeper::Cloudflare) };
    let objects = watcher::objects(&config, &watcher::image(), Spread::Loose, None);
    [
        ("watcher.yaml", format!("{HEAD}{}", documents(objects.iter()))),
        ("chart/Chart.yaml", chart()),
        ("chart/values.yaml", values(&config)),
        ("chart/crds/ingressnodes.yaml", documents(of_kind(&objects, |kind| kind == DEFINITION))),
        ("chart/templates/watcher.yaml", templates(&objects, &config)),
    ]
    .into()
}

const DEFINITION: &str = "CustomResourceDefinition";

fn of_kind(objects: &[Object], is: impl Fn(&str) -> bool) -> impl Iterator<Item = &Object> {
    objects.iter().filter(move |object| is(&object.id().kind))
}

fn documents<'a>(objects: impl Iterator<Item = &'a Object>) -> String {
    let documents: Vec<String> = objects.map(|object| yaml::write(object.body())).collect();
    documents.iter().flat_map(|document| ["---\n", document]).collect()
}

fn chart() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "apiVersion: v2\nname: bouquet-watcher\ndescription: DNS that follows what nodes really serve\ntype: application\n\
         version: {version}\nappVersion: {version}\nkubeVersion: \">=1.31.0-0\"\n"
    )
}

fn values(config: &Watching) -> String {
    let indented = |line: &str| format!("  {line}\n");
    let config: String = yaml::write(&config.to_json()).lines().map(indented).collect();
    VALUES_HEAD.replace("IMAGE", &watcher::image()) + &config
}

/// The namespace is Helm's business, the custom kind lies in `crds`.
fn templates(objects: &[Object], config: &Watching) -> String {
    let taken = |kind: &str| kind != "Namespace" && kind != DEFINITION;
    let documents = of_kind(objects, taken).map(|object| {
        let mut body = object.body().clone();
        match object.id().kind.as_str() {
            "ConfigMap" => set(&mut body, "/data/config.yaml", "{{CONFIG}}"),
            "Deployment" => {
                set(&mut body, "/spec/replicas", "{{REPLICAS}}");
                set(&mut body, "/spec/template/spec/containers/0/image", "{{IMAGE}}");
                set(&mut body, "/spec/template/metadata/annotations/bouquet.dev~1config", "{{DIGEST}}");
            }
            "Ingress" => {
                set(&mut body, "/spec/rules/0/host", "{{HOST}}");
                set(&mut body, "/spec/ingressClassName", "{{CLASS}}");
            }
            _ => {}
        }
        yaml::write(&body)
    });
    let documents: Vec<String> = documents.collect();
    let text: String = documents.iter().flat_map(|document| ["---\n", document]).collect();
    // Quotes that YAML needs around braces go with them.
    let filled = |text: String, (mark, by): (&str, &str)| {
        text.replace(&format!("\"{{{{{mark}}}}}\""), by).replace(&format!("'{{{{{mark}}}}}'"), by)
    };
    let marks = [
        ("CONFIG", "|\n    {{- toYaml .Values.config | nindent 4 }}"),
        ("REPLICAS", "{{ .Values.replicas }}"),
        ("IMAGE", "{{ .Values.image | quote }}"),
        ("DIGEST", "{{ toYaml .Values.config | sha256sum | trunc 16 | quote }}"),
        ("HOST", "{{ .Values.config.canary.host | quote }}"),
        ("CLASS", "{{ .Values.config.ingressClass | quote }}"),
    ];
    debug_assert_eq!(config.canary.host, format!("canary.{DOMAIN}"));
    let text = marks.into_iter().fold(text, filled);
    text.replace(&format!("namespace: {SYSTEM}\n"), "namespace: {{ .Release.Namespace }}\n")
}

fn set(body: &mut Value, pointer: &str, text: &str) {
    if let Some(at) = body.pointer_mut(pointer) {
        *at = text.into();
    }
}
