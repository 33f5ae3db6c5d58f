//! Charts as SVG, in the colours of the light theme. The style sheet selects elements by these colours to apply the dark
//! theme.

use std::ops::Range;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::dashboard::html::{Html, escaped};

/// Colour of axes and labels.
const QUIET: RGBColor = RGBColor(0x66, 0x70, 0x85);
/// Colour of grid lines.
const GRID: RGBColor = RGBColor(0xE4, 0xE7, 0xEC);
/// Colours of the series, in order.
pub const SERIES: [RGBColor; 4] = [
    RGBColor(0x2F, 0x6F, 0xED),
    RGBColor(0x12, 0xA5, 0x94),
    RGBColor(0xE5, 0x8A, 0x1F),
    RGBColor(0x8E, 0x5B, 0xD6),
];
/// Font of the labels. The SVG backend divides the size by 1.24.
const FONT: (&str, u32) = ("sans-serif", 16);
/// Maximum number of grid lines.
const LINES: usize = 5;
/// Width of a label of the x axis, pixels.
const LABEL_PX: usize = 60;
/// Gap on each side of a bar, as a fraction of a day.
const GAP: f64 = 0.14;

/// Opacity of the bar of a day that is not over.
const PALE: f64 = 0.45;

/// Error while drawing a chart.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw a chart: {0}")]
pub struct ChartError(String);

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for ChartError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self(error.to_string())
    }
}

type Drawn = Result<Html, ChartError>;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Grid<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Size of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
}

/// A series of a chart, with a value for each label.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The values.
    pub values: Vec<f64>,
    /// Its colour.
    pub color: RGBColor,
}

/// Draws stacked bars; negative values are stacked below zero. The last bar, that of the present day, is paler, as the
/// day is not over. `title` is the accessible name.
pub fn bars(frame: Frame, title: &str, labels: &[String], series: &[Series]) -> Drawn {
    let stacks: Vec<Vec<(f64, f64)>> = (0..labels.len()).map(|at| stack(series, at)).collect();
    let ends = || stacks.iter().flatten().flat_map(|(from, to)| [*from, *to]);
    let (low, high) = (ends().fold(0.0, f64::min), ends().fold(0.0, f64::max));
    draw(frame, title, |root| {
        let mut grid = grid(root, labels, low..high)?;
        for (at, stack) in stacks.iter().enumerate() {
            let (left, right) = (at as f64 + GAP, (at + 1) as f64 - GAP);
            let opacity = if at + 1 == stacks.len() { PALE } else { 1.0 };
            for ((from, to), series) in stack.iter().zip(series) {
                let color = series.color.mix(opacity).filled();
                let bar = Rectangle::new([(left, *from), (right, *to)], color);
                grid.draw_series([bar].into_iter().filter(|_| from != to))?;
            }
        }
        Ok(())
    })
}

/// Returns the lower and upper end of each bar of a stack.
fn stack(series: &[Series], at: usize) -> Vec<(f64, f64)> {
    let (mut above, mut below) = (0.0, 0.0);
    let values = series.iter().map(|series| series.values.get(at).copied().unwrap_or(0.0));
    values
        .map(|value| {
            let end = if value < 0.0 { &mut below } else { &mut above };
            let from = *end;
            *end += value;
            (from, *end)
        })
        .collect()
}

/// Draws a line without axes above zero, for a row of a table. `points` are instants and values; instants before `span`
/// are clamped to its start, and the last value holds until its end.
pub fn sparkline(frame: Frame, points: &[(i64, i64)], span: Range<i64>, color: RGBColor) -> Drawn {
    draw(frame, "", |root| {
        let last = points.last().map(|(_, value)| (span.end, *value));
        let points: Vec<(f64, f64)> = points
            .iter()
            .copied()
            .chain(last)
            .map(|(at, y)| (at.clamp(span.start, span.end.max(span.start)) as f64, y as f64))
            .collect();
        // The line starts at zero, so that small changes look small.
        let ends = |of: fn(f64, f64) -> f64| points.iter().map(|(_, y)| *y).fold(0.0, of);
        let (low, high) = (ends(f64::min), ends(f64::max));
        let high = if high > low { high } else { low + 1.0 };
        let x = span.start as f64..(span.end as f64).max(span.start as f64 + 1.0);
        let mut chart = ChartBuilder::on(root).margin(3).build_cartesian_2d(x, low..high)?;
        chart.draw_series(AreaSeries::new(points.iter().copied(), 0.0, color.mix(0.14)))?;
        chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
        Ok(())
    })
}

/// Draws a bar that is full at a share of 1.
pub fn meter(frame: Frame, share: f64, color: RGBColor) -> Drawn {
    draw(frame, "", |root| {
        let (width, height) = (frame.width as i32, frame.height as i32);
        let end = (f64::from(width) * share.clamp(0.0, 1.0)).round() as i32;
        root.draw(&Rectangle::new([(0, 0), (width, height)], GRID.filled()))?;
        root.draw(&Rectangle::new([(0, 0), (end, height)], color.filled()))?;
        Ok(())
    })
}

/// Draws the grid lines with their values, and as many labels as fit.
fn grid<'a>(root: &Area<'a>, labels: &[String], range: Range<f64>) -> Result<Grid<'a>, ChartError> {
    let range = if range.end > range.start { range } else { range.start..range.start + 1.0 };
    let size = (range.start.abs().max(range.end.abs()), range.end - range.start);
    let left = tick_width(&range, size);
    let mut chart = ChartBuilder::on(root)
        .margin_top(10)
        .margin_right(6)
        .x_label_area_size(26)
        .y_label_area_size(left)
        .build_cartesian_2d(0.0..labels.len().max(1) as f64, range)?;
    let quiet = FONT.into_font().color(&QUIET);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .axis_style(TRANSPARENT)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .y_labels(LINES)
        .y_label_formatter(&|value| tick(*value, size))
        .label_style(quiet.clone())
        .draw()?;
    let (across, down) = root.dim_in_pixel();
    let width = across.saturating_sub(left).max(1) as usize;
    let step = (labels.len() * LABEL_PX).div_ceil(width).max(1);
    let below = quiet.pos(Pos::new(HPos::Center, VPos::Bottom));
    // The last day is always labelled, and others at even steps before it.
    for (at, label) in labels.iter().enumerate().rev().step_by(step) {
        let (x, _) = chart.backend_coord(&(at as f64 + 0.5, 0.0));
        let x = x.min(across as i32 - 24);
        root.draw(&Text::new(label.clone(), (x, down as i32 - 2), below.clone()))?;
    }
    Ok(chart)
}

fn draw(
    frame: Frame,
    title: &str,
    paint: impl FnOnce(&Area<'_>) -> Result<(), ChartError>,
) -> Drawn {
    let mut markup = String::new();
    {
        let backend = SVGBackend::with_string(&mut markup, (frame.width, frame.height));
        let root = backend.into_drawing_area();
        paint(&root)?;
        root.present()?;
    }
    let (_, inside) = markup.split_once('>').unwrap_or_default();
    let mut named = format!("<svg viewBox=\"0 0 {} {}\" ", frame.width, frame.height);
    match title {
        // The text beside it has the same information.
        "" => named.push_str("aria-hidden=\"true\" preserveAspectRatio=\"none\">"),
        title => named.push_str(&format!("role=\"img\" aria-label=\"{}\">", escaped(title))),
    }
    Ok(Html::trusted(named + inside.trim()))
}

/// Returns the width of the labels of the y axis, pixels.
fn tick_width(range: &Range<f64>, size: (f64, f64)) -> u32 {
    const CHARACTER_PX: usize = 8;
    let third = (range.end - range.start) / 3.0;
    let values = [range.start, range.start + third, range.end - third, range.end];
    let longest = values.into_iter().map(|value| tick(value, size).chars().count()).max();
    u32::try_from(longest.unwrap_or(0) * CHARACTER_PX + 12).unwrap_or(u32::MAX)
}

/// Formats a value of an axis with this maximum and length, with as few decimals as keep neighbouring ticks different.
fn tick(value: f64, (greatest, length): (f64, f64)) -> String {
    let (unit, letter) = unit(greatest);
    let step = length / LINES as f64 / unit;
    let decimals = (-step.log10()).ceil().clamp(0.0, 9.0) as usize;
    let text = format!("{:.decimals$}", value / unit);
    let bare = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    if bare == "0" { bare.to_owned() } else { format!("{bare}{letter}") }
}

/// Returns the unit for a number, and its letter.
fn unit(value: f64) -> (f64, &'static str) {
    let units =
        [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"), (1.0, "")];
    let found = units.into_iter().find(|(unit, _)| value.abs() >= *unit * 0.99995);
    found.unwrap_or((1.0, ""))
}

/// Formats a number in at most four characters and a letter: `12.3K`.
pub fn compact(value: f64) -> String {
    let (unit, letter) = unit(value);
    if unit == 1.0 {
        return match value.fract().abs() < 1e-9 {
            true => format!("{value:.0}"),
            false => format!("{value:.1}"),
        };
    }
    let scaled = value / unit;
    let text = if scaled.abs() < 99.95 { format!("{scaled:.1}") } else { format!("{scaled:.0}") };
    format!("{}{letter}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_numbers_have_a_unit_letter() {
        for (value, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (999.0, "999"),
            (1_000.0, "1K"),
            (12_345.0, "12.3K"),
            (999_999.0, "1M"),
            (-2_500_000.0, "-2.5M"),
            (9.2e18, "9.2E"),
        ] {
            assert_eq!(compact(value), text);
        }
    }

    #[test]
    fn neighbouring_ticks_differ() {
        for (value, size, text) in [
            (12_450_000.0, (12_470_000.0, 80_000.0), "12.45M"),
            (12_440_000.0, (12_470_000.0, 80_000.0), "12.44M"),
            (2_000_000.0, (3_100_000.0, 3_100_000.0), "2M"),
            (500_000.0, (3_100_000.0, 3_100_000.0), "0.5M"),
            (0.0, (3_100_000.0, 3_100_000.0), "0"),
            (300.0, (310.0, 310.0), "300"),
        ] {
            assert_eq!(tick(value, size), text);
        }
    }

    #[test]
    fn negative_values_are_stacked_below_zero() {
        let series = |value| Series { values: vec![value], color: SERIES[0] };
        let stack = stack(&[series(3.0), series(-2.0), series(4.0)], 0);
        assert_eq!(stack, [(0.0, 3.0), (0.0, -2.0), (3.0, 7.0)]);
    }

    #[test]
    fn charts_of_any_data_can_be_drawn() {
        let frame = Frame { width: 300, height: 100 };
        let labels = |count: usize| vec!["1 Jan".to_owned(); count];
        for values in [vec![], vec![0.0], vec![-5.0, 7.0], vec![9.2e18, -9.2e18], vec![1.0; 30]] {
            let series = Series { values, color: SERIES[0] };
            let labels = labels(series.values.len());
            let bars = bars(frame, "a \"title\"", &labels, std::slice::from_ref(&series));
            let bars = bars.unwrap().into_markup();
            assert!(bars.starts_with("<svg viewBox=\"0 0 300 100\" role=\"img\""));
            assert!(bars.contains("a &quot;title&quot;"));
            // The last day is not over.
            let pale = usize::from(series.values.last().is_some_and(|value| *value != 0.0));
            assert_eq!(bars.matches("opacity=\"0.45\"").count(), pale);
        }
        for points in [vec![], vec![(1, 1)], vec![(1, i64::MIN), (i64::MAX, i64::MAX)]] {
            let line = sparkline(frame, &points, 0..10, SERIES[1]).unwrap().into_markup();
            assert!(!line.contains("NaN"), "{line}");
        }
        assert!(meter(frame, 0.5, SERIES[0]).unwrap().into_markup().contains("width=\"150\""));
    }
}
