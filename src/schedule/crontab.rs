//! Parses the fields of a crontab(5) line and formats them for the `cron` crate.
//!
//! That crate has a field for seconds, counts Sunday as 1 and reads some texts differently from
//! crontab(5). So each field is parsed into a set of numbers here, and the crate only sees lists of
//! numbers.

use std::collections::BTreeSet;

use chrono::{Month, Weekday};

use crate::model::named::named;

/// An invalid field.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldError {
    pub field: Field,
    pub text: String,
    pub reason: String,
}

named! {
    /// One of the five fields, in their order.
    pub enum Field {
        /// 0 to 59.
        Minute = "minute",
        /// 0 to 23.
        Hour = "hour",
        /// 1 to 31.
        DayOfMonth = "day of month",
        /// 1 to 12, or a name.
        Month = "month",
        /// 0 to 7, or a name; 0 and 7 are Sunday.
        DayOfWeek = "day of week",
    }
}

/// The numbers of a field (Sunday is 0), and whether its text begins with `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    pub numbers: BTreeSet<u32>,
    pub starred: bool,
}

impl Field {
    /// The least and the greatest valid number.
    const fn bounds(self) -> (u32, u32) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// Parses one field: a list of `*`, numbers, names and ranges; `*` and ranges may have steps.
    pub fn parse(self, text: &str) -> Result<Values, FieldError> {
        let mut numbers = BTreeSet::new();
        for item in text.split(',') {
            self.item(item, &mut numbers).map_err(|reason| FieldError {
                field: self,
                text: text.to_owned(),
                reason,
            })?;
        }
        Ok(Values { numbers, starred: text.starts_with('*') })
    }

    /// Formats the numbers as a field of the `cron` crate.
    pub fn for_crate(self, numbers: &BTreeSet<u32>) -> String {
        let (low, high) = self.bounds();
        let (high, shift) = if self == Self::DayOfWeek { (6, 1) } else { (high, 0) };
        if (low..=high).all(|number| numbers.contains(&number)) {
            return "*".to_owned();
        }
        let list: Vec<String> =
            numbers.iter().map(|number| number.saturating_add(shift).to_string()).collect();
        list.join(",")
    }

    fn item(self, item: &str, numbers: &mut BTreeSet<u32>) -> Result<(), String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (item, None),
        };
        let (low, high) = self.bounds();
        let (start, end) = if range == "*" {
            (low, if self == Self::DayOfWeek { 6 } else { high })
        } else if let Some((start, end)) = range.split_once('-') {
            self.ends(self.number(start)?, self.number(end)?)?
        } else if step.is_some() {
            return Err(format!(
                "a step needs a range before it, as in `{range}-{high}/{}`",
                step.unwrap_or(1)
            ));
        } else {
            let number = self.number(range)?;
            (number, number)
        };
        let every = usize::try_from(step.unwrap_or(1)).unwrap_or(usize::MAX);
        numbers.extend((start..=end).step_by(every).map(|number| match self {
            Self::DayOfWeek => number % 7,
            _ => number,
        }));
        Ok(())
    }

    /// Checks a range. One of days of the week may cross the end of the week.
    fn ends(self, start: u32, end: u32) -> Result<(u32, u32), String> {
        match self {
            _ if start <= end => Ok((start, end)),
            Self::DayOfWeek => Ok((start, end.saturating_add(7))),
            _ => Err(format!("the range `{start}-{end}` runs backwards")),
        }
    }

    fn step(self, text: &str) -> Result<u32, String> {
        match whole_number(text) {
            Some(step) if step > 0 => Ok(step),
            _ => Err(format!("`{text}` is not a step; a step is a whole number above 0")),
        }
    }

    fn number(self, text: &str) -> Result<u32, String> {
        let (low, high) = self.bounds();
        let number = self.named(text).or_else(|| whole_number(text));
        match number {
            Some(number) if (low..=high).contains(&number) => Ok(number),
            _ => Err(format!("`{text}` is not {low} to {high}{}", self.names_hint())),
        }
    }

    fn named(self, text: &str) -> Option<u32> {
        match self {
            Self::Month => text.parse::<Month>().ok().map(|month| month.number_from_month()),
            Self::DayOfWeek => text.parse::<Weekday>().ok().map(|day| day.num_days_from_sunday()),
            _ => None,
        }
    }

    const fn names_hint(self) -> &'static str {
        match self {
            Self::Month => " or a name (jan to dec)",
            Self::DayOfWeek => " or a name (sun to sat)",
            _ => "",
        }
    }
}

/// Digits only: `u32::from_str` alone would also take a leading `+`.
fn whole_number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(field: Field, text: &str) -> Vec<u32> {
        field.parse(text).unwrap().numbers.into_iter().collect()
    }

    #[test]
    fn parses_lists_ranges_and_steps() {
        assert_eq!(numbers(Field::Minute, "*/15"), [0, 15, 30, 45]);
        assert_eq!(numbers(Field::Minute, "10-50/20"), [10, 30, 50]);
        assert_eq!(numbers(Field::Hour, "23,1-3,2"), [1, 2, 3, 23]);
        assert_eq!(numbers(Field::Month, "JAN,Mar-may,12"), [1, 3, 4, 5, 12]);
        assert_eq!(numbers(Field::DayOfMonth, "*/40"), [1]);
    }

    #[test]
    fn sunday_is_0_and_7_and_ranges_cross_the_week() {
        assert_eq!(numbers(Field::DayOfWeek, "7"), [0]);
        assert_eq!(numbers(Field::DayOfWeek, "0"), [0]);
        assert_eq!(numbers(Field::DayOfWeek, "5-7"), [0, 5, 6]);
        assert_eq!(numbers(Field::DayOfWeek, "fri-sun"), [0, 5, 6]);
        assert_eq!(numbers(Field::DayOfWeek, "sat-tue/2"), [1, 6]);
        assert_eq!(numbers(Field::DayOfWeek, "7-1"), [0, 1]);
        assert_eq!(numbers(Field::DayOfWeek, "0-7").len(), 7);
        assert_eq!(numbers(Field::DayOfWeek, "Monday"), [1]);
    }

    #[test]
    fn formats_days_as_the_crate_counts_them() {
        let days = Field::DayOfWeek.parse("fri-sun").unwrap().numbers;
        assert_eq!(Field::DayOfWeek.for_crate(&days), "1,6,7");
        let all = Field::DayOfWeek.parse("1-7").unwrap().numbers;
        assert_eq!(Field::DayOfWeek.for_crate(&all), "*");
        let hours = Field::Hour.parse("4,5").unwrap().numbers;
        assert_eq!(Field::Hour.for_crate(&hours), "4,5");
    }

    #[test]
    fn rejects_invalid_crontab_fields() {
        for (field, text) in [
            (Field::Minute, "60"),
            (Field::Minute, ""),
            (Field::Minute, "+5"),
            (Field::Minute, "5/15"),
            (Field::Minute, "*/0"),
            (Field::Minute, "1,,2"),
            (Field::Hour, "22-4"),
            (Field::Hour, "1-2-3"),
            (Field::DayOfMonth, "0"),
            (Field::DayOfMonth, "L"),
            (Field::DayOfMonth, "?"),
            (Field::Month, "13"),
            (Field::Month, "ja"),
            (Field::DayOfWeek, "8"),
            (Field::DayOfWeek, "mon#2"),
        ] {
            let error = field.parse(text).unwrap_err();
            assert_eq!((error.field, error.text.as_str()), (field, text));
        }
    }
}
