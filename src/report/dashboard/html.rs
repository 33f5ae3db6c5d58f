//! HTML that cannot be broken by what it shows: markup is what stands in this program, and everything
//! else is escaped.

use std::fmt::Display;

use crate::model::shown::printable;

/// Longest foreign text that is shown.
const CHARS_MAX: usize = 120;

/// A drawing, as markup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Svg(String);

impl Svg {
    /// Takes markup that was drawn.
    pub const fn of(markup: String) -> Self {
        Self(markup)
    }

    /// The markup.
    pub fn markup(&self) -> &str {
        &self.0
    }
}

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
        self.0.push_str(&escaped(&text.to_string()));
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

    /// Begins a card. What follows belongs beside its title, until [`Self::end_head`].
    pub fn begin_card(&mut self, title: &'static str) -> &mut Self {
        self.raw("<section class=\"card\"><div class=\"head\"><h2>").raw(title).raw("</h2>")
    }

    /// Ends the title of a card.
    pub fn end_head(&mut self) -> &mut Self {
        self.raw("</div>")
    }

    /// Begins a table with columns of words, and of numbers behind them.
    pub fn begin_table(&mut self, words: &[&'static str], numbers: &[&'static str]) -> &mut Self {
        self.raw("<table>").table_head(words, numbers)
    }

    /// The head of a table, and the beginning of its rows.
    pub fn table_head(&mut self, words: &[&'static str], numbers: &[&'static str]) -> &mut Self {
        self.raw("<thead><tr>");
        for name in words {
            self.raw("<th scope=\"col\">").raw(name).raw("</th>");
        }
        for name in numbers {
            self.raw("<th scope=\"col\" class=\"num\">").raw(name).raw("</th>");
        }
        self.raw("</tr></thead><tbody>")
    }

    /// A row of a name and numbers.
    pub fn row(&mut self, name: impl Display, numbers: &[String]) -> &mut Self {
        self.raw("<tr><th scope=\"row\">").text(name).raw("</th>");
        for number in numbers {
            self.raw("<td class=\"num\">").text(number).raw("</td>");
        }
        self.raw("</tr>")
    }

    /// Ends a table.
    pub fn end_table(&mut self) -> &mut Self {
        self.raw("</tbody></table>")
    }

    /// Ends a card.
    pub fn end_card(&mut self) {
        self.raw("</section>");
    }

    /// Says why there is nothing to be seen, and ends the card.
    pub fn end_empty(&mut self, why: &'static str) {
        self.raw("<p class=\"empty\">").raw(why).raw("</p>").end_card();
    }

    /// The markup.
    pub fn into_markup(self) -> String {
        self.0
    }
}

/// A text in which nothing means something to HTML, be it between tags or in quotes.
pub fn escaped(text: &str) -> String {
    let mut markup = String::with_capacity(text.len());
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
    markup
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
