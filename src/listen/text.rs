//! Converts OpenMetrics to the Prometheus text format, version 0.0.4, which every scraper reads.
//!
//! `prometheus_client` writes OpenMetrics only. There a counter's metadata omits `_total`, and
//! there are types that parsers of the older format reject.

/// `Content-Type` of the Prometheus text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Converts OpenMetrics text. Samples stay as they are; only `HELP` and `TYPE` lines change.
pub fn from_open_metrics(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            // A sample. The library writes empty braces if it has no labels.
            push_line(&mut plain, &[&line.replacen("{} ", " ", 1)]);
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("HELP"), Some(_), text) => help = text,
            (Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    other => ("", other),
                };
                if let Some(help) = help.take() {
                    push_line(&mut plain, &["# HELP ", name, suffix, " ", help]);
                }
                push_line(&mut plain, &["# TYPE ", name, suffix, " ", kind]);
            }
            _ => {}
        }
    }
    plain
}

fn push_line(text: &mut String, words: &[&str]) {
    text.extend(words.iter().copied());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_names_the_samples() {
        let open = "# HELP r Requests.\n# TYPE r counter\nr_total{kind=\"a b\"} 1\n\
                    # HELP age Age.\n# TYPE age gauge\n# UNIT age seconds\nage 0.5\n\
                    # HELP b What runs.\n# TYPE b info\nb_info{version=\"1\"} 1\n# EOF\n";
        let plain = "# HELP r_total Requests.\n# TYPE r_total counter\nr_total{kind=\"a b\"} 1\n\
                     # HELP age Age.\n# TYPE age gauge\nage 0.5\n\
                     # HELP b_info What runs.\n# TYPE b_info gauge\nb_info{version=\"1\"} 1\n";
        assert_eq!(from_open_metrics(open), plain);
    }
}
