//! Answers of STS, of Container Registry and of a registry itself: the first character says who
//! answers, the second the HTTP status, the rest is the body, or the challenge.
//!
//! Whatever it is, nothing of what was sent comes back in a message, messages are one line, and an
//! answer counts only if it is whole.

#![no_main]

use aliyun_acr_credential_provider::aliyun::acr::{
    EnterpriseToken, InstanceEndpoints, InstancePage, Login, PersonalAnswer,
};
use aliyun_acr_credential_provider::aliyun::call::Verdict;
use aliyun_acr_credential_provider::aliyun::challenge::Challenge;
use aliyun_acr_credential_provider::aliyun::refusal::{self, Sent};
use aliyun_acr_credential_provider::aliyun::rpc::{self, Answer};
use aliyun_acr_credential_provider::aliyun::sts::{Session, SessionAnswer};
use aliyun_acr_credential_provider::net::http::Response;
use aliyun_acr_credential_provider::secret::Secret;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const SECRET: &str = "fuzz/secret+sent==";
const SIGNED: &str = "POST&%2F&Action%3DAssumeRole";

fuzz_target!(|input: &[u8]| {
    let [who, status, body @ ..] = input else { return };
    let status = match status {
        b'1' => 401,
        b'3' => 302,
        b'4' => 400,
        b'5' => 503,
        _ => 200,
    };
    let text = std::str::from_utf8(body).ok().map(str::to_owned);
    let response = Response {
        status,
        date: None,
        content_type: text.as_ref().map(|text| text.chars().take(40).collect()),
        www_authenticate: text.into_iter().collect(),
        body: body.to_vec(),
        limited_for: None,
    };
    let secret = Secret::new(SECRET);
    let sent = Sent { secrets: vec![&secret], echo: Some(SIGNED) };
    match who {
        b'a' => {
            if let Some(answer) = answer::<EnterpriseToken>(&response, &sent) {
                let document = document(body);
                assert!(document.is_null() || document["IsSuccess"] == true, "{document}");
                login(
                    answer.into(),
                    &document,
                    ["TempUsername", "AuthorizationToken", "ExpireTime"],
                );
            }
        }
        b'b' => {
            if let Some(answer) = answer::<PersonalAnswer>(&response, &sent) {
                let data = &document(body)["data"];
                login(answer.into(), data, ["tempUserName", "authorizationToken", "expireDate"]);
            }
        }
        b'c' => {
            if let Some(answer) = answer::<SessionAnswer>(&response, &sent) {
                let session = Session::of(answer, &sent.secrets);
                let credentials = &session.credentials;
                assert!(!credentials.access_key_id.is_empty());
                let said = &document(body)["Credentials"];
                if said.is_object() {
                    assert_eq!(said["AccessKeyId"], credentials.access_key_id);
                    assert_eq!(said["AccessKeySecret"], credentials.access_key_secret.expose());
                    let token = credentials.security_token.as_ref().map(Secret::expose);
                    assert_eq!(said["SecurityToken"].as_str(), token);
                }
                assert!(!credentials.access_key_secret.is_empty());
                assert!(credentials.security_token.as_ref().is_some_and(|token| !token.is_empty()));
                let about = [session.about.arn(), session.about.expires()];
                about.iter().flatten().for_each(|text| one_line(text));
            }
        }
        b'd' => {
            if let Some(answer) = answer::<InstancePage>(&response, &sent) {
                if let Some(id) = answer.value.id_of("acme") {
                    assert!(
                        String::from_utf8_lossy(body).contains("acme") || body.contains(&b'\\')
                    );
                    assert!(id.len() <= body.len());
                }
            }
        }
        b'e' => {
            if let Some(answer) = answer::<InstanceEndpoints>(&response, &sent) {
                assert!(answer.value.domains().len() <= body.len());
            }
        }
        _ => {
            let challenge = Challenge::of(&response);
            assert_eq!(challenge.status, status);
            let said = response.www_authenticate.concat();
            if status != 401 {
                assert_eq!((&challenge.realm, &challenge.instance), (&None, &None));
            }
            if let Some(instance) = challenge.instance {
                // Only the vendor's service names one.
                assert!(said.contains("registry.aliyuncs.com:"), "{said:?}");
                assert!(said.contains(instance.as_str()), "{said:?}");
            }
            assert!(challenge.realm.is_none_or(|realm| said.contains(&realm)));
        }
    }
});

fn answer<T: serde::de::DeserializeOwned>(
    response: &Response,
    sent: &Sent<'_>,
) -> Option<Answer<T>> {
    if let Some(id) = refusal::request_id(&response.body, sent) {
        assert!(id.len() <= 100 && id.bytes().all(|b| b.is_ascii_graphic()), "{id:?}");
    }
    match rpc::judge::<T>(response, sent) {
        Verdict::Done(answer) => {
            assert!((200..300).contains(&response.status));
            Some(answer)
        }
        Verdict::Refused(refusal) => {
            let said = refusal.to_string();
            one_line(&said);
            assert!(!said.contains(SECRET), "{said:?}");
            assert!(!said.contains("fuzz%2Fsecret%2Bsent%3D%3D"), "{said:?}");
            assert!(
                !(said.contains(SIGNED) && said.to_lowercase().contains("string to sign")),
                "{said:?}"
            );
            assert!(refusal.may_pass() || response.status < 500);
            None
        }
        Verdict::NotTheService(what) => {
            let said = what.to_string();
            one_line(&said);
            assert!(said.starts_with(&format!("HTTP {}", response.status)), "{said:?}");
            None
        }
    }
}

/// What an answer says, by a reader of all of it; null where that cannot hold it.
fn document(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// A login is what the answer has under these names.
fn login(login: Login, said: &Value, [user, password, end]: [&str; 3]) {
    let milliseconds = login.expires.as_millisecond();
    assert!(milliseconds.abs() < 400_000_000_000_000);
    if said.is_object() {
        assert_eq!(said[user], login.user_name);
        assert_eq!(said[password], login.password.expose());
        let end = said[end].as_i64().or_else(|| said[end].as_str()?.trim().parse().ok());
        assert!(end.is_none_or(|end| end == milliseconds), "{end:?} {milliseconds}");
    }
}

fn one_line(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.chars().count() < 1000, "{text:?}");
}
