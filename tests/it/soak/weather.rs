//! What goes wrong in one step of a node's life.

use serde_json::{Map, Value as Json, json};
use simulation::cloud::{Hop, Service};

use crate::fleet::chance::Chance;

/// Every hop that a pull can take.
pub const HOPS: [(&str, Hop); 10] = [
    ("metadata-token", Hop::MetadataToken),
    ("metadata-role-name", Hop::MetadataRoleName),
    ("metadata-role-document", Hop::MetadataRoleDocument),
    ("metadata-region", Hop::MetadataRegion),
    ("assume-role-with-oidc", Hop::AssumeRoleWithOidc),
    ("assume-role", Hop::AssumeRole),
    ("get-authorization-token", Hop::GetAuthorizationToken),
    ("list-instance-endpoint", Hop::ListInstanceEndpoint),
    ("personal-tokens", Hop::PersonalTokens),
    ("registry-challenge", Hop::RegistryChallenge),
];

/// Faults of one call, after which a second try is answered. The last two are words of an API, which
/// instance metadata and a registry's challenge do not have.
const PASSING: [&str; 11] = [
    "{connection: reset}",
    "{connection: close}",
    "{transfer: truncated}",
    "{transfer: chunked}",
    "{delay-ms: 400}",
    "{instead: {error: {status: 500, code: InternalError}}}",
    "{instead: {answer: {status: 502, content-type: text/html, body: <h1>502</h1>}}}",
    "{instead: {error: {status: 503, code: ServiceUnavailable}}}",
    "{instead: {answer: {status: 429, content-type: text/html, body: <h1>429</h1>}}}",
    "{instead: {error: {status: 400, code: Throttling.User}}}",
    "{instead: {error: {status: 400, code: SignatureNonceUsed}}}",
];

/// Faults that a pull need not survive, however often they come.
const LASTING: [&str; 15] = [
    "{connection: refuse}",
    "{connection: reset}",
    "{connection: hang}",
    "{transfer: {bytes-per-second: 5}}",
    "{transfer: truncated}",
    "{instead: {error: {status: 500, code: InternalError}}}",
    "{instead: {error: {status: 400, code: Throttling.User}}}",
    "{instead: {error: {status: 403, code: NoPermission}}}",
    "{instead: {unsuccessful: {code: INSTANCE_ON_HOLIDAY}}}",
    "{instead: {answer: {body: ''}}}",
    "{instead: {answer: {body: '{}'}}}",
    "{instead: html}",
    "{instead: huge}",
    "{instead: redirect}",
    "{instead: {error: {status: 400, code: InvalidTimeStamp.Expired}}}",
];

/// What is wrong with the dates of answers. Not where a login is issued: without the service's own
/// time a client cannot tell how far its clock is off, as long as that is less than is refused.
const DATES: [&str; 2] = ["{date: missing}", "{date: garbage}"];

pub struct Weather {
    /// For the cloud: every hop with its faults, or with none.
    pub faults: Json,
    /// Hops that may fail for good.
    pub lasting: Vec<Hop>,
    /// Those of them whose calls are not even seen.
    pub refused: Vec<Hop>,
    /// Hops whose answers do not tell the time: none can correct a clock.
    pub undated: Vec<Hop>,
}

impl Weather {
    /// A third of all steps are fair, a third have faults that pass, a third have others too.
    pub fn by_chance(chance: &mut Chance) -> Self {
        let kind = chance.of(3);
        let mut weather = Self {
            faults: Json::Null,
            lasting: Vec::new(),
            refused: Vec::new(),
            undated: Vec::new(),
        };
        let mut faults = Map::new();
        for (name, hop) in HOPS {
            let mut here = Json::Null;
            if kind > 0 && chance.one_in(3) {
                let is_api = matches!(hop.service(), Some(Service::Sts | Service::Cr));
                let known = if is_api { PASSING.len() } else { PASSING.len() - 2 };
                let fault = read(PASSING[chance.of(known)]);
                here = json!([with_calls(fault, "1")]);
            }
            if kind > 1 && chance.one_in(5) {
                let text = LASTING[chance.of(LASTING.len())];
                let calls = ["all", "all", "2-", "1-3"][chance.of(4)];
                let refused = text.contains("refuse");
                here = json!([with_calls(read(text), if refused { "all" } else { calls })]);
                weather.lasting.push(hop);
                weather.refused.extend(refused.then_some(hop));
            }
            let issues = matches!(hop, Hop::GetAuthorizationToken | Hop::PersonalTokens);
            if kind > 0 && !issues && here.is_null() && chance.one_in(6) {
                here = json!([read(DATES[chance.of(DATES.len())])]);
                weather.undated.push(hop);
            }
            faults.insert(name.to_owned(), here);
        }
        weather.faults = Json::Object(faults);
        weather
    }
}

fn read(fault: &str) -> Json {
    serde_saphyr::from_str(fault).unwrap()
}

fn with_calls(mut fault: Json, calls: &str) -> Json {
    fault["calls"] = calls.into();
    fault
}
