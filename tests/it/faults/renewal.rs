//! What a fault comes to on a node that has a login already: the rules that README.md states.

use super::case::When;
use super::table::{Calls, Expected, Fault, Journey, Login};

/// What is expected, by what is expected of a cold node.
pub(super) fn expected(journey: &Journey, fault: &Fault, cold: &Expected, when: When) -> Expected {
    if journey.remembered {
        return Expected {
            exit: 0,
            calls: Calls { least: 0, most: 0 },
            says: fault.noticed_anyway.clone(),
            named: None,
            cache_duration: None,
            login: Login::New,
        };
    }
    if journey.never_kept || cold.exit == 0 || fault.refusal || when == When::Ended {
        return cold.clone();
    }
    let reason = cold.says.as_deref().expect("a failure says something");
    let most = if when == When::Ending { "0s" } else { "5m0s" };
    Expected {
        exit: 0,
        // It was tried, in a part of the time.
        calls: Calls { least: cold.calls.least.min(1), most: cold.calls.most },
        says: Some(format!("warning:  … {reason}")),
        named: cold.named.clone(),
        cache_duration: Some(most.to_owned()),
        login: Login::Old,
    }
}
