//! The custom resource definitions: the files of `crds/`, what decodes, and what a real API server makes of them.

mod generated;
