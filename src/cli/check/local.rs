//! The settings, the key, and what else can be told without network or a look at the files.

use secrecy::SecretString;
use url::Url;

use crate::cli::check::mirror::Mirror;
use crate::cli::context::Context;
use crate::config::Environment;
use crate::logging;
use crate::model::{Kind, instant};
use crate::report::check::Check;
use crate::report::status::refusal_text;
use crate::report::sync;
use crate::report::text::moment;
use crate::store::{pauses, refusals, walks};

/// The settings were loaded; which file they are in, and what is odd about them.
pub fn config(context: &Context) -> Check {
    let config = &context.config;
    let source = match &config.file {
        Some(file) => file.display().to_string(),
        None => "no file; flags, environment and defaults".to_owned(),
    };
    match config.warnings.is_empty() {
        true => Check::ok("config", source),
        false => Check::warning("config", format!("{source}; {}", config.warnings.join("; "))),
    }
}

/// The key, and where it was.
pub fn key(context: &Context) -> (Check, Option<SecretString>) {
    match context.config.key() {
        Ok((key, source)) => {
            logging::hide(&key);
            let check = match source.warnings.is_empty() {
                true => Check::ok("key_source", source.to_string()),
                false => Check::warning("key_source", source.warnings.join("; "))
                    .hint("`chmod 0600` leaves it to its owner"),
            };
            (check, Some(key))
        }
        Err(error) => (Check::failure("key_source", error.into()), None),
    }
}

/// The proxies that requests go through. Their passwords are not shown.
pub fn proxy(context: &Context, environment: &Environment) -> Check {
    if context.config.base_url.scheme() == "http" {
        return Check::ok("proxy", "none is used on loopback");
    }
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let set = names.into_iter().filter_map(|name| Some((name, environment.get(name)?)));
    let mut parts = Vec::new();
    for (name, value) in set {
        match value.to_str().and_then(proxy_address) {
            Some(address) => parts.push(format!("{address} ({name})")),
            None => return Check::warning("proxy", format!("{name} holds no address")),
        }
    }
    match parts.is_empty() {
        true => Check::ok("proxy", "none is set"),
        false => Check::ok("proxy", parts.join(", ")),
    }
}

/// Host and port of a proxy, without its user and password.
fn proxy_address(text: &str) -> Option<String> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).ok()?;
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{}{port}", url.scheme(), url.host_str()?))
}

/// What the server was found not to support.
pub fn capabilities(context: &Context, mirror: &Mirror) -> Check {
    let Mirror::Open(store) = mirror else {
        return Check::skipped("capabilities", "there is no mirror that remembers");
    };
    let now = context.clock.now();
    let refused = match store.read(|c| refusals::in_force(c, instant::micros(now))) {
        Ok(refused) => refused,
        Err(error) => return Check::failure("capabilities", context.storage(&error)),
    };
    if refused.is_empty() {
        return Check::ok("capabilities", "the server has refused none");
    }
    let parts = refused.iter().map(|refusal| {
        let again = moment(instant::from_micros(refusal.retry_at), now);
        format!("{}, tried again {again}", refusal_text(refusal))
    });
    let parts: Vec<String> = parts.collect();
    Check::warning("capabilities", format!("the server refuses {}", parts.join("; ")))
}

/// What is not whole, or left alone for now because it failed.
pub fn listings(context: &Context, mirror: &Mirror) -> Check {
    let Mirror::Open(store) = mirror else {
        return Check::skipped("listings", "there is no mirror that remembers");
    };
    let now = instant::micros(context.clock.now());
    let read = |c: &_| {
        let mut unfinished = Vec::new();
        for kind in Kind::ALL {
            let outcome = walks::state(c, kind)?.last_outcome;
            let outcome = outcome.filter(|outcome| outcome.is_unfinished());
            unfinished.extend(outcome.map(|outcome| format!("{} {outcome}", kind.plural())));
        }
        Ok((unfinished, pauses::in_force(c, now)?))
    };
    let (mut parts, paused) = match store.read(read) {
        Ok(found) => found,
        Err(error) => return Check::failure("listings", context.storage(&error)),
    };
    parts.extend(paused.iter().map(|one| format!("{}: {}", one.kind.plural(), sync::pause(one))));
    match parts.is_empty() {
        true => Check::ok("listings", "none failed last"),
        false => Check::warning("listings", parts.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        for (text, shown) in [
            ("http://user:s3cret@proxy:3128/", Some("http://proxy:3128")),
            ("user:s3cret@proxy:3128", Some("http://proxy:3128")),
            ("socks5://[::1]:1080", Some("socks5://[::1]:1080")),
            ("https://proxy", Some("https://proxy:443")),
            ("http://", None),
            ("a b", None),
        ] {
            assert_eq!(proxy_address(text).as_deref(), shown, "{text}");
        }
    }
}
