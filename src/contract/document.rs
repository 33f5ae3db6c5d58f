//! Reads an OpenAPI 3 document: operations, their query parameters, and schemas with `$ref`, `allOf`, `anyOf` and
//! `oneOf` resolved. Whatever the document leaves open stays unknown.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Longest document, bytes.
const BYTES_MAX: usize = 2 << 20;
/// Most objects of a document; each takes several hundred bytes of memory.
const OBJECTS_MAX: usize = 50_000;
/// Most references, or levels of nested `allOf` and `anyOf`, that are followed.
const DEPTH_MAX: u32 = 12;
/// Most schemas visited, so that branching references come to an end.
const STEPS_MAX: u32 = 200_000;

type Object = Map<String, Value>;

/// An OpenAPI document.
#[derive(Debug)]
pub struct Document {
    root: Object,
    /// Path of the base URL; documents give paths with or without it.
    base_path: String,
    steps: Cell<u32>,
}

/// An operation of a document.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'d> {
    document: &'d Document,
    path_item: &'d Object,
    object: &'d Object,
}

/// A query parameter.
#[derive(Debug)]
pub struct Parameter<'d> {
    /// Its name.
    pub name: &'d str,
    /// Whether requests without it are refused.
    pub is_required: bool,
    /// What its value must be.
    pub schema: Schema<'d>,
}

/// A schema, as the plain schemas that it consists of: itself, the targets of references, and the alternatives and
/// parts of `anyOf`, `oneOf` and `allOf`.
#[derive(Debug, Clone)]
pub struct Schema<'d> {
    document: &'d Document,
    parts: Vec<&'d Object>,
}

/// Parses JSON within the bounds.
///
/// # Errors
/// Says why it cannot be parsed.
pub fn parse(json: &[u8]) -> Result<Value, String> {
    if json.len() > BYTES_MAX {
        return Err(format!("it is over {BYTES_MAX} bytes long"));
    }
    if json.iter().filter(|byte| **byte == b'{').count() > OBJECTS_MAX {
        return Err(format!("it has more than {OBJECTS_MAX} objects"));
    }
    serde_json::from_slice(json).map_err(|_| "it is not JSON".to_owned())
}

impl Document {
    /// Reads a document. `base_path` is the path of the base URL.
    ///
    /// # Errors
    /// Says why it cannot be used.
    pub fn read(json: &[u8], base_path: &str) -> Result<Self, String> {
        let Value::Object(root) = parse(json)? else {
            return Err("it is not an object".to_owned());
        };
        let version = root.get("openapi").and_then(Value::as_str);
        if !version.is_some_and(|version| version.starts_with("3.")) {
            return Err("it is not an OpenAPI 3 document".to_owned());
        }
        let base_path = base_path.trim_end_matches('/').to_owned();
        Ok(Self { root, base_path, steps: Cell::new(0) })
    }

    /// `info.version`.
    pub fn version(&self) -> Option<&str> {
        self.root.get("info")?.get("version")?.as_str()
    }

    /// The operations by `METHOD path`. Paths are below the base URL, with `{}` for each parameter.
    pub fn operations(&self) -> BTreeMap<String, Operation<'_>> {
        let mut found = BTreeMap::new();
        let paths = self.root.get("paths").and_then(Value::as_object).into_iter().flatten();
        for (path, item) in paths {
            let Some(path_item) = self.resolved(item) else { continue };
            let path = self.normal(path);
            for method in ["get", "post", "patch", "put", "delete"] {
                if let Some(object) = path_item.get(method).and_then(Value::as_object) {
                    let operation = Operation { document: self, path_item, object };
                    found.insert(format!("{} {path}", method.to_uppercase()), operation);
                }
            }
        }
        found
    }

    /// Whether the document was too complex to be read to its end.
    pub fn is_exhausted(&self) -> bool {
        self.steps.get() >= STEPS_MAX
    }

    fn normal(&self, path: &str) -> String {
        let below = path.strip_prefix(&self.base_path).filter(|rest| rest.starts_with('/'));
        let segments = below.unwrap_or(path).trim_end_matches('/').split('/');
        let segments =
            segments.map(|segment| if segment.starts_with('{') { "{}" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    }

    /// The object that a value is, or refers to.
    fn resolved<'d>(&'d self, value: &'d Value) -> Option<&'d Object> {
        let mut object = value.as_object()?;
        for _ in 0..DEPTH_MAX {
            match self.target(object) {
                Some(target) => object = target.as_object()?,
                None => return Some(object),
            }
        }
        None
    }

    /// The target of `$ref` within this document.
    fn target(&self, object: &Object) -> Option<&Value> {
        let pointer = object.get("$ref")?.as_str()?.strip_prefix("#/")?;
        let mut segments = pointer.split('/').map(|segment| {
            let decoded = percent_decoded(segment);
            decoded.replace("~1", "/").replace("~0", "~")
        });
        let first = self.root.get(&segments.next()?)?;
        segments.try_fold(first, |value, segment| match value {
            Value::Array(values) => values.get(segment.parse::<usize>().ok()?),
            value => value.get(&segment),
        })
    }

    fn schema<'d>(&'d self, value: &'d Value) -> Schema<'d> {
        let mut parts = Vec::new();
        self.collect(value, &["allOf", "anyOf", "oneOf"], DEPTH_MAX, &mut parts);
        Schema { document: self, parts }
    }

    /// Collects a schema, the target of its reference, and those in its members `names`.
    fn collect<'d>(
        &'d self,
        value: &'d Value,
        names: &[&str],
        depth: u32,
        parts: &mut Vec<&'d Object>,
    ) {
        let Some(object) = value.as_object() else { return };
        if depth == 0 || self.is_exhausted() {
            return;
        }
        self.steps.set(self.steps.get() + 1);
        parts.push(object);
        let inner = names.iter().flat_map(|name| elements(object, name));
        for part in self.target(object).into_iter().chain(inner) {
            self.collect(part, names, depth - 1, parts);
        }
    }
}

/// `%XX` decoded, as a URI fragment may be encoded.
fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map_or_else(|| text.to_owned(), |(_, value)| value.into_owned())
}

impl<'d> Operation<'d> {
    /// The query parameters, those of the path included.
    pub fn parameters(&self) -> Vec<Parameter<'d>> {
        let all = elements(self.object, "parameters").chain(elements(self.path_item, "parameters"));
        all.filter_map(|value| {
            let object = self.document.resolved(value)?;
            let name = object.get("name")?.as_str()?;
            let schema = object.get("schema").or_else(|| media_schema(object));
            (object.get("in")?.as_str()? == "query").then(|| Parameter {
                name,
                is_required: object.get("required") == Some(&Value::Bool(true)),
                schema: self.document.schema(schema.unwrap_or(&Value::Null)),
            })
        })
        .collect()
    }

    /// The body of a request.
    pub fn request(&self) -> Option<Schema<'d>> {
        let body = self.document.resolved(self.object.get("requestBody")?)?;
        Some(self.document.schema(media_schema(body)?))
    }

    /// Names of the members that the body of a request must have.
    pub fn required(&self) -> BTreeSet<&'d str> {
        let mut parts = Vec::new();
        let body = self.object.get("requestBody").and_then(|body| self.document.resolved(body));
        if let Some(schema) = body.and_then(media_schema) {
            // An alternative does not require its members.
            self.document.collect(schema, &["allOf"], DEPTH_MAX, &mut parts);
        }
        parts
            .into_iter()
            .flat_map(|part| elements(part, "required"))
            .filter_map(Value::as_str)
            .collect()
    }

    /// The JSON body of a success.
    pub fn response(&self) -> Option<Schema<'d>> {
        let responses = self.object.get("responses")?.as_object()?;
        let is_success = |status: &str| status.starts_with('2');
        let found = responses.iter().find(|(status, _)| is_success(status)).map(|(_, one)| one);
        let response = self.document.resolved(found.or_else(|| responses.get("default"))?)?;
        Some(self.document.schema(media_schema(response)?))
    }
}

/// The schema of `content` for JSON.
fn media_schema(object: &Object) -> Option<&Value> {
    let content = object.get("content")?.as_object()?;
    content.iter().find(|(kind, _)| kind.contains("json"))?.1.get("schema")
}

impl<'d> Schema<'d> {
    /// The members of an object; empty if none are described.
    pub fn members(&self) -> BTreeMap<&'d str, Self> {
        let mut members: BTreeMap<&str, Self> = BTreeMap::new();
        for (name, value) in
            self.parts.iter().filter_map(|part| part.get("properties")?.as_object()).flatten()
        {
            let schema = self.document.schema(value);
            match members.get_mut(name.as_str()) {
                Some(known) => known.parts.extend(schema.parts),
                None => drop(members.insert(name, schema)),
            }
        }
        members
    }

    /// The elements of an array.
    pub fn items(&self) -> Self {
        self.inner("items")
    }

    /// The values of a map.
    pub fn values(&self) -> Self {
        self.inner("additionalProperties")
    }

    fn inner(&self, name: &str) -> Self {
        let values = self.parts.iter().filter_map(|part| part.get(name));
        let parts = values.flat_map(|value| self.document.schema(value).parts).collect();
        Self { document: self.document, parts }
    }

    /// Names of the JSON types, without `null`; empty if unknown.
    pub fn types(&self) -> BTreeSet<&'d str> {
        let mut types: BTreeSet<&'d str> = BTreeSet::new();
        for part in &self.parts {
            match part.get("type") {
                Some(Value::String(name)) => drop(types.insert(name.as_str())),
                Some(Value::Array(names)) => types.extend(names.iter().filter_map(Value::as_str)),
                _ => {
                    for value in constants(part) {
                        types.insert(type_name(value));
                    }
                }
            }
        }
        types.remove("null");
        types
    }

    /// The values that are allowed, null aside; `None` if others are, too.
    pub fn allowed(&self) -> Option<BTreeSet<String>> {
        let mut allowed = BTreeSet::new();
        for part in &self.parts {
            let is_open = constants(part).next().is_none()
                && part.get("type").is_some_and(|name| name != "null");
            if is_open {
                return None;
            }
            allowed.extend(constants(part).filter(|value| !value.is_null()).map(shown));
        }
        (!allowed.is_empty()).then_some(allowed)
    }

    /// The least `maximum`.
    pub fn maximum(&self) -> Option<f64> {
        let all = self.parts.iter().filter_map(|part| part.get("maximum")?.as_f64());
        all.min_by(f64::total_cmp)
    }
}

/// The elements of an array member.
fn elements<'d>(object: &'d Object, name: &str) -> impl Iterator<Item = &'d Value> + use<'d> {
    object.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// The values of `enum` and `const`.
fn constants(part: &Object) -> impl Iterator<Item = &Value> {
    elements(part, "enum").chain(part.get("const"))
}

/// The name of a value's type in a schema.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn document(schemas: Value) -> Document {
        let root = json!({
            "openapi": "3.1.0",
            "paths": { "/v2/things/{id}/": {
                "parameters": [{ "$ref": "#/components/parameters/a~1b%20c" }],
                "get": { "responses": { "2XX": { "$ref": "#/components/responses/Ok" } } },
            } },
            "components": {
                "schemas": schemas,
                "parameters": { "a/b c": { "name": "q", "in": "query", "schema": { "maximum": 3 } } },
                "responses": { "Ok": { "content": { "application/json; charset=utf-8": {
                    "schema": { "$ref": "#/components/schemas/Thing" },
                } } } },
            },
        });
        Document::read(root.to_string().as_bytes(), "/v2").unwrap()
    }

    fn thing(document: &Document) -> Schema<'_> {
        document.operations()["GET /things/{}"].response().unwrap()
    }

    #[test]
    fn references_and_parts_are_followed() {
        let document = document(json!({
            "Base": { "type": "object", "properties": { "id": { "type": "string" } } },
            "Thing": { "allOf": [
                { "$ref": "#/components/schemas/Base" },
                { "properties": { "list": { "type": "array", "items": { "type": "integer" } } } },
            ] },
        }));
        let members = thing(&document).members();
        assert_eq!(members.keys().copied().collect::<Vec<_>>(), ["id", "list"]);
        assert!(members["list"].items().types().contains("integer"));
        let parameters = document.operations()["GET /things/{}"].parameters();
        assert_eq!((parameters[0].name, parameters[0].schema.maximum()), ("q", Some(3.0)));
    }

    #[test]
    fn every_form_of_nullable_is_the_type_itself() {
        for schema in [
            json!({ "type": "string" }),
            json!({ "type": ["string", "null"] }),
            json!({ "type": "string", "nullable": true }),
            json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }),
            json!({ "oneOf": [{ "$ref": "#/components/schemas/Name" }, { "type": "null" }] }),
            json!({ "enum": ["a", null] }),
        ] {
            let document = document(json!({ "Name": { "type": "string" }, "Thing": schema }));
            let types = thing(&document).types();
            assert_eq!(types.into_iter().collect::<Vec<_>>(), ["string"], "{schema}");
        }
    }

    #[test]
    fn values_are_known_only_if_no_alternative_is_open() {
        for (schema, allowed) in [
            (json!({ "type": ["string", "null"], "enum": ["a", null] }), Some(vec!["a"])),
            (
                json!({ "anyOf": [{ "enum": ["a"] }, { "const": "b" }, { "type": "null" }] }),
                Some(vec!["a", "b"]),
            ),
            (json!({ "anyOf": [{ "enum": ["a"] }, { "type": "string" }] }), None),
            (json!({}), None),
        ] {
            let document = document(json!({ "Thing": schema }));
            let found = thing(&document).allowed().map(|all| all.into_iter().collect::<Vec<_>>());
            assert_eq!(
                found,
                allowed.map(|all| all.into_iter().map(str::to_owned).collect()),
                "{schema}"
            );
        }
    }

    #[test]
    fn references_in_a_circle_come_to_an_end() {
        let many = vec![json!({ "$ref": "#/components/schemas/Thing" }); 50];
        let document = document(json!({ "Thing": { "type": "object", "allOf": many } }));
        assert_eq!(thing(&document).types().into_iter().collect::<Vec<_>>(), ["object"]);
        assert!(document.is_exhausted());
    }

    #[test]
    fn what_is_not_a_document_says_why() {
        for (text, why) in [
            ("<html>", "it is not JSON"),
            ("[]", "it is not an object"),
            (r#"{"swagger":"2.0"}"#, "it is not an OpenAPI 3 document"),
        ] {
            assert_eq!(Document::read(text.as_bytes(), "").unwrap_err(), why, "{text}");
        }
        let large = format!("[{}]", "{},".repeat(OBJECTS_MAX + 1));
        assert!(Document::read(large.as_bytes(), "").unwrap_err().contains("objects"));
        assert!(Document::read(&vec![b' '; BYTES_MAX + 1], "").unwrap_err().contains("bytes"));
    }

    proptest! {
        #[test]
        fn any_schema_is_survived(schema in r##"\{("(type|\$ref|allOf|enum|properties|items)":("#/components"|\[\]|\{\}|\[null,3\]|"x"),){0,4}"z":1\}"##) {
            if let Ok(schema) = serde_json::from_str::<Value>(&schema) {
                let document = document(json!({ "Thing": schema }));
                let thing = thing(&document);
                let _ = (thing.types(), thing.allowed(), thing.members(), thing.items().values().maximum());
            }
        }
    }
}
