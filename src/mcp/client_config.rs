//! `mcp config`: what each client needs to start the server. It contains paths, and no secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::model::named::named;

/// Name of the server in the client.
const NAME: &str = "creatormirror";

named! {
    /// A client.
    pub enum Client {
        /// Claude Code.
        ClaudeCode = "claude-code",
        /// Codex.
        Codex = "codex",
        /// Visual Studio Code.
        VsCode = "vscode",
        /// Cursor.
        Cursor = "cursor",
        /// Claude Desktop.
        ClaudeDesktop = "claude-desktop",
        /// Any other client.
        Generic = "generic",
    }
}

/// Returns the text for a client: a command, a link, or the content of a configuration file. `program` and its
/// `arguments` start the server.
pub fn text(client: Client, program: &str, arguments: &[String]) -> String {
    let server = json!({ "command": program, "args": arguments });
    match client {
        Client::ClaudeCode => {
            let command: Vec<String> = std::iter::once(program)
                .chain(arguments.iter().map(String::as_str))
                .map(quoted)
                .collect();
            format!("claude mcp add --scope user {NAME} -- {}\n", command.join(" "))
        }
        Client::Codex => {
            let list = toml::Value::from(arguments.to_vec());
            let program = toml::Value::from(program);
            format!("[mcp_servers.{NAME}]\ncommand = {program}\nargs = {list}\n")
        }
        Client::VsCode => {
            let mut named = server;
            named["name"] = json!(NAME);
            format!("code --add-mcp {}\n", quoted(&named.to_string()))
        }
        Client::Cursor => {
            let config = STANDARD.encode(server.to_string());
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("name", NAME)
                .append_pair("config", &config)
                .finish();
            format!("cursor://anysphere.cursor-deeplink/mcp/install?{query}\n")
        }
        Client::ClaudeDesktop | Client::Generic => {
            format!("{:#}\n", json!({ "mcpServers": { NAME: server } }))
        }
    }
}

/// Quotes an argument for a POSIX shell, if it needs it.
fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+".contains(c);
    match !argument.is_empty() && argument.chars().all(is_plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_what_a_shell_would_split() {
        assert_eq!(quoted("/usr/bin/creatormirror"), "/usr/bin/creatormirror");
        assert_eq!(quoted("/home/o'neil/my mirror.db"), "'/home/o'\\''neil/my mirror.db'");
        assert_eq!(quoted(""), "''");
    }
}
