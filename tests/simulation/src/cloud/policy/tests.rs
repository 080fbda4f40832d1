use serde_json::json;

use super::*;

fn permission(statements: Json) -> PermissionPolicy {
    PermissionPolicy::parse(&json!({"Version": "1", "Statement": statements})).unwrap()
}

fn refusal(document: Json) -> String {
    PermissionPolicy::parse(&document).unwrap_err()
}

#[test]
fn wildcards_reach_as_far_as_written() {
    assert!(like("*", ""));
    assert!(like("cr:*", "cr:PullRepository"));
    assert!(like("cr:Get*", "cr:GetAuthorizationToken"));
    assert!(!like("cr:Get*", "cr:ListInstance"));
    assert!(!like("cr:getauthorizationtoken", "cr:GetAuthorizationToken"));
    assert!(like("acs:ram:*:2:role/*", "acs:ram::2:role/puller"));
    assert!(like("acs:cr:*:*:repository/cri-a/*", "acs:cr:cn-hangzhou:2:repository/cri-a/n/r"));
    assert!(!like("acs:cr:*:*:repository/cri-a/*", "acs:cr:cn-hangzhou:2:repository/cri-ab/n/r"));
    assert!(like("a?c", "abc"));
    assert!(!like("a?c", "ac"));
}

#[test]
fn deny_wins_and_nothing_said_is_a_refusal() {
    let open = permission(json!([{"Effect": "Allow", "Action": "cr:*", "Resource": "*"}]));
    let shut = permission(json!([
        {"Effect": "Deny", "Action": ["cr:PullRepository"], "Resource": "acs:cr:*:*:repository/cri-a/*"}
    ]));
    let secret = "acs:cr:cn-hangzhou:2:repository/cri-a/n/r";
    let decide = |policies: &[&PermissionPolicy], action: &str, resource: &str| {
        PermissionPolicy::decide(policies.iter().copied(), action, resource)
    };
    assert_eq!(decide(&[&open], "cr:PullRepository", secret), Verdict::Allowed);
    assert_eq!(decide(&[&open, &shut], "cr:PullRepository", secret), Verdict::ExplicitDeny);
    assert_eq!(decide(&[&shut, &open], "cr:PullRepository", secret), Verdict::ExplicitDeny);
    assert_eq!(decide(&[&open], "sts:AssumeRole", "*"), Verdict::ImplicitDeny);
    assert_eq!(decide(&[], "cr:PullRepository", secret), Verdict::ImplicitDeny);
}

#[test]
fn not_action_is_everything_else() {
    let policy = permission(json!([{"Effect": "Allow", "NotAction": "cr:Push*", "Resource": "*"}]));
    assert_eq!(PermissionPolicy::decide([&policy], "cr:PullRepository", "*"), Verdict::Allowed);
    assert_eq!(
        PermissionPolicy::decide([&policy], "cr:PushRepository", "*"),
        Verdict::ImplicitDeny
    );
}

#[test]
fn a_condition_on_a_missing_key_never_holds() {
    let trust = TrustPolicy::parse(&json!({"Version": "1", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"RAM": ["acs:ram::1:role/worker"]},
        "Condition": {"StringEquals": {"sts:ExternalId": "x"}},
    }]}))
    .unwrap();
    let worker = Asker::Ram { name: "acs:ram::1:role/worker", account: "1" };
    let with = |id: &str| Context::from([("sts:ExternalId", vec![id.to_owned()])]);
    assert_eq!(trust.decide(&worker, &with("x")), Verdict::Allowed);
    assert_eq!(trust.decide(&worker, &with("y")), Verdict::ImplicitDeny);
    assert_eq!(trust.decide(&worker, &Context::new()), Verdict::ImplicitDeny);
    let other = Asker::Ram { name: "acs:ram::1:role/other", account: "1" };
    assert_eq!(trust.decide(&other, &with("x")), Verdict::ImplicitDeny);
    let service = Asker::Service { name: "ecs.aliyuncs.com" };
    assert_eq!(trust.decide(&service, &with("x")), Verdict::ImplicitDeny);
}

#[test]
fn an_account_root_stands_for_everyone_in_it() {
    let trust = TrustPolicy::parse(&json!({"Version": "1", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"RAM": "acs:ram::1:root"},
    }]}))
    .unwrap();
    let one = Asker::Ram { name: "acs:ram::1:user/anna", account: "1" };
    let two = Asker::Ram { name: "acs:ram::2:user/anna", account: "2" };
    assert_eq!(trust.decide(&one, &Context::new()), Verdict::Allowed);
    assert_eq!(trust.decide(&two, &Context::new()), Verdict::ImplicitDeny);
}

#[test]
fn the_grammar_is_held_to() {
    let statement = json!({"Effect": "Allow", "Action": "cr:*", "Resource": "*"});
    assert!(PermissionPolicy::parse(&json!({"Version": "1", "Statement": [statement]})).is_ok());
    refusal(json!({"Version": "2012-10-17", "Statement": [statement]}));
    refusal(json!({"Statement": [statement]}));
    refusal(json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "cr:*"}]}));
    refusal(
        json!({"Version": "1", "Statement": [{"Effect": "allow", "Action": "cr:*", "Resource": "*"}]}),
    );
    refusal(
        json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "PullRepository", "Resource": "*"}]}),
    );
    refusal(
        json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "cr:*", "Resource": "cri-a"}]}),
    );
    refusal(
        json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "cr:*", "Resource": "*", "Sid": "x"}]}),
    );
    refusal(json!({"Version": "1", "Statement": [{
        "Effect": "Allow", "Action": "cr:*", "Resource": "*", "Principal": {"RAM": "acs:ram::1:root"},
    }]}));
}
