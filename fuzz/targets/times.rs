//! Durations in Go's form, versions, and dates of HTTP. What is read is what was written, printed
//! and read again.

#![no_main]

use std::time::Duration;

use aliyun_acr_credential_provider::kubelet::versions::Release;
use aliyun_acr_credential_provider::net::http::http_date;
use aliyun_acr_credential_provider::system::go_duration::{format_go, parse_go};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(read) = parse_go(text) {
        let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '+'));
        assert!(begins && text.ends_with(['h', 'm', 's', '0']), "{text:?}");
        let whole = Duration::from_secs(read.as_secs());
        assert_eq!(parse_go(&format_go(read.as_secs())), Some(whole), "{text:?}");
        // A sum is never less than its parts.
        assert!(parse_go(&format!("{text}1s")).is_none_or(|more| more > read), "{text:?}");
    }
    if let Some(date) = http_date(text) {
        let again = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if (0..253_402_300_800).contains(&date.as_second()) {
            assert_eq!(
                http_date(&again).map(|again| again.as_second()),
                Some(date.as_second()),
                "{text:?} {again}"
            );
        }
    }
    if let Some(release) = Release::parse(text) {
        assert!(release >= Release::FIRST);
    }
    if let Some(digits) = text.get(..8).filter(|text| text.bytes().all(|b| b.is_ascii_digit())) {
        let seconds: u64 = digits.parse().expect("digits");
        assert_eq!(parse_go(&format_go(seconds)), Some(Duration::from_secs(seconds)));
    }
});
