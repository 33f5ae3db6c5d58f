//! Parses the identifier of a post: a URL, a numeric id or a shortcode. Pure.
//!
//! The API resolves these itself. They are parsed the same way here, so that an invalid one is rejected
//! before it is queued, and so that reconciliation finds the post among the videos.

use url::Url;

use crate::outbox::body::quoted;

/// Hosts with posts; other hosts of the platforms are shops, help pages and the like.
const POST_HOSTS: [&str; 8] = [
    "instagram.com",
    "www.instagram.com",
    "m.instagram.com",
    "instagr.am",
    "www.instagr.am",
    "tiktok.com",
    "www.tiktok.com",
    "m.tiktok.com",
];
/// First path segments of Instagram that are not user names.
const INSTAGRAM_SECTIONS: [&str; 18] = [
    "about",
    "accounts",
    "audio",
    "challenge",
    "create",
    "direct",
    "directory",
    "explore",
    "legal",
    "live",
    "music",
    "p",
    "reel",
    "reels",
    "s",
    "share",
    "stories",
    "tv",
];
/// Shortest shortcode of a video.
const REEL_CODE_CHARS_MIN: usize = 10;
/// Shortcodes up to this length encode the post's number; longer ones, of private posts, hold more.
const CODE_CHARS_NUMBER: usize = 11;
/// Length of a shortcode.
const CODE_CHARS: std::ops::RangeInclusive<usize> = 5..=48;
/// The base-64 digits of a shortcode.
const CODE_DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Instagram.
    Instagram,
    /// TikTok.
    Tiktok,
}

impl Platform {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instagram => "instagram",
            Self::Tiktok => "tiktok",
        }
    }

    /// Parses a name in any case.
    pub fn from_name(name: &str) -> Result<Self, String> {
        match name.trim().to_lowercase().as_str() {
            "instagram" => Ok(Self::Instagram),
            "tiktok" => Ok(Self::Tiktok),
            other => Err(format!("unknown platform {}; use instagram or tiktok", quoted(other))),
        }
    }
}

/// A post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Its platform.
    pub platform: Platform,
    /// Its numeric id on the platform.
    pub number: Option<u64>,
    /// Its shortcode (Instagram only).
    pub code: Option<String>,
}

impl Post {
    /// A name that is the same for all identifiers of a post.
    pub fn name(&self) -> String {
        match (self.number, &self.code) {
            (Some(number), _) => number.to_string(),
            (None, code) => code.clone().unwrap_or_default(),
        }
    }

    /// Whether a video with these members is this post.
    pub fn is(
        &self,
        platform: Option<&str>,
        external_id: Option<&str>,
        shortcode: Option<&str>,
    ) -> bool {
        if platform.is_some_and(|platform| platform != self.platform.name()) {
            return false;
        }
        // On Instagram the owner's id may follow after an underscore.
        let number = external_id.map(|id| id.split('_').next().unwrap_or(id));
        let by_number = self.number.is_some_and(|mine| number == Some(mine.to_string().as_str()));
        let by_code = self.code.is_some() && self.code.as_deref() == shortcode;
        by_number || by_code
    }
}

/// Parses an identifier; the error says why it is invalid. Without a platform it must be a URL.
pub fn resolve(platform: Option<Platform>, identifier: &str) -> Result<Post, String> {
    let identifier = identifier.trim();
    if identifier.is_empty() {
        return Err("the identifier of the post is empty".to_owned());
    }
    if let Some(url) = as_url(identifier) {
        let url = Url::parse(&url).map_err(|_| format!("{} is not a URL", quoted(identifier)))?;
        let found = from_url(&url)?;
        return match platform {
            Some(platform) if platform != found.platform => Err(format!(
                "{} is a post on {}, not on {}",
                quoted(identifier),
                found.platform.name(),
                platform.name()
            )),
            _ => Ok(found),
        };
    }
    let Some(platform) = platform else {
        return Err(format!(
            "{} does not say which platform it is on; give the platform or the post's URL",
            quoted(identifier)
        ));
    };
    if identifier.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = identifier.parse().ok().filter(|number| *number > 0);
        let number =
            number.ok_or_else(|| format!("{} is not the number of a post", quoted(identifier)))?;
        return Ok(from_number(platform, number));
    }
    match platform {
        Platform::Instagram => from_code(identifier),
        Platform::Tiktok => Err(format!(
            "{} is neither a URL nor a number of a post; tiktok has no shortcodes",
            quoted(identifier)
        )),
    }
}

/// Returns the identifier as a URL, if it is one. The scheme may be missing, as browsers copy it.
pub fn as_url(identifier: &str) -> Option<String> {
    let lower = identifier.to_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return Some(identifier.to_owned());
    }
    let host = lower.split('/').next().unwrap_or_default();
    let is_known_host = lower.contains('/') && platform_of(host).is_some();
    is_known_host.then(|| format!("https://{identifier}"))
}

/// The platform of a host.
pub(super) fn platform_of(host: &str) -> Option<Platform> {
    let is = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
    if is("instagram.com") || is("instagr.am") {
        Some(Platform::Instagram)
    } else if is("tiktok.com") {
        Some(Platform::Tiktok)
    } else {
        None
    }
}

/// Accepts only paths that are known to be posts. Others can look alike: `audio` in `/reels/audio/1/` could
/// be a shortcode.
fn from_url(url: &Url) -> Result<Post, String> {
    let host = url.host_str().unwrap_or_default();
    let platform = platform_of(host)
        .ok_or_else(|| format!("{} is neither instagram.com nor tiktok.com", quoted(host)))?;
    // It would be sent to the API as it is.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL of a post has a user name or a password before its host".to_owned());
    }
    let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    if is_short_link(platform, host, &parts) {
        return Err(format!(
            "{} is a short link, which does not name the post; open it and give the address it redirects to",
            quoted(url.as_str())
        ));
    }
    let post = match platform {
        _ if !POST_HOSTS.contains(&host) => None,
        Platform::Instagram => instagram_post(&parts),
        Platform::Tiktok => tiktok_post(&parts),
    };
    post.ok_or_else(|| {
        let what = other_page(platform, host, &parts);
        let what = what.map(|what| format!(": it is {what}")).unwrap_or_default();
        format!("{} is not the URL of a post{what}", quoted(url.as_str()))
    })
}

fn is_short_link(platform: Platform, host: &str, parts: &[&str]) -> bool {
    match platform {
        Platform::Tiktok => {
            matches!(host, "vm.tiktok.com" | "vt.tiktok.com") || parts.first() == Some(&"t")
        }
        Platform::Instagram => parts.first() == Some(&"share"),
    }
}

/// `/p/CODE` or `/USER/p/CODE`, and the pages that belong to one post.
fn instagram_post(parts: &[&str]) -> Option<Post> {
    let (section, code, rest) = match parts {
        [section @ ("p" | "reel" | "reels" | "tv"), code, rest @ ..] => (*section, *code, rest),
        [user, section @ ("p" | "reel" | "reels" | "tv"), code, rest @ ..]
            if is_username(Platform::Instagram, user) =>
        {
            (*section, *code, rest)
        }
        _ => return None,
    };
    let is_of_one_post = matches!(rest, [] | ["embed", ..] | ["c", ..] | ["comments" | "liked_by"]);
    let is_too_short = section != "p" && code.len() < REEL_CODE_CHARS_MIN;
    if !is_of_one_post || is_too_short {
        return None;
    }
    from_code(code).ok()
}

fn tiktok_post(parts: &[&str]) -> Option<Post> {
    let number = match parts {
        [user, "video" | "photo", id] if user.starts_with('@') => id,
        ["v", id] => id.trim_end_matches(".html"),
        ["embed", id] | ["embed", "v2", id] | ["player", "v1", id] => id,
        _ => return None,
    };
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|number| is_number && *number > 0)?;
    Some(from_number(Platform::Tiktok, number))
}

/// Describes a page that is not a post.
fn other_page(platform: Platform, host: &str, parts: &[&str]) -> Option<&'static str> {
    if !POST_HOSTS.contains(&host) {
        return Some("on a host that has no posts");
    }
    match (platform, parts) {
        (Platform::Instagram, ["reels" | "reel", "audio", ..] | ["audio" | "music", ..])
        | (Platform::Tiktok, ["music", ..]) => Some("a sound"),
        (Platform::Instagram, ["explore", "tags", ..])
        | (Platform::Tiktok, ["tag" | "discover" | "channel", ..]) => Some("a hashtag or a topic"),
        (Platform::Instagram, ["explore", "locations", ..])
        | (Platform::Tiktok, ["place" | "poi", ..]) => Some("a place"),
        (Platform::Instagram, ["stories", "highlights", ..] | ["s", ..]) => Some("a highlight"),
        (Platform::Instagram, ["stories", ..]) | (Platform::Tiktok, [_, "story", ..]) => {
            Some("a story")
        }
        (_, ["live", ..] | [_, "live", ..]) => Some("a live stream"),
        (Platform::Tiktok, [_, "playlist" | "collection", ..]) => Some("a playlist"),
        (Platform::Tiktok, ["sticker" | "effect", ..]) => Some("an effect"),
        (Platform::Tiktok, [user, ..]) if user.starts_with('@') => Some("a profile"),
        (Platform::Instagram, [user] | [user, "reels" | "tagged" | "channel" | "guides"])
            if is_username(Platform::Instagram, user) =>
        {
            Some("a profile")
        }
        _ => None,
    }
}

/// Whether a user of this platform may have this name.
pub(super) fn is_username(platform: Platform, text: &str) -> bool {
    !(platform == Platform::Instagram && INSTAGRAM_SECTIONS.contains(&text))
        && (1..=30).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
}

fn from_number(platform: Platform, number: u64) -> Post {
    let code = (platform == Platform::Instagram).then(|| code_of(number));
    Post { platform, number: Some(number), code }
}

fn from_code(code: &str) -> Result<Post, String> {
    let is_code =
        CODE_CHARS.contains(&code.len()) && code.bytes().all(|byte| CODE_DIGITS.contains(&byte));
    if !is_code {
        return Err(format!(
            "{} is neither a URL, a number nor a shortcode of a post",
            quoted(code)
        ));
    }
    let number = (code.len() <= CODE_CHARS_NUMBER).then(|| number_of(code)).flatten();
    Ok(Post { platform: Platform::Instagram, number, code: Some(code.to_owned()) })
}

/// Decodes a shortcode.
fn number_of(code: &str) -> Option<u64> {
    let mut number = 0_u64;
    for byte in code.bytes() {
        let digit = CODE_DIGITS.iter().position(|digit| *digit == byte)?;
        number = number.checked_mul(64)?.checked_add(digit as u64)?;
    }
    (number > 0).then_some(number)
}

/// Encodes a number as a shortcode.
fn code_of(mut number: u64) -> String {
    let mut code = Vec::new();
    while number > 0 {
        // The index is below 64.
        code.push(char::from(CODE_DIGITS[(number % 64) as usize]));
        number /= 64;
    }
    code.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_identifiers_of_a_post_have_one_name() {
        let number = 3_141_592_653_589_793_238;
        let code = code_of(number);
        for identifier in [
            number.to_string(),
            code.clone(),
            format!("https://www.instagram.com/reel/{code}/?igsh=1"),
            format!("https://instagram.com/p/{code}"),
            format!("instagram.com/someone/reel/{code}/"),
            format!("  HTTPS://www.instagram.com/tv/{code}/embed "),
        ] {
            let post = resolve(Some(Platform::Instagram), &identifier).unwrap();
            assert_eq!(post.name(), number.to_string(), "{identifier}");
            assert!(post.is(Some("instagram"), None, Some(&code)));
            assert!(post.is(Some("instagram"), Some(&format!("{number}_17")), None));
            assert!(!post.is(Some("tiktok"), Some(&number.to_string()), None));
        }
        for identifier in [
            "https://www.tiktok.com/@luna/video/7300000000000000001?lang=en",
            "https://m.tiktok.com/v/7300000000000000001.html",
            "www.tiktok.com/@luna/photo/7300000000000000001",
            "https://www.tiktok.com/embed/v2/7300000000000000001",
        ] {
            let post = resolve(None, identifier).unwrap();
            assert_eq!(
                (post.platform, post.name().as_str()),
                (Platform::Tiktok, "7300000000000000001")
            );
        }
        let private =
            resolve(None, "https://www.instagram.com/p/C8abcDEF123aBcDeFgHiJkLmNoP/").unwrap();
        assert_eq!(private.number, None);
        assert!(private.is(None, None, Some("C8abcDEF123aBcDeFgHiJkLmNoP")));
    }

    #[test]
    fn rejects_other_identifiers_with_the_reason() {
        let cases = [
            (None, "7300000000000000001", "does not say which platform"),
            (None, "https://vm.tiktok.com/ZM8abc/", "short link"),
            (None, "https://www.tiktok.com/t/ZM8abc/", "short link"),
            (None, "https://www.tiktok.com/@luna", "not the URL of a post"),
            (None, "https://www.tiktok.com/@luna/video/+7300000000000000001", "not the URL of a"),
            (None, "https://www.instagram.com/luna/", "not the URL of a post"),
            (None, "https://example.com/p/C8abcDEF123", "neither instagram.com nor tiktok.com"),
            (None, "https://me:secret@www.instagram.com/p/C8abcDEF123", "user name or a password"),
            (Some(Platform::Tiktok), "C8abcDEF123", "no shortcodes"),
            (
                Some(Platform::Tiktok),
                "https://www.instagram.com/p/C8abcDEF123",
                "on instagram, not on tiktok",
            ),
            (Some(Platform::Instagram), "hello!", "neither a URL"),
            (Some(Platform::Instagram), "0", "not the number"),
            (Some(Platform::Instagram), " ", "is empty"),
            (Some(Platform::Instagram), "99999999999999999999999", "not the number"),
        ];
        for (platform, identifier, reason) in cases {
            let error = resolve(platform, identifier).unwrap_err();
            assert!(error.contains(reason), "{identifier}: {error}");
        }
    }

    /// Pages that are not posts, and how they are described.
    const OTHER_PAGES: [(&str, &str); 43] = [
        ("https://www.instagram.com/reels/audio/1234567890/", "a sound"),
        ("https://www.instagram.com/reels/audio/", "a sound"),
        ("https://www.instagram.com/reel/audio/C8abcDEF123/", "a sound"),
        ("instagram.com/audio/1234567890/", "a sound"),
        ("https://www.instagram.com/music/C8abcDEF123/", "a sound"),
        ("https://www.instagram.com/explore/tags/cooking/", "a hashtag"),
        ("https://www.instagram.com/explore/locations/213385402/london/", "a place"),
        ("https://www.instagram.com/explore/reels/C8abcDEF123/", ""),
        ("https://www.instagram.com/explore/", ""),
        ("https://www.instagram.com/stories/luna/3141592653589793238/", "a story"),
        ("https://www.instagram.com/stories/reel/3141592653589793238/", "a story"),
        ("https://www.instagram.com/stories/p/C8abcDEF123/", "a story"),
        ("https://www.instagram.com/stories/highlights/17900000000000000/", "a highlight"),
        ("https://www.instagram.com/s/aGlnaGxpZ2h0OjE3OTAw/", "a highlight"),
        ("https://www.instagram.com/luna/live/", "a live stream"),
        ("https://www.instagram.com/luna/live/17900000000000000/", "a live stream"),
        ("https://www.instagram.com/luna/", "a profile"),
        ("https://www.instagram.com/luna/reels/", "a profile"),
        ("https://www.instagram.com/luna/tagged/", "a profile"),
        ("https://www.instagram.com/luna/reels/popular/", ""),
        ("https://www.instagram.com/reels/", ""),
        ("https://www.instagram.com/reels/trending/", ""),
        ("https://www.instagram.com/reel/videos/C8abcDEF123/", ""),
        ("https://www.instagram.com/p/", ""),
        ("https://www.instagram.com/p/C8abcDEF123/more/", ""),
        ("https://www.instagram.com/direct/p/C8abcDEF123/", ""),
        ("https://www.instagram.com/", ""),
        ("https://help.instagram.com/p/C8abcDEF123/", "on a host that has no posts"),
        ("https://about.instagram.com/reel/C8abcDEF123/", "on a host that has no posts"),
        ("https://www.tiktok.com/music/original-sound-7300000000000000001", "a sound"),
        ("https://www.tiktok.com/tag/cooking", "a hashtag"),
        ("https://www.tiktok.com/discover/cooking", "a hashtag"),
        ("https://www.tiktok.com/place/London-22535865202271300", "a place"),
        ("https://www.tiktok.com/@luna/story/7300000000000000001", "a story"),
        ("https://www.tiktok.com/@luna/live", "a live stream"),
        ("https://www.tiktok.com/live/7300000000000000001", "a live stream"),
        ("https://www.tiktok.com/@luna/playlist/best-7300000000000000001", "a playlist"),
        ("https://www.tiktok.com/sticker/glow-7300000", "an effect"),
        ("https://www.tiktok.com/@luna", "a profile"),
        ("https://www.tiktok.com/luna/video/7300000000000000001", ""),
        ("https://www.tiktok.com/foryou", ""),
        ("https://www.tiktok.com/search/video?q=7300000000000000001", ""),
        ("https://shop.tiktok.com/@luna/video/7300000000000000001", "on a host that has no posts"),
    ];

    #[test]
    fn rejects_pages_that_are_not_posts() {
        for (url, what) in OTHER_PAGES {
            for platform in [None, Some(Platform::Instagram), Some(Platform::Tiktok)] {
                let error = resolve(platform, url).unwrap_err();
                assert!(error.contains("is not the URL of a post"), "{url}: {error}");
                assert!(error.contains(what), "{url}: {error}");
            }
        }
        for url in [
            "https://www.instagram.com/luna/reel/C8abcDEF123/",
            "https://www.instagram.com/p/C8abcDEF123/embed/captioned/",
            "https://www.instagram.com/p/C8abcDEF123/c/17900000000000000/",
            "https://instagr.am/p/C8abcDEF123",
        ] {
            assert_eq!(resolve(None, url).unwrap().code.as_deref(), Some("C8abcDEF123"), "{url}");
        }
    }

    #[test]
    fn quoted_identifiers_are_bounded() {
        let long = "x".repeat(5_000_000);
        for identifier in [
            long.clone(),
            format!("https://www.instagram.com/{long}"),
            format!("https://{long}.example/p/C8abcDEF123"),
            format!("instagram.com/p/{long}"),
            "7".repeat(5_000_000),
        ] {
            for platform in [None, Some(Platform::Instagram), Some(Platform::Tiktok)] {
                let error = resolve(platform, &identifier).unwrap_err();
                assert!(error.len() < 1_000, "{} characters", error.len());
            }
        }
    }

    proptest! {
        /// Only the known forms are posts, with nothing before, after or in place of them.
        #[test]
        fn rejects_any_other_path(
            first in "[a-z]{1,12}", second in "[a-z]{1,9}", third in "[A-Za-z0-9_-]{5,20}",
        ) {
            prop_assume!(!matches!(first.as_str(), "p" | "reel" | "reels" | "tv" | "v" | "embed" | "player"));
            prop_assume!(!matches!(second.as_str(), "p" | "reel" | "reels" | "tv"));
            for path in [
                first.clone(),
                format!("{first}/{third}"),
                format!("{first}/{second}/{third}"),
                format!("explore/{second}/{third}"),
                format!("stories/p/{third}"),
                format!("reels/{second}/"),
                format!("reels/{second}/{third}"),
                format!("p/{third}/{second}x"),
                format!("@{first}/{second}x/7300000000000000001"),
            ] {
                for host in ["instagram.com", "www.tiktok.com"] {
                    let url = format!("https://{host}/{path}");
                    prop_assert!(resolve(None, &url).is_err(), "{}", url);
                }
            }
        }

        #[test]
        fn number_and_shortcode_are_one_post(number in 20_000_000_u64..) {
            let code = code_of(number);
            prop_assert_eq!(number_of(&code), Some(number));
            let by_code = resolve(Some(Platform::Instagram), &format!("https://instagram.com/p/{code}")).unwrap();
            prop_assert_eq!(by_code.name(), number.to_string());
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = resolve(None, &text);
            let _ = resolve(Some(Platform::Instagram), &text);
            let _ = resolve(Some(Platform::Tiktok), &format!("https://tiktok.com/{text}"));
        }
    }
}
