//! Renders a page in Chromium. It is served next to a measuring page, which loads it in frames of
//! several widths; all requests of the browser, to any host, arrive at the same server.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::TestBed;
use crate::support::tools::browser;

/// Measures the report in frames of 1200, 390 and 320 pixels, and writes a line to the console to prove
/// that console output is captured.
const GAUGE: &str = r#"<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>gauge</title>
<iframe src="/report" width="1200" height="900"></iframe>
<iframe src="/report" width="390" height="900"></iframe>
<iframe src="/report" width="320" height="900"></iframe>
<pre id="measured"></pre>
<script>
addEventListener('load', () => {
  console.error('console output is captured');
  const measured = [...document.querySelectorAll('iframe')].map(frame => {
    const page = frame.contentDocument, style = element => frame.contentWindow.getComputedStyle(element);
    const shown = element => element.getClientRects().length > 0;
    const charts = [...page.querySelectorAll('svg[role=img]')].filter(shown);
    return {
      width: frame.contentWindow.innerWidth,
      scroll: page.documentElement.scrollWidth,
      tiles: style(page.querySelector('.tiles')).display,
      back: style(page.body).backgroundColor,
      charts: charts.length,
      labels: Math.min(...charts.map(chart => {
        const text = chart.querySelector('text');
        return parseFloat(style(text).fontSize) * chart.getBoundingClientRect().width / chart.viewBox.baseVal.width;
      })),
      bar: style(page.querySelector('svg rect[fill="\#2F6FED"]')).fill,
      scripts: page.querySelectorAll('script, img, iframe, link, object, [onerror], [onclick]').length,
    };
  });
  document.getElementById('measured').textContent = JSON.stringify(measured);
});
</script>
"#;

/// The color scheme that the browser prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Dark,
    Light,
}

/// Result of rendering a page.
pub struct Shown {
    /// Measurements by frame.
    pub frames: Vec<Value>,
    /// Output of the browser.
    pub log: String,
    /// The head of every request to any host, as far as it can be read.
    pub requests: Vec<String>,
}

/// Renders the page; `None` if no browser is installed.
pub fn show(bed: &TestBed, page: &str, theme: Theme) -> Option<Shown> {
    let server = Server::start(page);
    let (dom, log) = run(bed, &server, theme, &["--dump-dom"], "/gauge")?;
    let (_, measured) = dom.split_once("<pre id=\"measured\">").unwrap();
    let (measured, _) = measured.split_once("</pre>").unwrap();
    let frames =
        serde_json::from_str(measured).unwrap_or_else(|error| panic!("{error}: {dom}\n{log}"));
    Some(Shown { frames, log, requests: server.requests() })
}

/// Takes a screenshot and returns its path; `None` if no browser is installed.
pub fn picture(bed: &TestBed, page: &str, theme: Theme, size: (u32, u32)) -> Option<PathBuf> {
    let server = Server::start(page);
    let name = format!("report-{}-{theme:?}.png", size.0).to_lowercase();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let screenshot = format!("--screenshot={}", path.display());
    let window = format!("--window-size={},{}", size.0, size.1);
    run(bed, &server, theme, &[&screenshot, &window, "--hide-scrollbars"], "/report")?;
    Some(path)
}

fn run(
    bed: &TestBed,
    server: &Server,
    theme: Theme,
    arguments: &[&str],
    path: &str,
) -> Option<(String, String)> {
    let home = tempfile::tempdir().unwrap();
    let port = server.port;
    let mut command = std::process::Command::new(browser()?);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=5000"])
        .arg(format!("--host-resolver-rules=MAP * 127.0.0.1:{port}"))
        .arg(format!("--blink-settings=preferredColorScheme={}", theme as u8))
        .arg(format!("--user-data-dir={}", home.path().join("profile").display()))
        .args(arguments)
        .arg(format!("http://report.test:{port}{path}"))
        .env("HOME", home.path())
        .stdin(Stdio::null());
    let ran = bed.start(command).wait();
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    Some((ran.stdout, ran.stderr))
}

struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves the page until the test ends.
    fn start(page: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (page, log) = (page.to_owned(), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (page, log) = (page.clone(), Arc::clone(&log));
                std::thread::spawn(move || answer(stream, &page, &log));
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Answers one request. Anything but HTTP, such as a TLS handshake, is logged and dropped.
fn answer(mut stream: TcpStream, page: &str, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    loop {
        let mut line = Vec::new();
        match reader.read_until(b'\n', &mut line) {
            Ok(read) if read > 0 && line != b"\r\n" => {
                head.push_str(&String::from_utf8_lossy(&line))
            }
            _ => break,
        }
    }
    let body = match head.split(' ').nth(1) {
        Some("/gauge") => GAUGE,
        Some("/report") => page,
        _ => "",
    };
    if !head.is_empty() {
        log.lock().unwrap().push(head);
    }
    let length = body.len();
    // The browser may have closed the connection.
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
}
