//! Changes of the data between two pages.

use creatormirror::model::Kind;
use creatormirror::sandbox::{Answer, Call, Control, Row, World};
use serde_json::{Value, json};

use super::fault_kind::Mutation;
use super::members::id_text;
use super::truth;

/// A list and the page that was served last.
struct Position<'a> {
    sandbox: &'a Control,
    call: &'a Call,
    kind: Kind,
    page: Value,
}

/// Changes the data after this page was served. Answers other than pages change nothing.
pub fn mutate(sandbox: &Control, call: &Call, answer: &Answer, mutation: Mutation) {
    let kind = Kind::LISTS.into_iter().find(|kind| kind.path() == call.path);
    let page: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let (Some(kind), true) = (kind, page["data"].is_array()) else { return };
    let position = Position { sandbox, call, kind, page };
    let served = position.served();
    let direction = call.param("order_direction");
    let is_descending = direction.map_or(kind != Kind::Creator, |direction| direction == "desc");
    match mutation {
        Mutation::Insert(rows) => (0..rows).for_each(|_| truth::insert(sandbox, kind)),
        Mutation::DeleteServed(rows) => position.delete(served.iter().take(rows)),
        Mutation::DeleteBorder => position.delete(served.last()),
        Mutation::DeleteAhead(rows) => position.delete(position.ahead(1).iter().take(rows)),
        Mutation::MoveBack => {
            if let (Some(row), Some(to)) = (position.ahead(1).first(), served.first()) {
                position.move_beside(row, to, !is_descending);
            }
        }
        Mutation::MoveAhead => {
            if let (Some(row), Some(to)) = (served.first(), position.ahead(usize::MAX).last()) {
                position.move_beside(row, to, is_descending);
            }
        }
    }
}

impl Position<'_> {
    fn served(&self) -> Vec<Value> {
        self.page["data"].as_array().unwrap().clone()
    }

    /// The rows of this number of following pages.
    fn ahead(&self, pages: usize) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut page = self.page.clone();
        for _ in 0..pages {
            let Some(cursor) = page["pagination"]["next_cursor"].as_str() else { break };
            let mut next = self.call.clone();
            next.query.retain(|(name, _)| name != "cursor");
            next.query.push(("cursor".to_owned(), cursor.to_owned()));
            page = serde_json::from_slice(&self.sandbox.execute(&next).body).unwrap();
            rows.extend(page["data"].as_array().unwrap().iter().cloned());
        }
        rows
    }

    fn delete<'a>(&self, rows: impl IntoIterator<Item = &'a Value>) {
        for row in rows {
            self.edit(row, World::delete);
        }
    }

    /// Moves a row just before or after another in the usual order of its list.
    fn move_beside(&self, row: &Value, other: &Value, before: bool) {
        if self.kind == Kind::Creator {
            let name = other["name"].as_str().unwrap();
            let name = if before { format!(" {name}") } else { format!("{name} ~") };
            return self.rename(row, &name);
        }
        let sorted_by = if self.kind == Kind::AccountVideo { "create_time" } else { "added_at" };
        let at = truth::moment(&other[sorted_by]).plus(if before { -1_000 } else { 1_000 });
        self.edit(row, |world, row| world.move_to(row, at));
    }

    fn rename(&self, creator: &Value, name: &str) {
        let path = format!("/creators/{}", id_text(Kind::Creator, creator));
        let mut call = Call {
            method: "PATCH".to_owned(),
            headers: self.call.headers.clone(),
            body: json!({ "name": name }).to_string().into(),
            ..Call::get(&path)
        };
        call.headers.insert("content-type", "application/json".parse().unwrap());
        assert_eq!(self.sandbox.execute(&call).status, 200);
    }

    fn edit(&self, row: &Value, change: impl FnOnce(&mut World, Row)) {
        self.sandbox.world(|world| {
            if let Some(row) = world.find(self.kind, &id_text(self.kind, row)) {
                change(world, row);
            }
        });
    }
}
