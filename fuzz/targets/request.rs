//! What the kubelet writes to stdin. A request that is taken names one of the three versions, and
//! the answer to it is JSON of that version with nothing else in it; one that is not taken is
//! refused in one line that quotes no token.

#![no_main]

use aliyun_acr_credential_provider::kubelet::exec_api::{self, RequestError};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &[u8]| {
    match exec_api::read_request(text) {
        Ok(request) => {
            let text = std::str::from_utf8(text).expect("only text is taken");
            // What is skipped may be a number that this type does not hold.
            let Ok(sent) = serde_json::from_str::<Value>(text) else { return };
            assert_eq!(sent["kind"], "CredentialProviderRequest");
            let version = sent["apiVersion"].as_str().expect("a version");
            let versions = ["v1", "v1beta1", "v1alpha1"];
            assert!(
                versions
                    .iter()
                    .any(|v| version == format!("credentialprovider.kubelet.k8s.io/{v}"))
            );
            assert_eq!(request.image, sent["image"].as_str().unwrap_or_default());
            let token = request.pod().token.map(|token| token.expose());
            assert_eq!(
                token,
                sent["serviceAccountToken"].as_str().filter(|token| !token.is_empty())
            );
            let answer = exec_api::response(&request, None);
            let answer: Value = serde_json::from_str(answer.expose()).expect("JSON");
            let expected = json!({
                "kind": "CredentialProviderResponse",
                "apiVersion": version,
                "cacheKeyType": "Image",
                "cacheDuration": "0s",
                "auth": null,
            });
            assert_eq!(answer, expected);
        }
        Err(error) => {
            let said = error.to_string();
            assert!(!said.chars().any(char::is_control), "{said:?}");
            assert!(said.len() < 600, "{said:?}");
            if let RequestError::Json(said) = error {
                let quoted = serde_json::from_slice::<Value>(text).ok();
                let token = quoted.as_ref().and_then(|sent| sent["serviceAccountToken"].as_str());
                assert!(token.is_none_or(|token| token.len() < 16 || !said.contains(token)));
            }
        }
    }
});
