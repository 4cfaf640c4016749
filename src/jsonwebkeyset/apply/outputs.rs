//! The outputs: what is shown, and what is handed out.

use std::collections::BTreeMap;

use super::Work;
use crate::{
    api::jsonwebkeyset::{OutputStatus, PrivateSecret, PublicConfigMap},
    controller::Class,
    jsonwebkeyset::{
        contents,
        desired::Desired,
        error::{self, Failure, Reason},
        observe::{Observed, Sources, output_status},
        plan::Changes,
        record::Record,
    },
    kubernetes::{
        outputs::{OutputContent, OutputError, OutputKind, OutputState, Outputs},
        secret_content::OPAQUE,
    },
    secret_template,
};

impl Work<'_> {
    pub(super) async fn show(&mut self, changes: &Changes) -> Result<(), Failure> {
        let (Some(public), Some(state)) = (&self.desired.public, &self.observed.public_state)
        else {
            return Ok(());
        };
        let content = public_content(public, changes);
        let written =
            self.write(self.to.sources.config_maps, &public.name, state, &content).await?;
        self.outputs.public_config_map = Some(written);
        Ok(())
    }

    pub(super) async fn hand_out(
        &mut self,
        changes: &Changes,
        record: &Record,
    ) -> Result<(), Failure> {
        let (Some(private), Some(state)) = (&self.desired.private, &self.observed.private_state)
        else {
            return Ok(());
        };
        if let (true, OutputState::Ours(held)) = (changes.turn.keys.is_empty(), state) {
            // All are revoked, and nothing is to come by itself.
            let what = format!("Secret {}", private.name);
            let deleted = self.to.sources.secrets.delete(&private.name, held.version()).await;
            return deleted.map_err(|error| error::kubernetes(&format!("delete {what}"), &error));
        }
        // Without a current key, or without its private half, what was handed out stays.
        let Some(content) = private_content(private, changes, self.observed)? else {
            let held = state.held().map(|held| output_status(&private.name, held.version()));
            // The one of the former name goes when there is something for the new one.
            let former = record.outputs.private_secret.as_ref();
            self.outputs.private_secret =
                former.filter(|f| f.name != private.name).cloned().or(held);
            return Ok(());
        };
        let written = self.write(self.to.sources.secrets, &private.name, state, &content).await?;
        self.outputs.private_secret = Some(written);
        Ok(())
    }

    pub(super) async fn write<K: OutputKind>(
        &self,
        outputs: &Outputs<K>,
        name: &str,
        state: &OutputState,
        content: &OutputContent,
    ) -> Result<OutputStatus, Failure> {
        let owner = (self.to.sources.owner, self.to.api_version);
        let what = format!("{} {name}", K::kind(&()));
        let written = outputs.write(name, owner, state, content).await;
        let version = written.map_err(|error| refused(&what, &error))?;
        (self.to.written)(&K::kind(&()), name, &version);
        Ok(output_status(name, &version))
    }

    /// Deletes outputs of ours that the spec does not name any more.
    pub(super) async fn retire(&self, record: &Record) -> Result<Vec<String>, Failure> {
        let mut retired = Vec::new();
        let former = |recorded: &Option<OutputStatus>, now: &Option<OutputStatus>| {
            let recorded = recorded.as_ref()?;
            let stays = now.as_ref().is_some_and(|now| now.name == recorded.name);
            (!stays).then(|| recorded.name.clone())
        };
        let (before, now) = (&record.outputs, &self.outputs);
        if self.desired.private.is_none() || now.private_secret.is_some() {
            let former = former(&before.private_secret, &now.private_secret);
            retired.extend(retire(self.to.sources.secrets, former, &self.to.sources).await?);
        }
        let former = former(&before.public_config_map, &now.public_config_map);
        retired.extend(retire(self.to.sources.config_maps, former, &self.to.sources).await?);
        Ok(retired)
    }
}

/// What the ConfigMap is to hold.
#[must_use]
pub fn public_content(public: &PublicConfigMap, changes: &Changes) -> OutputContent {
    let document = contents::public(&changes.turn.keys, &changes.publics, &changes.published_kids);
    OutputContent {
        secret_type: String::new(),
        labels: public.labels.clone(),
        annotations: public.annotations.clone(),
        data: BTreeMap::from([(contents::public_key(public).to_owned(), document.into())]),
    }
}

/// What the Secret is to hold; none: there is no current key that could be handed out.
pub fn private_content(
    private: &PrivateSecret,
    changes: &Changes,
    observed: &Observed,
) -> Result<Option<OutputContent>, Failure> {
    let data = contents::private(private, &changes.turn.keys, &changes.privates)?;
    let Some(mut data) = data else { return Ok(None) };
    let template = private.template.clone().unwrap_or_default();
    let further = secret_template::further_data(FIELD, &template, observed.well_known.as_deref());
    let further = further.map_err(|invalid| invalid_template(&invalid))?;
    data.extend(further.into_iter().map(|(key, text)| (key, text.into())));
    Ok(Some(OutputContent {
        secret_type: template.secret_type.unwrap_or_else(|| OPAQUE.to_owned()),
        labels: template.labels,
        annotations: template.annotations,
        data,
    }))
}

/// Where the template of the private Secret stands.
const FIELD: &str = "spec.outputs.privateSecret.template";

fn invalid_template(invalid: &secret_template::InvalidTemplate) -> Failure {
    Failure::terminal(Reason::InvalidSpec, invalid.to_string())
}

/// Whether the labels, annotations and keys that the spec asks for may be set: before anything is written.
pub fn check_templates(desired: &Desired) -> Result<(), Failure> {
    if let Some(public) = &desired.public {
        let field = "spec.outputs.publicConfigMap";
        secret_template::check_metadata(field, &public.labels, &public.annotations)
            .map_err(|invalid| invalid_template(&invalid))?;
    }
    let Some(private) = &desired.private else { return Ok(()) };
    let template = private.template.clone().unwrap_or_default();
    let names = contents::private_keys(private);
    let keys = names.iter().chain(template.data.keys());
    secret_template::check_metadata(FIELD, &template.labels, &template.annotations)
        .and_then(|()| {
            secret_template::check_keys(
                "spec.outputs.privateSecret.keys and spec.outputs.privateSecret.template.data",
                keys,
            )
        })
        .map_err(|invalid| invalid_template(&invalid))
}

async fn retire<K: OutputKind>(
    outputs: &Outputs<K>,
    former: Option<String>,
    from: &Sources<'_>,
) -> Result<Option<String>, Failure> {
    let Some(name) = former else { return Ok(None) };
    let what = format!("{} {name}", K::kind(&()));
    let doing = format!("delete {what}, which is handed out no more");
    from.check(&what)?;
    let state = outputs.observe(&name, from.owner).await;
    let state = state.map_err(|error| error::read(&what, &error))?;
    let OutputState::Ours(held) = state else { return Ok(None) };
    let deleted = outputs.delete(&name, held.version()).await;
    deleted.map_err(|error| error::kubernetes(&doing, &error))?;
    Ok(Some(what))
}

/// Classifies what keeps the output `what` from being written.
#[must_use]
pub fn refused(what: &str, error: &OutputError) -> Failure {
    match error {
        OutputError::Api(error) => error::output_write(what, error),
        OutputError::Foreign(_) => Failure::terminal(
            Reason::OutputNotOwned,
            format!(
                "{what} exists and is not this resource's: choose another name in spec.outputs, or delete it if nobody needs it"
            ),
        ),
        OutputError::Name(_) | OutputError::Type { .. } | OutputError::Immutable => Failure {
            class: Class::Terminal,
            ..Failure::terminal(Reason::OutputRefused, format!("could not store {what}: {error}"))
        },
    }
}
