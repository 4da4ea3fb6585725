use addons::{Id, Object};
use http::{Method, Request};
use kube::{Client, Error};
use serde_json::Value;

/// Whoever else writes an object can tell by it which fields are bouquet's.
pub const MANAGER: &str = "bouquet";
/// Objects in one page of a list.
const PAGE: usize = 250;

/// The requests that this room makes. Bodies are JSON, which is YAML too.
#[derive(Clone, Copy)]
pub(super) struct Call<'a>(pub &'a Client);

impl Call<'_> {
    async fn send(self, method: Method, path: &str, body: &str) -> Result<Value, Error> {
        let content = if method == Method::PATCH { "application/apply-patch+yaml" } else { "application/json" };
        let request = Request::builder().method(method).uri(path).header("content-type", content);
        let request = request.body(body.as_bytes().to_vec()).map_err(Error::HttpError)?;
        self.0.request(request).await
    }

    /// `None` if there is none, or no such kind or namespace.
    pub async fn get(self, id: &Id) -> Result<Option<Value>, Error> {
        match self.send(Method::GET, &id.path(), "").await {
            Ok(object) => Ok(Some(object)),
            Err(Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Server-side apply. `force`: takes fields that others manage.
    pub async fn apply(self, object: &Object, force: bool) -> Result<(), Error> {
        let path = format!("{}?{}&force={force}", object.id().path(), writing());
        self.send(Method::PATCH, &path, object.to_json().expose()).await.map(drop)
    }

    /// What would come of [`Call::apply`].
    pub async fn would_be(self, object: &Object) -> Result<Value, Error> {
        let path = format!("{}?{}&dryRun=All", object.id().path(), writing());
        self.send(Method::PATCH, &path, object.to_json().expose()).await
    }

    /// What is below goes after it; gone already is success.
    pub async fn delete(self, id: &Id) -> Result<(), Error> {
        let path = format!("{}?propagationPolicy=Background", id.path());
        match self.send(Method::DELETE, &path, "").await {
            Err(Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop),
        }
    }

    /// Everything at a path that bears these labels; nothing if there is no such namespace.
    pub async fn list(self, path: &str, selector: &str) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        let mut from = String::new();
        loop {
            let page = format!("{path}?labelSelector={}&limit={PAGE}{from}", encoded(selector));
            let mut page = self.send(Method::GET, &page, "").await?;
            if let Value::Array(items) = page["items"].take() {
                all.extend(items);
            }
            match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
                Some(token) => from = format!("&continue={}", encoded(token)),
                None => return Ok(all),
            }
        }
    }

    /// Names of what [`Call::list`] lists.
    pub async fn names(self, path: &str, selector: &str) -> Result<Vec<String>, Error> {
        let all = self.list(path, selector).await?;
        Ok(all.iter().filter_map(|object| object["metadata"]["name"].as_str().map(str::to_owned)).collect())
    }
}

fn writing() -> String {
    format!("fieldManager={MANAGER}&fieldValidation=Strict")
}

/// For a query: everything but letters, digits and what is safe is written in hexadecimal.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
