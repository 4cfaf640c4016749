//! The pages of `docs/reference/`: fields of the resources and flags of the program, from the code that reads them.

use crate::cli::ReferencePage;

mod command;
mod fields;

/// A page, in Markdown.
#[must_use]
pub fn page(page: ReferencePage) -> String {
    match page {
        ReferencePage::OAuth2Client => fields::page("OAuth2Client"),
        ReferencePage::JsonWebKeySet => fields::page("JsonWebKeySet"),
        ReferencePage::Cli => command::page(),
    }
}

/// A text in one cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace("\n\n", " ").replace('\n', " ")
}
