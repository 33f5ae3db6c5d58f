//! Documented endpoints and parameters that this server does not support.

use creatormirror::sandbox::{Call, Problem};

use super::faults::path_matches;

/// An endpoint or parameter that is switched off.
#[derive(Debug, Clone)]
pub enum Switch {
    /// An endpoint is answered with this status.
    Endpoint {
        /// The method; `*` for all.
        method: String,
        /// The path; a last `*` matches any suffix.
        path: String,
        /// Usually 404.
        status: u16,
    },
    /// A parameter, or one of its values, is refused with a 422 that names it.
    Refused {
        /// The path, as above.
        path: String,
        /// The parameter.
        name: String,
        /// Only this value.
        value: Option<String>,
    },
    /// A parameter, or one of its values, has no effect and is not echoed.
    Ignored {
        /// The path, as above.
        path: String,
        /// The parameter.
        name: String,
        /// Only this value.
        value: Option<String>,
    },
}

/// Applies switches to a request: refuses it, or removes ignored parameters.
pub fn apply(switches: &[Switch], call: &mut Call) -> Result<(), Problem> {
    for switch in switches {
        match switch {
            Switch::Endpoint { method, path, status } => {
                let is_method = method == "*" || *method == call.method;
                if is_method && path_matches(path, &call.path) {
                    return Err(Problem::new(*status, "No such endpoint"));
                }
            }
            Switch::Refused { path, name, value } => {
                if path_matches(path, &call.path) && is_sent(call, name, value.as_deref()) {
                    return Err(Problem::field(name, "is not supported here"));
                }
            }
            Switch::Ignored { path, name, value } => {
                if path_matches(path, &call.path) && is_sent(call, name, value.as_deref()) {
                    call.query.retain(|(sent, _)| sent != name);
                }
            }
        }
    }
    Ok(())
}

fn is_sent(call: &Call, name: &str, value: Option<&str>) -> bool {
    call.param(name).is_some_and(|sent| value.is_none_or(|value| value == sent))
}
