//! Suspension, requests, settings and the shapes of an installation.
