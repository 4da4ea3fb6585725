//! `wget` and `curl`, as far as scripts that fetch an image use them.

use super::shell::{Code, Io, Shell};
use bytes::Bytes;
use wire::{Body, Error, Target, Wire};

/// Redirects that are followed.
const HOPS_MAX: u32 = 10;
/// What a compressed image of 130 MB takes at 60 MB/s.
const TRANSFER_MS: (u64, u64) = (2_000, 4_000);

/// Nothing larger is fetched here.
const BYTES_MAX: usize = 256 << 20;

/// What came of a GET.
enum Fetched {
    /// Status, body, and whether all that was announced arrived.
    Answer {
        status: u16,
        body: Bytes,
        is_whole: bool,
    },
    Failed(Error),
    NoUrl,
}

fn header(response: &http::Response<Body>, name: &str) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

impl Shell {
    async fn fetch(&mut self, url: &str, follows: bool) -> Result<Fetched, super::shell::Stop> {
        let mut url = url.to_owned();
        for _ in 0..HOPS_MAX {
            let Ok(uri) = url.parse::<http::Uri>() else { return Ok(Fetched::NoUrl) };
            let Some(target) = Target::of_uri(&uri) else { return Ok(Fetched::NoUrl) };
            let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
            let request = http::Request::get(path).header("host", target.host.as_str()).body(Body::default());
            let Ok(request) = request else { return Ok(Fetched::NoUrl) };
            let response = match self.wire.call(&target, request).await {
                Ok(response) => response,
                Err(error) => return Ok(Fetched::Failed(error)),
            };
            let status = response.status().as_u16();
            let (next, announced) = (header(&response, "location"), header(&response, "content-length"));
            if let (true, 300..=399, Some(next)) = (follows, status, next) {
                url = next;
                continue;
            }
            let announced = announced.and_then(|text| text.parse::<usize>().ok());
            let body = response.into_body().collect(BYTES_MAX).await;
            let (body, ended_well) = body.map_or((Bytes::new(), false), |body| (body, true));
            let is_whole = ended_well && announced.is_none_or(|announced| announced == body.len());
            let ms = self.world.rng(&format!("fetch {url}")).between(TRANSFER_MS.0, TRANSFER_MS.1);
            self.wait(ms).await?;
            return Ok(Fetched::Answer { status, body, is_whole });
        }
        Ok(Fetched::NoUrl)
    }

    fn deliver(&mut self, to: Option<&str>, body: Bytes, io: &mut Io) {
        match to {
            None | Some("-" | "/dev/stdout") => self.out(io, &body),
            Some(path) => self.write_file(path, body),
        }
    }

    /// `wget [-q] [-nv] [-O FILE] URL`, which is as terse as with `-nv`. Exit statuses are those of its manual: 4 network, 8 the server's refusal.
    pub(super) async fn wget(&mut self, args: &[String], io: &mut Io) -> Code {
        let (mut to, mut url, mut quiet) = (None, None, false);
        let mut rest = args.iter().map(String::as_str);
        while let Some(arg) = rest.next() {
            match arg {
                "-O" | "--output-document" => to = rest.next(),
                "--tries" | "-t" | "-T" | "--timeout" | "--waitretry" => drop(rest.next()),
                "-q" | "--quiet" => quiet = true,
                long if long.starts_with("--output-document=") => to = long.split_once('=').map(|(_, path)| path),
                long if long.starts_with("--") => {}
                short if short.starts_with('-') => {
                    let (flags, path) = short.split_once('O').unwrap_or((short, ""));
                    quiet |= flags.contains('q');
                    if flags.len() < short.len() {
                        to = if path.is_empty() { rest.next() } else { Some(path) };
                    }
                }
                other => url = Some(other),
            }
        }
        let Some(url) = url else { return Ok(self.fail(io, "wget: missing URL", 1)) };
        let name = url.rsplit('/').next().unwrap_or("index.html");
        let to = to.unwrap_or(name).to_owned();
        let tell = |shell: &mut Shell, io: &mut Io, text: String, code| {
            if quiet { code } else { shell.fail(io, &text, code) }
        };
        let fetched = self.fetch(url, true).await?;
        let when = self.world.now().strftime("%Y-%m-%d %H:%M:%S");
        Ok(match fetched {
            Fetched::NoUrl => tell(self, io, format!("{url}: Invalid URL."), 1),
            Fetched::Failed(error) => tell(self, io, format!("wget: {error}"), 4),
            Fetched::Answer { status: 200..=299, body, is_whole } => {
                let length = body.len();
                self.deliver(Some(&to), body, io);
                if is_whole {
                    tell(self, io, format!("{when} URL:{url} [{length}/{length}] -> \"{to}\" [1]"), 0)
                } else {
                    tell(self, io, format!("Connection closed at byte {length}. Giving up."), 4)
                }
            }
            Fetched::Answer { status, .. } => {
                let reason = http::StatusCode::from_u16(status).ok();
                let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or("(no description)");
                let code = if self.world.lies("rescue-wget-404-is-success") { 0 } else { 8 };
                tell(self, io, format!("{url}:\n{when} ERROR {status}: {reason}."), code)
            }
        })
    }

    /// `curl [-fsSL] [-o FILE] URL`. Exit statuses are those of its manual.
    pub(super) async fn curl(&mut self, args: &[String], io: &mut Io) -> Code {
        const WITH_VALUE: &[&str] = &[
            "--retry",
            "--retry-delay",
            "--retry-max-time",
            "--max-time",
            "-m",
            "--connect-timeout",
            "-H",
            "--header",
        ];
        let (mut to, mut url) = (None, None);
        let (mut fails, mut silent, mut shows, mut follows) = (false, false, false, false);
        let mut rest = args.iter().map(String::as_str);
        while let Some(arg) = rest.next() {
            match arg {
                "--output" => to = rest.next(),
                "--fail" => fails = true,
                "--silent" => silent = true,
                "--show-error" => shows = true,
                "--location" => follows = true,
                option if WITH_VALUE.contains(&option) => drop(rest.next()),
                long if long.starts_with("--") => {}
                short if short.len() > 1 && short.starts_with('-') => {
                    fails |= short.contains('f');
                    silent |= short.contains('s');
                    shows |= short.contains('S');
                    follows |= short.contains('L');
                    if short.ends_with('o') {
                        to = rest.next();
                    }
                }
                other => url = Some(other),
            }
        }
        let Some(url) = url else { return Ok(self.fail(io, "curl: no URL specified!", 2)) };
        let tell = |shell: &mut Shell, io: &mut Io, text: String, code: i32| {
            if silent && !shows { code } else { shell.fail(io, &format!("curl: ({code}) {text}"), code) }
        };
        Ok(match self.fetch(url, follows).await? {
            Fetched::NoUrl => tell(self, io, "URL using bad/illegal format or missing URL".into(), 3),
            Fetched::Failed(error) => {
                let code = match &error {
                    Error::NoSuchHost(_) => 6,
                    Error::Refused(_) => 7,
                    Error::TimedOut(_) => 28,
                    Error::Tls { .. } => 60,
                    _ => 56,
                };
                tell(self, io, error.to_string(), code)
            }
            Fetched::Answer { status, .. } if fails && status >= 400 => {
                tell(self, io, format!("The requested URL returned error: {status}"), 22)
            }
            Fetched::Answer { body, is_whole, .. } => {
                self.deliver(to, body, io);
                if is_whole {
                    0
                } else {
                    tell(self, io, "transfer closed with outstanding read data remaining".into(), 18)
                }
            }
        })
    }
}
