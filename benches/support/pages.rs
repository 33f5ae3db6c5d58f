//! Pages of `GET /videos` in the API's format, identical in every run.

use std::fmt::Write as _;

/// Rows per page.
pub const PAGE_ROWS: usize = 200;
/// Earliest `added_at`, Unix seconds.
const EPOCH_S: i64 = 1_780_000_000;

/// Renders the bodies of all pages; [`cursor`] gives the cursor of page `n`.
pub fn render(rows: usize) -> Vec<String> {
    let pages = rows.div_ceil(PAGE_ROWS);
    (0..pages).map(|page| render_page(page, pages, rows)).collect()
}

/// Returns the opaque cursor of a page.
pub fn cursor(page: usize) -> String {
    format!("eyJ2IjoxLCJrIjoi{:016x}In0", mix(page as u64))
}

fn render_page(page: usize, pages: usize, rows: usize) -> String {
    let mut body = String::with_capacity(PAGE_ROWS * 1_500);
    body.push_str(r#"{"data":["#);
    for n in page * PAGE_ROWS..rows.min((page + 1) * PAGE_ROWS) {
        if n > page * PAGE_ROWS {
            body.push(',');
        }
        push_video(&mut body, n as u64);
    }
    let next = match page + 1 < pages {
        true => format!(r#""{}""#, cursor(page + 1)),
        false => "null".to_owned(),
    };
    let _ = write!(
        body,
        r#"],"pagination":{{"limit":200,"has_next":{},"next_cursor":{next},"total_count":{rows}}},"filters":{{"order_by":"added_at","order_direction":"asc","platform":null,"is_active":null}}}}"#,
        page + 1 < pages,
    );
    body
}

/// Appends a video with every documented member, about 1.4 KB.
fn push_video(body: &mut String, n: u64) {
    let chance = mix(n);
    let views = chance % 4_000_000;
    let (id, account) = (uuid(n), uuid((1 << 40) | (chance % 500)));
    let (external, user) = (7_300_000_000_000_000_000 + n, chance % 500);
    let added = instant(EPOCH_S + n as i64 * 7);
    let scraped = instant(EPOCH_S + 9_000_000 + (chance % 86_400) as i64);
    let signature = format!("{:016x}{:016x}", mix(chance), mix(chance ^ 1));
    let media = format!("https://media.example.com/o/{account}/{external}");
    let original = format!(
        "https://p16-sign-va.tiktokcdn.example/obj/tos-maliva-p-0068/{signature}~tplv-noop"
    );
    let _ = write!(
        body,
        r##"{{"id":"{id}","external_id":"{external}","platform":"tiktok","type":"video","shortcode":null,"is_active":true,"scrape_interval_hours":24,"metadata":{{"campaign":"autumn-{campaign}","market":"de","cost_center":"4711"}},"added_at":"{added}","updated_at":"{scraped}","first_scrape_time":"{added}","last_scrape_time":"{scraped}","description":"How we packed {views} orders before noon \ud83d\udce6 day {n} of building a small shop on our own #smallbusiness #packing #asmr\nlink in bio","create_time":"{added}","media_type":"video","duration":{duration}.{tenth},"is_unavailable":false,"cover_image_url":"{media}/cover.jpg?x-expires=1781000000&x-signature={signature}","cover_image_url_original":"{original}.image?x-expires=1781000000&x-signature={signature}","video_url":"{media}/video.mp4?x-expires=1781000000&x-signature={signature}","video_url_original":"https://www.tiktok.com/@creator_{user}/video/{external}","view_count":{views},"like_count":{likes},"comment_count":{comments},"share_count":{shares},"play_count":{views},"saved_count":null,"total_views":{views},"total_plays":{views},"account_id":"{account}","account_username":"creator_{user}","platform_account_id":"6{user:018}","platform_data":{{"music_id":"{signature}","is_ad":false,"region":"DE"}}}}"##,
        campaign = chance % 12,
        duration = 8 + chance % 70,
        tenth = chance % 10,
        likes = views / 11,
        comments = views / 900,
        shares = views / 400,
    );
}

fn instant(at_s: i64) -> String {
    let at = creatormirror::model::Instant { seconds: at_s, nanos: 0 };
    at.to_text()
}

fn uuid(n: u64) -> uuid::Uuid {
    uuid::Uuid::from_u64_pair(mix(n), mix(!n))
}

/// Deterministic pseudo-random number (SplitMix64).
fn mix(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
