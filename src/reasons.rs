//! The page `docs/reasons.md`: what the reasons of conditions and events mean, for each kind of resource.

use crate::{jsonwebkeyset, oauth2client};

/// The page, in Markdown.
#[must_use]
pub fn page() -> String {
    format!(
        "<!-- Written by `make docs` from src/oauth2client/reasons.rs and src/jsonwebkeyset/reasons.rs. -->\n\
         # Reasons\n\n\
         What the conditions `Ready`, `Reconciling` and `Stalled` of a resource give as their reason, and the\n\
         `hydra_operator_outcomes_total` metric as its label. `Reconciling=True`: the operator goes on by itself. `Stalled=True`: it\n\
         needs you. Each reason is also that of an event when it begins; `Synced` when a trouble is over. Further events are listed\n\
         below the reasons.\n\n\
         {}\n{}",
        oauth2client::reasons::section(),
        jsonwebkeyset::reasons::section()
    )
}
