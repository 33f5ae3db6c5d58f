//! The tables of the page: what each shows of its query, in which words.

use chrono::NaiveDate;

use crate::model::Value;
use crate::model::instant::DAY_S;
use crate::report::dashboard::chart::{self, ChartError, Frame, SERIES, compact};
use crate::report::dashboard::html::Html;
use crate::report::dashboard::parts::History;
use crate::report::text::{UNKNOWN, thousands};
use crate::store::dashboard::{DAYS, Table};

const SPARK: Frame = Frame { width: 150, height: 34 };

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Count,
    /// A count with its sign.
    Gain,
    /// A percentage with its sign.
    Change,
    /// A fraction, as a percentage.
    Share,
    Decimal,
    Times,
    Date,
}

use Format::{Change, Count, Date, Decimal, Gain, Share, Text, Times};

/// A column of a query: its name, what the page calls it, and its format.
type Column = (&'static str, &'static str, Format);

/// A table of the page.
#[derive(Debug)]
pub struct Section {
    /// Name of its query in the cookbook.
    pub recipe: &'static str,
    title: &'static str,
    /// What its numbers mean.
    definition: &'static str,
    /// What a row is about, and the column with its name. It becomes a link if the query has a `url`.
    name: (&'static str, &'static str),
    /// What is written below the name.
    remarks: &'static [Column],
    columns: &'static [Column],
    /// The least number of days of history with which it can be complete.
    needs_days: i64,
    /// Why a mirror with that history may have no rows.
    empty: &'static str,
}

/// The tables in the order of the page.
pub const SECTIONS: [Section; 7] = [
    Section {
        recipe: "week-over-week",
        title: "Week over week by platform and creator",
        definition: "What the tracked accounts and their posts gained on the last 7 complete days, and the change of views against the 7 days before. An account counts for the creator it belonged to on each day.",
        name: ("platform or creator", "name"),
        remarks: &[("grouped_by", "", Text)],
        columns: &[
            ("views_gained", "views", Gain),
            ("views_gained_before", "before", Gain),
            ("views_change_percent", "change", Change),
            ("followers_gained", "followers", Gain),
            ("posts_published", "posts", Count),
        ],
        needs_days: 15,
        empty: "No account is tracked.",
    },
    Section {
        recipe: "fastest-risers",
        title: "Posts with the most new views in 7 days",
        definition: "Views now, less those 7 days ago, which are estimated from the scrapes before and after that time. A post published since then gained all its views; of an older post first scraped since then, the gain counts from that scrape. The line shows the views, from zero, of at most 30 days.",
        name: ("post", "caption"),
        remarks: &[("account_username", "", Text)],
        columns: &[("views_gained", "gained", Gain), ("views", "all", Count)],
        needs_days: 1,
        empty: "No post gained views in the last 7 days.",
    },
    Section {
        recipe: "above-median",
        title: "Posts far above their account's median",
        definition: "Posts of the last 90 days that, 7 days after publication, had at least 5 times as many views as the median post of their account, which half of its posts exceed.",
        name: ("post", "caption"),
        remarks: &[("account_username", "", Text), ("posted_at", "", Date)],
        columns: &[
            ("views_7d", "after 7 days", Count),
            ("times_median", "times the median", Times),
        ],
        needs_days: 8,
        empty: "No post of the last 90 days stands out that much.",
    },
    Section {
        recipe: "posting-frequency",
        title: "Posting frequency",
        definition: "Posts that each active account published in the last 28 days, and in the 28 days before, as far as they are mirrored; the most active accounts first.",
        name: ("account", "username"),
        remarks: &[("platform", "", Text), ("creator_name", "", Text)],
        columns: &[
            ("posts_per_week", "posts per week", Decimal),
            ("posts", "28 days", Count),
            ("posts_before", "28 before", Count),
            ("last_post", "latest", Date),
        ],
        needs_days: 0,
        empty: "No active account is tracked.",
    },
    Section {
        recipe: "accounts-gone-quiet",
        title: "Accounts gone quiet",
        definition: "Active accounts whose latest post is at least 14 days old, or of which no post is mirrored.",
        name: ("account", "username"),
        remarks: &[("platform", "", Text), ("creator_name", "", Text)],
        columns: &[
            ("last_post", "latest post", Date),
            ("days_ago", "days ago", Count),
            ("followers", "followers", Count),
        ],
        needs_days: 0,
        empty: "Every active account posted in the last 14 days.",
    },
    Section {
        recipe: "engagement-by-creator",
        title: "Engagement by creator",
        definition: "Likes, comments and shares of all their posts, as far as known, per view.",
        name: ("creator", "creator"),
        remarks: &[("platform", "", Text)],
        columns: &[
            ("engagement_rate", "engagement", Share),
            ("views", "views", Count),
            ("posts", "posts", Count),
        ],
        needs_days: 0,
        empty: "No post is mirrored.",
    },
    Section {
        recipe: "campaigns",
        title: "Campaigns",
        definition: "All posts by the value that their metadata has for “campaign”, or else that of their account. Engagement is likes, comments and shares, as far as known, per view.",
        name: ("campaign", "campaign"),
        remarks: &[],
        columns: &[
            ("posts", "posts", Count),
            ("accounts", "accounts", Count),
            ("views", "views", Count),
            ("engagement_rate", "engagement", Share),
        ],
        needs_days: 0,
        empty: "No post is mirrored.",
    },
];

impl Section {
    /// Returns about the height of its card, pixels.
    pub fn height(&self, table: &Table) -> usize {
        let row = match self.remarks.len() {
            remarks if !table.curves.is_empty() => 72 + 8 * remarks,
            0 => 41,
            _ => 64,
        };
        let rows = if table.rows.is_empty() { 40 } else { row * table.rows.len() };
        let note = if self.needs_days > 7 { 40 } else { 0 };
        150 + 19 * (self.definition.len() / 75) + rows + note
    }
}

/// Renders a table.
pub fn section(
    html: &mut Html,
    section: &Section,
    table: &Table,
    history: &History,
) -> Result<(), ChartError> {
    html.begin_card(section.title).end_head().definition(section.definition);
    if table.rows.is_empty() {
        html.end_empty(&history.reason(section.needs_days, section.empty));
        return Ok(());
    }
    let curve: &[&str] = if table.curves.is_empty() { &[] } else { &["views"] };
    let headings: Vec<&str> = section.columns.iter().map(|(_, heading, _)| *heading).collect();
    html.begin_table(&[&[section.name.0], curve].concat(), &headings);
    for (at, row) in table.rows.iter().enumerate() {
        html.raw("<tr><th scope=\"row\"><span class=\"title\">");
        name(html, table.value(row, section.name.1), table.value(row, "url"));
        html.raw("</span><span class=\"small quiet\">");
        let known = |(column, _, _): &&Column| *table.value(row, column) != Value::Null;
        for (n, (column, _, format)) in section.remarks.iter().filter(known).enumerate() {
            html.raw(if n > 0 { " · " } else { "" })
                .foreign(&shown(table.value(row, column), *format));
        }
        html.raw("</span></th>");
        if let Some(points) = table.curves.get(at) {
            let first = points.first().map_or(history.now, |(at, _)| *at);
            let span = first.max(history.now - DAYS * DAY_S)..history.now;
            html.raw("<td class=\"spark\">");
            html.piece(&chart::sparkline(SPARK, points, span, SERIES[1])?).raw("</td>");
        }
        for (column, _, format) in section.columns {
            html.number(&shown(table.value(row, column), *format));
        }
        html.raw("</tr>");
    }
    html.end_table();
    if table.more > 0 {
        html.raw("<p class=\"small quiet more\">and ")
            .text(thousands(table.more as i64))
            .raw(" more</p>");
    }
    if let Some(note) = history.shortage(section.needs_days) {
        html.raw("<p class=\"small quiet more\">").text(note).raw("</p>");
    }
    html.end_card();
    Ok(())
}

/// Writes what a row is about, as a link if it has an address.
fn name(html: &mut Html, name: &Value<'_>, url: &Value<'_>) {
    let url = url.as_text().filter(|url| is_plain(url));
    if let Some(url) = url {
        html.raw("<a rel=\"noopener noreferrer\" href=\"").text(url).raw("\">");
    }
    match shown(name, Text) {
        text if text.trim().is_empty() || text == UNKNOWN => html
            .raw("<span class=\"quiet\">")
            .raw(if url.is_some() { "without a caption" } else { UNKNOWN })
            .raw("</span>"),
        text => html.foreign(&text),
    };
    html.raw(if url.is_some() { "</a>" } else { "" });
}

/// Whether an address has only characters that need no escaping.
fn is_plain(url: &str) -> bool {
    url.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/@".contains(&byte))
}

/// Formats a value; one that is not known is a dash.
fn shown(value: &Value<'_>, format: Format) -> String {
    let number = match value {
        Value::Null => return UNKNOWN.to_owned(),
        Value::Text(text) => return text_shown(text, format),
        Value::Integer(count) => *count as f64,
        Value::Real(number) => *number,
    };
    match format {
        Gain | Change if number > 0.0 => format!("+{}", unsigned(number, format)),
        _ => unsigned(number, format),
    }
}

fn unsigned(number: f64, format: Format) -> String {
    match format {
        Change if number.abs() >= 100.0 => format!("{} %", compact(number.round())),
        Change => format!("{number:.1} %"),
        Share => format!("{:.1} %", number * 100.0),
        Decimal => format!("{number:.1}"),
        Times => format!("{number:.1} ×"),
        _ if number.abs() < 100_000.0 => thousands(number.round() as i64),
        _ => compact(number),
    }
}

fn text_shown(text: &str, format: Format) -> String {
    let date = || NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok();
    match (format, text) {
        (Date, _) => {
            date().map_or_else(|| UNKNOWN.to_owned(), |date| date.format("%-d %b %Y").to_string())
        }
        (_, "tiktok") => "TikTok".to_owned(),
        (_, "instagram") => "Instagram".to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_words_of_the_page() {
        for (value, format, expected) in [
            (Value::Null, Count, "—"),
            (Value::Integer(0), Count, "0"),
            (Value::Integer(12_345), Count, "12,345"),
            (Value::Integer(1_234_567), Gain, "+1.2M"),
            (Value::Integer(-5), Gain, "-5"),
            (Value::Real(-2.44), Change, "-2.4 %"),
            (Value::Real(1_234.4), Change, "+1.2K %"),
            (Value::Real(0.0408), Share, "4.1 %"),
            (Value::Real(5.75), Times, "5.8 ×"),
            (Value::Text("2026-11-06T14:12:32Z".into()), Date, "6 Nov 2026"),
            (Value::Text("soon".into()), Date, "—"),
            (Value::Text("tiktok".into()), Text, "TikTok"),
        ] {
            assert_eq!(shown(&value, format), expected, "{value:?}");
        }
    }

    #[test]
    fn sections_show_columns_of_their_query() {
        use crate::store::cookbook;
        for section in &SECTIONS {
            let recipe =
                cookbook::recipes().into_iter().find(|recipe| recipe.name == section.recipe);
            let sql = recipe.unwrap().sql;
            let columns =
                section.columns.iter().chain(section.remarks).map(|(column, _, _)| *column);
            for column in columns.chain([section.name.1]) {
                assert!(sql.contains(column), "{}: {column}", section.recipe);
            }
        }
    }
}
