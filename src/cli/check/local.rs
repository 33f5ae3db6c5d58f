//! Checks of settings, key and proxy, and of what the database records about capabilities and
//! listings.

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
use crate::store::unsupported::{self, UnsupportedFeature};
use crate::store::{backoff, listings};

/// Variables that name a proxy for https, in order of precedence.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Reports the configuration file and warnings about settings.
pub fn config(context: &Context) -> Check {
    let config = &context.config;
    let source = match &config.file {
        Some(file) => file.display().to_string(),
        None => "no configuration file".to_owned(),
    };
    match config.warnings.is_empty() {
        true => Check::ok("config", source),
        false => Check::warning("config", format!("{source}; {}", config.warnings.join("; "))),
    }
}

/// Reads the key and reports its source.
pub fn key(context: &Context) -> (Check, Option<SecretString>) {
    match context.config.key() {
        Ok((key, source)) => {
            logging::add_secret(&key);
            let check = match source.warnings.is_empty() {
                true => Check::ok("key_source", source.to_string()),
                false => Check::warning("key_source", source.warnings.join("; "))
                    .hint("run `chmod 0600` on the key file"),
            };
            (check, Some(key))
        }
        Err(error) => (Check::failure("key_source", error.into()), None),
    }
}

/// Reports the proxy, as determined by the client's own code, without its password.
pub fn proxy(context: &Context, environment: &Environment) -> Check {
    let base_url = &context.config.base_url;
    if base_url.scheme() == "http" {
        return Check::ok("proxy", "not used on loopback");
    }
    let Ok(target) = base_url.as_str().parse::<Uri>() else {
        return Check::skipped("proxy", "base_url is not a valid URI");
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
                let message = format!("SOCKS proxy not supported: {shown}");
                let host = base_url.host_str().unwrap_or_default();
                let hint = format!("use an http:// or https:// proxy, or set NO_PROXY={host}");
                Check::failure("proxy", CliError::new(Exit::Config, message).hint(hint))
            }
        };
    }
    match named {
        Some((name, address)) => {
            Check::ok("proxy", format!("not used: NO_PROXY excludes the API ({name} is {address})"))
        }
        None => match PROXY_VARIABLES.iter().find(|name| is_set(name)) {
            Some(name) => {
                Check::warning("proxy", format!("not used: {name} is not a valid proxy address"))
            }
            None => Check::ok("proxy", "not configured"),
        },
    }
}

/// Returns scheme, host and port of a proxy.
fn address(proxy: &Uri) -> Option<String> {
    Some(format!("{}://{}", proxy.scheme_str()?, proxy.authority()?))
}

/// Reports features that the server does not support.
pub fn capabilities(context: &Context, mirror: &Mirror) -> Check {
    let store = match mirror.store() {
        Ok(store) => store,
        Err(reason) => return Check::skipped("capabilities", reason),
    };
    let now = context.clock.now();
    let features = match store.read(|c| unsupported::active(c, instant::micros(now))) {
        Ok(features) => features,
        Err(error) => return Check::failure("capabilities", context.store_error(&error)),
    };
    if features.is_empty() {
        return Check::ok("capabilities", "the server supports all features used");
    }
    let parts = features.iter().map(|feature| {
        let retry_at = moment(instant::from_micros(feature.retry_at), now);
        format!("{}, next try {retry_at}", unsupported_text(feature))
    });
    let parts: Vec<String> = parts.collect();
    let text = format!("not supported by the server: {}", parts.join("; "));
    let check = Check::warning("capabilities", text);
    match features.iter().any(UnsupportedFeature::is_missing_scope) {
        true => check.hint("add the missing scope to the key; `sync --full` tries it at once"),
        false => check,
    }
}

/// Reports incomplete listings, and kinds in backoff after failures.
pub fn listings(context: &Context, mirror: &Mirror) -> Check {
    let store = match mirror.store() {
        Ok(store) => store,
        Err(reason) => return Check::skipped("listings", reason),
    };
    let now = instant::micros(context.clock.now());
    let read = |c: &_| {
        let mut unfinished = Vec::new();
        for kind in Kind::ALL {
            let outcome = listings::state(c, kind)?.last_outcome;
            let outcome = outcome.filter(|outcome| outcome.is_unfinished());
            unfinished.extend(outcome.map(|outcome| format!("{} {outcome}", kind.plural())));
        }
        Ok((unfinished, backoff::active(c, now)?))
    };
    let (mut parts, paused) = match store.read(read) {
        Ok(found) => found,
        Err(error) => return Check::failure("listings", context.store_error(&error)),
    };
    parts.extend(paused.iter().map(|one| format!("{}: {}", one.kind.plural(), sync::pause(one))));
    match parts.is_empty() {
        true => Check::ok("listings", "no failures"),
        false => Check::warning("listings", parts.join("; ")),
    }
}
