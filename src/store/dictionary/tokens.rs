//! A script cut into words, symbols and comments: as much of SQL as it takes to find comments and
//! what they stand before.

/// A piece of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'s> {
    /// A `--` comment, without its dashes.
    Comment(&'s str),
    /// One or more empty lines.
    Gap,
    /// A name, a keyword or a number.
    Word(&'s str),
    /// A text in single quotes.
    Text,
    /// Anything else.
    Symbol(char),
}

impl Token<'_> {
    /// Whether it is this word.
    pub fn is_word(&self, word: &str) -> bool {
        *self == Token::Word(word)
    }

    /// By how much it takes what follows deeper into brackets.
    pub fn nesting(&self) -> i32 {
        match self {
            Self::Symbol('(') => 1,
            Self::Symbol(')') => -1,
            _ => 0,
        }
    }
}

/// The pieces of a script.
pub fn of(script: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = script;
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '-' if rest.starts_with("--") => {
                let line = rest.split('\n').next().unwrap_or(rest);
                (Some(Token::Comment(line.trim_start_matches('-').trim())), line.len())
            }
            // A quote within is doubled, which reads as two texts side by side: no matter here.
            '\'' => {
                let inside = rest.get(1..).unwrap_or_default();
                (Some(Token::Text), inside.find('\'').map_or(rest.len(), |end| end + 2))
            }
            _ if first.is_whitespace() => {
                let end = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
                let lines = rest.get(..end).unwrap_or_default().matches('\n').count();
                ((lines > 1).then_some(Token::Gap), end)
            }
            _ if is_of_a_word(first) => {
                let end = rest.find(|c| !is_of_a_word(c)).unwrap_or(rest.len());
                (rest.get(..end).map(Token::Word), end)
            }
            _ => (Some(Token::Symbol(first)), first.len_utf8()),
        };
        tokens.extend(token);
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_cut_into_words_symbols_and_comments() {
        let script = "-- It's one;\n\nSELECT a_1.b, 'x--''y' -- end";
        assert_eq!(
            of(script),
            [
                Token::Comment("It's one;"),
                Token::Gap,
                Token::Word("SELECT"),
                Token::Word("a_1"),
                Token::Symbol('.'),
                Token::Word("b"),
                Token::Symbol(','),
                Token::Text,
                Token::Text,
                Token::Comment("end"),
            ]
        );
        assert_eq!(of("'open"), [Token::Text]);
        assert_eq!(of("é-"), [Token::Word("é"), Token::Symbol('-')]);
    }
}
