//! The settings, the key, and what else can be told without network or a look at the files.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use secrecy::SecretString;

use crate::cli::check::mirror::Mirror;
use crate::cli::context::Context;
use crate::config::Environment;
use crate::logging;
use crate::model::{Kind, instant};
use crate::report::check::Check;
use crate::report::status::unsupported_text;
use crate::report::sync;
use crate::report::text::moment;
use crate::report::{CliError, Exit};
use crate::store::{backoff, listings, unsupported};

/// What may name a proxy for https, the first usable one counting.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

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

/// The proxy that requests go through, decided by the code that the client itself uses. Its password is
/// not shown.
pub fn proxy(context: &Context, environment: &Environment) -> Check {
    let base_url = &context.config.base_url;
    if base_url.scheme() == "http" {
        return Check::ok("proxy", "none is used on loopback");
    }
    let Ok(target) = base_url.as_str().parse::<Uri>() else {
        return Check::skipped("proxy", "base_url is no URI");
    };
    let is_set = |name: &&str| environment.get(name).is_some();
    let named = PROXY_VARIABLES.into_iter().filter(is_set).find_map(|name| {
        let matcher = Matcher::builder().https(environment.text(name)?).build();
        Some((name, address(matcher.intercept(&target)?.uri())?))
    });
    let name = named.as_ref().map(|(name, _)| *name).unwrap_or_default();
    if let Some(used) = Matcher::from_env().intercept(&target) {
        let shown = format!("{} ({name})", address(used.uri()).unwrap_or_default());
        return match used.uri().scheme_str() {
            Some("http" | "https") => Check::ok("proxy", shown),
            _ => {
                let message = format!("{shown} is a SOCKS proxy, which is not supported");
                let error = CliError::new(Exit::Config, message);
                let host = base_url.host_str().unwrap_or_default();
                Check::failure(
                    "proxy",
                    error
                        .hint(format!("name an http:// or https:// proxy, or set NO_PROXY={host}")),
                )
            }
        };
    }
    match named {
        Some((name, address)) => Check::ok(
            "proxy",
            format!("none is used: NO_PROXY exempts the API from {address} ({name})"),
        ),
        None => match PROXY_VARIABLES.iter().find(|name| is_set(name)) {
            Some(name) => {
                Check::warning("proxy", format!("none is used: {name} is no proxy address"))
            }
            None => Check::ok("proxy", "none is set"),
        },
    }
}

/// Scheme, host and port of a proxy.
fn address(proxy: &Uri) -> Option<String> {
    Some(format!("{}://{}", proxy.scheme_str()?, proxy.authority()?))
}

/// What the server was found not to support.
pub fn capabilities(context: &Context, mirror: &Mirror) -> Check {
    let Mirror::Open(store) = mirror else {
        return Check::skipped("capabilities", "there is no mirror that remembers");
    };
    let now = context.clock.now();
    let refused = match store.read(|c| unsupported::in_force(c, instant::micros(now))) {
        Ok(refused) => refused,
        Err(error) => return Check::failure("capabilities", context.storage(&error)),
    };
    if refused.is_empty() {
        return Check::ok("capabilities", "the server has refused none");
    }
    let parts = refused.iter().map(|refusal| {
        let again = moment(instant::from_micros(refusal.retry_at), now);
        format!("{}, tried again {again}", unsupported_text(refusal))
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
            let outcome = listings::state(c, kind)?.last_outcome;
            let outcome = outcome.filter(|outcome| outcome.is_unfinished());
            unfinished.extend(outcome.map(|outcome| format!("{} {outcome}", kind.plural())));
        }
        Ok((unfinished, backoff::in_force(c, now)?))
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
