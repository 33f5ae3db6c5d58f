//! The text format that everything that scrapes Prometheus metrics reads, version 0.0.4.
//!
//! The library writes OpenMetrics, which tells a counter's type by its name without `_total` and has
//! types of its own; parsers of the older format refuse those, or take such a counter for untyped.

/// What the format calls itself.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The same numbers: samples stay as they are, what describes them is told in the older way.
pub fn from_open_metrics(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            // A sample without labels; the library writes the empty set of them.
            push(&mut plain, &[&line.replacen("{} ", " ", 1)]);
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("HELP"), Some(_), said) => help = said,
            (Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    other => ("", other),
                };
                if let Some(help) = help.take() {
                    push(&mut plain, &["# HELP ", name, suffix, " ", help]);
                }
                push(&mut plain, &["# TYPE ", name, suffix, " ", kind]);
            }
            _ => {}
        }
    }
    plain
}

fn push(text: &mut String, words: &[&str]) {
    text.extend(words.iter().copied());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_described_by_the_name_of_its_samples() {
        let open = "# HELP r Requests.\n# TYPE r counter\nr_total{kind=\"a b\"} 1\n\
                    # HELP age Age.\n# TYPE age gauge\n# UNIT age seconds\nage 0.5\n\
                    # HELP b What runs.\n# TYPE b info\nb_info{version=\"1\"} 1\n# EOF\n";
        let plain = "# HELP r_total Requests.\n# TYPE r_total counter\nr_total{kind=\"a b\"} 1\n\
                     # HELP age Age.\n# TYPE age gauge\nage 0.5\n\
                     # HELP b_info What runs.\n# TYPE b_info gauge\nb_info{version=\"1\"} 1\n";
        assert_eq!(from_open_metrics(open), plain);
    }
}
