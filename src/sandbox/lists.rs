//! The four lists: filters, order, pages and their envelope.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::model::Kind;
use crate::sandbox::call::Call;
use crate::sandbox::cursor::{Place, Seal, SortValue};
use crate::sandbox::growth::Platform;
use crate::sandbox::moment::Moment;
use crate::sandbox::order::{SortKey, read_order};
use crate::sandbox::replies::Problem;
use crate::sandbox::rows::RowView;
use crate::sandbox::words;
use crate::sandbox::world::{Position, Row, World};

/// Largest and usual number of rows of a page.
const LIMIT_MAX: usize = 200;
const LIMIT_DEFAULT: usize = 50;

/// Parameters that say how to sort.
const SORT_PARAMETERS: [&str; 3] = ["order_by", "order_direction", "sort"];

/// A list request, understood and found valid.
#[derive(Debug)]
pub struct ListQuery {
    kind: Kind,
    limit: usize,
    include_total: bool,
    sort: SortKey,
    descending: bool,
    /// Whether the request says how to sort.
    is_sort_asked: bool,
    /// Names and values; `q` in small letters.
    filters: Vec<(&'static str, Value)>,
    after: Option<Place>,
    seal: Seal,
}

/// One page.
#[derive(Serialize)]
pub struct Page<'a> {
    data: Vec<RowView<'a>>,
    pagination: Pagination,
    filters: Map<String, Value>,
}

/// The schema `Pagination`.
#[derive(Serialize)]
struct Pagination {
    has_next: bool,
    limit: usize,
    next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_count: Option<usize>,
}

impl Page<'_> {
    /// The cursor of the page after this one.
    pub fn next_cursor(&self) -> Option<&str> {
        self.pagination.next_cursor.as_deref()
    }
}

impl ListQuery {
    /// Reads the query of a list request.
    pub fn read(kind: Kind, call: &Call, seed: u64) -> Result<Self, Problem> {
        let (sort, descending) = read_order(kind, call)?;
        let sent = filters_of(kind).iter().filter_map(|name| Some((*name, call.param(name)?)));
        let filters = sent.map(|(name, text)| Ok((name, read_filter(name, text)?)));
        let mut query = Self {
            kind,
            limit: call.param("limit").map_or(Ok(LIMIT_DEFAULT), read_limit)?,
            include_total: call
                .param("include_total")
                .map_or(Ok(false), |text| read_bool("include_total", text))?,
            sort,
            descending,
            is_sort_asked: SORT_PARAMETERS.iter().any(|name| call.param(name).is_some()),
            filters: filters.collect::<Result<_, Problem>>()?,
            after: None,
            seal: Seal { seed, binding: 0 },
        };
        let mut bound_to = kind.path().to_owned();
        let order = query.order();
        let bound = query.filters.iter().cloned().chain(order);
        let bound: Map<_, _> = bound.map(|(name, value)| (name.to_owned(), value)).collect();
        let _ = write!(bound_to, "{}", Value::Object(bound));
        query.seal.binding = Seal::binding(&bound_to);
        if let Some(cursor) = call.param("cursor") {
            let place = query.seal.read(cursor);
            query.after = Some(place.ok_or_else(Problem::refused_cursor)?);
        }
        Ok(query)
    }

    fn order(&self) -> [(&'static str, Value); 2] {
        let direction = if self.descending { "desc" } else { "asc" };
        [("order_by", json!(self.sort)), ("order_direction", json!(direction))]
    }

    /// The filter and sort that were asked for, for the `filters` member; the default sort is not shown.
    fn echo(&self) -> Map<String, Value> {
        let order = self.order().into_iter().filter(|_| self.is_sort_asked);
        let all = self.filters.iter().cloned().chain(order);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The requested page.
    pub fn page<'a>(&self, world: &'a World) -> Page<'a> {
        let mut rows = self.rows_after(world, self.after.as_ref(), self.limit + 1);
        let has_next = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| has_next);
        let next_cursor = last.map(|row| self.seal.write(&self.place(world, *row)));
        let total_count = self
            .include_total
            .then(|| world.all(self.kind).filter(|row| self.matches(world, *row)).count());
        Page {
            data: rows.iter().map(|row| world.view(*row)).collect(),
            pagination: Pagination { has_next, limit: self.limit, next_cursor, total_count },
            filters: self.echo(),
        }
    }

    /// Up to `count` rows that come after `place`, in order.
    fn rows_after(&self, world: &World, place: Option<&Place>, count: usize) -> Vec<Row> {
        let order = world.order.get(&self.kind);
        if let Some(order) = order.filter(|_| self.sort == SortKey::default_of(self.kind)) {
            return self.along(world, order, place, count);
        }
        let all = world.all(self.kind).filter(|row| self.matches(world, *row));
        let mut placed: Vec<(Place, Row)> = all
            .map(|row| (self.place(world, row), row))
            .filter(|(at, _)| place.is_none_or(|place| self.compare(world, at, place).is_gt()))
            .collect();
        let by_place = |a: &(Place, Row), b: &(Place, Row)| self.compare(world, &a.0, &b.0);
        if placed.len() > count && count > 0 {
            placed.select_nth_unstable_by(count - 1, by_place);
            placed.truncate(count);
        }
        placed.sort_unstable_by(by_place);
        placed.into_iter().map(|(_, row)| row).collect()
    }

    /// The same in the order that the world keeps anyway.
    fn along(
        &self,
        world: &World,
        order: &BTreeSet<Position>,
        after: Option<&Place>,
        count: usize,
    ) -> Vec<Row> {
        let border = |end| match after {
            Some(Place { value: SortValue::Integer(ms), id }) => (Moment(*ms), *id, end),
            _ => (Moment(if self.descending { i64::MAX } else { i64::MIN }), 0, end),
        };
        let row = |position: &Position| Row { kind: self.kind, place: position.2 };
        let wanted = |row: &Row| self.matches(world, *row);
        if self.descending {
            order.range(..border(0)).rev().map(row).filter(wanted).take(count).collect()
        } else {
            order.range(border(u32::MAX)..).map(row).filter(wanted).take(count).collect()
        }
    }

    fn compare(&self, world: &World, a: &Place, b: &Place) -> Ordering {
        let nulls =
            |place: &Place| (place.value == SortValue::Null) != world.settings.null_sort_first;
        let by_key = (&a.value, a.id).cmp(&(&b.value, b.id));
        let by_key = if self.descending { by_key.reverse() } else { by_key };
        nulls(a).cmp(&nulls(b)).then(by_key)
    }

    /// Where a row stands in this order.
    fn place(&self, world: &World, row: Row) -> Place {
        Place { value: self.sort.value(world, row), id: world.id_number(row) }
    }

    fn matches(&self, world: &World, row: Row) -> bool {
        world.is_listed(row)
            && self.filters.iter().all(|(name, wanted)| match (*name, fact(world, row, name)) {
                ("q", Value::String(text)) => text.contains(wanted.as_str().unwrap_or_default()),
                (_, fact) => fact == *wanted,
            })
    }
}

/// What the filter of this name compares with.
fn fact(world: &World, row: Row, filter: &str) -> Value {
    let place = row.place as usize;
    let (tracked, id) = (world.tracked(row), |n: u32| world.accounts[n as usize].tracked.id);
    let account = world.accounts.get(place).filter(|_| row.kind == Kind::Account);
    match (filter, row.kind) {
        ("platform", Kind::AccountVideo) => json!(world.posts[place].platform),
        ("platform", _) => json!(tracked.map(|tracked| tracked.platform)),
        ("is_active", _) => json!(world.is_active(row)),
        ("category", _) => json!(account.and_then(|account| account.category.as_ref())),
        ("creator_id", _) => {
            let creator = account.and_then(|account| account.creator);
            json!(creator.map(|n| world.creators[n as usize].id.to_string()))
        }
        ("account_id", Kind::AccountVideo) => json!(id(world.posts[place].account).to_string()),
        ("account_id", _) => json!(world.videos[place].account.map(|n| id(n).to_string())),
        (_, Kind::Account) => json!(account.map(|account| account.username.to_lowercase())),
        _ => {
            let text = tracked.filter(|_| world.last_scrape(row).is_some());
            json!(text.map(|tracked| words::caption(tracked.text).to_lowercase()))
        }
    }
}

fn filters_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Account => &["platform", "q", "is_active", "category", "creator_id"],
        Kind::Video => &["platform", "q", "is_active", "account_id"],
        Kind::Creator => &["is_active"],
        _ => &["platform", "account_id"],
    }
}

fn read_filter(name: &'static str, text: &str) -> Result<Value, Problem> {
    match name {
        "platform" => match Platform::from_name(text) {
            Some(platform) => Ok(json!(platform)),
            None => Err(Problem::field(name, "must be instagram or tiktok")),
        },
        "is_active" => Ok(json!(read_bool(name, text)?)),
        "creator_id" | "account_id" => match Uuid::try_parse(text) {
            Ok(uuid) => Ok(json!(uuid.to_string())),
            Err(_) => Err(Problem::field(name, "must be a UUID")),
        },
        "q" => Ok(json!(text.to_lowercase())),
        _ => Ok(json!(text)),
    }
}

fn read_limit(text: &str) -> Result<usize, Problem> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    let wanted = || format!("must be an integer from 1 to {LIMIT_MAX}");
    limit.ok_or_else(|| Problem::field("limit", wanted()))
}

fn read_bool(name: &str, text: &str) -> Result<bool, Problem> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Problem::field(name, "must be true or false")),
    }
}
