//! Reads the members of a write's body, and collects what is wrong with them.

use serde_json::{Map, Value};

use crate::sandbox::call::Call;
use crate::sandbox::growth::Platform;
use crate::sandbox::replies::Problem;
use crate::sandbox::world::Metadata;

/// Bounds of metadata maps, names and intervals.
const METADATA_KEYS_MAX: usize = 20;
const TEXT_LENGTH_MAX: usize = 255;
const INTERVAL_HOURS_MAX: i64 = 720;

/// The members of a JSON object, and the complaints about them so far.
#[derive(Debug)]
pub struct Fields {
    members: Map<String, Value>,
    errors: Vec<(String, String)>,
}

/// The members of a request's body.
pub fn members(call: &Call) -> Result<Map<String, Value>, Problem> {
    let kind = call.header("content-type").unwrap_or_default();
    if !kind.to_lowercase().starts_with("application/json") {
        return Err(Problem::new(415, "The body must be application/json"));
    }
    serde_json::from_slice(&call.body).map_err(|error| {
        // Well-formed JSON of another shape is invalid input, all else is malformed.
        if error.is_data() {
            Problem::field("body", error.to_string())
        } else {
            Problem::new(400, format!("The body is not JSON: {error}"))
        }
    })
}

impl Fields {
    /// The members of a body.
    pub fn new(members: Map<String, Value>) -> Self {
        Self { members, errors: Vec::new() }
    }

    /// Refuses a body without any member.
    pub fn need_some(&self) -> Result<(), Problem> {
        if self.members.is_empty() {
            return Err(Problem::field("body", "must have at least one member"));
        }
        Ok(())
    }

    /// Whether the member was sent at all, be it as null.
    pub fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The complaints, if there are any.
    pub fn check(&mut self) -> Result<(), Problem> {
        match std::mem::take(&mut self.errors) {
            errors if errors.is_empty() => Ok(()),
            errors => Err(Problem::fields(errors)),
        }
    }

    /// Adds a complaint.
    pub fn complain(&mut self, name: &str, message: impl Into<String>) {
        self.errors.push((name.to_owned(), message.into()));
    }

    /// The member, unless it is absent or null.
    fn value(&self, name: &str) -> Option<Value> {
        self.members.get(name).filter(|value| !value.is_null()).cloned()
    }

    /// A text of 1 to 255 characters.
    pub fn text(&mut self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) if (1..=TEXT_LENGTH_MAX).contains(&text.chars().count()) => {
                Some(text)
            }
            _ => {
                self.complain(name, format!("must be a text of 1 to {TEXT_LENGTH_MAX} characters"));
                None
            }
        }
    }

    /// A text that must be there.
    pub fn needed_text(&mut self, name: &str) -> Option<String> {
        if self.value(name).is_none() {
            self.complain(name, "is required");
            return None;
        }
        self.text(name)
    }

    /// The platform, which must be there.
    pub fn platform(&mut self) -> Option<Platform> {
        let name = self.needed_text("platform")?;
        let platform = Platform::from_name(&name);
        if platform.is_none() {
            self.complain("platform", "must be instagram or tiktok");
        }
        platform
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.value(name)?;
        if !value.is_boolean() {
            self.complain(name, "must be true or false");
        }
        value.as_bool()
    }

    /// A whole number from 1 to `max`.
    pub fn number(&mut self, name: &str, max: i64) -> Option<u32> {
        let value = self.value(name)?;
        let number = value.as_i64().filter(|number| (1..=max).contains(number));
        if number.is_none() {
            self.complain(name, format!("must be an integer from 1 to {max}"));
        }
        number.and_then(|number| u32::try_from(number).ok())
    }

    /// `scrape_interval_hours`.
    pub fn interval(&mut self) -> Option<u32> {
        self.number("scrape_interval_hours", INTERVAL_HOURS_MAX)
    }

    /// A map of texts.
    pub fn metadata(&mut self) -> Option<Metadata> {
        let value = self.value("metadata")?;
        let short = |text: &str| text.chars().count() <= TEXT_LENGTH_MAX;
        let map: Option<Metadata> = value.as_object().and_then(|object| {
            let pairs = object.iter().map(|(key, value)| {
                let value = value.as_str().filter(|value| short(value) && short(key))?;
                Some((key.clone(), value.to_owned()))
            });
            pairs.collect()
        });
        let map = map.filter(|map| map.len() <= METADATA_KEYS_MAX);
        if map.is_none() {
            let message = format!(
                "must be an object of at most {METADATA_KEYS_MAX} texts of at most \
                 {TEXT_LENGTH_MAX} characters"
            );
            self.complain("metadata", message);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(body: &Value) -> Fields {
        Fields::new(body.as_object().unwrap().clone())
    }

    #[test]
    fn every_wrong_member_is_named() {
        let long = "x".repeat(256);
        let mut body = fields(&json!({
            "platform": "myspace", "is_active": "yes", "scrape_interval_hours": 0,
            "metadata": { "k": long },
        }));
        assert_eq!((body.platform(), body.flag("is_active"), body.interval()), (None, None, None));
        assert!(body.metadata().is_none() && body.needed_text("username").is_none());
        let named: Vec<String> =
            body.check().unwrap_err().errors.into_iter().map(|e| e.0).collect();
        let wanted = ["platform", "is_active", "scrape_interval_hours", "metadata", "username"];
        assert_eq!(named, wanted);
    }

    #[test]
    fn null_means_absent() {
        let mut body = fields(&json!({ "is_active": null, "metadata": null }));
        assert_eq!((body.flag("is_active"), body.metadata()), (None, None));
        assert!(body.check().is_ok() && body.has("is_active"));
    }
}
