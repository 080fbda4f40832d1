//! AssumeRoleWithOIDC: the token is verified, and every failure has its own code.

use serde_json::json;

use super::super::standard::{OIDC_PROVIDER, RRSA_ROLE, TEAM_A_ROLE, WORKER_ROLE};
use super::super::{Cloud, Forgery, ServiceAccountToken};
use super::client::{Credentials, Reply, Rpc, assume_role, last_call, violations};

fn helper(cloud: &Cloud) -> ServiceAccountToken<'_> {
    cloud.service_account_token(OIDC_PROVIDER, "kube-system", "aliyun-acr-credential-helper")
}

fn call(cloud: &Cloud, token: &str) -> Rpc {
    Rpc::unsigned(cloud, "AssumeRoleWithOIDC")
        .set("RoleArn", RRSA_ROLE)
        .set("OIDCProviderArn", OIDC_PROVIDER)
        .set("OIDCToken", token)
        .set("RoleSessionName", "acr-credential-provider")
}

fn exchange(cloud: &Cloud, token: &str) -> Reply {
    call(cloud, token).send(&cloud.sts_url())
}

fn refusal(
    change: impl Fn(ServiceAccountToken<'_>) -> ServiceAccountToken<'_>,
) -> (String, String) {
    let cloud = Cloud::with("{}");
    let reply = exchange(&cloud, &change(helper(&cloud)).mint());
    assert_eq!(violations(&cloud), [""; 0]);
    let message = reply.json()["Message"].as_str().unwrap_or_default().to_owned();
    (reply.verdict(), message)
}

#[test]
fn a_good_token_opens_a_session_that_can_assume_further() {
    let cloud = Cloud::with("{}");
    let reply = exchange(&cloud, &helper(&cloud).mint());
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer = reply.json();
    let info = &answer["OIDCTokenInfo"];
    assert_eq!(info["Subject"], "system:serviceaccount:kube-system:aliyun-acr-credential-helper");
    assert_eq!(info["ClientIds"], "sts.aliyuncs.com");
    assert_eq!(
        last_call(&cloud),
        format!(
            "AssumeRoleWithOIDC {RRSA_ROLE} by \
             system:serviceaccount:kube-system:aliyun-acr-credential-helper -> 200"
        )
    );
    let session = Credentials::session(&answer["Credentials"]);
    let further = assume_role(&cloud, &session, super::super::standard::PULLER);
    assert_eq!(further.send(&cloud.sts_url()).status, 200);
    assert_eq!(violations(&cloud), [""; 0]);
}

#[test]
fn what_is_wrong_with_a_token_is_told() {
    let expired = refusal(|token| token.issued_ago(7200).life(3600));
    assert_eq!(expired.0, "400 AuthenticationFail.OIDCToken.Expired");
    assert_eq!(expired.1, "This JsonWebToken is expired.");
    let audience = refusal(|token| token.audience("https://kubernetes.default.svc"));
    assert_eq!(audience.0, "400 AuthenticationFail.OIDCToken.AudienceNotMatch");
    assert_eq!(audience.1, "Invalid audience.");
    let issuer = refusal(|token| token.issuer("https://oidc.example.com/other"));
    assert_eq!(issuer.0, "400 AuthenticationFail.OIDCToken.IssuerNotMatch");
    let future = refusal(|token| token.issued_ago(-600));
    assert_eq!(future.0, "400 AuthenticationFail.OIDCToken.Invalid");
    for forgery in
        [Forgery::ForeignKey, Forgery::ChangedPayload, Forgery::Unsigned, Forgery::OtherAlgorithm]
    {
        let forged = refusal(|token| token.forged(forgery));
        assert_eq!(forged.0, "400 AuthenticationFail.OIDCToken.Invalid", "{forgery:?}");
    }
}

#[test]
fn a_token_expires_by_the_services_clock() {
    let cloud = Cloud::with("{}");
    let token = helper(&cloud).life(600).mint();
    assert_eq!(exchange(&cloud, &token).status, 200);
    cloud.advance(601);
    assert_eq!(exchange(&cloud, &token).verdict(), "400 AuthenticationFail.OIDCToken.Expired");
}

#[test]
fn a_token_is_taken_byte_by_byte() {
    let cloud = Cloud::with("{}");
    let token = helper(&cloud).mint();
    for wrong in
        [format!("{token}\n"), format!(" {token}"), "not.a.jwt".to_owned(), "none".to_owned()]
    {
        let reply = exchange(&cloud, &wrong);
        assert_eq!(reply.verdict(), "400 AuthenticationFail.OIDCToken.Invalid", "{wrong:?}");
    }
    assert_eq!(exchange(&cloud, "abc").verdict(), "400 InvalidParameter.OIDCToken");
    let huge = "x".repeat(20_001);
    assert_eq!(exchange(&cloud, &huge).verdict(), "400 InvalidParameter.OIDCToken");
}

#[test]
fn several_audiences_are_fine_if_one_fits() {
    let cloud = Cloud::with("{}");
    let token = helper(&cloud).claim("aud", json!(["x", "sts.aliyuncs.com"])).mint();
    assert_eq!(exchange(&cloud, &token).status, 200);
    let token = helper(&cloud).claim("aud", json!("sts.aliyuncs.com")).mint();
    assert_eq!(exchange(&cloud, &token).status, 200);
}

#[test]
fn the_provider_must_be_registered_and_working() {
    let cloud = Cloud::with("{}");
    let other = format!("{OIDC_PROVIDER}b");
    let reply = call(&cloud, &helper(&cloud).mint()).set("OIDCProviderArn", &other);
    let reply = reply.send(&cloud.sts_url());
    assert_eq!(reply.verdict(), "403 AuthenticationFail.NoPermission");
    assert_eq!(reply.json()["Message"], "No such OIDC Provider registered.");
    let reply = call(&cloud, &helper(&cloud).mint()).set("OIDCProviderArn", WORKER_ROLE);
    let verdict = reply.send(&cloud.sts_url()).verdict();
    assert_eq!(verdict, "400 InvalidParameter.OIDCProviderArn");
    for (condition, code) in [
        ("keys-unreachable", "IssuerConfigurationBroken"),
        ("fingerprint-mismatch", "PublicKeyFingerprintMismatch"),
    ] {
        let cloud = Cloud::with(&format!(
            "accounts: {{'1000000000000001': {{oidc-providers: \
             {{ack-rrsa-c0000000000000000000000000000000a: {{condition: {condition}}}}}}}}}"
        ));
        let reply = exchange(&cloud, &helper(&cloud).mint());
        assert_eq!(reply.verdict(), format!("400 AuthenticationFail.OIDCToken.{code}"));
    }
}

#[test]
fn the_role_must_trust_provider_and_subject() {
    let cloud = Cloud::with("{}");
    let ask = |namespace: &str, name: &str, role: &str| {
        let token = cloud.service_account_token(OIDC_PROVIDER, namespace, name).mint();
        call(&cloud, &token).set("RoleArn", role).send(&cloud.sts_url())
    };
    assert_eq!(ask("team-a", "anyone", TEAM_A_ROLE).status, 200);
    let denied = ask("team-b", "anyone", TEAM_A_ROLE);
    assert_eq!(denied.verdict(), "403 AuthenticationFail.NoPermission");
    assert_eq!(denied.json()["Message"], "There is no permission");
    let denied = ask("team-a", "anyone", RRSA_ROLE);
    assert_eq!(denied.verdict(), "403 AuthenticationFail.NoPermission");
    let denied = ask("team-a", "anyone", WORKER_ROLE);
    assert_eq!(denied.verdict(), "403 AuthenticationFail.NoPermission");
    let missing = ask("team-a", "anyone", "acs:ram::1000000000000001:role/nobody");
    assert_eq!(missing.verdict(), "404 EntityNotExist.Role");
}

#[test]
fn a_trust_policy_with_the_wrong_action_grants_nothing() {
    let cloud = Cloud::with(&format!(
        "
accounts:
  '1000000000000001':
    roles:
      acr-rrsa:
        trust:
          Version: '1'
          Statement:
            - Effect: Allow
              Action: sts:AssumeRoleWithOIDC
              Principal: {{Federated: ['{OIDC_PROVIDER}']}}
"
    ));
    let reply = exchange(&cloud, &helper(&cloud).mint());
    assert_eq!(reply.verdict(), "403 AuthenticationFail.NoPermission");
}

#[test]
fn parameters_are_checked_as_for_assume_role() {
    let cloud = Cloud::with("{}");
    let token = helper(&cloud).mint();
    let ask = |name: &str, value: &str| {
        call(&cloud, &token).set(name, value).send(&cloud.sts_url()).verdict()
    };
    assert_eq!(ask("RoleSessionName", "x"), "400 InvalidParameter.RoleSessionName");
    assert_eq!(ask("DurationSeconds", "3601"), "400 InvalidParameter.DurationSeconds");
    assert_eq!(ask("Policy", "{}"), "400 InvalidParameter.PolicyGrammar");
    for name in ["RoleArn", "OIDCProviderArn", "OIDCToken", "RoleSessionName", "Version"] {
        let reply = call(&cloud, &token).without(name).send(&cloud.sts_url());
        assert_eq!(reply.verdict(), "400 MissingParameter", "{name}");
    }
}

#[test]
fn a_token_in_the_query_is_taken_and_noted() {
    let cloud = Cloud::with("{}");
    let mut call = call(&cloud, &helper(&cloud).mint());
    call.in_query = true;
    assert_eq!(call.send(&cloud.sts_url()).status, 200);
    let violations = violations(&cloud);
    assert!(violations.contains(&"AssumeRoleWithOIDC: OIDCToken in the query".to_owned()));
    assert!(violations.iter().any(|it| it.contains("in the URL")), "{violations:?}");
}
