//! The four lists: filters, order, pages and their envelope.

use std::cmp::Ordering;
use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::model::Kind;
use crate::sandbox::call::Call;
use crate::sandbox::cursor::{Place, Seal, SortValue};
use crate::sandbox::growth::Platform;
use crate::sandbox::order::{SortKey, read_order};
use crate::sandbox::replies::Problem;
use crate::sandbox::rows::RowView;
use crate::sandbox::world::{Row, World};

/// Largest and usual number of rows of a page.
const LIMIT_MAX: usize = 200;
const LIMIT_DEFAULT: usize = 50;

/// A list request, understood and found valid.
#[derive(Debug)]
pub struct ListQuery {
    kind: Kind,
    limit: usize,
    include_total: bool,
    sort: SortKey,
    descending: bool,
    platform: Option<Platform>,
    q: Option<String>,
    is_active: Option<bool>,
    category: Option<String>,
    creator_id: Option<Uuid>,
    account_id: Option<Uuid>,
    after: Option<Place>,
    seal: Seal,
}

/// One page.
#[derive(Serialize)]
pub struct Page<'a> {
    data: Vec<RowView<'a>>,
    pagination: Pagination,
    filters: Map<String, Value>,
    /// The rows of the page.
    #[serde(skip)]
    pub rows: Vec<Row>,
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
    pub fn read(kind: Kind, call: &Call, seed: u64, epoch: u32) -> Result<Self, Problem> {
        let (sort, descending) = read_order(kind, call)?;
        let has = |filter: &str| filters_of(kind).contains(&filter);
        let text = |name| call.param(name).filter(|_| has(name)).map(str::to_owned);
        let mut query = Self {
            kind,
            limit: call.number_param("limit", LIMIT_DEFAULT, LIMIT_MAX)?,
            include_total: call.bool_param("include_total")?.unwrap_or(false),
            sort,
            descending,
            platform: call.platform_param()?.filter(|_| has("platform")),
            q: text("q").map(|q| q.to_lowercase()),
            is_active: call.bool_param("is_active")?.filter(|_| has("is_active")),
            category: text("category"),
            creator_id: call.uuid_param("creator_id")?.filter(|_| has("creator_id")),
            account_id: call.uuid_param("account_id")?.filter(|_| has("account_id")),
            after: None,
            seal: Seal { seed, epoch, binding: 0 },
        };
        let mut bound_to = kind.path().to_owned();
        let _ = write!(bound_to, "{}", Value::Object(query.echo()));
        query.seal.binding = Seal::binding(&bound_to);
        if let Some(cursor) = call.param("cursor") {
            let place = query.seal.read(cursor);
            query.after = Some(place.ok_or_else(Problem::refused_cursor)?);
        }
        Ok(query)
    }

    /// The filter and sort in force, for the `filters` member.
    fn echo(&self) -> Map<String, Value> {
        let mut echo = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            value.map(|value| echo.insert(name.to_owned(), value));
        };
        put("platform", self.platform.map(|platform| json!(platform.name())));
        put("q", self.q.as_ref().map(|q| json!(q)));
        put("is_active", self.is_active.map(|active| json!(active)));
        put("category", self.category.as_ref().map(|category| json!(category)));
        put("creator_id", self.creator_id.map(|id| json!(id.to_string())));
        put("account_id", self.account_id.map(|id| json!(id.to_string())));
        put("order_by", Some(json!(self.sort.name())));
        put("order_direction", Some(json!(if self.descending { "desc" } else { "asc" })));
        echo
    }

    /// Which list.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the order is descending.
    pub fn descending(&self) -> bool {
        self.descending
    }

    fn is_unfiltered(&self) -> bool {
        let refs = self.creator_id.is_none() && self.account_id.is_none();
        let texts = self.q.is_none() && self.category.is_none();
        refs && texts && self.platform.is_none() && self.is_active.is_none()
    }

    /// The page that is asked for.
    pub fn page<'a>(&self, world: &'a World) -> Page<'a> {
        let mut rows = self.rows_after(world, self.after.as_ref(), self.limit + 1);
        let has_next = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| has_next);
        let next_cursor = last.map(|row| self.seal.write(&self.place(world, *row)));
        let total_count = self.include_total.then(|| self.count(world));
        Page {
            data: rows.iter().map(|row| world.view(*row)).collect(),
            pagination: Pagination { has_next, limit: self.limit, next_cursor, total_count },
            filters: self.echo(),
            rows,
        }
    }

    /// Up to `count` rows that come after `place`, in order.
    pub fn rows_after(&self, world: &World, place: Option<&Place>, count: usize) -> Vec<Row> {
        if let Some(order) = self.kept_order(world) {
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

    /// The order that the world keeps anyway, ascending.
    fn kept_order<'a>(&self, world: &'a World) -> Option<&'a [u32]> {
        match (self.kind, self.sort) {
            (Kind::Account, SortKey::AddedAt) => Some(&world.account_order),
            (Kind::Video, SortKey::AddedAt) => Some(&world.video_order),
            (Kind::AccountVideo, SortKey::CreateTime) => Some(&world.post_order),
            _ => None,
        }
    }

    fn along(&self, world: &World, order: &[u32], after: Option<&Place>, count: usize) -> Vec<Row> {
        let row = |place: &u32| Row { kind: self.kind, place: *place };
        let is_past = |n: &u32, after: &Place| {
            self.compare(world, &self.place(world, row(n)), after) == Ordering::Greater
        };
        let wanted = |row: &Row| self.matches(world, *row);
        if self.descending {
            let end =
                after.map_or(order.len(), |place| order.partition_point(|n| is_past(n, place)));
            order[..end].iter().rev().map(row).filter(wanted).take(count).collect()
        } else {
            let start = after.map_or(0, |place| order.partition_point(|n| !is_past(n, place)));
            order[start..].iter().map(row).filter(wanted).take(count).collect()
        }
    }

    fn count(&self, world: &World) -> usize {
        match self.kept_order(world) {
            Some(order) if self.is_unfiltered() && self.kind != Kind::AccountVideo => order.len(),
            _ => world.all(self.kind).filter(|row| self.matches(world, *row)).count(),
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
    pub fn place(&self, world: &World, row: Row) -> Place {
        Place { value: self.sort.value(world, row), id: world.id_number(row) }
    }

    fn matches(&self, world: &World, row: Row) -> bool {
        if self.is_unfiltered() && self.kind != Kind::AccountVideo {
            return world.is_listed(row);
        }
        world.is_listed(row)
            && self.platform.is_none_or(|platform| world.platform(row) == Some(platform))
            && self.is_active.is_none_or(|active| world.is_active(row) == active)
            && self.q.as_ref().is_none_or(|q| world.searchable(row).to_lowercase().contains(q))
            && self.category.as_ref().is_none_or(|wanted| world.category(row) == Some(wanted))
            && self.creator_id.is_none_or(|id| world.creator_of(row) == Some(id))
            && self.account_id.is_none_or(|id| world.account_of(row) == Some(id))
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
