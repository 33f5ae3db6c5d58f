//! A client that writes and reads JSON-RPC messages, a line each.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::TIMEOUT;

/// A running server and its streams. It is killed on drop.
pub struct Client {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    /// The answer to `initialize`.
    pub server: Value,
    lines: Receiver<String>,
    next_id: i64,
}

impl Client {
    /// Starts a server without initializing it.
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, server: Value::Null, lines, next_id: 1 }
    }

    /// Starts a server and initializes it.
    pub fn start(command: Command) -> Self {
        Self::start_with(command, "2025-06-18")
    }

    /// Starts a server and initializes it with this revision of the protocol.
    pub fn start_with(command: Command, version: &str) -> Self {
        let mut client = Self::spawn(command);
        let params = json!({
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        client.server = client.request("initialize", params)["result"].take();
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string());
    }

    /// Sends a line.
    pub fn send_line(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Sends a request and returns its id.
    pub fn ask(&mut self, method: &str, params: Value) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// The next message of the server. Every line is one.
    #[track_caller]
    pub fn receive(&mut self) -> Value {
        match self.lines.recv_timeout(TIMEOUT) {
            Ok(line) => serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")),
            Err(RecvTimeoutError::Timeout) => panic!("timeout: no answer"),
            Err(RecvTimeoutError::Disconnected) => panic!("the server ended"),
        }
    }

    /// Sends a request and returns the answer.
    #[track_caller]
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        let answer = self.receive();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// The result of a request.
    #[track_caller]
    pub fn result(&mut self, method: &str, params: Value) -> Value {
        let mut answer = self.request(method, params);
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].take()
    }

    /// Calls a tool. Returns its document, or the text of its error.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, String> {
        let params = json!({ "name": tool, "arguments": arguments });
        let mut result = self.result("tools/call", params);
        let text = result["content"][0]["text"].as_str().unwrap().to_owned();
        if result["isError"] == true {
            return Err(text);
        }
        let document = result["structuredContent"].take();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
        Ok(document)
    }

    /// Calls `query`.
    #[track_caller]
    pub fn query(&mut self, sql: &str) -> Result<Value, String> {
        self.call("query", json!({ "sql": sql }))
    }

    /// Closes the server's input.
    pub fn close_input(&mut self) {
        drop(self.stdin.take());
    }

    /// Waits until the server exits.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < TIMEOUT, "timeout: the server does not exit");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// The largest memory the server had, KiB.
    pub fn peak_kib(&self) -> u64 {
        let mut status = String::new();
        let path = format!("/proc/{}/status", self.child.id());
        std::fs::File::open(path).unwrap().read_to_string(&mut status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
