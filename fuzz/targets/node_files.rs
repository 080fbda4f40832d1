//! The files of a node that others have written: the kubelet's `CredentialProviderConfig`, and an
//! environment file with its arguments. What is not ours is the same after ours was put in and taken out.

#![no_main]

use aliyun_acr_credential_provider::kubelet::provider_config::{Provider, ProviderConfig};
use aliyun_acr_credential_provider::kubelet::versions::ApiVersion;
use aliyun_acr_credential_provider::setup::arguments_text::Edit;
use aliyun_acr_credential_provider::setup::env_file::{self, Comments};
use aliyun_acr_credential_provider::setup::provider_file::{Added, merged, taken_out};
use libfuzzer_sys::fuzz_target;

const NAME: &str = "KUBELET_EXTRA_ARGS";
const OURS: &str = "--y=1";

fuzz_target!(|bytes: &[u8]| {
    // The first character chooses the file. What is no UTF-8 is refused before it gets here.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(text) = text.strip_prefix('p') {
        providers(text);
    } else if let Some(text) = text.strip_prefix('e') {
        environment(text);
    }
});

fn providers(text: &str) {
    let match_images = vec!["a.example".to_owned(), "*.b.example".to_owned()];
    let ours = [Provider { name: "ours".to_owned(), match_images, ..Provider::default() }];
    let Ok((new, added)) = merged(text, ApiVersion::V1, &ours, &Added::default()) else { return };
    let read = ProviderConfig::of_text("f", &new);
    let mine =
        read.providers.iter().find(|provider| provider.name == "ours").expect("ours is read");
    assert!(ours[0].match_images.iter().all(|it| mine.match_images.contains(it)), "{new:?}");
    // Others are what they were.
    let before = ProviderConfig::of_text("f", text);
    for other in before.providers.iter().filter(|provider| provider.name != "ours") {
        let same = |it: &&Provider| it.name == other.name && it.match_images == other.match_images;
        assert!(read.providers.iter().any(|it| same(&it)), "{other:?} {new:?}");
    }
    assert_eq!(taken_out(&new, &added).expect("ours can be taken out"), text, "{new:?}");
    let again = merged(&new, ApiVersion::V1, &ours, &added).expect("a second run");
    assert_eq!(again, (new, added));
}

fn environment(text: &str) {
    let both = Comments::of(None);
    let add = Edit { add: vec![OURS.to_owned()], remove: Vec::new() };
    let back = Edit { add: Vec::new(), remove: add.add.clone() };
    let Ok(new) = env_file::changed(text, NAME, &add, both) else { return };
    for reading in both {
        let words = |text: &str| {
            let found = env_file::value(text, NAME, *reading);
            let value = found.map(|found| found.value).unwrap_or_default();
            value.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let mut wanted: Vec<String> = words(text);
        wanted.retain(|word| word != OURS);
        let mut now = words(&new);
        assert!(now.iter().any(|word| word == OURS), "{new:?}");
        now.retain(|word| word != OURS);
        assert_eq!(now, wanted, "{new:?}");
        // Every other variable has the value that it had.
        let others = |text: &str| {
            let all = env_file::read(text, *reading).into_iter();
            let others = all.filter(|it| it.name != NAME).map(|it| (it.name, it.value));
            others.collect::<Vec<_>>()
        };
        assert_eq!(others(&new), others(text), "{new:?}");
        let again = env_file::changed(&new, NAME, &back, both).expect("ours can be taken out");
        assert_eq!(others(&again), others(text), "{again:?}");
        assert_eq!(words(&again), wanted, "{again:?}");
    }
}
