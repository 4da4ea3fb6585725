//! A headless Chromium, driven by its own protocol over two pipes: no driver stands between.

use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Browser {
    child: Child,
    say: File,
    hear: BufReader<File>,
    folder: PathBuf,
    asked: u64,
    session: String,
    /// What the page complained of, so far.
    pub complaints: Vec<String>,
}

/// What looks at the page, and how.
#[derive(Clone, Copy)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    /// Device pixels a pixel.
    pub scale: u32,
    pub dark: bool,
}

impl Browser {
    pub fn start(program: &assets::Program) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("bouquet-browser-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (say, hear) = (folder.join("say"), folder.join("hear"));
        assert!(Command::new("mkfifo").args([&say, &hear]).status().unwrap().success());
        let fonts = program.folder.join("usr/share/fonts");
        let config =
            format!("<fontconfig><dir>{}</dir><cachedir>{}</cachedir></fontconfig>", fonts.display(), folder.display());
        fs::write(folder.join("fonts.conf"), config).unwrap();
        // The protocol's pipes are file descriptors 3 and 4.
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"exec "$0" "$@" 3<say 4>hear"#]).arg(&program.path).current_dir(&folder);
        shell.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]);
        shell.args(["--no-proxy-server", "--disable-background-networking", "--remote-debugging-pipe"]);
        shell.arg(format!("--user-data-dir={}", folder.join("profile").display()));
        for (key, value) in program.command().get_envs() {
            // One library keeps others in a folder of its own, which Debian's loader would find and a search path does not.
            let own = program.folder.join(format!("usr/lib/{}-linux-gnu/pulseaudio", std::env::consts::ARCH));
            let mut value = value.unwrap_or_default().to_owned();
            value.push(":");
            value.push(own);
            shell.env(key, value);
        }
        shell.env("FONTCONFIG_FILE", folder.join("fonts.conf")).env("HOME", &folder);
        let log = File::create(folder.join("log")).unwrap();
        let child = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        // In the order in which the shell opens the other ends.
        let say = File::options().write(true).open(say).unwrap();
        let hear = BufReader::new(File::open(hear).unwrap());
        let (asked, session, complaints) = (0, String::new(), Vec::new());
        let mut browser = Browser { child, say, hear, folder, asked, session, complaints };
        let target = browser.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = browser.ask("Target.attachToTarget", &json!({"targetId": target["targetId"], "flatten": true}));
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Asks for something and waits for the answer; what the page complains of meanwhile is kept.
    pub fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({"id": self.asked, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        self.say.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut heard = Vec::new();
            self.hear.read_until(0, &mut heard).unwrap();
            heard.pop();
            let heard: Value = serde_json::from_slice(&heard).unwrap_or_else(|error| {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                panic!("{method}: the browser is gone: {error}\n{log}")
            });
            self.note(&heard);
            if heard["id"] == self.asked {
                assert!(heard["error"].is_null(), "{method}: {}", heard["error"]);
                return heard["result"].clone();
            }
        }
    }

    fn note(&mut self, heard: &Value) {
        let params = &heard["params"];
        let complaint = match heard["method"].as_str() {
            Some("Runtime.exceptionThrown") => &params["exceptionDetails"],
            Some("Log.entryAdded") => &params["entry"],
            Some("Runtime.consoleAPICalled") => params,
            _ => return,
        };
        self.complaints.push(complaint.to_string());
    }

    pub fn open(&mut self, url: &str, screen: Screen) {
        let Screen { width, height, scale, dark } = screen;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 800});
        self.ask("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.ask("Emulation.setEmulatedMedia", &features);
        self.ask("Page.navigate", &json!({"url": url}));
        // The first event draws the page anew, under the hands of whoever looks too early.
        self.until("document.readyState === 'complete' && document.getElementById('main').dataset.live");
    }

    /// The value of an expression, or of what it promises.
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let said = self.ask("Runtime.evaluate", &params);
        assert!(said["exceptionDetails"].is_null(), "{expression}: {said}");
        said["result"]["value"].clone()
    }

    /// Waits until an expression holds; fails after ten seconds.
    pub fn until(&mut self, expression: &str) {
        let look = format!(
            "new Promise(done => {{ const end = Date.now() + 10000; const look = () => ({expression}) ? done(true) : \
             Date.now() > end ? done(false) : setTimeout(look, 20); look(); }})"
        );
        let held = self.value(&look);
        assert_eq!(held, true, "never came: {expression}");
    }

    /// A picture of the screen, or of the whole page; PNG in base64.
    pub fn picture(&mut self, whole: bool) -> String {
        let mut params = json!({"format": "png", "captureBeyondViewport": whole});
        if whole {
            let size = self.ask("Page.getLayoutMetrics", &json!({}))["cssContentSize"].clone();
            params["clip"] = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        }
        self.ask("Page.captureScreenshot", &params)["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
