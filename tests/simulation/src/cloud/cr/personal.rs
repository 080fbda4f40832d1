//! `GET /tokens` of the Personal Edition.

use serde_json::{Value as Json, json};

use super::super::backend::{Backend, Trace};
use super::super::failure::Failure;
use super::super::identity::Identity;
use super::login::Place;

/// Which right is asked for is not documented for this version; it is taken to be the one of the
/// Enterprise call. The answer for an account without a Personal Edition is unknown as well.
pub(super) fn tokens(
    backend: &Backend,
    caller: &Identity,
    region: Option<&str>,
    trace: &Trace,
) -> Result<Json, Failure> {
    let world = backend.world();
    caller
        .authorize(&world, "cr:GetAuthorizationToken", "*")
        .map_err(|denial| Failure::no_privilege().because(&denial))?;
    let account = caller.account();
    let first_of_account = || world.description.accounts.get(account)?.personal.values().next();
    let personal = match region {
        Some(region) => world.personal(account, region),
        None => first_of_account(),
    };
    let personal = personal.ok_or_else(Failure::no_privilege)?;
    let place = Place::Personal { account: account.to_owned(), region: region.map(str::to_owned) };
    let login = backend.logins.issue(backend, caller, &personal.user_name, place);
    Ok(json!({
        "data": {
            "authorizationToken": login.password,
            "tempUserName": login.user,
            "expireDate": login.expires.as_millisecond(),
        },
        "requestId": trace.request_id,
    }))
}
