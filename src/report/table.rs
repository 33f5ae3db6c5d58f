//! Tables without lines, fitted to the width of a terminal. Pure.

use comfy_table::{CellAlignment, ColumnConstraint, Row, Table, Width, presets};

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    name: &'static str,
    is_number: bool,
    /// Least width of a column whose cells may be truncated; 0 if they may not.
    width_min: u16,
    /// Columns with a higher number are dropped first in a narrow terminal; those with 0 never are.
    drop_order: u8,
}

impl Column {
    /// A left-aligned column.
    pub const fn text(name: &'static str) -> Self {
        Self { name, is_number: false, width_min: 0, drop_order: 0 }
    }

    /// A right-aligned column.
    pub const fn number(name: &'static str) -> Self {
        Self { is_number: true, ..Self::text(name) }
    }

    /// Allows truncating cells to `width_min` in a narrow terminal.
    pub const fn truncated(self, width_min: u16) -> Self {
        Self { width_min, ..self }
    }

    /// Allows dropping the column in a narrow terminal.
    pub const fn dropped(self, drop_order: u8) -> Self {
        Self { drop_order, ..self }
    }
}

/// Whether no line of a text is longer than `width`.
pub fn fits(text: &str, width: Option<usize>) -> bool {
    text.lines().all(|line| width.is_none_or(|width| line.chars().count() <= width))
}

/// Spaces between two columns.
const GAP: u16 = 2;

/// Formats a table without lines. Where it is wider than `width`, columns are dropped and cells truncated.
pub fn format(columns: &[Column], mut rows: Vec<Vec<String>>, width: Option<usize>) -> String {
    let mut widths = comfy_table(columns, &rows).column_max_content_widths();
    let width = width.map_or(u16::MAX, |width| u16::try_from(width).unwrap_or(u16::MAX));
    let shown = fit(columns, &mut widths, width);
    for (cell, width) in rows.iter_mut().flat_map(|cells| cells.iter_mut().zip(&widths)) {
        truncate(cell, usize::from(*width));
    }
    let mut table = comfy_table(columns, &rows);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP));
        if columns[at].is_number {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if !shown[at] {
            column.set_constraint(ColumnConstraint::Hidden);
        } else if columns[at].width_min > 0 {
            let width = Width::Fixed(widths[at].saturating_add(GAP));
            column.set_constraint(ColumnConstraint::Absolute(width));
        }
    }
    table.trim_fmt()
}

fn comfy_table(columns: &[Column], rows: &[Vec<String>]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(columns.iter().map(|column| column.name));
    table.set_truncation_indicator("…");
    for cells in rows {
        let mut row = Row::from(cells);
        // Cells with wide characters are still too long after `truncate`.
        row.max_height(1);
        table.add_row(row);
    }
    table
}

fn truncate(text: &mut String, chars_max: usize) {
    if text.chars().count() > chars_max {
        *text = text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect();
    }
}

/// Reduces `widths` until the table fits. Returns which columns are shown.
fn fit(columns: &[Column], widths: &mut [u16], width: u16) -> Vec<bool> {
    let mut shown = vec![true; columns.len()];
    let total = |widths: &[u16], shown: &[bool]| {
        let shown = widths.iter().zip(shown).filter(|(_, shown)| **shown);
        shown.map(|(width, _)| width.saturating_add(GAP)).fold(0, u16::saturating_add) - GAP
    };
    let least: Vec<u16> = columns
        .iter()
        .zip(&*widths)
        .map(
            |(column, width)| {
                if column.width_min > 0 { column.width_min.min(*width) } else { *width }
            },
        )
        .collect();
    while total(&least, &shown) > width {
        let droppable = (0..columns.len()).filter(|at| shown[*at] && columns[*at].drop_order > 0);
        let Some(at) = droppable.max_by_key(|at| columns[*at].drop_order) else { break };
        shown[at] = false;
    }
    while total(widths, &shown) > width {
        let mut shrinkable = (0..columns.len()).rev();
        let Some(at) = shrinkable.find(|at| shown[*at] && widths[*at] > least[*at]) else { break };
        widths[at] -= 1;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_drops_and_truncates_to_fit() {
        let columns = [
            Column::text("kind"),
            Column::number("rows").dropped(1),
            Column::text("detail").truncated(8),
        ];
        let rows =
            || vec![vec!["videos".to_owned(), "12".to_owned(), "one two three four".to_owned()]];
        let full = format(&columns, rows(), None);
        assert_eq!(full, "kind    rows  detail\nvideos    12  one two three four");
        assert_eq!(format(&columns, rows(), Some(32)), full);
        for width in 16..32 {
            let text = format(&columns, rows(), Some(width));
            assert!(text.lines().count() == 2, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
            assert_eq!(text.contains("rows"), width >= 22, "{width}: {text}");
        }
    }
}
