//! What people paste to name a post: URLs, numeric ids, shortcodes; all resolved to one number.

use url::Url;

use crate::sandbox::growth::Platform;
use crate::sandbox::words;

/// A post, resolved.
#[derive(Debug, PartialEq, Eq)]
pub struct PostRef {
    /// The platform's id.
    pub external_id: u64,
    /// Whose post it is, where the URL tells.
    pub username: Option<String>,
}

/// Resolves what was pasted, or says why it cannot be.
pub fn resolve(platform: Platform, identifier: &str) -> Result<PostRef, &'static str> {
    let identifier = identifier.trim();
    if identifier.starts_with("http://") || identifier.starts_with("https://") {
        let url = Url::parse(identifier).map_err(|_| "is not a URL")?;
        return from_url(platform, &url);
    }
    let external_id = match platform {
        _ if identifier.bytes().all(|byte| byte.is_ascii_digit()) => identifier.parse().ok(),
        Platform::Instagram => words::media_id(identifier),
        Platform::Tiktok => None,
    };
    let external_id = external_id.filter(|id| *id > 0).ok_or("does not name a post")?;
    Ok(PostRef { external_id, username: None })
}

fn from_url(platform: Platform, url: &Url) -> Result<PostRef, &'static str> {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches("www.").trim_start_matches("m.");
    let home = match platform {
        Platform::Instagram => "instagram.com",
        Platform::Tiktok => "tiktok.com",
    };
    if host != home {
        return Err("is not a URL of this platform");
    }
    let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    let (external_id, username) = match (platform, parts.as_slice()) {
        (Platform::Instagram, ["p" | "reel" | "reels" | "tv", code]) => {
            (words::media_id(code), None)
        }
        (Platform::Instagram, [user, "p" | "reel" | "reels" | "tv", code]) => {
            (words::media_id(code), Some((*user).to_owned()))
        }
        (Platform::Tiktok, [user, "video" | "photo", id]) if user.starts_with('@') => {
            (id.parse().ok(), Some(user.trim_start_matches('@').to_owned()))
        }
        _ => return Err("is not the URL of a post"),
    };
    let external_id = external_id.ok_or("is not the URL of a post")?;
    Ok(PostRef { external_id, username })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_post_resolve_to_one_id() {
        let id = 3_141_592_653_589_793_238;
        let code = words::shortcode(id);
        for spelling in [
            id.to_string(),
            code.clone(),
            format!("https://www.instagram.com/reel/{code}/?igsh=1"),
            format!("https://instagram.com/someone/p/{code}"),
        ] {
            let post = resolve(Platform::Instagram, &spelling).unwrap();
            assert_eq!(post.external_id, id, "{spelling}");
        }
        let url = "https://www.tiktok.com/@luna/video/7300000000000000001?lang=en";
        let post = resolve(Platform::Tiktok, url).unwrap();
        assert_eq!(post.external_id, 7_300_000_000_000_000_001);
        assert_eq!(post.username.as_deref(), Some("luna"));
    }

    #[test]
    fn other_things_are_refused() {
        for nonsense in ["", "0", "hello!", "https://www.tiktok.com/@luna", "https://example.com/1"]
        {
            assert!(resolve(Platform::Tiktok, nonsense).is_err(), "{nonsense}");
        }
        assert!(resolve(Platform::Tiktok, "https://www.instagram.com/p/Cabc").is_err());
    }
}
