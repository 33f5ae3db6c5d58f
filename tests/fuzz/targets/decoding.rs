//! Answers of the API: pages of lists, single resources and daily metrics.

#![no_main]

use bytes::Bytes;
use creatormirror::api::{Answer, Head, Item, Page, RateHeaders, Windowed};
use creatormirror::model::{Kind, Row};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|body: &[u8]| {
    let answer = Answer { head: head(), body: Bytes::copy_from_slice(body) };
    for kind in Kind::LISTS {
        if let Ok(page) = Page::read(kind, &[], &answer) {
            assert!(page.rows.len() + page.bad.len() <= 1_000);
            assert!(page.next_cursor.is_none_or(|cursor| !cursor.is_empty()));
            page.rows.iter().for_each(check);
        }
        if let Ok(item) = Item::read(kind, &answer) {
            check(&item.row);
            // It decodes to the same row again.
            let again = creatormirror::api::decode::row(kind, item.json.clone());
            assert_eq!(again.map(|row| row.fingerprint).ok(), Some(item.row.fingerprint));
        }
    }
    if let Ok(windowed) = Windowed::read("2026-11-20", &answer) {
        let _ = windowed.of("0197a1b2-0000-7000-8000-000000000001");
    }
});

fn check(row: &Row) {
    assert!(!row.id().is_empty());
    // Reads every text.
    assert!(row.values().all(|value| value.as_text().is_none_or(|text| text.len() <= 4 << 20)));
    if let Some(extra) = &row.extra {
        // A raw value may hold half of a surrogate pair, which is kept as it came.
        let raw: &RawValue = serde_json::from_str(extra).expect(extra);
        assert!(raw.get().starts_with('{'), "{extra}");
    }
}

fn head() -> Head {
    Head {
        status: 200,
        request_id: None,
        etag: None,
        location: None,
        content_type: String::new(),
        server_date: None,
        retry_after: None,
        rate: RateHeaders::default(),
    }
}
