//! Compares what is used of the API with its OpenAPI document.

use std::collections::{BTreeMap, BTreeSet};

use crate::contract::document::{Document, Operation, Schema};
use crate::contract::used::{
    self, Evidence, OPERATIONS, UNUSED_OPERATIONS, UNUSED_PARAMETERS, UsedMember, UsedParameter,
};

/// How the document differs. Each list is in the order of the declarations.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What is used and is gone or different.
    pub changed: Vec<String>,
    /// What is new and is not used.
    pub new: Vec<String>,
    /// What had to be inferred and is in the document: operations, with the names of their parameters and members.
    pub confirmed: BTreeMap<String, Vec<String>>,
    /// Number of operations, parameters and members found as they are used.
    pub matches: usize,
}

/// Compares a document with what is used.
pub fn compare(document: &Document) -> Comparison {
    let operations = document.operations();
    let mut comparison = Comparison::default();
    comparison.operations(&operations);
    comparison.parameters(&operations);
    comparison.fields(&operations);
    comparison.members(&operations);
    comparison
}

type Operations<'d> = BTreeMap<String, Operation<'d>>;

impl Comparison {
    /// Counts something that was found; `name` is that of a parameter or member.
    fn found(&mut self, evidence: Evidence, operation: &str, name: Option<&str>) {
        self.matches += 1;
        if evidence == Evidence::Inferred {
            let names = self.confirmed.entry(operation.to_owned()).or_default();
            names.extend(name.map(str::to_owned));
        }
    }

    fn operations(&mut self, operations: &Operations<'_>) {
        for (name, evidence) in OPERATIONS {
            match operations.contains_key(*name) {
                true => self.found(*evidence, name, None),
                false => self.changed.push(format!("{name} is not in the document")),
            }
        }
        let is_known = |name: &str| {
            OPERATIONS.iter().any(|(used, _)| *used == name) || UNUSED_OPERATIONS.contains(&name)
        };
        let new = operations.keys().filter(|name| !is_known(name));
        self.new.extend(new.map(|name| format!("{name} is a new operation")));
    }

    fn parameters(&mut self, operations: &Operations<'_>) {
        let used = used::parameters();
        for (name, operation) in operations {
            let found = operation.parameters();
            let of_operation: Vec<_> = used.iter().filter(|one| one.operation == *name).collect();
            for parameter in &of_operation {
                match found.iter().find(|found| found.name == parameter.name) {
                    None if found.is_empty() => {}
                    None => self.changed.push(format!("{name}: no parameter `{}`", parameter.name)),
                    Some(found) => self.value(parameter, &found.schema),
                }
            }
            let is_used = |name: &str| of_operation.iter().any(|used| used.name == name);
            for parameter in found.iter().filter(|found| !is_used(found.name)) {
                let is_known = UNUSED_PARAMETERS.contains(&parameter.name);
                let is_operation_used = OPERATIONS.iter().any(|(used, _)| used == name);
                if parameter.is_required && is_operation_used {
                    let parameter = parameter.name;
                    self.changed.push(format!("{name}: parameter `{parameter}` is required"));
                } else if !of_operation.is_empty() && !is_known {
                    self.new.push(format!("{name}: new parameter `{}`", parameter.name));
                }
            }
            self.orders(name, &found);
        }
    }

    /// Compares the value of a parameter that is sent.
    fn value(&mut self, parameter: &UsedParameter, schema: &Schema<'_>) {
        let UsedParameter { operation, name, value, evidence } = parameter;
        let Some(value) = value else {
            return self.found(*evidence, operation, Some(name));
        };
        let is_above = |maximum: f64| value.parse::<f64>().is_ok_and(|number| number > maximum);
        if schema.allowed().is_some_and(|allowed| !allowed.contains(value)) {
            self.changed.push(format!("{operation}: `{name}` does not take `{value}`"));
        } else if let Some(maximum) = schema.maximum().filter(|maximum| is_above(*maximum)) {
            self.changed.push(format!("{operation}: `{name}` is at most {maximum}, not {value}"));
        } else {
            self.found(*evidence, operation, Some(name));
        }
    }

    /// Finds sort keys that the documentation does not show.
    fn orders(&mut self, operation: &str, found: &[crate::contract::document::Parameter<'_>]) {
        let known = used::ORDERS.iter().find(|(name, _)| *name == operation);
        let order = found.iter().find(|parameter| parameter.name == "order_by");
        let (Some((_, known)), Some(order)) = (known, order) else { return };
        for value in order.schema.allowed().into_iter().flatten() {
            if !known.contains(&value.as_str()) {
                self.new.push(format!("{operation}: `order_by` also takes `{value}`"));
            }
        }
    }

    fn fields(&mut self, operations: &Operations<'_>) {
        let fields = used::fields();
        for (name, operation) in operations {
            let of_operation = || fields.iter().filter(|field| field.operation == *name);
            let is_sent = |required: &&str| of_operation().any(|field| field.name == *required);
            if of_operation().next().is_some() {
                let missing = operation.required().into_iter().filter(|name| !is_sent(name));
                let line = |member| format!("{name}: member `{member}` of the request is required");
                self.changed.extend(missing.map(line));
            }
        }
        for field in fields {
            let request = operations.get(&field.operation).and_then(Operation::request);
            let Some(known) = request.map(|request| request.members()) else { continue };
            match known.is_empty() || known.contains_key(field.name) {
                true => self.matches += 1,
                false => {
                    let (operation, name) = (field.operation, field.name);
                    self.changed.push(format!("{operation}: no member `{name}` in the request"));
                }
            }
        }
    }

    fn members(&mut self, operations: &Operations<'_>) {
        let used = used::members();
        let mut groups: BTreeMap<(&str, &[&str]), BTreeSet<&str>> = BTreeMap::new();
        for member in &used {
            let Some((name, parent)) = member.path.split_last() else { continue };
            let Some(response) = operations.get(&member.operation).and_then(Operation::response)
            else {
                continue;
            };
            // A parent whose members are not described says nothing about this one.
            let Some(known) = at(&response, parent).map(|parent| parent.members()) else {
                continue;
            };
            if known.is_empty() {
                continue;
            }
            groups.entry((&member.operation, parent)).or_default().insert(name);
            match known.get(name) {
                Some(schema) => self.member(member, schema),
                None => self.changed.push(format!(
                    "{}: no member `{}`",
                    member.operation,
                    shown(member)
                )),
            }
        }
        for ((operation, parent), names) in groups {
            let is_mirrored = parent != ["data"] && parent != ["pagination"];
            let response = operations.get(operation).and_then(Operation::response);
            let parent = response.filter(|_| is_mirrored).and_then(|root| at(&root, parent));
            for (name, schema) in parent.iter().flat_map(Schema::members) {
                let is_parent = used.iter().any(|member| member.path.contains(&name));
                if !names.contains(name) && !is_parent {
                    let types = listed(&schema.types());
                    self.new.push(format!("{operation}: new member `{name}` ({types})"));
                }
            }
        }
    }

    fn member(&mut self, member: &UsedMember, schema: &Schema<'_>) {
        let types = schema.types();
        let operation = &member.operation;
        if !types.is_empty() && !types.iter().any(|name| member.types.contains(name)) {
            let (name, types) = (shown(member), listed(&types));
            let expected = member.types.join(" or ");
            self.changed.push(format!("{operation}: `{name}` is {types}, not {expected}"));
            return;
        }
        self.found(member.evidence, operation, Some(&shown(member)));
        let known = used::VALUES.iter().find(|(name, _)| member.path.last() == Some(name));
        for value in known.and_then(|_| schema.allowed()).into_iter().flatten() {
            if known.is_some_and(|(_, known)| !known.contains(&value.as_str())) {
                self.new.push(format!("{operation}: `{}` may be `{value}`", shown(member)));
            }
        }
    }
}

/// The schema at a path.
fn at<'d>(root: &Schema<'d>, path: &[&str]) -> Option<Schema<'d>> {
    path.iter().try_fold(root.clone(), |schema, name| match *name {
        "[]" => Some(schema.items()),
        "{}" => Some(schema.values()),
        name => schema.members().remove(name),
    })
}

/// The name of a member within the resource or document.
fn shown(member: &UsedMember) -> String {
    let names = member.path.iter().filter(|name| !matches!(**name, "data" | "[]" | "{}"));
    names.copied().collect::<Vec<_>>().join(".")
}

fn listed(types: &BTreeSet<&str>) -> String {
    match types.is_empty() {
        true => "any type".to_owned(),
        false => types.iter().copied().collect::<Vec<_>>().join(" or "),
    }
}
