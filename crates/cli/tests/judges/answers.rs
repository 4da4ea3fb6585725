//! Every answer of Hetzner's emulator has the shape that the vendor's documents say: those that apply and destroy get, in
//! process, and those that the vendor's client got.

use crate::openapi::Document;
use crate::shapes::{Answer, Shapes};
use greenhouse::Entry;
use http::{Request, Response};
use life::{Life, MISSION, alone};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use wire::{Body, Error, Line, SharedWire, Stream, Target, Wire};

const TABLE: &str = include_str!("hetzner.shapes");
const HOST: &str = "api.hetzner.cloud";
const BODY_BYTES_MAX: usize = 16 << 20;

type Promise<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// What is wrong with any of these, each fault once. `path` may begin with the API's version.
pub fn faults(answers: &[Answer]) -> Vec<String> {
    let (shapes, document) = (Shapes::read(TABLE), Document::find());
    let mut all: Vec<String> = answers.iter().flat_map(|answer| shapes.faults(answer)).collect();
    match &document {
        Some(document) => all.extend(answers.iter().filter(|it| is_of_vendor(it)).flat_map(|it| document.faults(it))),
        None => println!("the vendor's own document is not here: the table alone was asked"),
    }
    all.sort();
    all.dedup();
    all
}

/// What a judge asks for to be refused is in no document.
fn is_of_vendor(answer: &Answer) -> bool {
    !(answer.status == 404 && answer.path == "/gardens")
}

/// The answers that a judge has noted, a line each.
pub fn noted(file: &Path) -> Vec<Answer> {
    let text = fs::read_to_string(file).unwrap();
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        Answer {
            method: line["method"].as_str().unwrap().into(),
            path: line["path"].as_str().unwrap().into(),
            status: line["status"].as_u64().unwrap(),
            body: line["body"].clone(),
        }
    };
    text.lines().map(read).collect()
}

/// Notes what one host answers.
struct Listener {
    inner: SharedWire,
    heard: Arc<Mutex<Vec<Answer>>>,
}

impl Wire for Listener {
    fn call(&self, target: &Target, request: Request<Body>) -> Promise<Response<Body>> {
        if target.host != HOST {
            return self.inner.call(target, request);
        }
        let (method, path) = (request.method().to_string(), request.uri().path().trim_start_matches("/v1").to_owned());
        let (answer, heard) = (self.inner.call(target, request), self.heard.clone());
        Box::pin(async move {
            let (head, body) = answer.await?.into_parts();
            let bytes = body.collect(BODY_BYTES_MAX).await.unwrap();
            let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
            heard.lock().unwrap().push(Answer { method, path, status: head.status.as_u16().into(), body });
            Ok(Response::from_parts(head, bytes.into()))
        })
    }

    fn open(&self, target: &Target) -> Promise<Box<dyn Stream>> {
        self.inner.open(target)
    }
}

/// What one life of the product asked, of all vendors, and what Hetzner answered.
pub struct Lived {
    pub asked: Vec<Entry>,
    answers: Vec<Answer>,
}

/// A cluster made and destroyed, once for all who ask.
pub fn lived() -> &'static Lived {
    static LIVED: OnceLock<Lived> = OnceLock::new();
    LIVED.get_or_init(|| {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let asked = alone(async {
            let mut life = Life::new(1, MISSION);
            let wire = Arc::new(Listener { inner: life.world.wire(), heard: heard.clone() });
            life.reach.line = Line::new(wire, life.reach.line.time().clone(), clouds::RATES);
            assert!(life.apply().await.is_ok());
            assert!(life.destroy().await.is_ok());
            life.world.journal()
        });
        let answers = std::mem::take(&mut *heard.lock().unwrap());
        Lived { asked, answers }
    })
}

#[test]
fn every_answer_that_apply_and_destroy_get_has_the_vendors_shape() {
    let answers = &lived().answers;
    assert!(answers.len() > 100, "{} answers", answers.len());
    assert!(answers.iter().any(|answer| answer.path.ends_with("/actions/create_image")), "an image was made");
    assert_eq!(faults(answers), Vec::<String>::new());
}
