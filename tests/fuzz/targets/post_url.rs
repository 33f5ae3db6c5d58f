//! Identifiers of posts, and URLs of profiles.

#![no_main]

use creatormirror::outbox::post::{self, Platform};
use creatormirror::outbox::profile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|identifier: &str| {
    for platform in [None, Some(Platform::Instagram), Some(Platform::Tiktok)] {
        let Ok(found) = post::resolve(platform, identifier) else { continue };
        assert!(platform.is_none_or(|platform| platform == found.platform));
        // Its name names the same post.
        let again = post::resolve(Some(found.platform), &found.name());
        assert_eq!(again.map(|again| again.name()), Ok(found.name()));
    }
    if let Some(Ok((platform, username))) = profile::resolve(identifier) {
        assert!(!username.is_empty());
        let url = match platform {
            Platform::Instagram => format!("https://www.instagram.com/{username}"),
            Platform::Tiktok => format!("https://www.tiktok.com/@{username}"),
        };
        assert_eq!(profile::resolve(&url), Some(Ok((platform, username))));
    }
});
