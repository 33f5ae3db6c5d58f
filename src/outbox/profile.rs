//! Parses the URL of a profile. Pure.

use url::Url;

use crate::outbox::body::quoted;
use crate::outbox::post::{self, Platform};

/// Pages of an Instagram profile.
const INSTAGRAM_TABS: [&str; 5] = ["reels", "tagged", "channel", "guides", "feed"];

/// The platform and user name of a profile's URL; `None` if the text is not a URL.
pub fn resolve(pasted: &str) -> Option<Result<(Platform, String), String>> {
    let url = post::as_url(pasted.trim())?;
    let found = Url::parse(&url).ok().and_then(|url| from_url(&url));
    Some(found.ok_or_else(|| format!("{} is not the URL of a profile", quoted(pasted.trim()))))
}

fn from_url(url: &Url) -> Option<(Platform, String)> {
    let platform = post::platform_of(url.host_str()?)?;
    let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    let name = match (platform, parts.as_slice()) {
        (Platform::Instagram, [name]) => name,
        (Platform::Instagram, [name, tab]) if INSTAGRAM_TABS.contains(tab) => name,
        (Platform::Tiktok, [name]) => name.strip_prefix('@')?,
        _ => return None,
    };
    post::is_username(platform, name).then(|| (platform, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_its_platform_and_user_name() {
        for (pasted, platform, name) in [
            ("https://www.instagram.com/nasa/", Platform::Instagram, "nasa"),
            ("instagram.com/nasa?igsh=abc", Platform::Instagram, "nasa"),
            ("https://www.instagram.com/na.sa_1/reels/", Platform::Instagram, "na.sa_1"),
            (" https://www.tiktok.com/@nasa?lang=en ", Platform::Tiktok, "nasa"),
        ] {
            assert_eq!(resolve(pasted), Some(Ok((platform, name.to_owned()))), "{pasted}");
        }
    }

    #[test]
    fn other_pages_are_refused_and_other_texts_are_not_urls() {
        for pasted in [
            "https://www.instagram.com/p/C1234567890/",
            "https://www.instagram.com/explore/",
            "https://www.tiktok.com/nasa",
            "https://www.tiktok.com/@nasa/video/7301234567890123456",
            "https://example.com/nasa",
            "https://",
        ] {
            assert!(resolve(pasted).is_some_and(|found| found.is_err()), "{pasted}");
        }
        for pasted in ["nasa", "@nasa", "", "instagram"] {
            assert_eq!(resolve(pasted), None, "{pasted}");
        }
    }
}
