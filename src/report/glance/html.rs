//! HTML that cannot be broken by what it shows: markup is what stands in this program, and everything
//! else is escaped.

use std::fmt::Display;

use crate::model::shown::printable;
use crate::report::glance::chart::Svg;

/// Longest foreign text that is shown.
const CHARS_MAX: usize = 120;

/// A piece of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Adds markup, which only a program's own text can be.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds a text of ours.
    pub fn text(&mut self, text: impl Display) -> &mut Self {
        push_escaped(&mut self.0, &text.to_string());
        self
    }

    /// Adds what somebody else wrote, in bounds, and kept from turning the text around it about.
    pub fn foreign(&mut self, text: &str) -> &mut Self {
        self.raw("<bdi>").text(printable(text, CHARS_MAX)).raw("</bdi>")
    }

    /// Adds a chart.
    pub fn chart(&mut self, chart: &Svg) -> &mut Self {
        self.0.push_str(chart.markup());
        self
    }

    /// The markup.
    pub fn into_markup(self) -> String {
        self.0
    }
}

/// Adds a text in which nothing means something to HTML, be it between tags or in quotes.
pub fn push_escaped(markup: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => markup.push_str("&amp;"),
            '<' => markup.push_str("&lt;"),
            '>' => markup.push_str("&gt;"),
            '"' => markup.push_str("&quot;"),
            '\'' => markup.push_str("&#39;"),
            c => markup.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_text() {
        let mut html = Html::default();
        html.raw("<p>").foreign("<script>alert('1')</script>\"&\u{202e}\n").raw("</p>");
        assert_eq!(
            html.into_markup(),
            "<p><bdi>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp; </bdi></p>"
        );
    }

    #[test]
    fn what_others_wrote_has_an_end() {
        let mut html = Html::default();
        html.foreign(&"a".repeat(10_000));
        assert!(html.into_markup().len() < 200);
    }
}
