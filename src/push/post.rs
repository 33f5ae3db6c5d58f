//! What people paste to name a post: URLs, numeric ids, shortcodes. Pure.
//!
//! The server resolves these by itself; here they are resolved the same way, so that what cannot be
//! a post is refused before it is queued, and so that a post can be found again among the videos.

use url::Url;

/// Shortcodes up to this length spell the number of the post; longer ones (of private posts) carry
/// more than that.
const CODE_CHARS_NUMBER: usize = 11;
/// Shorter or longer text is no shortcode.
const CODE_CHARS: std::ops::RangeInclusive<usize> = 5..=48;
/// The digits of a shortcode, in the order of their values.
const CODE_DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A platform whose posts can be told apart.
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

    /// The platform of this name, however it is written.
    pub fn from_name(name: &str) -> Result<Self, String> {
        match name.trim().to_lowercase().as_str() {
            "instagram" => Ok(Self::Instagram),
            "tiktok" => Ok(Self::Tiktok),
            other => Err(format!("`{other}` is no platform of the API; it is instagram or tiktok")),
        }
    }
}

/// A post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Where it is.
    pub platform: Platform,
    /// Its number there.
    pub number: Option<u64>,
    /// Its shortcode, on Instagram.
    pub code: Option<String>,
}

impl Post {
    /// One text for one post, however it was named.
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
        // Instagram's ids may carry the owner's behind an underscore.
        let number = external_id.map(|id| id.split('_').next().unwrap_or(id));
        let by_number = self.number.is_some_and(|mine| number == Some(mine.to_string().as_str()));
        let by_code = self.code.is_some() && self.code.as_deref() == shortcode;
        by_number || by_code
    }
}

/// Resolves what was pasted, or says why it names no post. Without a platform only a URL will do.
pub fn resolve(platform: Option<Platform>, pasted: &str) -> Result<Post, String> {
    let pasted = pasted.trim();
    if pasted.is_empty() {
        return Err("nothing was given that names a post".to_owned());
    }
    if let Some(url) = as_url(pasted) {
        let found = from_url(&Url::parse(&url).map_err(|_| format!("`{pasted}` is not a URL"))?)?;
        return match platform {
            Some(platform) if platform != found.platform => Err(format!(
                "`{pasted}` is a post on {}, not on {}",
                found.platform.name(),
                platform.name()
            )),
            _ => Ok(found),
        };
    }
    let Some(platform) = platform else {
        return Err(format!(
            "`{pasted}` does not say which platform it is on; give the platform, or the post's URL"
        ));
    };
    if pasted.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = pasted.parse().ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| format!("`{pasted}` is not the number of a post"))?;
        return Ok(from_number(platform, number));
    }
    match platform {
        Platform::Instagram => from_code(pasted),
        Platform::Tiktok => Err(format!(
            "`{pasted}` is neither the URL nor the number of a post on tiktok, which has no shortcodes"
        )),
    }
}

/// The URL that was pasted, if it is one. Browsers leave the scheme away.
pub fn as_url(pasted: &str) -> Option<String> {
    let lower = pasted.to_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return Some(pasted.to_owned());
    }
    let host = lower.split('/').next().unwrap_or_default();
    let is_home = lower.contains('/') && home(host).is_some();
    is_home.then(|| format!("https://{pasted}"))
}

fn home(host: &str) -> Option<Platform> {
    let is = |home: &str| host == home || host.ends_with(&format!(".{home}"));
    if is("instagram.com") || is("instagr.am") {
        Some(Platform::Instagram)
    } else if is("tiktok.com") {
        Some(Platform::Tiktok)
    } else {
        None
    }
}

fn from_url(url: &Url) -> Result<Post, String> {
    let host = url.host_str().unwrap_or_default();
    let platform =
        home(host).ok_or_else(|| format!("{host} is neither instagram.com nor tiktok.com"))?;
    let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    let no_post = || format!("{url} is not the URL of a post");
    let is_short = matches!(host, "vm.tiktok.com" | "vt.tiktok.com")
        || matches!((platform, parts.first()), (Platform::Tiktok, Some(&"t")))
        || matches!((platform, parts.first()), (Platform::Instagram, Some(&"share")));
    if is_short {
        return Err(format!(
            "{url} is a short link, which does not say which post it leads to; open it and give the address it leads to"
        ));
    }
    match platform {
        Platform::Instagram => {
            let at = parts.iter().position(|part| matches!(*part, "p" | "reel" | "reels" | "tv"));
            let code = at.filter(|at| *at <= 1).and_then(|at| parts.get(at + 1));
            from_code(code.ok_or_else(no_post)?).map_err(|_| no_post())
        }
        Platform::Tiktok => {
            let number = match parts.as_slice() {
                [user, "video" | "photo", id] if user.starts_with('@') => id,
                ["v", id] => id.trim_end_matches(".html"),
                ["embed", id] | ["embed", "v2", id] | ["player", "v1", id] => id,
                _ => return Err(no_post()),
            };
            let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(no_post)?;
            Ok(from_number(platform, number))
        }
    }
}

fn from_number(platform: Platform, number: u64) -> Post {
    let code = (platform == Platform::Instagram).then(|| code_of(number));
    Post { platform, number: Some(number), code }
}

fn from_code(code: &str) -> Result<Post, String> {
    let is_code =
        CODE_CHARS.contains(&code.len()) && code.bytes().all(|byte| CODE_DIGITS.contains(&byte));
    if !is_code {
        return Err(format!("`{code}` is neither a URL, a number nor a shortcode of a post"));
    }
    let number = (code.len() <= CODE_CHARS_NUMBER).then(|| number_of(code)).flatten();
    Ok(Post { platform: Platform::Instagram, number, code: Some(code.to_owned()) })
}

/// The number that a shortcode spells.
fn number_of(code: &str) -> Option<u64> {
    let mut number = 0_u64;
    for byte in code.bytes() {
        let digit = CODE_DIGITS.iter().position(|digit| *digit == byte)?;
        number = number.checked_mul(64)?.checked_add(digit as u64)?;
    }
    (number > 0).then_some(number)
}

/// The shortcode that spells a number.
fn code_of(mut number: u64) -> String {
    let mut code = Vec::new();
    while number > 0 {
        // Below 64, so it is the place of a digit.
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
    fn all_spellings_name_one_post() {
        let number = 3_141_592_653_589_793_238;
        let code = code_of(number);
        for pasted in [
            number.to_string(),
            code.clone(),
            format!("https://www.instagram.com/reel/{code}/?igsh=1"),
            format!("https://instagram.com/p/{code}"),
            format!("instagram.com/someone/reel/{code}/"),
            format!("  HTTPS://www.instagram.com/tv/{code}/embed "),
        ] {
            let post = resolve(Some(Platform::Instagram), &pasted).unwrap();
            assert_eq!(post.name(), number.to_string(), "{pasted}");
            assert!(post.is(Some("instagram"), None, Some(&code)));
            assert!(post.is(Some("instagram"), Some(&format!("{number}_17")), None));
            assert!(!post.is(Some("tiktok"), Some(&number.to_string()), None));
        }
        for pasted in [
            "https://www.tiktok.com/@luna/video/7300000000000000001?lang=en",
            "https://m.tiktok.com/v/7300000000000000001.html",
            "www.tiktok.com/@luna/photo/7300000000000000001",
            "https://www.tiktok.com/embed/v2/7300000000000000001",
        ] {
            let post = resolve(None, pasted).unwrap();
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
    fn what_cannot_be_a_post_is_refused_with_the_reason() {
        let cases = [
            (None, "7300000000000000001", "does not say which platform"),
            (None, "https://vm.tiktok.com/ZM8abc/", "short link"),
            (None, "https://www.tiktok.com/t/ZM8abc/", "short link"),
            (None, "https://www.tiktok.com/@luna", "not the URL of a post"),
            (None, "https://www.instagram.com/luna/", "not the URL of a post"),
            (None, "https://example.com/p/C8abcDEF123", "neither instagram.com nor tiktok.com"),
            (Some(Platform::Tiktok), "C8abcDEF123", "no shortcodes"),
            (
                Some(Platform::Tiktok),
                "https://www.instagram.com/p/C8abcDEF123",
                "on instagram, not on tiktok",
            ),
            (Some(Platform::Instagram), "hello!", "neither a URL"),
            (Some(Platform::Instagram), "0", "not the number"),
            (Some(Platform::Instagram), " ", "nothing was given"),
            (Some(Platform::Instagram), "99999999999999999999999", "not the number"),
        ];
        for (platform, pasted, reason) in cases {
            let error = resolve(platform, pasted).unwrap_err();
            assert!(error.contains(reason), "{pasted}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_number_and_its_shortcode_are_one_post(number in 20_000_000_u64..) {
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
