//! HTML builder that escapes by default: only string literals of this program are markup.

use std::fmt::Display;

use crate::model::shown::printable;

/// Longest API text that is shown, characters.
const CHARS_MAX: usize = 120;

/// A piece of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Wraps markup that contains no text from the API.
    pub const fn trusted(markup: String) -> Self {
        Self(markup)
    }

    /// Adds markup, which must be a literal of this program.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text of this program, escaped.
    pub fn text(&mut self, text: impl Display) -> &mut Self {
        self.0.push_str(&escaped(&text.to_string()));
        self
    }

    /// Adds text from the API: bounded, escaped, and isolated from the direction of the surrounding text.
    pub fn foreign(&mut self, text: &str) -> &mut Self {
        self.raw("<bdi>").text(printable(text, CHARS_MAX)).raw("</bdi>")
    }

    /// Adds another piece.
    pub fn piece(&mut self, piece: &Self) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// Opens a card. Content up to [`Self::end_head`] is placed beside its title.
    pub fn begin_card(&mut self, title: &'static str) -> &mut Self {
        self.raw("<section class=\"card\"><div class=\"head\"><h2>").raw(title).raw("</h2>")
    }

    /// Closes the head of a card.
    pub fn end_head(&mut self) -> &mut Self {
        self.raw("</div>")
    }

    /// Adds what the numbers of a card mean.
    pub fn definition(&mut self, text: &'static str) -> &mut Self {
        self.raw("<p class=\"definition\">").raw(text).raw("</p>")
    }

    /// Adds the names of a chart's series. Its last day is the present one.
    pub fn legend(&mut self, names: &[&'static str]) -> &mut Self {
        self.raw("<ul class=\"legend\">");
        for name in names {
            self.raw("<li>").raw(name).raw("</li>");
        }
        self.raw("<li>paler: today, so far</li></ul>")
    }

    /// Opens a table with text columns followed by number columns.
    pub fn begin_table(&mut self, words: &[&'static str], numbers: &[&'static str]) -> &mut Self {
        self.raw("<table>").table_head(words, numbers)
    }

    /// Adds the head of a table, and opens its body.
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

    /// Adds a row with a name and numbers.
    pub fn row(&mut self, name: impl Display, numbers: &[String]) -> &mut Self {
        self.raw("<tr><th scope=\"row\">").text(name).raw("</th>");
        for number in numbers {
            self.number(number);
        }
        self.raw("</tr>")
    }

    /// Adds a cell with a number.
    pub fn number(&mut self, number: &str) -> &mut Self {
        self.raw("<td class=\"num\">").text(number).raw("</td>")
    }

    /// Closes a table.
    pub fn end_table(&mut self) -> &mut Self {
        self.raw("</tbody></table>")
    }

    /// Closes a card.
    pub fn end_card(&mut self) {
        self.raw("</section>");
    }

    /// Adds the reason why there is no data, and closes the card.
    pub fn end_empty(&mut self, reason: &str) {
        self.raw("<p class=\"empty\">").text(reason).raw("</p>").end_card();
    }

    /// Returns the markup.
    pub fn into_markup(self) -> String {
        self.0
    }
}

/// Escapes text for use between tags or in quoted attributes.
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
    fn api_text_is_escaped() {
        let mut html = Html::default();
        html.raw("<p>").foreign("<script>alert('1')</script>\"&\u{202e}\n").raw("</p>");
        assert_eq!(
            html.into_markup(),
            "<p><bdi>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp; </bdi></p>"
        );
    }

    #[test]
    fn api_text_is_bounded() {
        let mut html = Html::default();
        html.foreign(&"a".repeat(10_000));
        assert!(html.into_markup().len() < 200);
    }
}
